"""Which options are listed on a day: expiry dates by weekday and holiday, strikes, symbols in Kite's form, tokens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import polars as pl

from g6_sim.table import Terms
from g6core import CONTRACTS, Calendar, conform

MARGIN = 0.03
"""Strikes reach so far beyond the index level, as a fraction of it, and a year's volatility more.

The standard deviation of the walk around the level is 0.3 years' volatilities, so it stays within them.
"""

FURTHER = 0.1
"""Monthly contracts reach so far beyond that, at `far_step`."""

SEGMENTS = {"NFO": 2, "BFO": 5}
"""The last byte of Kite's instrument token."""

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH_LETTERS = "123456789OND"


def expiries(terms: Terms, today: date, weeks: int, months: int, calendar: Calendar) -> dict[date, str]:
    """The expiry dates from `today` on, ascending, each with its part of the symbol: 26NOV monthly, 26D01 weekly.

    A date that is a holiday moves to the trading day before it, and may so have passed already.
    """
    monthly: list[date] = []
    weekly: list[date] = []
    wanted = weeks if terms.weekly else 0
    found: dict[date, str] = {}
    for nominal in _weekdays(today, terms.weekday):
        day = nominal
        while not calendar.is_trading_day(terms.exchange, day):
            day -= timedelta(days=1)
        is_monthly = (nominal + timedelta(days=7)).month != nominal.month
        if day >= today and ((is_monthly and len(monthly) < months) or len(weekly) < wanted):
            found[day] = _code(day, is_monthly)
        if day >= today:
            weekly.append(day)
            monthly += [day] if is_monthly else []
        if len(monthly) >= months and len(weekly) >= wanted:
            break
    return found


def _weekdays(start: date, weekday: int) -> Iterator[date]:
    day = start + timedelta(days=(weekday - start.weekday()) % 7)
    while True:
        yield day
        day += timedelta(days=7)


def _code(day: date, is_monthly: bool) -> str:
    year = f"{day.year % 100:02d}"
    return year + (_MONTHS[day.month - 1] if is_monthly else f"{_MONTH_LETTERS[day.month - 1]}{day.day:02d}")


def strikes(terms: Terms, volatility: float) -> pl.DataFrame:
    """Columns `strike` (whole points, ascending) and `near` (listed for weekly contracts too).

    They surround the level of the table and not the spot, so a strike stays listed until its contract expires.
    volatility: that of NIFTY.
    """
    reach = MARGIN + volatility * terms.volatility
    near = _multiples(terms.step, terms.level, reach)
    far = _multiples(terms.far_step, terms.level, reach + FURTHER)
    every = sorted(near | far)
    return pl.DataFrame({"strike": every, "near": [s in near for s in every]}, schema_overrides={"strike": pl.Int64})


def _multiples(step: int, level: float, reach: float) -> set[int]:
    low, high = level * (1 - reach), level * (1 + reach)
    return {s for s in range(int(low // step) * step, int(high) + step, step) if low <= s <= high}


def is_monthly(code: str) -> bool:
    """Whether that part of a symbol is a monthly expiry's: 26NOV."""
    return code[2:] in _MONTHS


def contracts(terms: Terms, listed: dict[date, str], volatility: float) -> pl.DataFrame:
    """The options of the index with these expiries, columns CONTRACTS, sorted by expiry, strike, right."""
    codes = {"expiry": list(listed), "code": list(listed.values()), "monthly": [is_monthly(c) for c in listed.values()]}
    dates = pl.DataFrame(codes, schema_overrides={"expiry": pl.Date, "monthly": pl.Boolean})
    rights = pl.DataFrame({"right": ["CE", "PE"]})
    frame = (
        dates.join(strikes(terms, volatility), how="cross")
        .filter(pl.col("near") | pl.col("monthly"))
        .join(rights, how="cross")
        .select(
            index=pl.lit(terms.name),
            exchange=pl.lit(terms.exchange),
            symbol=pl.concat_str(pl.lit(terms.name), "code", "strike", "right"),
            token=_token(terms),
            expiry="expiry",
            strike="strike",
            right="right",
            lot_size=terms.lot_size,
            tick_size=terms.tick_size,
        )
    )
    return conform(frame, CONTRACTS, who="the simulator")


def _token(terms: Terms) -> pl.Expr:
    """A number of 32 bits that tells index, expiry, strike and right; the expiry's part comes round after 512 days."""
    day = pl.col("expiry").to_physical().cast(pl.Int64) % 512
    token = (pl.lit(terms.number, dtype=pl.Int64) * 512 + day) * 2048 + pl.col("strike") // terms.step
    return (token * 2 + (pl.col("right") == "CE").cast(pl.Int64)) * 256 + SEGMENTS[terms.exchange]

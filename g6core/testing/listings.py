"""What the fake market lists: six numbers per index, and the contracts that follow from them and a date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import polars as pl

from g6core.snapshot import CONTRACTS, conform

IST_OFFSET = timedelta(hours=5, minutes=30)
TICK = 0.05


@dataclass(frozen=True)
class Listing:
    """How an index is listed: levels and steps in index points, lots in units, weekday 0 = Monday."""

    exchange: str
    level: float
    step: float
    lot_size: int
    weekday: int
    weekly: bool
    closes: timedelta
    """After 00:00 UTC of the expiry day."""

    def expiries(self, today: date) -> list[date]:
        """The next four weeklies and the monthlies of three months, not before `today`; holidays move nothing here."""
        first = today + timedelta((self.weekday - today.weekday()) % 7)
        weeks = [first + timedelta(weeks=n) for n in range(14)]
        monthlies = [day for day in weeks if is_monthly(day)][:3]
        return sorted({*monthlies, *(weeks[:4] if self.weekly else [])})


LISTINGS = {
    "NIFTY": Listing("NFO", 24_600.0, 50.0, 65, 1, True, timedelta(hours=10, minutes=10)),
    "BANKNIFTY": Listing("NFO", 55_200.0, 100.0, 30, 1, False, timedelta(hours=10, minutes=10)),
    "SENSEX": Listing("BFO", 80_400.0, 100.0, 20, 3, True, timedelta(hours=10)),
}


@lru_cache
def contracts(index: str, today: date, strikes: int) -> pl.DataFrame:
    listing = LISTINGS[index]
    half = strikes // 2
    rows = [
        (index, listing.exchange, f"{index}{symbol_date(day)}{strike:.0f}{right}", day, strike, right)
        for day in listing.expiries(today)
        for strike in (listing.level + listing.step * n for n in range(-half, strikes - half))
        for right in ("CE", "PE")
    ]
    frame = pl.DataFrame(rows, schema=["index", "exchange", "symbol", "expiry", "strike", "right"], orient="row")
    frame = frame.with_columns(token=pl.int_range(pl.len()) + 1, lot_size=listing.lot_size, tick_size=pl.lit(TICK))
    return conform(frame, CONTRACTS, who="FakeMarket")


def expiry_codes(index: str, today: date) -> dict[date, list[str]]:
    """The codes of every listed expiry; a date that no code names carries itself."""
    listing = LISTINGS[index]
    dates = listing.expiries(today)
    monthlies = [day for day in dates if is_monthly(day)]
    named = [*zip(("this_week", "next_week"), dates if listing.weekly else [], strict=False)]
    named += zip(("this_month", "next_month"), monthlies, strict=False)
    return {day: [code for code, at in named if at == day] or [day.isoformat()] for day in dates}


def is_monthly(day: date) -> bool:
    """True on the last such weekday of its month."""
    return (day + timedelta(weeks=1)).month != day.month


def symbol_date(day: date) -> str:
    """The expiry as trading symbols write it: 26AUG for a monthly, 26818 for a weekly."""
    month = day.strftime("%b").upper() if is_monthly(day) else f"{'123456789OND'[day.month - 1]}{day:%d}"
    return f"{day:%y}{month}"

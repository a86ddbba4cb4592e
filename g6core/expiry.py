"""Expiry codes: names of the expiry dates that are listed today.

this_week, next_week    the nearest listed expiry and the one after it, where weekly contracts are listed at all; either
                        may be a monthly contract
this_month, next_month  the nearest monthly contract and the one after it
all                     every listed expiry
2026-11-23              that date, if it is listed

Dates come from the listing alone. Exchanges moved their expiry days every year since 2023, holidays move single ones,
and a week may follow the monthly contract within its month, so neither the weekday nor the place in the month decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import polars as pl

THIS_WEEK, NEXT_WEEK, THIS_MONTH, NEXT_MONTH = CODES = ("this_week", "next_week", "this_month", "next_month")
ALL = "all"

# What follows the underlying's name in a trading symbol: year, then JAN…DEC for a monthly contract, or for a weekly one
# the month as 1-9, O, N, D and the day.
_MONTHLY = r"^\d{2}[A-Z]{3}\d+(\.\d+)?(CE|PE)$"
_WEEKLY = r"^\d{2}[1-9OND]\d{2}\d+(\.\d+)?(CE|PE)$"


def resolve(contracts: pl.DataFrame, today: date, codes: Sequence[str]) -> dict[date, list[str]]:
    """The expiries that `codes` name, ascending, each with its codes in the order of `codes`.

    contracts: the options of one index that can still be traded (columns `snapshot.CONTRACTS`). A code that names
    nothing listed is left out. An expiry that only `all` names stands under its ISO date.
    """
    kinds = _kinds(contracts.filter(pl.col("expiry") >= today))
    named = _named(kinds)
    found: dict[date, list[str]] = {}
    for code in dict.fromkeys(codes):
        day = named.get(code)
        if day is not None:
            found.setdefault(day, []).append(code)
    if ALL in codes:
        for day in kinds:
            found.setdefault(day, [day.isoformat()])
    return dict(sorted(found.items()))


def _named(kinds: Mapping[date, str | None]) -> dict[str, date]:
    listed = list(kinds)
    monthly = [day for day in listed if kinds[day] == "monthly"]
    named = {day.isoformat(): day for day in listed}
    if "weekly" in kinds.values():
        named.update(zip((THIS_WEEK, NEXT_WEEK), listed, strict=False))
    named.update(zip((THIS_MONTH, NEXT_MONTH), monthly, strict=False))
    return named


def _kinds(contracts: pl.DataFrame) -> dict[date, str | None]:
    """Each listed expiry, ascending: `monthly`, `weekly`, or None when other symbols tell and this one's do not."""
    form = pl.col("symbol").str.strip_prefix(pl.col("index"))
    told = (
        contracts.lazy()
        .group_by("expiry")
        .agg(form.str.contains(_MONTHLY).any().alias("monthly"), form.str.contains(_WEEKLY).any().alias("weekly"))
        .sort("expiry")
        .collect()
    )
    kinds = {day: "monthly" if monthly else "weekly" if weekly else None for day, monthly, weekly in told.iter_rows()}
    return kinds if any(kinds.values()) else _kinds_by_date(list(kinds))


def _kinds_by_date(listed: Sequence[date]) -> dict[date, str | None]:
    """For symbols of another form: the last expiry of a month is monthly, any other is weekly.

    The listing may end in the middle of a month, so its very last expiry is monthly only when a week later is another
    month. A monthly contract that a holiday moved to an earlier day is then taken for a weekly one: better than to take
    a weekly contract for a monthly one.
    """
    following = [*listed[1:], *(day + timedelta(days=7) for day in listed[-1:])]
    return {
        day: "weekly" if (after.year, after.month) == (day.year, day.month) else "monthly"
        for day, after in zip(listed, following, strict=True)
    }

"""Spots and futures as a provider gives them, made into numbers that can be relied on: whatever is none is absent."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from g6core.components import Provider, Spot
from g6core.faults import FAULTS, told

log = logging.getLogger("g6.collector")
Futures = Mapping[str, Mapping[date, float]]


def finite(value: object) -> float | None:
    """The number as a float; None when it is absent, not finite, or no number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def positive(value: object) -> float | None:
    number = finite(value)
    return number if number is not None and number > 0 else None


def level(spot: Spot | None) -> float | None:
    """The spot's last price, None when it is not known."""
    return positive(spot.last) if spot else None


def facts(spot: Spot | None, vix: float | None, simulated: bool) -> dict[str, float]:
    """The facts of a snapshot before analytics."""
    given: dict[str, float | None] = {"spot": level(spot), "vix": vix}
    if spot:
        given |= {"open": spot.open, "high": spot.high, "low": spot.low, "close": spot.close}
    known = {name: number for name, value in given.items() if (number := finite(value)) is not None}
    return known | ({"simulated": 1.0} if simulated else {})


def futures(provider: Provider, indices: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the provider gives for each index, and a note when it fails: futures never cost a snapshot."""
    try:
        given = provider.futures(indices) if indices else {}
        return {index: given[index] for index in indices if index in given}, ()
    except FAULTS as e:
        log.debug("futures", exc_info=True)
        return {}, (f"no futures: {told(e)}",)


def futures_by_expiry(given: Any, expiries: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    """The column `future` for these expiries, and a note when a price is none. given: what is known of the index."""
    days = expiries.to_list()
    try:
        told_of = [given.get(day) for day in days] if given is not None else [None] * len(days)
        prices = [positive(price) for price in told_of]
        unsound = [
            day for day, asked, price in zip(days, told_of, prices, strict=True) if asked is not None and price is None
        ]
    except FAULTS as e:
        log.debug("futures", exc_info=True)
        return pl.Series("future", [None] * len(days), pl.Float64), (f"no futures: {told(e)}",)
    notes = (f"the provider's price of the future of {', '.join(map(str, unsound))} is none",) if unsound else ()
    return pl.Series("future", prices, pl.Float64), notes

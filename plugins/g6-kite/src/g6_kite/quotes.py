"""Quotes on their way from Kite's two forms to G6's columns: null where Kite says nothing, or writes 0 for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from g6core import IST, QUOTES, Spot

Floats = npt.NDArray[np.float64]

COLUMNS = {**QUOTES, "last_trade_ts": pl.Datetime("us", "UTC")}
"""What a contract's quote has: G6's columns and the time of its last trade, which says how old the last price is."""

POSITIVE = ("last_price", "average_price", "bid", "ask", "bid_qty", "ask_qty", "exchange_ts", "last_trade_ts")
"""Where 0 means that there is none. No contract is worth nothing, and an empty level of the book is zeros."""

_PLAIN = {"last_price": "last_price", "average_price": "average_price", "volume": "volume", "oi": "oi"}
_TIMES = {"exchange_ts": "timestamp", "last_trade_ts": "last_trade_time"}
_SIDES = (("bid", "bid_qty", "buy"), ("ask", "ask_qty", "sell"))


class Table:
    """Quotes of contracts, a row each, filled from wherever they come. NaN: not known. Times in microseconds."""

    def __init__(self, rows: int) -> None:
        self.columns: dict[str, Floats] = {name: np.full(rows, np.nan) for name in COLUMNS}

    def put(self, where: npt.NDArray[np.bool_], columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """What the stream says of the rows where it says something."""
        for name, column in self.columns.items():
            np.copyto(column, columns[name], where=where)

    def put_item(self, row: int, item: Mapping[str, Any], received: int) -> None:
        """What a call for quotes says; received: microseconds since 1970. An item that is no quote is none."""
        try:
            found = numbers(item)
        except (AttributeError, KeyError, TypeError, ValueError):
            return
        for name, value in found.items():
            self.columns[name][row] = value
        self.columns["received_ts"][row] = received

    def frame(self) -> pl.DataFrame:
        for name in POSITIVE:
            values = self.columns[name]
            values[~(values > 0)] = np.nan
        return pl.DataFrame([pl.Series(n, v, nan_to_null=True).cast(COLUMNS[n]) for n, v in self.columns.items()])


def numbers(item: Mapping[str, Any]) -> dict[str, float]:
    """A quote of Kite's REST answer by G6's names; what it lacks is left out."""
    found = {name: float(item[key]) for name, key in _PLAIN.items() if item.get(key) is not None}
    for name, key in _TIMES.items():
        at = instant(item.get(key))
        if at is not None:
            found[name] = micros(at)
    depth = item.get("depth") or {}
    for price, quantity, side in _SIDES:
        best = (depth.get(side) or [{}])[0]
        found |= {name: float(best[key]) for name, key in ((price, "price"), (quantity, "quantity")) if key in best}
    return found


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return round(at.timestamp() * 1e6)


def instant(value: object) -> datetime | None:
    """A time as Kite or its client write it: `2026-11-20 10:30:00`, in India and without saying so."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=IST)).astimezone(UTC)


def spot(item: Mapping[str, Any]) -> Spot | None:
    """An index of Kite's REST answer; None without a price, and for an item that is no quote."""
    try:
        ohlc = item.get("ohlc") or {}
        levels = (item.get("last_price"), *(ohlc.get(name) for name in ("open", "high", "low", "close")))
        last, opening, high, low, close = (float(level) if level else None for level in levels)
    except (AttributeError, TypeError, ValueError):
        return None
    return Spot(last, opening, high, low, close, instant(item.get("timestamp"))) if last else None

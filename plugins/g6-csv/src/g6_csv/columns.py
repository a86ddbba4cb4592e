"""The columns of each kind of file, in their order. Readers rely on them: a change here is a change for every user."""

from __future__ import annotations

from collections.abc import Sequence

ROW = ("timestamp", "index", "expiry_code", "expiry", "offset", "strike", "atm_strike", "spot", "forward", "dte")
"""What both legs of a wide row share."""

GREEKS = ("iv", "delta", "gamma", "theta", "vega", "rho")
LEG = ("symbol", "last_price", "average_price", "bid", "ask", "volume", "oi", *GREEKS)
"""What a wide row has twice: `call_…`, `put_…`."""

OVERVIEW = (
    *("timestamp", "index", "spot", "open", "high", "low", "close", "day_width", "vix"),
    *("pcr_this_week", "pcr_next_week", "pcr_this_month", "pcr_next_month"),
    *("expiries_expected", "expiries_collected", "expected_mask", "collected_mask", "missing_mask"),
)

MASKS = {"this_week": 1, "next_week": 2, "this_month": 4, "next_month": 8}
"""The bit of each expiry code in the overview's masks."""

DAY = (
    *("timestamp", "index", "expiry", "strike", "right", "expiry_code", "offset"),
    *("exchange", "symbol", "token", "lot_size", "tick_size", "spot", "atm_strike", "forward", "dte"),
    *("last_price", "average_price", "bid", "ask", "bid_qty", "ask_qty", "volume", "oi", "exchange_ts", "received_ts"),
    *GREEKS,
)
"""A row per contract."""

BOOK = ("bid", "ask", "bid_qty", "ask_qty")

KEYS = {"wide": 6, "day": 5, "overview": 2}
"""How many of the first columns tell a row from every other row of its file."""


def leg(bid_ask: bool) -> tuple[str, ...]:
    return tuple(name for name in LEG if bid_ask or name not in BOOK)


def wide(bid_ask: bool, extra: Sequence[str]) -> tuple[str, ...]:
    """Columns of `layout = "wide"`: a row per strike, both legs; `extra` columns of the options at the end."""
    sides = [f"{side}_{name}" for side in ("call", "put") for name in leg(bid_ask)]
    return (*ROW, *sides, "straddle_price", *(f"{side}_{name}" for name in extra for side in ("call", "put")))


def day(bid_ask: bool, extra: Sequence[str]) -> tuple[str, ...]:
    """Columns of `layout = "day"`."""
    return (*(name for name in DAY if bid_ask or name not in BOOK), *extra)

"""One quote in the three forms of Kite's requests. A price that is not there is 0, as at Kite."""

from __future__ import annotations

import math
from typing import Any

from g6_sim.serve.answers import ist
from g6_sim.serve.faults import Faults
from g6_sim.serve.quote import LEVELS

OHLC = ("open", "high", "low", "close")
_ZERO = {"price": 0, "quantity": 0, "orders": 0}


def ltp(quote: Any, faults: Faults) -> dict[str, Any]:
    return {"instrument_token": int(quote["token"]), "last_price": _price(quote["last_price"])}


def ohlc(quote: Any, faults: Faults) -> dict[str, Any]:
    return ltp(quote, faults) | {"ohlc": {name: _price(quote[name]) for name in OHLC}}


def full(quote: Any, faults: Faults) -> dict[str, Any]:
    """An index has no depth."""
    traded = 0 if faults.active("null_trade_time") else int(quote["last_trade_time"])
    item = ohlc(quote, faults) | {
        "timestamp": ist(int(quote["exchange_ts"])),
        "last_trade_time": ist(traded),
        "last_quantity": int(quote["last_qty"]),
        "buy_quantity": int(quote["buy_qty"]),
        "sell_quantity": int(quote["sell_qty"]),
        "volume": int(quote["volume"]),
        "average_price": _price(quote["average_price"]),
        "oi": int(quote["oi"]),
        "oi_day_high": int(quote["oi_high"]),
        "oi_day_low": int(quote["oi_low"]),
        "net_change": 0,
        "lower_circuit_limit": 0,
        "upper_circuit_limit": 0,
    }
    if quote["index"]:
        return item
    empty = bool(faults.active("zero_depth"))
    return item | {"depth": {"buy": _side(quote, "bid", empty), "sell": _side(quote, "ask", empty)}}


def _side(quote: Any, side: str, empty: bool) -> list[dict[str, Any]]:
    if empty:
        return [_ZERO] * LEVELS
    columns = (quote[f"{side}_{name}"].tolist() for name in ("price", "qty", "orders"))
    return [
        {"price": _price(price), "quantity": quantity, "orders": orders}
        for price, quantity, orders in zip(*columns, strict=True)
    ]


def _price(value: float) -> float:
    return 0 if math.isnan(value) else round(float(value), 2)

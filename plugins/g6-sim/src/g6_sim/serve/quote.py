"""What Kite's server knows of one instrument at one instant, a row each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = 5
"""Of the order book, each side."""

QUOTE = np.dtype(
    [
        ("token", "u4"),
        ("index", "?"),  # an index: no depth, volume or open interest
        ("quoted", "?"),  # False: Kite has no quote, so the key is silently absent and no packet is sent
        ("last_price", "f8"),  # prices are rupees (index points), nan = none
        ("last_qty", "i8"),
        ("average_price", "f8"),
        ("volume", "i8"),
        ("buy_qty", "i8"),
        ("sell_qty", "i8"),
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),  # of the day before
        ("last_trade_time", "i8"),  # unix seconds, 0 = none
        ("oi", "i8"),
        ("oi_high", "i8"),
        ("oi_low", "i8"),
        ("exchange_ts", "i8"),  # unix seconds, 0 = none
        ("bid_price", "f8", (LEVELS,)),  # nan = nobody bids at that level
        ("bid_qty", "i8", (LEVELS,)),
        ("bid_orders", "i8", (LEVELS,)),
        ("ask_price", "f8", (LEVELS,)),
        ("ask_qty", "i8", (LEVELS,)),
        ("ask_orders", "i8", (LEVELS,)),
    ]
)

PRICES = ("last_price", "average_price", "open", "high", "low", "close", "bid_price", "ask_price")

Quotes = NDArray[np.void]
"""An array of QUOTE."""


def blank(count: int, **fields: Any) -> Quotes:
    """So many rows without a quote: prices nan, everything else 0 but the fields given."""
    quotes = np.zeros(count, QUOTE)
    for name in PRICES:
        quotes[name] = np.nan
    for name, values in fields.items():
        quotes[name] = values
    return quotes

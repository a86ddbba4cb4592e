"""Quotes as the packets of Kite's stream, all rows at once.

Layouts: Kite Connect 3 documentation, "WebSocket streaming". A message is a u16 count and for each packet a u16 length
and so many bytes, everything big-endian. What can be traded and indices have different packets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from g6_sim.serve.quote import LEVELS, Quotes

HEARTBEAT = b"\x00"
MODES = ("ltp", "quote", "full")
LTP, QUOTE, FULL = range(3)
LENGTHS = np.array([[8, 44, 184], [8, 28, 32]])
"""Of a packet, by whether it is an index's and by mode."""

_LEVEL = np.dtype([("qty", ">u4"), ("price", ">u4"), ("orders", ">u2"), ("padding", ">u2")])
_NUMBERS = (
    *("token", "last_price", "last_qty", "average_price", "volume", "buy_qty", "sell_qty", "open", "high", "low"),
    *("close", "last_trade_time", "oi", "oi_high", "oi_low", "exchange_ts"),
)
PACKET = np.dtype([(name, ">u4") for name in _NUMBERS] + [("bid", _LEVEL, LEVELS), ("ask", _LEVEL, LEVELS)])
_INDEX_NUMBERS = ("token", "last_price", "high", "low", "open", "close", "change", "exchange_ts")
INDEX = np.dtype(
    {
        "names": list(_INDEX_NUMBERS),
        "formats": [">u4"] * len(_INDEX_NUMBERS),
        "offsets": range(0, 4 * len(_INDEX_NUMBERS), 4),
        "itemsize": PACKET.itemsize,
    }
)
"""An index's packet, in the room of the other."""

_PRICES = {"last_price", "average_price", "open", "high", "low", "close"}
_DIVISORS = np.full(256, 100.0)
_DIVISORS[[3, 6, 12]] = 1e7, 1e4, 1e4
_LARGEST = 0xFFFFFFFF

Rows = NDArray[np.void]
"""An array of PACKET; the rows of indices are INDEX in the same bytes."""


def encode(quotes: Quotes, mode: str) -> bytes:
    """One message with a packet for each quote."""
    return message(pack(quotes), quotes["index"], np.full(quotes.size, MODES.index(mode)))


def pack(quotes: Quotes) -> Rows:
    """A full packet for each quote, of which the shorter ones are the beginning. A price that is not there is 0."""
    rows = np.zeros(quotes.size, PACKET)
    divisor = _DIVISORS[quotes["token"] & 0xFF]
    for name in _NUMBERS:
        rows[name] = _price(quotes[name], divisor) if name in _PRICES else _whole(quotes[name])
    for side in ("bid", "ask"):
        rows[side]["price"] = _price(quotes[f"{side}_price"], divisor[:, None])
        rows[side]["qty"] = _whole(quotes[f"{side}_qty"])
        rows[side]["orders"] = np.minimum(quotes[f"{side}_orders"], 0xFFFF)
    index = np.flatnonzero(quotes["index"])
    if index.size:
        levels, given = np.zeros(index.size, INDEX), rows[index]
        for name in _INDEX_NUMBERS:
            if name != "change":
                levels[name] = given[name]
        move = given["last_price"].astype(np.int64) - given["close"]
        levels["change"] = np.where(given["close"] > 0, move, 0) & _LARGEST
        rows[index] = levels.view(PACKET)
    return rows


def message(rows: Rows, index: NDArray[np.bool_], modes: NDArray[Any]) -> bytes:
    """One message of these packets, each cut to its mode."""
    lengths = LENGTHS[index.astype(np.intp), modes]
    places = 2 + np.cumsum(lengths + 2) - (lengths + 2)
    buffer = np.zeros(2 + int((lengths + 2).sum()), np.uint8)
    buffer[:2] = np.frombuffer(rows.size.to_bytes(2, "big"), np.uint8)
    for length in np.unique(lengths).tolist():
        chosen = np.flatnonzero(lengths == length)
        framed = np.zeros(chosen.size, [("length", ">u2"), ("packet", f"V{length}")])
        framed["length"] = length
        framed["packet"] = _start(rows[chosen], length)
        step = length + 2
        windows: NDArray[Any] = np.ndarray(buffer.size - step + 1, f"V{step}", buffer.data, 0, (1,))
        windows[places[chosen]] = framed.view(f"V{step}")
    return buffer.tobytes()


def unpack(row: Any, index: bool, mode: int) -> dict[str, Any]:
    """What a client can read in one packet, by the names of `quote.QUOTE`; prices in rupees, books as lists."""
    names: tuple[str, ...]
    if index:
        row, names = row.view(INDEX), ("token", "last_price", "high", "low", "open", "close")
        names = names[:2] if mode == LTP else names + ("exchange_ts",) * (mode == FULL)
    else:
        names = _NUMBERS[: (2, 11, len(_NUMBERS))[mode]]
    divisor = float(_DIVISORS[int(row["token"]) & 0xFF])
    found: dict[str, Any] = {name: int(row[name]) / divisor if name in _PRICES else int(row[name]) for name in names}
    if mode == FULL and not index:
        for side in ("bid", "ask"):
            found[f"{side}_price"] = (row[side]["price"] / divisor).tolist()
            found[f"{side}_qty"], found[f"{side}_orders"] = row[side]["qty"].tolist(), row[side]["orders"].tolist()
    return found | {"mode": MODES[mode]}


def _start(rows: Rows, length: int) -> NDArray[Any]:
    start = np.dtype({"names": ["it"], "formats": [f"V{length}"], "offsets": [0], "itemsize": PACKET.itemsize})
    return rows.view(start)["it"]


def _price(prices: NDArray[np.float64], divisor: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.clip(np.nan_to_num(np.rint(prices * divisor)), 0, _LARGEST))


def _whole(numbers: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.clip(numbers, 0, _LARGEST))

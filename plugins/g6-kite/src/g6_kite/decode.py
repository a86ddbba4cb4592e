"""Kite's binary frames as arrays, without a Python loop over packets.

Layouts: Kite Connect 3 documentation, "WebSocket streaming", and the official clients. A frame is a u16 count and, for
each packet, a u16 length and so many bytes; everything is big-endian and unsigned. The packets of an index are other
ones than those of what can be traded, and only the token's segment says which: a packet whose length does not belong to
its token is malformed. So is a frame whose count and lengths do not add up to its size, or with a packet that has no
room for a token and a price; nothing of it is believed, because from the first wrong length on anything might be read
as anybody's price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LTP, QUOTE, FULL = 1, 2, 3
"""How much a packet says: the last price; with the day's figures; with depth, open interest and times. 0: nothing."""

LEVELS = 5
_LEVEL = np.dtype([("qty", ">u4"), ("price", ">u4"), ("orders", ">u2"), ("padding", ">u2")])
_HEAD = ("token", "last_price", "last_qty", "average_price", "volume", "buy_qty", "sell_qty", "open", "high", "low")
_REST = ("close", "last_trade_time", "oi", "oi_high", "oi_low", "exchange_ts")
PACKET = np.dtype([(name, ">u4") for name in _HEAD + _REST] + [("bids", _LEVEL, LEVELS), ("asks", _LEVEL, LEVELS)])
"""A full packet of what can be traded, as it comes: 184 bytes. The shorter ones are its beginning."""

_INDEX_LENGTHS = (28, 32)
_INDEX_FIELDS = ("token", "last_price", "high", "low", "open", "close", "change", "exchange_ts")
_INDEX = np.dtype(
    {
        "names": _INDEX_FIELDS,
        "formats": [">u4"] * len(_INDEX_FIELDS),
        "offsets": range(0, 4 * len(_INDEX_FIELDS), 4),
        "itemsize": PACKET.itemsize,
    }
)
"""An index's packet, with room behind it."""

CDS, BCD, INDICES, NCO = 3, 6, 9, 12
"""Segments, the last byte of a token, that differ from the others."""

_DIVISORS = np.full(256, 100.0)
_DIVISORS[[CDS, BCD, NCO]] = 1e7, 1e4, 1e4

_SHORTEST, _LONGEST = 8, PACKET.itemsize + 1
_MODES = np.zeros((2, _LONGEST + 1), np.uint8)
_MODES[0, [8, 44, 184]] = _MODES[1, [8, 28, 32]] = LTP, QUOTE, FULL

_LOOK = 64
"""Packets at first looked at in one go for a run of one length; bounds what a frame of many short runs costs."""

_NOTHING = np.zeros(0, PACKET)
_NO_MODES = np.zeros(0, np.uint8)
_UNKNOWN = 0xFFFFFFFF
"""-1 in an unsigned field."""


@dataclass(frozen=True)
class Packets:
    """The packets of a frame in its order.

    rows: of type PACKET, what a packet does not have is 0; perhaps the frame's own memory, so not to be written. mode:
    LTP, QUOTE or FULL for each. malformed: packets that do not fit their token; 1 for a frame that does not add up.
    """

    rows: npt.NDArray[np.void]
    mode: npt.NDArray[np.uint8]
    malformed: int


def decode(frame: bytes) -> Packets:
    """Never raises. A heartbeat (one byte) has no packets."""
    if len(frame) < 2:
        return Packets(_NOTHING, _NO_MODES, 0)
    runs = _runs(frame)
    if not runs:
        return Packets(_NOTHING, _NO_MODES, int(runs is None))
    if len(runs) == 1 and runs[0][1] == PACKET.itemsize:
        start, length, count = runs[0]
        if not (np.ndarray(count, np.uint8, frame, start + 3, (length + 2,)) == INDICES).any():
            rows = np.ndarray(count, PACKET, frame, start, (length + 2,))
            return Packets(rows, np.full(count, FULL, np.uint8), 0)
    return _mixed(frame, runs)


def is_index(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    return np.asarray((rows["token"] & 0xFF) == INDICES)


def _runs(frame: bytes) -> list[tuple[int, int, int]] | None:
    """Packets of one length that follow each other: where the first begins, the length, how many. None: no frame."""
    at, left, runs = 2, int.from_bytes(frame[:2], "big"), []
    while left:
        length = int.from_bytes(frame[at : at + 2], "big")
        count = _run(frame, at, length, left) if length >= _SHORTEST else 0
        if not count:
            return None
        runs.append((at + 2, length, count))
        at += count * (length + 2)
        left -= count
    return runs if at == len(frame) else None


def _run(frame: bytes, at: int, length: int, left: int) -> int:
    """How many packets of that length stand from there on; 0 when not even one is whole."""
    step = length + 2
    room = min(left, (len(frame) - at) // step)
    # One look at the next packet spares the short runs of a mixture an array each.
    if room < 2 or frame[at + step : at + step + 2] != frame[at : at + 2]:
        return min(room, 1)
    seen, look = 0, _LOOK
    while seen < room:
        other = np.ndarray(min(look, room - seen), ">u2", frame, at + seen * step, (step,)) != length
        first = int(other.argmax())
        if other[first]:
            return seen + first
        seen, look = seen + other.size, 4 * look
    return room


def _mixed(frame: bytes, runs: list[tuple[int, int, int]]) -> Packets:
    """Packets of all lengths, each laid out as a full one."""
    _, sizes, counts = np.array(runs, np.int64).T
    lengths = np.repeat(sizes, counts)
    offsets = 4 + np.cumsum(lengths + 2) - (lengths + 2)
    # So that 184 bytes can be taken from the beginning of every packet, also of a short one at the end.
    padded = frame + bytes(PACKET.itemsize)
    index = np.frombuffer(padded, np.uint8)[offsets + 3] == INDICES
    mode = _MODES[index.astype(np.intp), np.minimum(lengths, _LONGEST)]
    fits = mode > 0
    if not fits.all():
        offsets, lengths, mode = offsets[fits], lengths[fits], mode[fits]
    windows: npt.NDArray[Any] = np.ndarray(len(frame), f"V{PACKET.itemsize}", padded, 0, (1,))
    rows = windows[offsets].view(PACKET)
    for length in {size for _, size, _ in runs if size < PACKET.itemsize}:
        _shorten(rows, np.flatnonzero(lengths == length), length)
    return Packets(rows, mode, fits.size - mode.size)


def _shorten(rows: npt.NDArray[np.void], chosen: npt.NDArray[np.intp], length: int) -> None:
    """Clear what belongs to other packets, and put the fields of an index where those of the others are."""
    own = rows[chosen]
    own.view(np.uint8).reshape(-1, PACKET.itemsize)[:, length:] = 0
    if length in _INDEX_LENGTHS:
        levels, own = own.view(_INDEX), np.zeros_like(own)
        for name in _INDEX_FIELDS:
            if name != "change":
                own[name] = levels[name]
    rows[chosen] = own


def values(rows: npt.NDArray[np.void], mode: npt.NDArray[np.uint8]) -> dict[str, Floats]:
    """What the packets say, a float64 array per column, NaN where they do not say it.

    Prices are rupees (index points): `last_price`, `average_price`, `open`, `high`, `low`, `close` (of the day before),
    `bid`, `ask`; quantities are units: `last_qty`, `volume`, `buy_qty`, `sell_qty`, `oi`, `oi_high`, `oi_low`,
    `bid_qty`, `ask_qty`; times are microseconds since 1970, UTC: `exchange_ts`, `last_trade_ts`. Kite writes 0 for a
    price, a level of the book or a time that there is not, and -1 happens: both are NaN.
    """
    divisor, traded = divisors(rows), ~is_index(rows)
    quote, full = mode >= QUOTE, mode >= FULL
    figures, book = quote & traded, full & traded
    found = {"last_price": _only(mode >= LTP, _prices(rows["last_price"], divisor))}
    for name in ("open", "high", "low", "close"):
        found[name] = _only(quote, _prices(rows[name], divisor))
    found["average_price"] = _only(figures, _prices(rows["average_price"], divisor))
    for name in ("last_qty", "volume", "buy_qty", "sell_qty"):
        found[name] = _only(figures, _quantities(rows[name]))
    for name in ("oi", "oi_high", "oi_low"):
        found[name] = _only(book, _quantities(rows[name]))
    for side in ("bid", "ask"):
        best = rows[f"{side}s"][:, 0]
        found[side] = _only(book, _prices(best["price"], divisor))
        found[f"{side}_qty"] = _only(book, _positive(_quantities(best["qty"])))
    found["exchange_ts"] = _only(full, _times(rows["exchange_ts"]))
    found["last_trade_ts"] = _only(book, _times(rows["last_trade_time"]))
    return found


def depth(rows: npt.NDArray[np.void], mode: npt.NDArray[np.uint8]) -> dict[str, Floats]:
    """The whole book: `bid_prices`, `bid_quantities`, `bid_orders`, `ask_…`, (packets, 5), NaN for an empty level."""
    divisor, book = divisors(rows)[:, None], ((mode >= FULL) & ~is_index(rows))[:, None]
    found = {}
    for side in ("bid", "ask"):
        levels = rows[f"{side}s"]
        found[f"{side}_prices"] = _only(book, _prices(levels["price"], divisor))
        found[f"{side}_quantities"] = _only(book, _positive(_quantities(levels["qty"])))
        found[f"{side}_orders"] = _only(book, _positive(levels["orders"].astype(np.float64)))
    return found


def divisors(rows: npt.NDArray[np.void]) -> Floats:
    """What the prices of each packet are to be divided by."""
    return _DIVISORS[(rows["token"] & 0xFF).astype(np.intp)]


def _prices(raw: npt.NDArray[Any], divisor: Floats) -> Floats:
    return _positive(raw.view(">i4") / divisor)


def _quantities(raw: npt.NDArray[Any]) -> Floats:
    return np.where(raw == _UNKNOWN, np.nan, raw)


def _times(raw: npt.NDArray[Any]) -> Floats:
    return _positive(_quantities(raw)) * 1e6


def _positive(numbers: Floats) -> Floats:
    return np.where(numbers > 0, numbers, np.nan)


def _only(where: npt.NDArray[np.bool_], numbers: Floats) -> Floats:
    return np.where(where, numbers, np.nan)

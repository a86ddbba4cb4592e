"""Frames of Kite's stream, put together field by field as its documentation has them; and some at random."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

from hypothesis import strategies as st

SEGMENTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12)
LENGTHS = (8, 44, 184)
INDEX_LENGTHS = (8, 28, 32)
FIELDS = (
    *("last_price", "last_qty", "average_price", "volume", "buy_qty", "sell_qty", "open", "high", "low", "close"),
    *("last_trade_time", "oi", "oi_high", "oi_low", "exchange_ts"),
)


def token(number: int, segment: int = 2) -> int:
    return number * 256 + segment


def tradable(of: int, length: int = 184, levels: Sequence[tuple[int, int, int]] = (), **fields: int) -> bytes:
    """fields: raw integers, 0 where not given; levels: up to ten of (quantity, price, orders), bids first."""
    head = struct.pack(">I15I", of, *(fields.get(name, 0) for name in FIELDS))
    book = [*levels, *[(0, 0, 0)] * (10 - len(levels))]
    return (head + b"".join(struct.pack(">IIHH", *level, 0) for level in book))[:length]


def index(of: int, length: int = 32, **fields: int) -> bytes:
    names = ("last_price", "high", "low", "open", "close", "change", "exchange_ts")
    return struct.pack(">I7I", of, *(fields.get(name, 0) for name in names))[:length]


def frame(packets: Sequence[bytes]) -> bytes:
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(p)) + p for p in packets)


@st.composite
def packets(draw: st.DrawFn, numbers: Sequence[int] = range(1, 60), most: int = 25) -> list[bytes]:
    """Of any segment and mode, in any order, with anything behind the token; now and then all alike, or zeros."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    alike = draw(st.booleans())
    shape = rng.choice(SEGMENTS), rng.randrange(3)
    made = []
    for _ in range(draw(st.integers(0, most))):
        segment, mode = shape if alike else (rng.choice(SEGMENTS), rng.randrange(3))
        length = (INDEX_LENGTHS if segment == 9 else LENGTHS)[mode]
        body = bytearray(rng.randbytes(length - 4))
        for place in range(0, length - 4, 4):
            kind = rng.random()
            if kind < 0.3:
                body[place : place + 4] = bytes(4) if kind < 0.2 else b"\xff" * 4
            elif kind < 0.7:
                body[place] &= 0x7F
        made.append(struct.pack(">I", token(rng.choice(numbers), segment)) + bytes(body))
    return made

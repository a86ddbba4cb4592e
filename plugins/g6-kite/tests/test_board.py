"""The board: the last packet of each token that is watched, and of no other."""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from g6_kite.board import AHEAD, LATE, Board, Taken
from g6_kite.decode import decode
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent))

from kite_frames import FIELDS, INDEX_LENGTHS, LENGTHS, SEGMENTS, frame, index, packets, token, tradable

ONE, TWO, THREE = token(1), token(2), token(3)
NIFTY = 256265
AT = 1_795_240_000
NOW = AT * 1_000_000


def board(*tokens: int) -> Board:
    made = Board()
    made.watch(tokens)
    return made


def tick(of: int, price: int, at: int = AT, **fields: int) -> bytes:
    return tradable(of, last_price=price, exchange_ts=at, levels=[(65, max(price - 5, 0), 1)], **fields)


def prices(of: Board, *tokens: int) -> list[float | None]:
    found = of.read(tokens)["last_price"]
    return [None if np.isnan(price) else float(price) for price in found]


def test_reads_are_row_for_row_as_asked() -> None:
    made = board(THREE, ONE, NIFTY)
    taken = made.take(frame([tick(ONE, 100), index(NIFTY, last_price=2_400_000, open=7)]), 11, 0)
    assert taken == Taken(packets=2, unknown=0, malformed=0, late=0)
    found = made.read([NIFTY, THREE, TWO, ONE, NIFTY])
    assert found["live"].tolist() == [True, False, False, True, True]
    assert np.array_equal(found["last_price"], [24_000, np.nan, np.nan, 1.0, 24_000], equal_nan=True)
    assert np.array_equal(found["received_ts"], [11, np.nan, np.nan, 11, 11], equal_nan=True)
    assert np.array_equal(found["bid"], [np.nan, np.nan, np.nan, 0.95, np.nan], equal_nan=True)
    assert np.array_equal(found["open"], [0.07, np.nan, np.nan, np.nan, 0.07], equal_nan=True)
    assert found["mode"].tolist() == [3, 0, 0, 3, 3]


def test_tokens_that_nobody_watches_are_counted_and_left_out() -> None:
    made = board(ONE)
    assert made.take(frame([tick(TWO, 1), tick(ONE, 2), tick(THREE, 3)]), 1, 0) == Taken(1, 2, 0)
    assert made.take(frame([tick(TWO, 1)]), 1, 0) == Taken(0, 1, 0)
    made.watch([TWO])
    assert prices(made, ONE, TWO) == [0.02, None]


def test_an_empty_board_takes_and_reads() -> None:
    made = Board()
    assert made.take(frame([tick(ONE, 1)]), 1, 0) == Taken(0, 1, 0)
    assert made.take(frame([tick(0xFFFFFFFF, 1)]), 1, 0) == Taken(0, 1, 0)
    assert made.read([ONE, -1, 2**40])["live"].tolist() == [False] * 3
    assert made.read([])["last_price"].size == 0 and made.live([]).size == 0


def test_malformed_packets_are_counted_and_the_others_taken() -> None:
    made = board(ONE, TWO)
    assert made.take(frame([tick(ONE, 1), tick(TWO, 2)[:60]]), 1, 0) == Taken(1, 0, 1)
    assert made.take(frame([tick(ONE, 9), tick(TWO, 9)])[:-1], 2, 0) == Taken(0, 0, 1)
    assert prices(made, ONE, TWO) == [0.01, None]


@pytest.mark.parametrize("heartbeat", [b"", b"\x00", b"\x00\x00"])
def test_a_heartbeat_changes_nothing(heartbeat: bytes) -> None:
    assert board(ONE).take(heartbeat, 1, 0) == Taken(0, 0, 0)


def test_of_several_packets_of_a_token_the_last_counts() -> None:
    made = board(ONE, TWO)
    for count in (2, 3, 50):
        frames = [tick(ONE if n % 2 else TWO, n + 1) for n in range(2 * count)]
        assert made.take(frame(frames), 1, 0).packets == 2 * count
        assert prices(made, TWO, ONE) == [(2 * count - 1) / 100, 2 * count / 100]


def test_a_packet_that_comes_late_is_left_out() -> None:
    made = board(ONE, TWO)
    made.take(frame([tick(ONE, 5, AT), tick(TWO, 5, AT)]), NOW, 0)
    assert made.take(frame([tick(ONE, 6, AT - 1), tick(TWO, 6, AT)]), NOW, 0) == Taken(1, 0, 0, 1)
    assert made.take(frame([tick(ONE, 7, AT - LATE), tick(THREE, 1)]), NOW, 0) == Taken(0, 1, 0, 1)
    assert prices(made, ONE, TWO) == [0.05, 0.06]


def test_one_wrong_time_does_not_stop_a_token_for_good() -> None:
    made = board(ONE)
    for ahead in (AHEAD + 1, LATE - 1, 86_400):
        made.take(frame([tick(ONE, 5, AT + ahead)]), NOW, 0)
        assert made.take(frame([tick(ONE, 6, AT)]), NOW, 0).packets == 1
        assert prices(made, ONE) == [0.06]


def test_a_packet_without_a_time_is_never_late() -> None:
    made = board(ONE)
    made.take(frame([tick(ONE, 5, AT)]), 1, 0)
    assert made.take(frame([tick(ONE, 6)[:44]]), 2, 0).packets == 1
    assert made.take(frame([tick(ONE, 7, 0)]), 3, 0).packets == 1
    assert prices(made, ONE) == [0.07]


def test_a_slot_never_holds_parts_of_two_packets() -> None:
    made = board(ONE)
    made.take(frame([tick(ONE, 5, oi=65)]), 1, 0)
    made.take(frame([tick(ONE, 6)[:8]]), 2, 0)
    found = made.read([ONE])
    assert found["last_price"][0] == 0.06 and found["mode"][0] == 1
    assert np.isnan([found[name][0] for name in ("oi", "bid", "volume", "exchange_ts")]).all()


def test_what_a_dead_connection_said_is_no_longer_known() -> None:
    made = board(ONE, TWO)
    made.take(frame([tick(ONE, 5)]), 1, 0)
    made.take(frame([tick(TWO, 6)]), 1, 1)
    made.dead(0)
    assert prices(made, ONE, TWO) == [None, 0.06] and made.live([ONE, TWO]).tolist() == [False, True]
    assert np.isnan(made.read([ONE])["received_ts"][0])
    # After a reconnection the first packet counts, be its time what it may.
    assert made.take(frame([tick(ONE, 4, AT - 5)]), 3, 0).packets == 1
    made.take(frame([tick(ONE, 7)]), 4, 1)
    made.dead(0)
    assert prices(made, ONE) == [0.07]


def test_what_is_known_survives_changes_of_what_is_watched() -> None:
    made = board(TWO)
    made.take(frame([tick(TWO, 5)]), NOW, 1)
    made.watch([ONE, TWO, THREE])
    assert prices(made, ONE, TWO, THREE) == [None, 0.05, None]
    assert made.take(frame([tick(TWO, 4, AT - 1)]), NOW, 1).late == 1
    made.forget([ONE])
    assert prices(made, TWO) == [0.05] and made.read([TWO])["received_ts"][0] == NOW
    made.forget([TWO])
    made.watch([TWO])
    assert prices(made, TWO) == [None]
    made.dead(1)
    assert made.take(frame([tick(ONE, 1)]), 9, 1) == Taken(0, 1, 0)


def test_tokens_that_share_a_home_are_told_apart() -> None:
    """Numbers far apart, of several segments, and of the upper half of what a token can be."""
    tokens = [n * 256 + s for n in (5, 5 + (1 << 17), 5 + (1 << 18), 16_000_000) for s in SEGMENTS]
    made = board(*tokens)
    for place, of in enumerate(tokens):
        packet = index(of, last_price=place + 1) if of & 0xFF == 9 else tick(of, place + 1)
        assert made.take(frame([packet]), 1, 0) == Taken(1, 0, 0)
    raw = [int(row["last_price"]) for row in made.packets(tokens)[0]]
    assert raw == list(range(1, len(tokens) + 1))
    assert made.take(frame([tick(6 * 256 + 2, 1)]), 1, 0).unknown == 1


WATCHED = [token(n, s) for n in range(0, 40, 2) for s in SEGMENTS]


@settings(max_examples=120, deadline=None)
@given(st.lists(packets(numbers=range(40)), max_size=5))
def test_the_board_holds_the_last_packet_of_each_watched_token(frames: list[list[bytes]]) -> None:
    """Times are what they are, so that some come late; the plain dict follows the same rule packet by packet."""
    made, known = board(*WATCHED), dict[int, bytes]()
    for number, parts in enumerate(frames):
        before = dict(known)
        taken = made.take(frame(parts), number, 0)
        late = [p for p in parts if behind(before.get(number_of(p)), p)]
        known |= {number_of(p): p for p in parts if p not in late and number_of(p) in WATCHED}
        watched = sum(number_of(p) in WATCHED for p in parts)
        assert taken == Taken(watched - len(late), len(parts) - watched, 0, len(late))
    rows, mode, _ = made.packets(WATCHED)
    for of, row, shown in zip(WATCHED, rows, mode.tolist(), strict=True):
        assert (shown > 0) == (of in known)
        if shown:
            (expected,) = decode(frame([known[of]])).rows
            assert row == expected


def number_of(packet: bytes) -> int:
    return int.from_bytes(packet[:4], "big")


def behind(known: bytes | None, packet: bytes) -> bool:
    old, new = (int(decode(frame([p])).rows["exchange_ts"][0]) if p else 0 for p in (known, packet))
    return known is not None and new > 0 and 0 < old - new <= LATE


@settings(max_examples=200, deadline=None)
@given(packets(numbers=range(8)), st.integers(0, 2**32))
def test_harmed_frames_leave_nothing_on_the_board_that_was_not_sent(parts: list[bytes], seed: int) -> None:
    """One harm at a time: cut, a wrong count or length, bytes lost or added in the middle."""
    rng, made = random.Random(seed), board(*(token(n, s) for n in range(8) for s in SEGMENTS))
    made.take(harmed(frame(parts), rng), 1, 0)
    rows, mode, _ = made.packets(WATCHED)
    for of, row, shown in zip(WATCHED, rows, mode.tolist(), strict=True):
        if shown and of & 0xFF != 9:
            length = LENGTHS[shown - 1]
            assert row.tobytes()[:length] in [p[:length] for p in parts]
        elif shown:
            sent = [p for p in parts if number_of(p) == of and len(p) >= INDEX_LENGTHS[shown - 1]]
            assert row in [decode(frame([p[: INDEX_LENGTHS[shown - 1]]])).rows[0] for p in sent]


def harmed(data: bytes, rng: random.Random) -> bytes:
    kind = rng.choice(["cut", "lost", "added", "count", "length"])
    place = rng.randrange(len(data))
    if kind == "cut":
        return data[:place]
    if kind == "lost":
        return data[:place] + data[place + rng.randrange(1, 9) :]
    if kind == "added":
        return data[:place] + rng.randbytes(rng.randrange(1, 9)) + data[place:]
    word = rng.choice([0, 1, 8, 28, 32, 44, 184, 370, rng.randrange(1 << 16)]).to_bytes(2, "big")
    if kind == "count" or len(data) == 2:
        return word + data[2:]
    at = 2
    for _ in range(rng.randrange(int.from_bytes(data[:2], "big"))):
        at += 2 + int.from_bytes(data[at : at + 2], "big")
    return data[:at] + word + data[at + 2 :]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 2))
def test_random_bytes_never_raise(data: bytes, connection: int) -> None:
    taken = board(*WATCHED).take(data, 1, connection)
    assert min(taken.packets, taken.unknown, taken.malformed, taken.late) >= 0


def test_a_reader_never_sees_half_a_packet() -> None:
    """Every field of a packet is the same number, while frames come and tokens are added as fast as they can."""
    tokens = [token(n) for n in range(500)]
    made, stop, seen = board(*tokens), threading.Event(), 0
    frames = [frame([tradable(t, **dict.fromkeys(FIELDS, n)) for t in tokens]) for n in range(1, 6)]

    def write() -> None:
        while not stop.is_set():
            for number, data in enumerate(frames):
                made.take(data, number, 0)

    def watch() -> None:
        for number in range(500, 700):
            made.watch([token(number)])

    threads = [threading.Thread(target=work) for work in (write, watch)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            rows: Any = made.packets(tokens)[0]
            fields = np.stack([rows[name] for name in FIELDS])
            assert (fields == fields[0]).all()
            seen += int((fields[0] > 0).all())
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert seen

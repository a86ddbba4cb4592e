"""The decoder against the official client's, field by field; and against everything that is no frame."""

from __future__ import annotations

import base64
import json
import math
import os
import random
import struct
import sys
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from g6_kite.decode import FULL, LTP, PACKET, QUOTE, decode, depth, values
from hypothesis import given, settings
from hypothesis import strategies as st
from kiteconnect import KiteTicker

sys.path.append(str(Path(__file__).parent))

from kite_frames import frame, index, packets, token, tradable

MODES = {"ltp": LTP, "quote": QUOTE, "full": FULL}
NAMES = {
    "last_price": "last_price",
    "last_traded_quantity": "last_qty",
    "average_traded_price": "average_price",
    "volume_traded": "volume",
    "total_buy_quantity": "buy_qty",
    "total_sell_quantity": "sell_qty",
    "oi": "oi",
    "oi_day_high": "oi_high",
    "oi_day_low": "oi_low",
    "exchange_timestamp": "exchange_ts",
    "last_trade_time": "last_trade_ts",
}
"""Where the official client's fields are found in ours."""
ZERO_MEANS_ZERO = {"last_qty", "volume", "buy_qty", "sell_qty", "oi", "oi_high", "oi_low"}
PRICED = {"last_price", "average_price", "open", "high", "low", "close"}


def official(data: bytes) -> list[dict[str, Any]]:
    return KiteTicker("key", "token")._parse_binary(data)


def ours(data: bytes) -> list[dict[str, Any]]:
    """A dict for each packet; what is NaN is left out."""
    got = decode(data)
    columns = {**values(got.rows, got.mode), **depth(got.rows, got.mode), "token": got.rows["token"], "mode": got.mode}
    rows = [{name: column[row].tolist() for name, column in columns.items()} for row in range(got.rows.size)]
    return [{n: v for n, v in row.items() if not (isinstance(v, float) and math.isnan(v))} for row in rows]


def divisor(of: int) -> float:
    return {3: 1e7, 6: 1e4, 12: 1e4}.get(of & 0xFF, 100.0)


def flat(tick: dict[str, Any]) -> dict[str, float]:
    """The official client's tick by our names, without what ours calls absent: 0 for a price or a time, and -1."""
    of = tick["instrument_token"]
    largest = {True: (2**31 - 1) / divisor(of), False: 2**32 - 2}
    found = {ours: tick[theirs] for theirs, ours in NAMES.items() if theirs in tick}
    found |= tick.get("ohlc", {})
    for name in ("exchange_ts", "last_trade_ts"):
        if name in found:
            found[name] = found[name].timestamp() if found[name] is not None else 0
    if "depth" in tick:
        for side, best in (("bid", tick["depth"]["buy"][0]), ("ask", tick["depth"]["sell"][0])):
            found |= {side: best["price"], f"{side}_qty": best["quantity"]}
    kept = {}
    for name, value in found.items():
        priced = name in PRICED | {"bid", "ask"}
        if (value or name in ZERO_MEANS_ZERO) and value <= largest[priced]:
            kept[name] = value * 1e6 if name.endswith("_ts") else value
    return kept


def books(tick: dict[str, Any]) -> dict[str, list[float]]:
    most = (2**31 - 1) / divisor(tick["instrument_token"])
    found: dict[str, list[float]] = {}
    for side, levels in (("bid", tick["depth"]["buy"]), ("ask", tick["depth"]["sell"])):
        found[f"{side}_prices"] = [p if 0 < (p := level["price"]) <= most else math.nan for level in levels]
        found[f"{side}_quantities"] = [q if 0 < (q := level["quantity"]) < 2**32 - 1 else math.nan for level in levels]
        found[f"{side}_orders"] = [level["orders"] or math.nan for level in levels]
    return found


def same_as_official(data: bytes) -> None:
    theirs, mine = official(data), ours(data)
    assert len(theirs) == len(mine)
    for tick, row in zip(theirs, mine, strict=True):
        assert (row.pop("token"), row.pop("mode")) == (tick["instrument_token"], MODES[tick["mode"]])
        book = {name: row.pop(name) for name in [*row] if isinstance(row[name], list)}
        assert row == flat(tick)
        if "depth" in tick:
            expected = books(tick)
            assert book.keys() == expected.keys()
            for name, levels in expected.items():
                assert np.array_equal(book[name], levels, equal_nan=True), name
        else:
            assert all(np.isnan(levels).all() for levels in book.values())


@settings(max_examples=250, deadline=None)
@given(packets())
def test_the_same_as_the_official_client(made: list[bytes]) -> None:
    data = frame(made)
    assert decode(data).malformed == 0
    same_as_official(data)


@pytest.mark.parametrize("count", [1, 2, 3000, 4096, 4097, 9000])
def test_long_frames_of_one_kind(count: int) -> None:
    data = frame([tradable(token(n), last_price=n + 1, exchange_ts=n) for n in range(count)])
    got = decode(data)
    assert got.malformed == 0 and (got.mode == FULL).all()
    assert (got.rows["token"] == np.arange(count) * 256 + 2).all()
    assert np.array_equal(values(got.rows, got.mode)["last_price"], (np.arange(count) + 1) / 100)


def test_indices_among_many_contracts() -> None:
    made = [tradable(token(n), last_price=5) for n in range(3000)]
    for place in (0, 7, 8, 1500, 2999):
        made[place] = index(token(place, 9), last_price=7)
    got = decode(frame(made))
    assert got.malformed == 0 and got.rows["token"].tolist() == [int.from_bytes(p[:4], "big") for p in made]
    assert set(np.flatnonzero(values(got.rows, got.mode)["last_price"] == 0.07)) == {0, 7, 8, 1500, 2999}


@pytest.mark.parametrize("mode", ["full", "quote"])
def test_zerodhas_own_samples(mode: str) -> None:
    """Its JSON has the names of an older client, and times in words."""
    place = Path(os.environ.get("G6_SHARED_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
    sample = place / "kite_mocks" / f"ticker_{mode}.packet"
    if not sample.is_file():
        pytest.skip(f"no samples at {place}; set G6_SHARED_DATA")
    told = json.loads(sample.with_suffix(".json").read_text())
    (row,) = ours(frame([base64.b64decode(sample.read_text())]))
    assert (row["token"], row["mode"]) == (told["instrument_token"], MODES[mode])
    renamed = {"last_quantity": "last_qty", "buy_quantity": "buy_qty", "sell_quantity": "sell_qty"}
    plain = {renamed.get(n, n): v for n, v in {**told, **told["ohlc"]}.items()}
    for name in (PRICED | ZERO_MEANS_ZERO) & plain.keys():
        assert row[name] == plain[name], name
    if mode == "full":
        assert row["oi_high"] == told["oi_day_high"] == row["oi_low"] == told["oi_day_low"]
        for ours_, theirs in (("last_trade_ts", "last_trade_time"), ("exchange_ts", "timestamp")):
            assert row[ours_] == datetime.fromisoformat(told[theirs]).timestamp() * 1e6
        for side, levels in (("bid", told["depth"]["buy"]), ("ask", told["depth"]["sell"])):
            for ours_, theirs in (("prices", "price"), ("quantities", "quantity"), ("orders", "orders")):
                assert row[f"{side}_{ours_}"] == [level[theirs] for level in levels]
            assert (row[side], row[f"{side}_qty"]) == (levels[0]["price"], levels[0]["quantity"])


def test_nothing_is_not_zero() -> None:
    (row,) = ours(frame([tradable(token(1), levels=[(0, 0, 0)] * 10)]))
    assert {name for name in row if not isinstance(row[name], list)} == {"token", "mode"} | ZERO_MEANS_ZERO
    assert all(np.isnan(value).all() for value in row.values() if isinstance(value, list))


def test_minus_one_is_nothing() -> None:
    fields = dict.fromkeys(("last_price", "average_price", "open", "close", "volume", "oi", "exchange_ts"), 2**32 - 1)
    (row,) = ours(frame([tradable(token(1), levels=[(2**32 - 1, 2**32 - 1, 1)], last_qty=3, **fields)]))
    assert not row.keys() & (fields.keys() | {"bid", "bid_qty"}) and row["last_qty"] == 3


def test_a_large_quantity_is_a_quantity() -> None:
    (row,) = ours(frame([tradable(token(1), volume=4_000_000_000, oi=3_000_000_000)]))
    assert (row["volume"], row["oi"]) == (4e9, 3e9)


@pytest.mark.parametrize(
    "segment, price", [(1, 123456.78), (2, 123456.78), (9, 123456.78), (6, 1234.5678), (12, 1234.5678), (3, 1.2345678)]
)
def test_prices_of_each_segment(segment: int, price: float) -> None:
    make = index if segment == 9 else tradable
    (row,) = ours(frame([make(token(5, segment), last_price=12345678, close=12345678)]))
    assert row["last_price"] == row["close"] == price


def test_a_mode_has_no_more_than_its_fields() -> None:
    of, fields = token(1), {"last_price": 1, "oi": 2, "volume": 3, "exchange_ts": 4, "high": 5}
    ltp, quote = ours(frame([tradable(of, n, levels=[(1, 1, 1)], **fields) for n in (8, 44)]))
    assert {name for name, value in ltp.items() if not isinstance(value, list)} == {"token", "mode", "last_price"}
    assert {"volume", "high"} <= quote.keys() and not quote.keys() & {"oi", "exchange_ts", "bid", "last_trade_ts"}
    level_ltp, level_quote = ours(frame([index(token(1, 9), n, **fields) for n in (8, 28)]))
    assert "high" not in level_ltp and level_quote["high"] == 0.05
    assert not level_quote.keys() & {"exchange_ts", "volume", "oi"}


@pytest.mark.parametrize(
    "segment, lengths", [(2, (28, 32, 12, 43, 45, 183, 185, 186, 400)), (9, (44, 184, 12, 27, 33, 185, 999))]
)
def test_a_length_that_is_not_of_its_segment_is_malformed(segment: int, lengths: tuple[int, ...]) -> None:
    good = tradable(token(7), last_price=77)
    for length in lengths:
        wrong = struct.pack(">I", token(8, segment)) + b"\x01" * (length - 4)
        for made in ([wrong], [wrong, wrong], [good, wrong], [wrong, good], [good, wrong, good]):
            got = decode(frame(made))
            assert got.malformed == made.count(wrong)
            assert got.rows["token"].tolist() == [token(7)] * made.count(good)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x01", b"\x00\x00"])
def test_heartbeats_have_no_packets(data: bytes) -> None:
    got = decode(data)
    assert (got.rows.size, got.malformed) == (0, 0)


@pytest.mark.parametrize(
    "data", [b"\x00\x01", b"\x00\x01\x00", b"\x00\x00\x00", b"\x00\x01\x00\x00", b"\xff\xff\x00\x08"]
)
def test_what_does_not_add_up_is_one_malformed(data: bytes) -> None:
    got = decode(data)
    assert (got.rows.size, got.malformed) == (0, 1)


@settings(max_examples=150, deadline=None)
@given(packets(), st.data())
def test_nothing_of_a_cut_frame_is_believed(made: list[bytes], data: st.DataObject) -> None:
    whole = frame([*made, tradable(token(1))])
    for cut in (whole[: data.draw(st.integers(2, len(whole) - 1))], whole + b"\x00"):
        got = decode(cut)
        assert (got.rows.size, got.malformed) == (0, 1)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=600))
def test_random_bytes_never_raise(data: bytes) -> None:
    got = decode(data)
    assert got.rows.dtype == PACKET and got.rows.size == got.mode.size and got.malformed >= 0
    values(got.rows, got.mode)
    depth(got.rows, got.mode)


@settings(max_examples=400, deadline=None)
@given(packets(), st.integers(0, 2**32))
def test_changed_frames_never_raise_and_add_up(made: list[bytes], seed: int) -> None:
    rng, data = random.Random(seed), bytearray(frame(made))
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(data) + 1)
        data[place : place + rng.randrange(4)] = rng.choice([b"", b"\x00", b"\xff", rng.randbytes(rng.randrange(5))])
    got = decode(bytes(data))
    count = int.from_bytes(data[:2], "big")
    assert got.rows.size + got.malformed in (0, 1, count)
    for row in got.rows:
        assert int(row["token"]).to_bytes(4, "big") in data


@settings(max_examples=400, deadline=None)
@given(packets(), st.integers(0, 2**16 - 1), st.data())
def test_a_wrong_count_or_length_gives_nobody_the_data_of_another(made: list[bytes], wrong: int, data: Any) -> None:
    whole = bytearray(frame(made))
    heads = [0, *accumulate((2 + len(packet) for packet in made[:-1]), initial=2)]
    place = data.draw(st.sampled_from(heads))
    whole[place : place + 2] = data.draw(st.sampled_from([wrong, 0, 8, 28, 32, 44, 184, 370])).to_bytes(2, "big")
    got = decode(bytes(whole))
    for row, mode in zip(got.rows, got.mode, strict=True):
        raw = row.tobytes()
        of = int(row["token"])
        if of & 0xFF == 9:
            assert any(p[:8] == raw[:8] for p in made)
        else:
            length = (8, 44, 184)[mode - 1]
            assert any(p[:length] == raw[:length] for p in made)

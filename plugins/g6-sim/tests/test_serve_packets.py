"""Our frames, read by the official client's own parser."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from g6_sim.serve.packets import FULL, HEARTBEAT, LTP, MODES, QUOTE, encode, message, pack, unpack
from g6_sim.serve.quote import LEVELS, Quotes, blank
from hypothesis import given, settings
from hypothesis import strategies as st

kiteconnect = pytest.importorskip("kiteconnect")

DIVISORS = {3: 1e7, 6: 1e4, 12: 1e4}
SEGMENTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12)
OHLC = ("open", "high", "low", "close")


def parse(frame: bytes) -> list[dict[str, Any]]:
    return kiteconnect.KiteTicker("key", "token")._parse_binary(frame)


@st.composite
def quotes(draw: st.DrawFn) -> Quotes:
    """Any segments in any order, with whole multiples of the smallest price of each."""
    segments = np.array(draw(st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=30)), np.int64)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = segments.size
    made = blank(n, token=rng.integers(1, 1 << 23, n) * 256 + segments, index=segments == 9, quoted=True)
    divisor = np.array([DIVISORS.get(s, 100.0) for s in segments.tolist()])
    for name in ("last_price", "average_price", *OHLC):
        made[name] = rng.integers(0, 1 << 31, n) / divisor
    for name in ("last_qty", "volume", "buy_qty", "sell_qty", "oi", "oi_high", "oi_low"):
        made[name] = rng.integers(0, 1 << 32, n)
    for name in ("last_trade_time", "exchange_ts"):
        made[name] = rng.integers(1_000_000_000, 2_000_000_000, n)
    for side in ("bid", "ask"):
        made[f"{side}_price"] = rng.integers(0, 1 << 31, (n, LEVELS)) / divisor[:, None]
        made[f"{side}_qty"] = rng.integers(0, 1 << 32, (n, LEVELS))
        made[f"{side}_orders"] = rng.integers(0, 1 << 16, (n, LEVELS))
    return made


def expected(quote: Any, mode: int) -> dict[str, Any]:
    """The tick that the client should make of it, but for `change`, which it computes."""
    index = bool(quote["index"])
    tick: dict[str, Any] = {"tradable": not index, "mode": MODES[mode], "instrument_token": int(quote["token"])}
    tick["last_price"] = quote["last_price"]
    if mode >= QUOTE:
        tick["ohlc"] = {name: quote[name] for name in OHLC}
        if not index:
            tick["last_traded_quantity"], tick["average_traded_price"] = quote["last_qty"], quote["average_price"]
            tick["volume_traded"], tick["total_buy_quantity"] = quote["volume"], quote["buy_qty"]
            tick["total_sell_quantity"] = quote["sell_qty"]
    if mode >= FULL:
        tick["exchange_timestamp"] = datetime.fromtimestamp(quote["exchange_ts"])  # noqa: DTZ006 - as the client does
        if not index:
            tick["last_trade_time"] = datetime.fromtimestamp(quote["last_trade_time"])  # noqa: DTZ006
            tick |= {"oi": quote["oi"], "oi_day_high": quote["oi_high"], "oi_day_low": quote["oi_low"]}
            tick["depth"] = {name: levels(quote, side) for name, side in (("buy", "bid"), ("sell", "ask"))}
    return tick


def levels(quote: Any, side: str) -> list[dict[str, Any]]:
    columns = (quote[f"{side}_{name}"] for name in ("price", "qty", "orders"))
    return [{"price": p, "quantity": q, "orders": o} for p, q, o in zip(*columns, strict=True)]


def without_change(ticks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in tick.items() if name != "change"} for tick in ticks]


@settings(max_examples=60, deadline=None)
@given(quotes(), st.sampled_from(range(3)))
def test_the_official_client_reads_what_was_encoded(made: Quotes, mode: int) -> None:
    assert without_change(parse(encode(made, MODES[mode]))) == [expected(quote, mode) for quote in made]


@settings(max_examples=60, deadline=None)
@given(quotes(), st.randoms(use_true_random=False))
def test_a_message_of_several_modes_keeps_its_order(made: Quotes, random: Any) -> None:
    modes = np.array([random.randrange(3) for _ in made])
    frame = message(pack(made), made["index"], modes)
    assert without_change(parse(frame)) == [expected(q, m) for q, m in zip(made, modes.tolist(), strict=True)]


@settings(max_examples=30, deadline=None)
@given(quotes(), st.sampled_from(range(3)))
def test_the_record_says_what_was_sent(made: Quotes, mode: int) -> None:
    for row, quote in zip(pack(made), made, strict=True):
        said = unpack(row, bool(quote["index"]), mode)
        assert said.pop("mode") == MODES[mode]
        assert all(np.array_equal(value, quote[name]) for name, value in said.items()), said
        assert {"token", "last_price"} <= set(said) and (("close" in said) == (mode > LTP))
        assert ("oi" in said) == (mode == FULL and not quote["index"])


def test_what_is_not_there_is_zero() -> None:
    made = blank(1, token=54001 * 256 + 2, quoted=True)
    (tick,) = parse(encode(made, "full"))
    assert tick["last_price"] == tick["oi"] == tick["change"] == 0
    assert tick["last_trade_time"] == datetime.fromtimestamp(0, UTC).astimezone().replace(tzinfo=None)
    assert tick["depth"]["buy"] == [{"quantity": 0, "price": 0, "orders": 0}] * LEVELS


def test_prices_are_rounded_to_the_paisa() -> None:
    made = blank(2, token=[54001 * 256 + 2, 54002 * 256 + 2], quoted=True)
    made["last_price"] = 100.149999, 3 * 0.05
    assert [tick["last_price"] for tick in parse(encode(made, "ltp"))] == [100.15, 0.15]


def test_an_index_tells_its_change() -> None:
    made = blank(1, token=256265, index=True, quoted=True, last_price=24_000.0, close=24_100.5, exchange_ts=1)
    frame = encode(made, "full")
    assert len(frame) == 2 + 2 + 32
    assert int.from_bytes(frame[28:32], "big", signed=True) == -10_050
    assert len(encode(made, "quote")) == 2 + 2 + 28


def test_the_client_ignores_a_heartbeat() -> None:
    assert parse(HEARTBEAT) == []

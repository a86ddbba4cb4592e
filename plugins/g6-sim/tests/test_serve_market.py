"""What the server knows: instruments of a day, quotes at an instant, over the simulator and over a recording."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from g6_sim import Settings
from g6_sim.provider import Sim
from g6_sim.serve.instruments import COLUMNS, INDICES, csv
from g6_sim.serve.market import Market

from g6core import CONTRACTS, QUOTES, Context, Provider, Spot, conform, make_context
from g6core.testing import ManualClock

FRIDAY = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


@pytest.fixture
def context(tmp_path: Path, clock: ManualClock) -> Context:
    return make_context(tmp_path, clock)


@pytest.fixture
def market(context: Context) -> Market:
    return Market(Sim(Settings(seed=7, weeks=2, months=2)), (), context)


def test_the_dump_is_of_kites_form(market: Market) -> None:
    frame = market.instruments()
    lines = csv(frame).decode().splitlines()
    assert lines[0] == (
        "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
        "instrument_type,segment,exchange"
    )
    assert '256265,1001,NIFTY 50,"NIFTY 50",0,,0,0,0,EQ,INDICES,NSE' in lines
    row = next(line for line in lines if ",NIFTY26NOV25000CE," in line)
    assert row.endswith(',NIFTY26NOV25000CE,"NIFTY",0,2026-11-23,25000,0.05,65,CE,NFO-OPT,NFO')
    assert pl.read_csv(io.BytesIO(csv(frame))).height == frame.height == len(lines) - 1
    assert set(frame["segment"]) == {"NFO-OPT", "BFO-OPT", "NFO-FUT", "BFO-FUT", "INDICES"}


def test_a_token_is_256_times_the_exchange_token_and_the_segment(market: Market) -> None:
    frame = market.instruments()
    code = frame["segment"].replace_strict({"NFO-OPT": 2, "NFO-FUT": 2, "BFO-OPT": 5, "BFO-FUT": 5, "INDICES": 9})
    assert (frame["instrument_token"] == frame["exchange_token"].cast(pl.Int64) * 256 + code).all()
    assert frame["instrument_token"].is_unique().all() and frame["instrument_token"].is_sorted()
    assert frame["instrument_token"].max() < 2**32  # type: ignore[operator]


def test_instruments_stand_for_the_day_and_then_change(market: Market, clock: ManualClock) -> None:
    monday = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    clock.set(monday)
    before = market.instruments()
    assert market.slot_of_key("NFO:NIFTY26NOV24500CE") is not None
    clock.set(monday + timedelta(hours=8))  # after the close of the expiry: listed, and no longer quoted
    assert market.instruments() is before
    slot = market.slot_of_key("NFO:NIFTY26NOV24500CE")
    assert slot is not None and not market.quotes()["quoted"][slot]
    clock.set(monday + timedelta(days=1))
    assert market.slot_of_key("NFO:NIFTY26NOV24500CE") is None
    assert market.tokens.size == market.quotes().size


def test_slots_and_keys(market: Market) -> None:
    tokens = market.tokens
    assert (market.slots(tokens) == np.arange(tokens.size)).all()
    assert market.slots([1, int(tokens[3]), 2**40]).tolist() == [-1, 3, -1]
    slot = market.slot_of_key("NSE:NIFTY 50")
    assert slot is not None and tokens[slot] == 256265 and market.slot_of_key("256265") == slot
    assert [market.slot_of_key(k) for k in ("NFO:NOPE", "NIFTY 50", "1", "²", "9" * 30, "")] == [None] * 6


def test_quotes_are_the_providers(market: Market, clock: ManualClock, make: Callable[..., Sim]) -> None:
    clock.set(FRIDAY + timedelta(microseconds=400_000))
    quotes = market.quotes()
    clock.set(FRIDAY)
    sim = make(seed=7, weeks=2, months=2)
    contracts = sim.contracts("BANKNIFTY")
    expected = sim.quotes(contracts)
    mine = quotes[[market.slot_of_key(f"NFO:{s}") for s in contracts["symbol"]]]
    for name in ("last_price", "average_price"):
        np.testing.assert_array_equal(mine[name], expected[name].to_numpy())
    np.testing.assert_array_equal(mine["bid_price"][:, 0], expected["bid"].to_numpy())
    np.testing.assert_array_equal(mine["ask_qty"][:, 0], expected["ask_qty"].fill_null(0).to_numpy())
    np.testing.assert_array_equal(mine["oi"], expected["oi"].fill_null(0).to_numpy())
    np.testing.assert_array_equal(mine["quoted"], expected["ask"].is_not_null().to_numpy())
    assert set(mine["exchange_ts"][mine["quoted"]]) == {int(FRIDAY.timestamp())}


def test_the_market_moves_in_steps(market: Market, clock: ManualClock) -> None:
    first = market.quotes()
    clock.advance(timedelta(milliseconds=900))
    assert market.quotes() is first
    clock.advance(timedelta(milliseconds=100))
    assert market.quotes() is not first


def test_the_same_seed_and_time_give_the_same_quotes(context: Context, clock: ManualClock) -> None:
    one = Market(Sim(Settings(seed=3, weeks=1, months=1)), ("NIFTY", "SENSEX"), context)
    one.quotes()
    clock.advance(timedelta(hours=1))
    other = Market(Sim(Settings(seed=3, weeks=1, months=1)), ("NIFTY", "SENSEX"), context)
    assert one.quotes().tobytes() == other.quotes().tobytes()


def test_the_days_prices_hold_every_price_and_only_widen(market: Market, clock: ManualClock) -> None:
    before = market.quotes()
    for step in (1, 61, 3600, 14_000):
        clock.advance(timedelta(seconds=step))
        now = market.quotes()
        traded = ~np.isnan(now["last_price"]) & ~np.isnan(before["last_price"])
        assert traded.sum() > 500
        for quotes in (before, now):
            assert (now["high"] >= quotes["last_price"])[traded].all()
            assert (now["low"] <= quotes["last_price"])[traded].all()
        assert (now["open"] == before["open"])[traded].all()
        assert (now["close"] == before["close"])[traded].all()
        before = now


def test_books_are_ordered_and_whole_lots(market: Market) -> None:
    quotes, lots = market.quotes(), market.instruments()["lot_size"].to_numpy()
    own = quotes["quoted"] & ~quotes["index"]
    bids, asks = quotes["bid_price"][own], quotes["ask_price"][own]
    assert (np.diff(asks) > 0).all() and not (np.diff(bids) >= 0).any() and not (bids[:, 0] >= asks[:, 0]).any()
    assert (quotes["ask_qty"][own] % lots[own, None] == 0).all() and (quotes["ask_qty"][own] > 0).all()
    nobody = np.isnan(bids)
    assert (quotes["bid_qty"][own][nobody] == 0).all() and (quotes["bid_orders"][own][nobody] == 0).all()
    assert (quotes["bid_orders"][own][~nobody] > 0).all()
    assert (quotes["buy_qty"][own] >= quotes["bid_qty"][own].sum(axis=1)).all()
    assert (quotes["oi_low"][own] <= quotes["oi"][own]).all() and (quotes["oi"][own] <= quotes["oi_high"][own]).all()


def test_an_index_has_no_book(market: Market) -> None:
    quotes = market.quotes()
    slots = [market.slot_of_key(f"{exchange}:{symbol}") for exchange, symbol, _ in INDICES.values()]
    spots = quotes[slots]
    assert spots["index"].all() and spots["quoted"].all() and not spots["volume"].any() and not spots["bid_qty"].any()
    assert (spots["low"] <= spots["last_price"]).all() and (spots["last_price"] <= spots["high"]).all()
    assert quotes["index"].sum() == len(INDICES)


def test_missing_contracts_are_nowhere(context: Context) -> None:
    market = Market(
        Sim(Settings(weeks=1, months=1)), ("NIFTY",), context, missing=("NIFTY26NOV24500CE", "NIFTY26NOVFUT")
    )
    symbols = set(market.instruments()["tradingsymbol"])
    assert not symbols & {"NIFTY26NOV24500CE", "NIFTY26NOVFUT"} and "NIFTY26NOV24500PE" in symbols
    assert market.slot_of_key("NFO:NIFTY26NOV24500CE") is None


class Recording(Provider):
    """Two instants of three contracts; one token is not of Kite's form, one is none, and half the quotes are null."""

    def __init__(self, instants: Sequence[datetime]) -> None:
        self._instants = instants

    def open(self, context: Context) -> None:
        self._clock = context.clock

    def indices(self) -> Sequence[str]:
        return ("NIFTY",)

    def timeline(self) -> Sequence[datetime]:
        return self._instants

    def contracts(self, index: str) -> pl.DataFrame:
        rows = [
            {"symbol": symbol, "token": token, "strike": strike, "right": "CE"}
            for symbol, token, strike in (("A", None, 24500.0), ("B", 77, 24550.0), ("C", 54001 * 256 + 2, 24600.0))
        ]
        same = {"index": "NIFTY", "exchange": "NFO", "expiry": date(2026, 11, 23), "lot_size": 65, "tick_size": 0.05}
        return conform(pl.DataFrame([same | row for row in rows]), CONTRACTS, who="a test")

    def spots(self, indices: Sequence[str]) -> Mapping[str, Spot]:
        return {"NIFTY": Spot(24500.0)} if self._clock.now() == self._instants[0] else {}

    def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
        number = self._instants.index(self._clock.now())
        known = contracts["symbol"] == "A"
        prices = pl.Series("last_price", [10.0 + number if k else None for k in known], pl.Float64)
        return conform(pl.DataFrame([prices]), QUOTES, who="a test")


@pytest.fixture
def recorded(context: Context) -> Market:
    return Market(Recording([FRIDAY, FRIDAY + timedelta(minutes=1)]), (), context)


def test_a_recorded_instant_holds_until_the_next(recorded: Market, clock: ManualClock) -> None:
    slot = recorded.slot_of_key("NFO:A")
    clock.set(FRIDAY - timedelta(seconds=1))
    assert not recorded.quotes()["quoted"].any()
    clock.set(FRIDAY + timedelta(seconds=59))
    first = recorded.quotes()
    assert first["last_price"][slot] == 10.0 and first["quoted"].sum() == 2
    clock.set(FRIDAY + timedelta(seconds=61))
    later = recorded.quotes()
    assert later["last_price"][slot] == 11.0 and later["quoted"].sum() == 1


def test_what_was_not_recorded_is_not_there(recorded: Market) -> None:
    quote = recorded.quotes()[recorded.slot_of_key("NFO:A")]
    for name in ("open", "high", "low", "close", "average_price"):
        assert np.isnan(quote[name])
    assert np.isnan(quote["bid_price"]).all() and not quote["bid_qty"].any() and not quote["buy_qty"]
    assert quote["last_trade_time"] == quote["exchange_ts"] == quote["last_qty"] == 0


def test_tokens_are_kept_where_kite_could_have_given_them(recorded: Market) -> None:
    frame = recorded.instruments()
    tokens = dict(frame.select("tradingsymbol", "instrument_token").iter_rows())
    assert tokens["C"] == 54001 * 256 + 2 and tokens["B"] != 77
    assert tokens["A"] % 256 == tokens["B"] % 256 == 2
    assert list(frame.columns) == list(COLUMNS)

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from g6_sim.provider import Sim

from g6core.exchange import Calendar
from g6core.snapshot import QUOTES
from g6core.testing import ManualClock


def chain(sim: Sim, index: str = "NIFTY") -> pl.DataFrame:
    contracts = sim.contracts(index)
    return contracts.hstack(sim.quotes(contracts))


def test_prices_are_multiples_of_the_tick(sim: Sim) -> None:
    for index in sim.indices():
        quoted = chain(sim, index)
        for name in ("last_price", "bid", "ask"):
            price = quoted[name].drop_nulls().to_numpy()
            assert price.size
            assert (price == np.round(np.round(price / 0.05) * 0.05, 2)).all()
            assert (price >= 0.05).all()


def test_the_bid_is_below_the_ask_and_the_true_price_between(sim: Sim) -> None:
    contracts = sim.contracts("NIFTY")
    both = chain(sim).hstack(sim.truth(contracts)).filter(pl.col("bid").is_not_null())
    assert (both["bid"] < both["ask"]).all()
    assert (both["bid"] <= both["price"]).all() and (both["price"] <= both["ask"]).all()
    spread = (both["ask"] - both["bid"]) / both["last_price"]
    near = (both["strike"] / both["forward"] - 1).abs() < 0.01
    assert spread.filter(near).median() < 0.02  # type: ignore[operator]
    assert spread.filter(near).median() < spread.filter(~near).median()  # type: ignore[operator]


def test_untraded_options_have_no_quote_at_all(sim: Sim) -> None:
    quoted = chain(sim)
    untraded = quoted.filter(pl.col("ask").is_null())
    assert 100 < untraded.height < quoted.height / 2
    assert untraded.select(pl.col(*QUOTES).is_null().all()).row(0) == (True,) * len(QUOTES)
    far = (untraded["strike"] / sim.spots(["NIFTY"])["NIFTY"].last - 1).abs()
    assert far.min() > 0.02  # type: ignore[operator]


def test_a_quote_that_has_not_traded_today_has_no_last_price(sim: Sim, clock: ManualClock) -> None:
    clock.set(datetime.fromisoformat("2026-11-20T06:00:00+05:30"))
    silent = chain(sim, "FINNIFTY").filter(pl.col("volume") == 0)
    assert silent.height
    assert silent["last_price"].is_null().all() and silent["average_price"].is_null().all()
    assert silent["ask"].is_not_null().all()


def test_volume_and_open_interest_grow_in_whole_lots(sim: Sim, clock: ManualClock) -> None:
    contracts = pl.concat(sim.contracts(index) for index in sim.indices())
    lots = contracts["lot_size"]
    clock.set(datetime.fromisoformat("2026-11-20T09:00:00+05:30"))
    before = sim.quotes(contracts)
    for _ in range(14):
        clock.advance(timedelta(minutes=30))
        now = sim.quotes(contracts)
        for name in ("volume", "oi"):
            assert (now[name] % lots == 0).drop_nulls().all()
            assert (now[name] >= before[name]).drop_nulls().all()
            assert now[name].null_count() == before[name].null_count()
        assert now["volume"].sum() > before["volume"].sum()
        before = now
    assert before["bid_qty"].drop_nulls().min() > 0  # type: ignore[operator]


def test_open_interest_carries_over_midnight_and_volume_starts_anew(sim: Sim, clock: ManualClock) -> None:
    contracts = sim.contracts("SENSEX")
    clock.set(datetime.fromisoformat("2026-11-19T23:59:00+05:30"))
    evening = sim.quotes(contracts)
    clock.set(datetime.fromisoformat("2026-11-20T00:30:00+05:30"))
    night = sim.quotes(contracts)
    assert (night["oi"] >= evening["oi"]).drop_nulls().all()
    assert night["volume"].sum() < evening["volume"].sum() / 50


def test_round_strikes_and_near_expiries_trade_most(sim: Sim) -> None:
    by_expiry = chain(sim).group_by("expiry").agg(pl.col("volume").sum()).sort("expiry")["volume"]
    assert by_expiry[0] == by_expiry.max()
    held = chain(sim).group_by(pl.col("strike") % 500 == 0).agg(pl.col("oi").mean()).sort("strike")["oi"]
    assert held[1] > 1.5 * held[0]


def test_the_average_price_is_one_of_the_day(sim: Sim, clock: ManualClock) -> None:
    contracts = sim.contracts("NIFTY")
    clock.set(datetime.fromisoformat("2026-11-20T00:00:00+05:30"))
    low, high = np.full(contracts.height, np.inf), np.zeros(contracts.height)
    for _ in range(93):
        price = sim.truth(contracts)["price"].to_numpy()
        low, high = np.fmin(low, price), np.fmax(high, price)
        clock.advance(timedelta(minutes=10))
    average = sim.quotes(contracts)["average_price"].to_numpy()
    traded = ~np.isnan(average)
    inside = (average >= low - 0.05) & (average <= high + 0.05)
    assert traded.sum() > 500
    assert inside[traded].mean() > 0.99


def test_times_are_the_clock_s(sim: Sim, clock: ManualClock) -> None:
    clock.set(datetime(2026, 11, 20, 6, 0, 3, 123457, tzinfo=UTC))
    times = chain(sim).select(pl.col("exchange_ts", "received_ts").drop_nulls().unique())
    assert times.row(0) == (datetime(2026, 11, 20, 6, 0, 3, tzinfo=UTC), clock.now())


def test_an_option_has_no_quote_from_its_close_on(sim: Sim, clock: ManualClock) -> None:
    expiring = sim.contracts("NIFTY").filter(pl.col("expiry") == pl.col("expiry").min())
    clock.set(datetime.fromisoformat("2026-11-23T15:39:59.900000+05:30"))
    assert sim.quotes(expiring)["last_price"].is_not_null().sum() > 50
    clock.set(datetime.fromisoformat("2026-11-23T15:40:00+05:30"))
    assert sim.quotes(expiring).null_count().row(0) == (expiring.height,) * len(QUOTES)
    assert sim.truth(expiring).null_count().row(0) == (expiring.height,) * 5


@pytest.mark.parametrize(
    "moment", ["2026-11-21T02:00:00+05:30", "2026-12-25T12:00:00+05:30", "2031-03-04T12:00:00+05:30"]
)
def test_it_is_open_at_nights_on_holidays_and_in_years_to_come(sim: Sim, clock: ManualClock, moment: str) -> None:
    clock.set(datetime.fromisoformat(moment))
    for index in sim.indices():
        assert chain(sim, index)["ask"].is_not_null().sum() > 100
    assert Sim.simulated and Sim.always_open


def test_futures_of_the_monthly_expiries_are_the_true_forward_on_its_tick(make: Callable[..., Sim]) -> None:
    rounded, exact = make().futures(["NIFTY", "BANKNIFTY"]), make(tick_rounding=False).futures(["NIFTY", "BANKNIFTY"])
    sim = make()
    for index in ("NIFTY", "BANKNIFTY"):
        contracts = sim.contracts(index)
        monthly = contracts.filter(pl.col("symbol").str.contains(r"^[A-Z]+\d\d[A-Z]{3}\d+[CP]E$"))
        forwards = monthly.hstack(sim.truth(monthly)).unique("expiry", maintain_order=True)
        assert exact[index] == dict(zip(forwards["expiry"], forwards["forward"], strict=True))
        assert len(exact[index]) == 3
        for day, price in rounded[index].items():
            assert round(price / 0.05) * 0.05 == pytest.approx(price, abs=1e-9)
            assert price == pytest.approx(exact[index][day], abs=0.0251)


def test_a_future_has_no_price_from_its_close_on(sim: Sim, clock: ManualClock, calendar: Calendar) -> None:
    first = min(sim.futures(["NIFTY"])["NIFTY"])
    clock.set(calendar.closes_at("NFO", first) - timedelta(seconds=1))
    assert first in sim.futures(["NIFTY"])["NIFTY"]
    clock.set(calendar.closes_at("NFO", first))
    assert first not in sim.futures(["NIFTY"])["NIFTY"]

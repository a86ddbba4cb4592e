"""The same seed and clock give the same data, whatever was asked before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import polars as pl
import pytest
from g6_sim.provider import Sim
from polars.testing import assert_frame_equal

from g6core import Spot
from g6core.testing import ManualClock

Make = Callable[..., Sim]


def everything(sim: Sim) -> tuple[Mapping[str, Spot], pl.DataFrame]:
    contracts = pl.concat(sim.contracts(index) for index in sim.indices())
    return sim.spots(sim.indices()), contracts.hstack(sim.quotes(contracts))


def assert_same(one: Sim, other: Sim) -> None:
    (spots, options), (other_spots, other_options) = everything(one), everything(other)
    assert spots == other_spots
    assert_frame_equal(options, other_options, check_exact=True)


def test_the_same_seed_and_clock_give_the_same_data(make: Make) -> None:
    assert_same(make(seed=3), make(seed=3))


def test_another_seed_gives_another_market(make: Make) -> None:
    one, other = make(seed=3), make(seed=4)
    contracts = one.contracts("NIFTY")
    assert one.spots(["NIFTY"]) != other.spots(["NIFTY"])
    assert not one.quotes(contracts).equals(other.quotes(contracts))


def test_what_was_asked_before_changes_nothing(make: Make, clock: ManualClock) -> None:
    there = clock.now()
    wanderer = make()
    for hours in (5, -30, 200, -2):
        clock.set(there + timedelta(hours=hours, seconds=hours / 7))
        everything(wanderer)
    clock.set(there)
    assert_same(wanderer, make())


def test_a_contract_is_quoted_alike_alone_and_in_company(sim: Sim) -> None:
    nifty, sensex = sim.contracts("NIFTY"), sim.contracts("SENSEX")
    both = pl.concat([sensex.tail(200), nifty.head(300).reverse()])
    quotes = sim.quotes(both)
    assert quotes.head(200).equals(sim.quotes(sensex).tail(200))
    assert quotes.tail(300).reverse().equals(sim.quotes(nifty).head(300))


def test_the_day_starts_where_the_day_before_ended(sim: Sim, clock: ManualClock) -> None:
    clock.set(datetime.fromisoformat("2026-11-19T23:59:59.999999+05:30"))
    last = {name: spot.last for name, spot in sim.spots(sim.indices()).items()}
    clock.set(datetime.fromisoformat("2026-11-20T00:00:00+05:30"))
    for name, spot in sim.spots(sim.indices()).items():
        assert spot.close == pytest.approx(last[name], abs=0.011)
        assert spot.open == spot.high == spot.low == spot.last


def test_spots_stay_between_the_day_s_low_and_high(sim: Sim, clock: ManualClock) -> None:
    seen: dict[str, list[float]] = {}
    extremes: dict[str, tuple[float, float]] = {}
    for _ in range(300):
        for name, spot in sim.spots(sim.indices()).items():
            assert spot.last and spot.low and spot.high and spot.open
            seen.setdefault(name, [spot.open]).append(spot.last)
            assert spot.low <= min(seen[name]) and spot.high >= max(seen[name])
            low, high = extremes.get(name, (spot.low, spot.high))
            assert spot.low <= low and spot.high >= high
            extremes[name] = spot.low, spot.high
        clock.advance(timedelta(seconds=97.3))


def test_it_moves_within_a_second_and_at_weekends(sim: Sim, clock: ManualClock) -> None:
    clock.set(datetime.fromisoformat("2026-11-22T03:12:00+05:30"))
    first = sim.spots(sim.indices())
    quotes = sim.quotes(sim.contracts("NIFTY"))
    clock.advance(timedelta(seconds=1))
    second = sim.spots(sim.indices())
    assert all(first[name].last != second[name].last for name in sim.indices())
    assert quotes["last_price"].is_not_null().any()


@pytest.mark.parametrize("volatility", [0.05, 0.13, 0.4])
def test_the_walk_stays_within_the_listed_strikes(make: Make, clock: ManualClock, volatility: float) -> None:
    for seed in range(2):
        sim = make(seed=seed, volatility=volatility)
        for _ in range(5):
            clock.advance(timedelta(days=37, hours=5))
            spots = sim.spots(sim.indices())
            for index in sim.indices():
                strikes, spot = sim.contracts(index)["strike"], spots[index].last
                assert spot and strikes.min() < spot < strikes.max()  # type: ignore[operator]

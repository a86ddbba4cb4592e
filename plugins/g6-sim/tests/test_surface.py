"""No arbitrage: parity, prices that fall and bend with the strike, variance that grows with time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from g6_sim.provider import Sim
from g6_sim.surface import ETA, RATE, RHO, atm_variance, black76, total_variance
from hypothesis import given, settings
from hypothesis import strategies as st

Make = Callable[..., Sim]

volatilities = st.floats(0.03, 1.0)
nerves = st.floats(0.3, 3.0)


def test_the_parameters_satisfy_the_condition_of_the_paper() -> None:
    assert ETA * (1 + abs(RHO)) <= 2


@settings(max_examples=60, deadline=None)
@given(volatilities, nerves, st.floats(1e-6, 3.0))
def test_calls_fall_and_bend_with_the_strike(volatility: float, nerve: float, t: float) -> None:
    theta = atm_variance(np.array(t), volatility, nerve)
    strikes = 100 * np.exp(np.linspace(-6, 6, 201) * np.sqrt(theta))
    variance = total_variance(np.log(strikes / 100), theta)
    calls, _ = black76(np.array(100.0), strikes, variance, np.array(1.0), np.array(True))
    slopes = np.diff(calls) / np.diff(strikes)
    assert (slopes <= 1e-12).all() and (slopes >= -1 - 1e-9).all()
    assert (np.diff(slopes) >= -1e-9).all()


@settings(max_examples=60, deadline=None)
@given(volatilities, nerves)
def test_total_variance_grows_with_time_at_every_moneyness(volatility: float, nerve: float) -> None:
    t = np.geomspace(1e-6, 3, 60)
    k = np.linspace(-0.5, 0.5, 41)
    variance = total_variance(k[None, :], atm_variance(t, volatility, nerve)[:, None])
    assert (np.diff(variance, axis=0) >= 0).all()


def test_exact_quotes_are_the_true_price(exact: Sim) -> None:
    contracts = exact.contracts("NIFTY")
    quotes, truth = exact.quotes(contracts), exact.truth(contracts)
    both = quotes.hstack(truth).filter(pl.col("last_price").is_not_null())
    assert both.height > 500
    assert (both["last_price"] == both["price"]).all()
    mid = (both["bid"] + both["ask"]) / 2
    assert ((mid - both["price"]).abs() <= 1e-12 * both["price"]).all()


def test_calls_and_puts_are_in_parity(exact: Sim) -> None:
    for index in exact.indices():
        contracts = exact.contracts(index)
        both = contracts.hstack(exact.truth(contracts))
        pair = both.filter(pl.col("right") == "CE").join(
            both.filter(pl.col("right") == "PE"), on=["expiry", "strike"], validate="1:1"
        )
        discount = (-RATE * pair["t"]).exp()
        gap = pair["price"] - pair["price_right"] - discount * (pair["forward"] - pair["strike"])
        assert gap.abs().max() < 1e-9  # type: ignore[operator]
        assert ((pair["delta"] - pair["delta_right"] - discount).abs() < 1e-12).all()
        assert pair["iv"].equals(pair["iv_right"].rename("iv"))


def test_delta_is_the_slope_of_the_price_by_the_forward() -> None:
    forward, strikes = 100.0, np.array([80.0, 99.0, 101.0, 120.0])
    for is_call in (True, False):
        price = {
            step: black76(np.array(forward + step), strikes, np.array(0.01), np.array(0.99), np.array(is_call))
            for step in (-1e-4, 0.0, 1e-4)
        }
        slope = (price[1e-4][0] - price[-1e-4][0]) / 2e-4
        assert price[0.0][1] == pytest.approx(slope, abs=1e-8)


def test_the_smile_is_higher_on_the_put_side(exact: Sim) -> None:
    contracts = exact.contracts("NIFTY").filter(pl.col("right") == "CE")
    chain = contracts.hstack(exact.truth(contracts)).filter(pl.col("expiry") == pl.col("expiry").max())
    at = {k: chain.sort((pl.col("strike") / pl.col("forward") - k).abs())["iv"][0] for k in (0.9, 1.0, 1.1)}
    assert at[0.9] > at[1.1] > 0.8 * at[1.0]
    assert at[0.9] > at[1.0]
    assert 0.05 < at[1.0] < 0.4


def test_the_vix_is_the_thirty_day_volatility_in_percent(make: Make) -> None:
    low, high = make(volatility=0.1), make(volatility=0.2)
    calm, wild = (sim.spots([])["INDIAVIX"] for sim in (low, high))
    assert calm.last and wild.last and calm.high and calm.low
    assert 5 < calm.low <= calm.last <= calm.high < 25
    assert wild.last == pytest.approx(2 * calm.last, rel=1e-3)

"""SVI smiles and static arbitrage, as functions of arrays."""

from __future__ import annotations

import numpy as np
import pytest
from g6_greeks import black76
from g6_greeks.chain.smile import (
    Status,
    broken_order,
    calendar_broken,
    calendar_gap,
    durrleman_g,
    fit_smiles,
    fit_svi,
    svi_variance,
)
from hypothesis import given, settings
from hypothesis import strategies as st

NIFTY = np.array([0.0004, 0.010, -0.4, 0.01, 0.03])
VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])
"""Axel Vogt's example (in Gatheral & Jacquier 2014): a smile whose density is negative around k = 0.9."""
K = np.linspace(-0.10, 0.08, 60)


def weights(w: np.ndarray, part: float = 0.005) -> np.ndarray:
    """As the analytic has it: every volatility known to half a percent of that at the money."""
    return np.full(w.shape, 1.0 / (2.0 * part * np.median(w)) ** 2)


def test_svi_variance_is_gatherals_formula() -> None:
    assert svi_variance(np.array([0.05, -0.02]), NIFTY) == pytest.approx(
        [0.0004 + 0.010 * (-0.4 * 0.04 + 0.05), 0.0004 + 0.010 * (0.4 * 0.03 + np.sqrt(0.0018))]
    )


def test_g_is_the_density_of_the_prices() -> None:
    """The second derivative of Black's call by the strike is g * phi(d2) / (K sqrt(w))."""
    k, step = np.linspace(-0.08, 0.08, 33), 1e-4

    def call(strike: np.ndarray) -> np.ndarray:
        return black76.price(1.0, strike, 1.0, np.sqrt(svi_variance(np.log(strike), NIFTY)), 1.0, True)

    strike = np.exp(k)
    density = (call(strike + step) - 2 * call(strike) + call(strike - step)) / step**2
    s = np.sqrt(svi_variance(k, NIFTY))
    normal = np.exp(-0.5 * (-k / s - 0.5 * s) ** 2) / np.sqrt(2 * np.pi)
    assert durrleman_g(k, NIFTY) * normal / (strike * s) == pytest.approx(density, rel=1e-3, abs=1e-3)


def test_vogts_example_has_butterfly_arbitrage() -> None:
    k = np.linspace(-1.5, 1.5, 301)
    g = durrleman_g(k, VOGT)
    assert g.min() < -0.03
    assert k[g < 0] == pytest.approx(np.arange(0.65, 1.255, 0.01))


def test_a_fit_through_vogts_quotes_is_held_free_of_butterflies() -> None:
    k = np.linspace(-1.5, 1.5, 60)
    w = svi_variance(k, VOGT)
    fit = fit_svi(k, w, weights(w))
    assert fit.status == Status.CONSTRAINED
    assert fit.butterfly >= 0
    assert durrleman_g(np.linspace(k[0], k[-1], 61), fit.params).min() == pytest.approx(fit.butterfly, abs=1e-9)
    assert durrleman_g(np.linspace(k[0], k[-1], 2001), fit.params).min() > -1e-3
    assert np.abs(svi_variance(k, fit.params) - w).max() < 0.04 * w.max()


smiles = st.tuples(
    st.floats(0.0, 0.01), st.floats(0.001, 0.2), st.floats(-0.9, 0.9), st.floats(-0.04, 0.04), st.floats(0.02, 0.15)
).map(np.array)


@settings(max_examples=200, deadline=None)
@given(smiles, st.integers(8, 120))
def test_a_smile_without_arbitrage_comes_back(params: np.ndarray, count: int) -> None:
    k = np.linspace(-0.10, 0.08, count)
    w = svi_variance(k, params)
    lowest = durrleman_g(np.linspace(k[0], k[-1], 61), params).min()
    fit = fit_svi(k, w, weights(w))
    if lowest > 1e-6:
        assert fit.status == Status.FREE
        assert np.abs(svi_variance(k, fit.params) - w).max() < 1e-9 * w.max()
        assert fit.used.all()
        assert fit.butterfly == pytest.approx(lowest, abs=1e-5)
    elif lowest < -1e-6:
        assert fit.status == Status.CONSTRAINED or fit.butterfly < 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-0.3, 0.3), min_size=5, max_size=40, unique=True), st.data())
def test_any_quotes_give_a_fit_within_its_bounds_or_a_reason(places: list[float], data: st.DataObject) -> None:
    k = np.array(places)
    iv = np.array(data.draw(st.lists(st.floats(0.01, 3.0), min_size=k.size, max_size=k.size)))
    w = iv * iv * 0.02
    fit = fit_svi(k, w, weights(w))
    if fit.status in (Status.FREE, Status.CONSTRAINED):
        _, b, rho, _, sigma = fit.params
        assert 0 <= b * (1 + abs(rho)) <= 2 + 1e-12
        assert abs(rho) <= 1
        assert sigma > 0
        assert fit.used.sum() >= 5
        assert fit.status == Status.FREE or fit.butterfly >= 0
    else:
        assert np.isnan(fit.params).all()
        assert not fit.used.any()


def test_the_order_of_quotes_does_not_matter_nor_do_unknown_ones() -> None:
    w = svi_variance(K, NIFTY) * (1 + 0.004 * np.sin(40 * K))
    shuffled = np.random.default_rng(3).permutation(K.size)
    fit, again = fit_svi(K, w, weights(w)), fit_svi(K[shuffled], w[shuffled], weights(w))
    assert again.params.tolist() == fit.params.tolist()
    assert again.used.tolist() == fit.used[shuffled].tolist()
    more = fit_svi(np.append(K, [0.0, np.nan]), np.append(w, [np.nan, 0.01]), np.append(weights(w), [1e9, 1e9]))
    assert more.params.tolist() == fit.params.tolist()
    assert more.used[-2:].tolist() == [False, False]


def test_a_flat_smile_is_flat() -> None:
    fit = fit_svi(K, np.full(K.size, 0.003), np.full(K.size, 1e9))
    assert fit.status == Status.FREE
    assert svi_variance(K, fit.params) == pytest.approx(np.full(K.size, 0.003), rel=1e-9)
    assert fit.butterfly == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("factor", [0.3, 0.8, 1.15, 2.0, 5.0])
@pytest.mark.parametrize("place", [0, 1, 20, 33, 45, 58, 59])
def test_one_wild_quote_moves_nothing(place: int, factor: float) -> None:
    truth = svi_variance(K, NIFTY)
    w = truth.copy()
    w[place] *= factor**2
    fit = fit_svi(K, w, weights(w))
    assert not fit.used[place]
    assert fit.used.sum() == K.size - 1
    assert np.abs(np.sqrt(svi_variance(K, fit.params) / truth) - 1).max() < 1e-6


@pytest.mark.parametrize(
    ("places", "status"),
    [
        ([-0.02, -0.01, 0.0, 0.01, 0.02], Status.FREE),
        ([-0.02, -0.01, 0.0, 0.01], Status.TOO_FEW),
        ([-0.01, 0.0, 0.01, 0.02, 0.03, 0.04], Status.TOO_FEW),
        ([-0.05, -0.04, -0.03, -0.02, -0.01, 0.0], Status.TOO_FEW),
        ([], Status.TOO_FEW),
    ],
)
def test_five_quotes_are_needed_and_two_on_each_side(places: list[float], status: Status) -> None:
    k = np.array(places)
    fit = fit_svi(k, 0.003 + 0.1 * k * k, np.full(k.size, 1e9))
    assert fit.status == status
    assert np.isnan(fit.params).all() == (status == Status.TOO_FEW)


def test_expiries_are_fitted_by_themselves() -> None:
    rows, k = np.repeat([0, 2], K.size), np.tile(K, 2)
    w = np.concatenate([svi_variance(K, NIFTY), 2 * svi_variance(K, NIFTY)])
    fits = fit_smiles(rows, k, w, weights(w), 3)
    assert fits.status.tolist() == [Status.FREE, Status.TOO_FEW, Status.FREE]
    for row, at in ((0, slice(0, 60)), (2, slice(60, 120))):
        assert fits.params[:, row].tolist() == fit_svi(K, w[at], weights(w)[at]).params.tolist()
    assert fits.points.tolist() == pytest.approx([60, np.nan, 60], nan_ok=True)
    assert fits.low.tolist() == pytest.approx([K[0], np.nan, K[0]], nan_ok=True)


def test_the_calendar_gap_is_to_the_last_expiry_with_a_fit() -> None:
    params = np.stack([NIFTY, np.full(5, np.nan), NIFTY + np.array([0.0001, 0, 0, 0, 0]), NIFTY], axis=1)
    low, high = np.array([-0.1, np.nan, -0.05, -0.2]), np.array([0.1, np.nan, 0.2, 0.05])
    assert calendar_gap(params, low, high) == pytest.approx([np.nan, np.nan, 0.0001, -0.0001], nan_ok=True)
    apart = calendar_gap(params[:, [0, 2]], np.array([-0.1, 0.2]), np.array([0.1, 0.3]))
    assert np.isnan(apart).all()


STRIKES = np.array([90.0, 95, 100, 105, 110])
HALF = np.full(5, 0.5)


@pytest.mark.parametrize(
    ("prices", "flags"),
    [
        ([20, 15.5, 12, 9.5, 8], [0, 0, 0, 0, 0]),
        ([20, 15.5, 12, 13.0, 8], [0, 0, 0, 2, 0]),
        ([20, 15.5, 12, 13.5, 8], [0, 0, 1, 1, 0]),
        ([20, 15.5, 15.5, 9.5, 8], [0, 0, 2, 0, 0]),
        ([20, 15.5, 13.5, 9.5, 8], [0, 0, 0, 0, 0]),
        ([20, np.nan, 17.0, 9.5, 8], [0, 0, 2, 0, 0]),
        ([np.nan] * 5, [0] * 5),
    ],
)
def test_prices_out_of_order_are_found_beyond_their_half_spreads(prices: list[float], flags: list[int]) -> None:
    rows, price = np.zeros(5, np.intp), np.array(prices)
    calls = broken_order(rows, STRIKES, np.ones(5, np.bool_), price, HALF)
    assert calls.tolist() == flags
    puts = broken_order(rows, 200 - STRIKES[::-1], np.zeros(5, np.bool_), price[::-1], HALF)
    assert puts[::-1].tolist() == flags


def test_neighbours_of_another_expiry_or_right_do_not_count() -> None:
    rows = np.repeat([0, 1], 4)
    strike = np.tile([100.0, 100, 110, 110], 2)
    call = np.tile([True, False], 4)
    price = np.array([5.0, 3, 1, 11, 9, 8, 6, 15])
    assert broken_order(rows, strike, call, price, np.zeros(8)).tolist() == [0] * 8


def test_a_later_expiry_with_less_variance_is_calendar_arbitrage() -> None:
    rows = np.array([0, 0, 0, 1, 1, 1, 1])
    k = np.array([-0.1, 0.0, 0.1, -0.2, -0.05, 0.05, 0.2])
    low = np.array([0.010, 0.008, 0.010, 0.001, 0.007, 0.009, 0.001])
    high = np.array([0.011, 0.009, 0.011, 0.002, 0.0075, 0.010, 0.002])
    assert calendar_broken(rows, k, low, high).tolist() == [False, False, False, False, True, False, False]
    assert not calendar_broken(rows, k, low, np.full(7, np.nan)).any()

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from g6_greeks.chain import (
    atm_volatility,
    expected_move,
    gamma_exposure,
    max_pain,
    put_call_ratio,
    straddle,
    sums_by_right,
    wings,
)
from hypothesis import given, settings
from hypothesis import strategies as st

nan = np.nan
# Two expiries; the first with strikes 90, 100, 110, the second with 100 and 120; call before put.
ROWS = np.array([0] * 6 + [1] * 4)
STRIKE = np.array([90.0, 90, 100, 100, 110, 110, 100, 100, 120, 120])
CALL = np.array([True, False] * 5)


def test_put_call_ratio_sums_what_is_known() -> None:
    amount = np.array([1.0, 2, nan, 3, 4, nan, 10, 5, 10, 0])
    assert put_call_ratio(ROWS, CALL, amount, 2) == pytest.approx([1.0, 0.25])


@pytest.mark.parametrize("side", [CALL, ~CALL])
def test_put_call_ratio_is_unknown_when_a_side_is_unknown(side: np.ndarray) -> None:
    assert np.isnan(put_call_ratio(ROWS, CALL, np.where(side, nan, 5.0), 2)).all()


def test_put_call_ratio_is_unknown_when_no_call_is_open_and_zero_when_no_put_is() -> None:
    assert np.isnan(put_call_ratio(ROWS, CALL, np.where(CALL, 0.0, 5.0), 2)).all()
    assert put_call_ratio(ROWS, CALL, np.where(CALL, 5.0, 0.0), 2) == pytest.approx([0.0, 0.0])


chains = st.lists(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12), min_size=1, max_size=4
)


@settings(max_examples=200, deadline=None)
@given(chains, st.lists(st.integers(0, 30), max_size=5))
def test_max_pain_is_the_cheapest_strike_of_all(chain: list[list[tuple[int, int]]], unknown: list[int]) -> None:
    rows = np.repeat(np.arange(len(chain)), [2 * len(e) for e in chain])
    strike = np.concatenate([np.repeat(100.0 + 50 * np.arange(len(e)), 2) for e in chain])
    call = np.arange(rows.size) % 2 == 0
    oi = np.array([float(amount) for e in chain for pair in e for amount in pair])
    oi[[i for i in unknown if i < oi.size]] = nan
    found = max_pain(rows, strike, call, oi, len(chain))
    for e in range(len(chain)):
        c, p = (rows == e) & call & ~np.isnan(oi), (rows == e) & ~call & ~np.isnan(oi)
        if not c.any() or not p.any() or oi[c].sum() + oi[p].sum() == 0:
            assert np.isnan(found[e])
            continue
        candidates = np.unique(strike[rows == e])
        paid = [
            (oi[c] * np.maximum(k - strike[c], 0)).sum() + (oi[p] * np.maximum(strike[p] - k, 0)).sum()
            for k in candidates
        ]
        assert found[e] == candidates[int(np.argmin(paid))]


def test_atm_volatility_lies_between_the_put_below_and_the_call_above() -> None:
    iv = np.array([9, 0.20, 9, 0.18, 0.16, 9, 9, 0.15, 0.14, 9])
    found = atm_volatility(ROWS, STRIKE, CALL, iv, np.array([102.5, 100.0]))
    assert found[0] == pytest.approx(np.sqrt(0.75 * 0.18**2 + 0.25 * 0.16**2))
    assert found[1] == pytest.approx(0.15)


def test_atm_volatility_looks_past_a_strike_without_volatility() -> None:
    iv = np.array([9, 0.20, nan, nan, 0.16, 9, nan, nan, 0.14, 9])
    found = atm_volatility(ROWS, STRIKE, CALL, iv, np.array([100.0, 110.0]))
    assert found[0] == pytest.approx(np.sqrt(0.5 * 0.20**2 + 0.5 * 0.16**2))
    assert np.isnan(found[1])


def test_atm_volatility_needs_strikes_on_both_sides_and_a_forward() -> None:
    iv = np.full(10, 0.2)
    assert np.isnan(atm_volatility(ROWS, STRIKE, CALL, iv, np.array([111.0, nan]))).all()


def test_straddle_needs_both_legs_at_the_strike() -> None:
    last = np.array([1.0, 2, 3, 4, 5, 6, 7, nan, 9, 10])
    assert straddle(ROWS, STRIKE, CALL, last, np.array([100.0, 120.0])) == pytest.approx([7, 19])
    assert np.isnan(straddle(ROWS, STRIKE, CALL, last, np.array([105.0, 100.0]))).all()
    assert np.isnan(straddle(ROWS, STRIKE, CALL, last, np.array([nan, nan]))).all()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | st.floats(0.05, 1.5), min_size=10, max_size=10), st.floats(85, 125), st.floats(85, 125))
def test_atm_volatility_is_never_outside_its_two_neighbours(
    ivs: list[float | None], first: float, second: float
) -> None:
    iv, forward = np.array(ivs, dtype=np.float64), np.array([first, second])
    found = atm_volatility(ROWS, STRIKE, CALL, iv, forward)
    for e in range(2):
        known = (e == ROWS) & np.isfinite(iv)
        below = np.flatnonzero(known & ~CALL & (forward[e] >= STRIKE))
        above = np.flatnonzero(known & CALL & (forward[e] <= STRIKE))
        if not below.size or not above.size:
            assert np.isnan(found[e])
            continue
        ends = sorted((iv[below[-1]], iv[above[0]]))
        assert ends[0] * (1 - 1e-12) <= found[e] <= ends[1] * (1 + 1e-12)


def test_expected_move_is_one_standard_deviation_in_rupees() -> None:
    found = expected_move(np.array([25000.0, 25000.0, nan]), np.array([0.16, nan, 0.16]), np.array([1 / 64, 0.1, 0.1]))
    assert found[0] == pytest.approx(25000 * 0.16 / 8)
    assert np.isnan(found[1:]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("left", [0.0, -0.01])
def test_once_expired_there_is_neither_a_move_nor_a_wing(left: float) -> None:
    t, iv, forward = np.array([left, 0.1]), np.full(10, 0.5), np.array([100.0, 110.0])
    assert np.isnan(expected_move(forward, np.array([0.2, 0.2]), t)).tolist() == [True, False]
    assert np.isnan(wings(ROWS, STRIKE, CALL, iv, forward, t)[:, 0]).all()


def delta(call: bool, strike: float, iv: float, forward: float, t: float) -> float:
    """The size of the forward delta, by the textbook."""
    d1 = (np.log(forward / strike) + iv * iv * t / 2) / (iv * np.sqrt(t))
    return NormalDist().cdf(d1 if call else -d1)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.none() | st.floats(0.05, 0.6), min_size=34, max_size=34),
    st.lists(st.floats(0.005, 0.5), min_size=2, max_size=2),
    st.floats(93, 107),
)
def test_wings_are_read_off_between_the_two_neighbours_around_a_delta_of_a_quarter(
    ivs: list[float | None], years: list[float], spot: float
) -> None:
    iv, t, forward = np.array(ivs, dtype=np.float64), np.array(years), np.array([spot, spot + 1])
    strike = np.tile(np.repeat(np.arange(80.0, 121, 5)[:-1], 2), 2)
    strike = np.concatenate((strike, [120.0, 120.0]))
    rows, call = np.array([0] * 16 + [1] * 18), np.arange(34) % 2 == 0
    found = wings(rows, strike, call, iv, forward, t)
    for e in range(2):
        for side, is_call in enumerate((True, False)):
            out = (strike >= forward[e]) if is_call else (strike <= forward[e])
            places = [i for i in np.flatnonzero((rows == e) & (call == is_call) & out & np.isfinite(iv))]
            places = places if is_call else places[::-1]
            deltas = [delta(is_call, strike[i], iv[i], forward[e], t[e]) for i in places]
            if any(abs(d - 0.25) < 1e-9 for d in deltas):
                continue
            crossed = [n for n in range(len(places) - 1) if deltas[n] > 0.25 > deltas[n + 1]]
            if not crossed:
                assert np.isnan(found[side, e])
                continue
            n = crossed[0]
            expected = np.interp(0.25, [deltas[n + 1], deltas[n]], [iv[places[n + 1]], iv[places[n]]])
            assert found[side, e] == pytest.approx(expected)


def test_the_wings_of_a_flat_smile_are_flat() -> None:
    strike = np.repeat(np.arange(80.0, 125, 2.5), 2)
    rows, call = np.zeros(strike.size, dtype=np.intp), np.arange(strike.size) % 2 == 0
    found = wings(rows, strike, call, np.full(strike.size, 0.2), np.array([101.0]), np.array([0.1]))
    assert found[:, 0] == pytest.approx([0.2, 0.2])


def test_options_in_the_money_have_no_part_in_the_wings() -> None:
    strike = np.repeat(np.arange(80.0, 125, 2.5), 2)
    rows, call = np.zeros(strike.size, dtype=np.intp), np.arange(strike.size) % 2 == 0
    iv = np.where(call == (strike > 101.0), 0.2, 7.0)
    found = wings(rows, strike, call, iv, np.array([101.0]), np.array([0.1]))
    assert found[:, 0] == pytest.approx([0.2, 0.2])


amounts = st.lists(st.none() | st.floats(0, 1e6), min_size=10, max_size=10)


@settings(max_examples=100, deadline=None)
@given(amounts, amounts, st.floats(1, 1e5))
def test_gamma_exposure_changes_its_sign_when_calls_and_puts_change_places(
    gammas: list[float | None], ois: list[float | None], spot: float
) -> None:
    gamma, oi = np.array(gammas, dtype=np.float64) * 1e-9, np.array(ois, dtype=np.float64)
    straight = gamma_exposure(ROWS, CALL, gamma, oi, spot, 2)
    swapped = gamma_exposure(ROWS, ~CALL, gamma, oi, spot, 2)
    assert straight == pytest.approx(-swapped, nan_ok=True)
    doubled = gamma_exposure(ROWS, CALL, gamma, 2 * oi, spot, 2)
    assert doubled == pytest.approx(2 * straight, nan_ok=True)


def test_gamma_exposure_is_the_rupees_that_one_percent_moves() -> None:
    gamma = np.array([0.001, 0.002, nan, 0.001, 0.001, nan, 0.001, nan, 0.001, nan])
    oi = np.array([650.0, 130, 65, nan, 65, 65, 65, 65, 65, 65])
    found = gamma_exposure(ROWS, CALL, gamma, oi, 25000.0, 2)
    # 1 % of 25,000 moves the delta of one unit by gamma*250, and each unit of delta is 25,000 rupees.
    assert found[0] == pytest.approx((0.001 * 715 - 0.002 * 130) * 250 * 25000)
    assert np.isnan(found[1]), "no put of the second expiry is known"
    assert np.isnan(gamma_exposure(ROWS, CALL, gamma, oi, nan, 2)).all()


def test_sums_are_unknown_where_nothing_is_known_and_zero_where_nothing_is_open() -> None:
    oi = np.array([0.0, 1, 0, 2, nan, nan, nan, 5, nan, 6])
    calls, puts = sums_by_right(ROWS, CALL, oi, 2)
    assert calls.tolist()[0] == 0
    assert np.isnan(calls[1])
    assert puts.tolist() == [3, 11]

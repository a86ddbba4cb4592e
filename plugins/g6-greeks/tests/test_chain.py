from __future__ import annotations

import numpy as np
import pytest
from g6_greeks.chain import atm_volatility, max_pain, put_call_ratio, straddle
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

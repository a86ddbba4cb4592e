"""The kernel against arithmetic that is exact: on two sets of options, and on inputs of every kind.

A volatility may be off by 16 times what half a unit in the last place of the price and of itself amounts to.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from g6_greeks import black76
from g6_greeks.black76 import Status
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent))
import exact

QUOTE = ("price", "forward", "strike", "t", "discount", "is_call")
MARKET = ("forward", "strike", "t", "discount", "rate", "is_call")
Quote = tuple[float, float, float, float, float, bool]
Columns = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def sets() -> dict[str, Columns]:
    return {kind: exact.options(kind, 1500) for kind in exact.KINDS}


def out_of_the_money(options: Columns) -> np.ndarray:
    return options["is_call"] == (options["forward"] < options["strike"])


@pytest.mark.parametrize("kind", exact.KINDS)
def test_volatilities_are_as_good_as_the_price_allows(sets: dict[str, Columns], kind: str) -> None:
    options = sets[kind]
    found = black76.implied_volatility(*(options[name] for name in QUOTE))
    quotes = zip(*(options[name].tolist() for name in QUOTE), strict=True)
    assert found["status"].tolist() == [exact.status(*quote) for quote in quotes]
    ok = found["status"] == Status.OK
    assert ok.mean() > 0.99
    error = np.abs(found["iv"] - options["iv"])
    assert (error / options["attainable"])[ok].max() < 16
    if kind == "main":
        assert error[out_of_the_money(options)].max() < 1e-14


@pytest.mark.parametrize("kind", exact.KINDS)
def test_greeks_are_right_in_relative_terms(sets: dict[str, Columns], kind: str) -> None:
    options = {name: column[::5] for name, column in sets[kind].items()}
    rows = zip(options["iv"].tolist(), *(options[name].tolist() for name in MARKET), strict=True)
    truth = [exact.greeks(*row) for row in rows]
    given_iv = black76.greeks(options["iv"], *(options[name] for name in MARKET))
    joint = black76.iv_greeks(options["price"], *(options[name] for name in MARKET))
    # In the money, and close to the maximum, the price holds the volatility in fewer digits.
    sure = out_of_the_money(options) & (options["attainable"] < 4 * np.spacing(options["iv"]))
    assert sure.sum() > 75
    for name in exact.GREEKS:
        expected = np.array([row[name] for row in truth])
        scale = np.array([row["theta_terms" if name == "theta" else name] for row in truth])
        assert (np.abs(given_iv[name] - expected) / np.abs(scale)).max() < 2e-13, name
        assert (np.abs(joint[name] - expected) / np.abs(scale))[sure].max() < 2e-13, name


def nudged(price: float, steps: int) -> float:
    for _ in range(abs(steps)):
        price = math.nextafter(price, math.copysign(math.inf, steps))
    return price


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    """Options at a model price, at any price, and a few units in the last place from the bounds."""
    forward = 10 ** draw(st.floats(-3, 6))
    narrow, wide = st.floats(-0.5, 0.5), st.floats(-50, 50)
    near = st.tuples(st.sampled_from([-1, 0, 1]), st.floats(-17, -1)).map(lambda p: p[0] * 10 ** p[1])
    strike = forward * math.exp(draw(st.one_of(narrow, wide, near)))
    t = math.exp(draw(st.floats(math.log(1 / (365 * 86400)), math.log(10))))
    discount, is_call = math.exp(-draw(st.sampled_from([0.0, 0.065, 0.15])) * t), draw(st.booleans())
    intrinsic = discount * max(forward - strike if is_call else strike - forward, 0.0)
    maximum = discount * (forward if is_call else strike)
    kind = draw(st.sampled_from(["model", "part", "subnormal", "intrinsic", "maximum"]))
    if kind == "model":
        sigma = math.exp(draw(st.floats(math.log(0.005), math.log(20))))
        price = float(black76.price(forward, strike, t, sigma, discount, is_call))
    elif kind == "part":
        price = intrinsic + (maximum - intrinsic) * 10 ** -draw(st.floats(0, 320))
    elif kind == "subnormal":
        price = draw(st.floats(5e-324, 1e-307, allow_subnormal=True))
    else:
        price = nudged(intrinsic if kind == "intrinsic" else maximum, draw(st.integers(-4, 4)))
    return price, forward, strike, t, discount, is_call


def check(quote: Quote) -> None:
    found = black76.iv_greeks(*quote[:5], 0.065, quote[5])
    status = Status(int(found["status"]))
    event(status.word)
    assert status == exact.status(*quote)
    iv = float(found["iv"])
    if status == Status.OK:
        assert exact.error_ratio(iv, *quote) < 16
    else:
        assert math.isnan(iv)
    for name in exact.GREEKS:
        # Next to no volatility gamma is more than a double holds.
        assert np.isnan(found[name]) == math.isnan(iv) or iv < 1e-290, name


@settings(max_examples=500, deadline=None)
@given(quotes())
@example((5e-324, 1e-3, 1e-3, 1e-4, 1.0, True))
@example((5e-324, 1e6, 1e6, 1.0, 1.0, True))
@example((5e-324, 100.0, 110.0, 1 / 365, 0.9, True))
@example((math.nextafter(100.0, 0), 100.0, 90.0, 1.0, 1.0, True))
@example((math.nextafter(10.0, 11), 100.0, 90.0, 1.0, 1.0, True))
@example((1e-20, 1e6, 1e6 * math.exp(50), 0.5, 0.97, True))
@example((7.0, 100.0, 100.0 + 2**-40, 1e-7, 0.5, False))
def test_every_price_has_its_volatility_or_the_reason_why_not(quote: Quote) -> None:
    check(quote)


@settings(max_examples=200, deadline=None)
@given(
    quotes(),
    st.dictionaries(
        st.integers(0, 4), st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, -0.0]), min_size=1, max_size=2
    ),
)
def test_senseless_inputs_have_the_first_reason_that_applies(quote: Quote, senseless: dict[int, float]) -> None:
    values = list(quote)
    for place, value in senseless.items():
        values[place] = value
    check((*values,))  # type: ignore[arg-type]

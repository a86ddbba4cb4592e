"""Black-76 in exact and 60-digit arithmetic: the judge of the kernel, and the sets of options it is judged on.

The doubles that are given count as exact. Whether a price lies within its bounds is then a question about fractions,
and how good a volatility is shows in the price that it gives back: `error_ratio`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

import mpmath
import numpy as np
from g6_greeks.black76 import Status

MP = mpmath.MPContext()
MP.dps = 60
GREEKS = ("delta", "gamma", "theta", "vega", "rho")
HOUR, MINUTE = 1 / (365 * 24), 1 / (365 * 24 * 60)
FORWARD = 24000.0
SEED = 20261120
SMALLEST = 5e-324

Option = tuple[float, float, float, float, float, bool]
"""forward, strike, t, rate, iv, is_call."""


def _big(value: Fraction | float) -> Any:
    return MP.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else MP.mpf(float(value))


def _otm(forward: Any, strike: Any, s: Any) -> tuple[Any, Any]:
    """The undiscounted out-of-the-money price at total volatility s, and its slope in s."""
    side = 1 if forward <= strike else -1
    # Next to the money the two terms agree in as many digits as s has zeros.
    with MP.workdps(MP.dps + max(0, -int(MP.log10(s)))):
        d1 = MP.log(forward / strike) / s + s / 2
        value = side * (forward * MP.ncdf(side * d1) - strike * MP.ncdf(side * (d1 - s)))
        return value, forward * MP.npdf(d1)


def status(price: float, forward: float, strike: float, t: float, discount: float, is_call: bool) -> Status:
    """What must be said about these doubles."""
    if not all(map(math.isfinite, (price, forward, strike, t, discount))):
        return Status.NAN
    if min(price, forward, strike, discount) <= 0:
        return Status.NON_POSITIVE
    if t <= 0:
        return Status.EXPIRED
    p, f, k, d = map(Fraction, (price, forward, strike, discount))
    if p <= d * max(f - k if is_call else k - f, 0):
        return Status.BELOW_INTRINSIC
    return Status.ABOVE_MAXIMUM if p >= d * (f if is_call else k) else Status.OK


def error_ratio(
    iv: float, price: float, forward: float, strike: float, t: float, discount: float, is_call: bool
) -> float:
    """How far the price at `iv` is from `price`, in units of what cannot be avoided.

    The unit is half a unit in the last place of the price plus, by way of vega, the same of iv. inf for an iv that is
    no positive number; but a volatility at the money may be too small for a double, and 0 is then the nearest.
    """
    if not (math.isfinite(iv) and (iv > 0 or (iv == 0 and forward == strike))):
        return math.inf
    iv = max(iv, SMALLEST)
    p, f, k, d = map(Fraction, (price, forward, strike, discount))
    time_value = p / d - max(f - k if is_call else k - f, 0)
    root_t = MP.sqrt(_big(t))
    value, slope = _otm(_big(f), _big(k), _big(iv) * root_t)
    unavoidable = _big(math.ulp(price)) / (2 * _big(d)) + slope * root_t * _big(math.ulp(iv)) / 2
    return float(abs(value - _big(time_value)) / unavoidable)


def greeks(
    iv: float, forward: float, strike: float, t: float, discount: float, rate: float, is_call: bool
) -> dict[str, float]:
    """The five, and `theta_terms`: the sum of the sizes of the two terms that theta is the difference of."""
    sigma, f, k, years, d, r = map(_big, (iv, forward, strike, t, discount, rate))
    side, root_t = (1 if is_call else -1), MP.sqrt(years)
    s = sigma * root_t
    d1 = MP.log(f / k) / s + s / 2
    price = d * (_otm(f, k, s)[0] + max(side * (f - k), 0))
    density = d * MP.npdf(d1)
    interest, decay = r * price, f * density * sigma / (2 * root_t)
    exact = {
        "delta": d * side * MP.ncdf(side * d1),
        "gamma": density / (f * s),
        "theta": interest - decay,
        "vega": f * density * root_t,
        "rho": -years * price,
        "theta_terms": abs(interest) + decay,
    }
    return {name: float(value) for name, value in exact.items()}


def price_and_vega(option: Option) -> tuple[float, float, float]:
    """The price, the vega, and the time value as a part of the forward."""
    *numbers, is_call = option
    f, k, years, r, sigma = map(_big, numbers)
    root_t, discount = MP.sqrt(years), MP.exp(-r * years)
    time_value, slope = _otm(f, k, sigma * root_t)
    intrinsic = max(f - k if is_call else k - f, 0)
    return float(discount * (time_value + intrinsic)), float(discount * slope * root_t), float(time_value / f)


def _usual(rng: np.random.Generator) -> Option:
    """Strikes up to 35 % away, an hour to a year, volatilities of 5 to 150 %, in and out of the money."""
    x = rng.uniform(-0.35, 0.35)
    t, iv = np.exp(rng.uniform(np.log(HOUR), 0)), rng.uniform(0.05, 1.5)
    return FORWARD, float(FORWARD * np.exp(-x)), float(t), 0.065, iv, bool(rng.integers(2))


def _hard(rng: np.random.Generator) -> Option:
    """A quarter each: far out of the money, one minute left, huge volatilities, and next to the money."""
    kind, is_call, x = rng.integers(4), bool(rng.integers(2)), rng.uniform(-3, 3)
    if kind == 0:
        t, iv, is_call = rng.uniform(0.02, 2), rng.uniform(0.1, 3), x < 0
    elif kind == 1:
        x, t, iv = rng.uniform(-0.02, 0.02), MINUTE, rng.uniform(0.05, 3)
    elif kind == 2:
        t, iv = rng.uniform(0.1, 3), rng.uniform(3, 6)
    else:
        x = rng.uniform(-0.05, 0.05) * 10 ** rng.uniform(-6, 0)
        t, iv, is_call = rng.uniform(0.001, 1), rng.uniform(0.01, 0.6), x < 0
    return FORWARD, float(FORWARD * np.exp(-x)), t, 0.065, iv, is_call


KINDS = {"main": (_usual, 1e-10), "hard": (_hard, 1e-13)}
"""How options are drawn, and the least time value, as a part of the forward, that one must have."""

Map = Callable[[Callable[[Option], tuple[float, float, float]], Iterable[Option]], Iterable[tuple[float, float, float]]]


def options(kind: str, n: int, map: Map = map) -> dict[str, np.ndarray]:
    """The first n of a set, as columns; prices and vegas are rounded once.

    `attainable` is the error in iv that half a unit in the last place of the price forces, plus the same of iv itself.
    """
    draw, least = KINDS[kind]
    rng = np.random.default_rng(SEED)
    rows: list[tuple[Any, ...]] = []

    def drawn(count: int) -> Iterator[Option]:
        return (draw(rng) for _ in range(count))

    while len(rows) < n:
        batch = list(drawn(max(2 * (n - len(rows)), 100)))
        priced = zip(batch, map(price_and_vega, batch), strict=True)
        rows += islice(((*o, p, v) for o, (p, v, tv) in priced if tv >= least), n - len(rows))
    names = ("forward", "strike", "t", "rate", "iv", "is_call", "price", "vega")
    columns = {name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    attainable = (np.spacing(columns["price"]) / columns["vega"] + np.spacing(columns["iv"])) / 2
    return {**columns, "discount": np.exp(-columns["rate"] * columns["t"]), "attainable": attainable}

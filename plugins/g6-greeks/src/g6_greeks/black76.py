"""Black's model of 1976: price, implied volatility and Greeks of a European option on a forward, over arrays.

Arguments are scalars or arrays that broadcast: `forward`, `strike` and `price` in rupees, `t` in years, `rate` a
continuously compounded fraction per year, `iv` a fraction per year, `is_call` true for a call. The discount factor is
exp(-rate*t). Results are raw: theta per year, vega and rho per 1.00, delta to the forward and discounted; theta and rho
hold the forward still. What cannot be computed is NaN, with a word for it in `Status`; no row affects another.

The work is done on one normalised number, the out-of-the-money option of the pair that put-call parity ties together:

    x = -|ln(forward/strike)|     log-moneyness, at most 0
    s = iv*sqrt(t)                total volatility
    b = time value / (discount*sqrt(forward*strike)),   0 < b < exp(x/2)
    h = x/s,  u = s/2
    b = phi(h,u) * (Y(h+u) - Y(h-u)),   phi(h,u) = exp(-(h² + u²)/2)/sqrt(2 pi),   Y(z) = N(z)/n(z)

with N and n the normal distribution and its density. In that form a price of 1e-100 is as exact as one of 100. db/ds is
phi(h,u), so b/phi is all that a root search on ln(b) needs.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, ndtr  # type: ignore[import-untyped]

from g6_greeks.arrays import Bools, Codes, Floats

Value = npt.ArrayLike

LN_SQRT_2PI = 0.5 * np.log(2.0 * np.pi)
TINY = 1e-300
MAX_STEPS = 40
LAST_STEP = 1e-4
"""A step of this relative size leaves about its fourth power as the error, which is below what a float resolves."""


class Status(IntEnum):
    """Why a row has no volatility."""

    OK = 0
    NAN = 1  # the price or another input is not known, or not finite
    NON_POSITIVE = 2  # price, forward or strike is zero or less
    EXPIRED = 3  # no time is left
    BELOW_INTRINSIC = 4  # no time value: the price is at or below discount * max(±(forward - strike), 0)
    ABOVE_MAXIMUM = 5  # at or above discount * forward for a call, discount * strike for a put

    @property
    def word(self) -> str:
        return self.name.lower()


def price(forward: Value, strike: Value, t: Value, sigma: Value, discount: Value, is_call: Value) -> Floats:
    """The option's value. Zero volatility or time gives the discounted intrinsic value, a senseless input NaN."""
    (f, k, t_, d, iv), side = _arrays(forward, strike, t, discount, sigma), _side(is_call)
    with np.errstate(all="ignore"):
        s = np.where(iv >= 0, iv, np.nan) * np.sqrt(t_)
        b = np.where(s > 0, _normalised(*np.broadcast_arrays(_moneyness(f, k), s)), s)
        value = d * (b * np.sqrt(f) * np.sqrt(k) + np.maximum(side * (f - k), 0.0))
        return np.where(np.isfinite(value), value, np.nan)


def implied_volatility(
    price: Value, forward: Value, strike: Value, t: Value, discount: Value, is_call: Value
) -> dict[str, npt.NDArray[Any]]:
    """iv, the volatility that gives back `price`, and status, the `Status` of each row."""
    (p, f, k, t_, d), side = _arrays(price, forward, strike, t, discount), _side(is_call)
    with np.errstate(all="ignore"):
        time_value, status = _time_value(p, f, k, t_, d, side)
        return {"iv": _total_volatility(time_value, f, k) / np.sqrt(t_), "status": status}


def greeks(
    sigma: Value, forward: Value, strike: Value, t: Value, discount: Value, rate: Value, is_call: Value
) -> dict[str, Floats]:
    """delta, gamma, theta, vega and rho at a known volatility; NaN where time or volatility is not positive."""
    value = price(forward, strike, t, sigma, discount, is_call)
    (f, k, t_, d, r, iv), side = _arrays(forward, strike, t, discount, rate, sigma), _side(is_call)
    with np.errstate(all="ignore"):
        known = np.isfinite(value) & (iv > 0) & (t_ > 0)
        return _greeks(value, f, k, t_, d, r, np.where(known, iv, np.nan), side)


def iv_greeks(
    price: Value, forward: Value, strike: Value, t: Value, discount: Value, rate: Value, is_call: Value
) -> dict[str, npt.NDArray[Any]]:
    """iv, delta, gamma, theta, vega, rho and status (uint8, a `Status`) in one pass."""
    (p, f, k, t_, d, r), side = _arrays(price, forward, strike, t, discount, rate), _side(is_call)
    with np.errstate(all="ignore"):
        time_value, status = _time_value(p, f, k, t_, d, side)
        iv = _total_volatility(time_value, f, k) / np.sqrt(t_)
        return {"iv": iv, **_greeks(p, f, k, t_, d, r, iv, side), "status": status}


def _arrays(*values: Value) -> list[Floats]:
    return [np.asarray(v, dtype=np.float64) for v in values]


def _full(a: Floats, shape: tuple[int, ...]) -> Floats:
    return a if a.shape == shape else np.broadcast_to(a, shape)


def _side(is_call: Value) -> Floats:
    """+1 for a call, -1 for a put."""
    return np.where(is_call, 1.0, -1.0)


def _moneyness(f: Floats, k: Floats) -> Floats:
    """x; at the money a trifle below 0, so that x/x is 1 there too."""
    return -np.maximum(np.abs(np.log(f / k)), TINY)


def _time_value(p: Floats, f: Floats, k: Floats, t: Floats, d: Floats, side: Floats) -> tuple[Floats, Codes]:
    """The undiscounted time value, which parity makes the out-of-the-money option's price, and each row's status.

    NaN where the status is not OK: everything computed from it is then NaN as well.
    """
    time_value = p / d - np.maximum(side * (f - k), 0.0)
    status = np.zeros(time_value.shape, dtype=np.uint8)
    bound = np.minimum(f, k)
    good = (p > 0) & (time_value > 0) & (time_value < bound) & (bound > 0) & (t > 0) & np.isfinite(f + k)
    if good.all():
        return time_value, status
    # Later lines outrank earlier ones.
    for reason, bad in (
        (Status.ABOVE_MAXIMUM, time_value >= bound),
        (Status.BELOW_INTRINSIC, time_value <= 0),
        (Status.NON_POSITIVE, np.minimum(p, bound) <= 0),
        (Status.EXPIRED, t <= 0),
        (Status.NAN, ~np.isfinite(p + f + k + t + d)),
    ):
        np.copyto(status, np.uint8(reason), where=bad)
    return np.where(status == Status.OK, time_value, np.nan), status


def _tail_ratio(z: Floats) -> Floats:
    """Y(z) = N(z)/n(z), exact also where both are tiny."""
    ratio: Floats = np.sqrt(np.pi / 2.0) * erfcx(z * -np.sqrt(0.5))
    return ratio


def _tail_difference(h: Floats, u: Floats) -> Floats:
    """Y(h+u) - Y(h-u); where the two are so close that digits would cancel, by series."""
    close = u < 0.02
    apart = ~close
    difference = np.empty(u.shape)
    difference[close] = _tail_series(h[close], u[close])
    h, u = h[apart], u[apart]
    difference[apart] = _tail_ratio(h + u) - _tail_ratio(h - u)
    return difference


def _tail_series(h: Floats, u: Floats) -> Floats:
    """The same by the odd terms of Taylor's series, with the derivatives Y' = 1 + z Y, Y(n+1) = z Y(n) + n Y(n-1)."""
    even = _tail_ratio(h)
    odd = 1.0 + h * even
    total, factor = odd, np.ones_like(u)
    for n in (2, 4, 6):
        even = h * odd + (n - 1) * even
        odd = h * even + n * odd
        factor = factor * (u * u / (n * (n + 1)))
        total = total + factor * odd
    return 2.0 * u * total


def _normalised(x: Floats, s: Floats) -> Floats:
    """b, the normalised out-of-the-money price."""
    h, u = x / s, 0.5 * s
    b = np.asarray(np.exp(0.5 * x) * ndtr(h + u) - np.exp(-0.5 * x) * ndtr(h - u))
    low = h + u < 1.0
    h, u = h[low], u[low]
    b[low] = np.exp(-0.5 * (h * h + u * u) - LN_SQRT_2PI) * _tail_difference(h, u)
    return b


def _total_volatility(time_value: Floats, f: Floats, k: Floats) -> Floats:
    """s such that b(x, s) is the normalised time value: a guess, then Householder's third-order steps to the end."""
    shape = time_value.shape
    time_value, f, k = (_full(a, shape).ravel() for a in (time_value, f, k))
    ln_root = 0.5 * (np.log(f) + np.log(k))
    x = _moneyness(f, k)
    ln_b = np.log(time_value) - ln_root
    bound = np.minimum(f, k)
    # Close to its upper bound b hardly moves with s; the distance to the bound does, so that is matched there.
    high = time_value > 0.5 * bound
    target = np.where(high, np.log(bound - time_value) - ln_root, ln_b)
    # b bends at s = sqrt(-2x). Below half of the bound s is less than 2 beyond it; above, steps up from it are sure.
    bend = np.sqrt(-2.0 * x)
    most = np.where(high, np.inf, bend + 2.0)
    s = np.minimum(np.maximum(_guess(x, ln_b), high * bend), most)
    todo: Any = ...
    for _ in range(MAX_STEPS):
        step = _householder(x[todo], s[todo], target[todo], high[todo])
        s[todo] = np.minimum(s[todo] + step, most[todo])
        large = np.abs(step) > LAST_STEP * s[todo]
        if not large.any():
            break
        todo = np.flatnonzero(large) if todo is ... else todo[large]
    return s.reshape(shape)


def _householder(x: Floats, s: Floats, target: Floats, high: Bools) -> Floats:
    """The step in s towards g(s) = target, g being ln(b), or ln(b_max - b) where `high`.

    With q = b/phi, or -(b_max - b)/phi, and c2 = b''/b', c3 = b'''/b':
    g' = 1/q,  g''/g' = c2 - 1/q,  g'''/g' = c3 - 3 c2/q + 2/q².
    """
    h, u = x / s, 0.5 * s
    q = _tail_difference(h, u)
    if high.any():
        # Y(-z) = (1 - N(z))/n(z) counts the distance to the bound.
        q[high] = -_tail_ratio(-(h + u)[high]) - _tail_ratio((h - u)[high])
    hh, uu, per_q, per_s = h * h, u * u, 1.0 / q, 1.0 / s
    g = np.log(np.abs(q)) - 0.5 * (hh + uu) - LN_SQRT_2PI
    c2 = (hh - uu) * per_s
    c3 = c2 * c2 - 3.0 * hh * per_s * per_s - 0.25
    newton = (target - g) * q
    second = c2 - per_q
    third = c3 - (3.0 * c2 - 2.0 * per_q) * per_q
    step = newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))
    step = np.where(step * newton > 0.0, step, newton)
    bounded: Floats = np.minimum(np.maximum(step, -u), 0.5 + s)
    return bounded


def _guess(x: Floats, ln_b: Floats) -> Floats:
    """A first s from the normal (Bachelier) model, whose inverse depends on one number only.

    There the straddle is distance + 2*time value, and normal volatility/straddle is a function of time value/straddle,
    tabulated in `_NORMAL`. Black's volatility is the normal one over the logarithmic mean of forward and strike, and
    1 + s²/24 is the first term of the rest.
    """
    distance = 2.0 * np.sinh(-0.5 * x)
    straddle = distance + 2.0 * np.exp(ln_b)
    normal = straddle * np.interp(ln_b - np.log(straddle), *_NORMAL)
    s = normal * (-x / distance)
    guess: Floats = s * (1.0 + s * s / 24.0)
    return guess


def _normal_table() -> tuple[Floats, Floats]:
    """ln(time value/straddle), ascending, and volatility/straddle of a normal model with volatility 1."""
    distance = np.linspace(38.0, 0.0, 3801)
    density = np.exp(-0.5 * distance * distance - LN_SQRT_2PI)
    time_value = density * (1.0 - distance * _tail_ratio(-distance))
    straddle = distance + 2.0 * time_value
    return np.log(time_value / straddle), 1.0 / straddle


_NORMAL = _normal_table()


def _greeks(
    value: Floats, f: Floats, k: Floats, t: Floats, d: Floats, r: Floats, iv: Floats, side: Floats
) -> dict[str, Floats]:
    root_t = np.sqrt(t)
    s = iv * root_t
    d1 = np.log(f / k) / s + 0.5 * s
    gamma = d * np.exp(-0.5 * d1 * d1 - LN_SQRT_2PI) / (f * s)
    vega = gamma * f * f * s * root_t
    return {
        "delta": d * side * ndtr(side * d1),
        "gamma": gamma,
        "theta": r * value - 0.5 * vega * iv / t,
        "vega": vega,
        "rho": np.where(np.isnan(iv), np.nan, -t * value),
    }

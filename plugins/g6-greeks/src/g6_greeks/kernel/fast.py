"""The usual row, in stages: each a loop over a block of rows without a branch, which becomes vector instructions.

The option is turned into the out-of-the-money one of its pair, by put-call parity, and everything is about two numbers:

    a = |ln(forward/strike)|     how far the strike is, 0 or more
    s = sigma*sqrt(t)            total volatility, what is looked for

With h = -a/s, u = s/2, N and n the normal distribution and its density, Y(z) = N(z)/n(z), the undiscounted price c is

    c/sqrt(forward*strike) = phi*(Y(h + u) - Y(h - u)),     phi = exp(-(h² + u²)/2)/sqrt(2 pi)     (Black 1976)

and phi is also its derivative by s. So one needs q = c/(phi sqrt(forward*strike)) = Y(h + u) - Y(h - u) only, in which
nothing is tiny. A first s comes from the normal model (`guess`), within 1e-4; one step of Householder's third-order
method on ln(c) leaves the fourth power of that (`step`). Rows outside of what the fits were made for, and rows whose
time value is a small rest of a large price, are marked not `fine`, and `careful` does them.
"""

from __future__ import annotations

import math

from numba import njit

from g6_greeks.arrays import Codes, Floats
from g6_greeks.kernel.constants import BLACK, FAR, FAR_CENTRE, FAR_TOP, NEAR, NEAR_WIDEST
from g6_greeks.kernel.elementary import (
    INNER,
    LN_SQRT_2PI,
    MATHS,
    PER_SQRT_2PI,
    SQRT_2PI,
    atanh_ratio,
    exp,
    inlined,
    log,
    mills,
    polynomial,
)

BLOCK = 256
"""Rows a block: its arrays stay in the processor's first cache."""

LARGEST_A = 0.99
LARGEST_S = 1.6
SMALLEST_S = 1e-7
LARGEST_STEP = 1e-4
"""The fourth power is what a step leaves; beyond this the guess was not good enough."""

SMALLEST_SHARE = 1e-10
"""Of the price that may be time value: less, and the rounding of the price alone decides what the volatility is."""

LARGEST, SMALLEST = 1e150, 1e-150
"""Products and squares of two such numbers neither overflow nor vanish."""

_C1, _C2, _C3, _C4 = BLACK
near_ratio = polynomial(NEAR)
far_ratio = polynomial(FAR)


def stage(f):  # type: ignore[no-untyped-def]
    """A loop over one block."""
    return njit(f, fastmath=set(MATHS), error_model="numpy", **INNER)


@stage
def normalise(
    price: Floats,
    forward: Floats,
    strike: Floats,
    discount: Floats,
    is_call: Codes,
    value: Floats,
    distance: Floats,
    slope: Floats,
) -> None:
    """value: c, the undiscounted time value; distance: |forward - strike|; slope: a/distance."""
    for i in range(price.shape[0]):
        signed = (forward[i] - strike[i]) * (2.0 * float(is_call[i]) - 1.0)
        distance[i] = abs(signed)
        value[i] = price[i] / discount[i] - 0.5 * (signed + abs(signed))
        # ln(f/k) = 2 atanh((f - k)/(f + k)): no digits are lost where f and k are close.
        per_sum = 1.0 / (forward[i] + strike[i])
        z = signed * per_sum
        slope[i] = atanh_ratio(z * z) * per_sum


@stage
def guess(value: Floats, distance: Floats, slope: Floats, s: Floats) -> None:
    """A first s: what the normal model (Bachelier 1900) answers, made Black's by BLACK.

    In the normal model volatility/straddle is a function of distance/straddle alone. Near the money that is NEAR; far
    away, where distance and straddle are nearly the same, FAR finds the volatility from ln(c/distance).
    """
    for i in range(value.shape[0]):
        a = slope[i] * distance[i]
        half_straddle = value[i] + 0.5 * distance[i]
        flatness = PER_SQRT_2PI * distance[i] / half_straddle
        flat2 = flatness * flatness
        near = slope[i] * SQRT_2PI * half_straddle * near_ratio(flat2)
        w2 = FAR_TOP - log(value[i] / distance[i])
        w = math.sqrt(w2 if w2 > 0.0 else 0.0)
        per = 1.0 / (w + FAR_CENTRE)
        far = a * per / far_ratio((w - FAR_CENTRE) * per)
        s0 = near if flat2 < NEAR_WIDEST else far
        s2 = s0 * s0
        s[i] = s0 * (1.0 + s2 * (_C1 + _C2 * a * a + (_C3 + _C4 * s2) * s2))


@inlined
def tail_difference(h: float, u: float) -> float:
    """q = Y(h + u) - Y(h - u) for h <= 0 and 0 < u <= 0.8, by the odd terms of Taylor's series around h.

    A difference would lose digits. Y' = 1 + h Y and Y(n+1) = h Y(n) + n Y(n-1), Y(n) being the n-th derivative.
    """
    even = mills(-h)
    odd = 1.0 + h * even
    u2 = u * u
    total, power = odd, 1.0
    for n in range(2, 28, 2):
        even = h * odd + (n - 1.0) * even
        odd = h * even + n * odd
        power *= u2 * (1.0 / (n * (n + 1.0)))
        total += odd * power
    return 2.0 * u * total


@stage
def tails(distance: Floats, slope: Floats, s: Floats, q: Floats) -> None:
    for i in range(s.shape[0]):
        q[i] = tail_difference(-slope[i] * distance[i] / s[i], 0.5 * s[i])


@stage
def step(
    forward: Floats, strike: Floats, value: Floats, distance: Floats, slope: Floats, q: Floats, s: Floats, fine: Floats
) -> None:
    """Householder's step of third order towards ln(c) = ln(sqrt(forward*strike) phi q).

    With g the gap in ln(c): g' = 1/q, g''/g' = c2 - 1/q, g'''/g' = c3 - 3 c2/q + 2/q², where c2 = phi'/phi and
    c3 = phi''/phi. fine: 1 where the step was small enough to be the last, else 0.
    """
    for i in range(s.shape[0]):
        a = slope[i] * distance[i]
        per_s = 1.0 / s[i]
        h, u = -a * per_s, 0.5 * s[i]
        root = math.sqrt(forward[i] * strike[i])
        per_root_q = 1.0 / (root * q[i])
        per_q = root * per_root_q
        gap = 0.5 * (h * h + u * u) + LN_SQRT_2PI + log(value[i] * per_root_q)
        c2 = (h * h - u * u) * per_s
        c3 = c2 * c2 - 3.0 * h * h * per_s * per_s - 0.25
        newton = gap * q[i]
        second = c2 - per_q
        third = c3 - (3.0 * c2 - 2.0 * per_q) * per_q
        change = newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton * (1.0 / 6.0)))
        usual = (a < LARGEST_A) & (s[i] < LARGEST_S) & (s[i] > SMALLEST_S) & (abs(change) < LARGEST_STEP * s[i])
        fine[i] = 1.0 if usual else 0.0
        s[i] += change


@stage
def finish(
    price: Floats,
    forward: Floats,
    strike: Floats,
    t: Floats,
    discount: Floats,
    value: Floats,
    s: Floats,
    fine: Floats,
    iv: Floats,
) -> None:
    """iv of every row; `fine` stays where the inputs are usual, so that it is right."""
    for i in range(s.shape[0]):
        sound = (value[i] > SMALLEST_SHARE * price[i]) & (price[i] > SMALLEST) & (discount[i] > SMALLEST)
        sane = (min(forward[i], strike[i]) > SMALLEST) & (max(forward[i], strike[i]) < LARGEST)
        timely = (t[i] > SMALLEST) & (t[i] < LARGEST)
        fine[i] = fine[i] if sound & sane & timely else 0.0
        iv[i] = s[i] / math.sqrt(t[i])


@stage
def sensitivities(
    price: Floats,
    forward: Floats,
    strike: Floats,
    t: Floats,
    discount: Floats,
    rate: Floats,
    is_call: Codes,
    value: Floats,
    distance: Floats,
    slope: Floats,
    s: Floats,
    fine: Floats,
    delta: Floats,
    gamma: Floats,
    theta: Floats,
    vega: Floats,
    rho: Floats,
) -> None:
    """The Greeks of every row, right where `fine` is 1.

    With `lower` and `upper` the smaller and the larger of forward and strike, the out-of-the-money price is
    c = lower*P - upper*Q, where P = N(h + u) and Q = N(h - u). One of them is worked out and c gives the other.
    A call's delta is N(d1): P where it is out of the money and 1 - Q where it is in.
    """
    for i in range(s.shape[0]):
        lower, upper = min(forward[i], strike[i]), max(forward[i], strike[i])
        d = 0.5 * s[i] - slope[i] * distance[i] / s[i]
        density = PER_SQRT_2PI * exp(-0.5 * d * d)
        tail = density * mills(abs(d))
        p = 1.0 - tail if d > 0.0 else tail
        q = (lower * p - value[i]) / upper
        sensitive = lower * density * discount[i]
        call = is_call[i] != 0
        above = strike[i] > forward[i]
        call_delta = p if above else 1.0 - q
        put_delta = p - 1.0 if above else -q
        delta[i] = discount[i] * (call_delta if call else put_delta)
        gamma[i] = sensitive / (forward[i] * forward[i] * s[i])
        theta[i] = rate[i] * price[i] - 0.5 * sensitive * s[i] / t[i]
        vega[i] = sensitive * math.sqrt(t[i])
        rho[i] = -t[i] * price[i]
        fine[i] = fine[i] if abs(rate[i]) < LARGEST else 0.0

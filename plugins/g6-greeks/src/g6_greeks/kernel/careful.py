"""Every other row, one at a time: what is wrong with it, or its volatility by a search that cannot run away.

The formulas are those of `fast`. Numbers that may vanish or overflow are held as logarithms, and the two differences
that decide whether there is a volatility at all, price - discount*intrinsic and discount*bound - price, are exact.
"""

from __future__ import annotations

import math

from numba import njit

from g6_greeks.kernel.elementary import INNER, LN_SQRT_2PI, SQRT_2PI, mills
from g6_greeks.kernel.fast import tail_difference

# The codes of black76.Status.
OK, NAN, NON_POSITIVE, EXPIRED, BELOW_INTRINSIC, ABOVE_MAXIMUM = range(6)

MOST_STEPS = 200
LAST_STEP = 1e-5
"""Of s. What a step of third order leaves is the fourth power of this."""

SPLITTER = 2.0**27 + 1.0
LIFT = 500
SAFE = 1e-290
FLAT = 1e-60
NEARBY = 1.0
"""Up to here the fits of `fast` give a first s that is not far off."""
SQRT_HALF = math.sqrt(0.5)
LN2 = math.log(2.0)


def scalar(f):  # type: ignore[no-untyped-def]
    """A function of single numbers. It is compiled as written: the exact differences depend on each rounding."""
    return njit(f, error_model="numpy", **INNER)


@scalar
def refusal(price: float, forward: float, strike: float, t: float, discount: float) -> int:
    """The code of what is wrong with the inputs, or OK; earlier lines outrank later ones."""
    if not math.isfinite(price + forward + strike + t + discount):
        # A sum of large numbers may overflow, so they are asked one by one.
        for x in (price, forward, strike, t, discount):
            if not math.isfinite(x):
                return NAN
    if not (price > 0.0 and forward > 0.0 and strike > 0.0 and discount > 0.0):
        return NON_POSITIVE
    if not t > 0.0:
        return EXPIRED
    return OK


@scalar
def excess(price: float, discount: float, x: float, rest: float) -> tuple[float, int]:
    """m and e such that m*2**(e - LIFT) is price/discount - (x + rest), with the right sign and nearly all digits even
    where everything cancels.

    x >= 0; rest: at most half an ulp of x. The product discount*x is split into two numbers whose sum it is (Dekker
    1971). The larger side is lifted to 2**LIFT first, so that nothing that matters vanishes or overflows.
    """
    d, d_exponent = math.frexp(discount)
    _, p_exponent = math.frexp(price)
    _, exponent = math.frexp(x)
    exponent = max(exponent, p_exponent - d_exponent) if x > 0.0 else p_exponent - d_exponent
    p, lifted = math.ldexp(price, LIFT - exponent - d_exponent), math.ldexp(x, LIFT - exponent)
    product = d * lifted
    d_high, l_high = _upper_half(d), _upper_half(lifted)
    d_low, l_low = d - d_high, lifted - l_high
    error = ((d_high * l_high - product) + d_high * l_low + d_low * l_high) + d_low * l_low
    return ((p - product) - error - d * math.ldexp(rest, LIFT - exponent)) / d, exponent


@scalar
def _upper_half(x: float) -> float:
    large = SPLITTER * x
    return large - (large - x)


@scalar
def over_root(m: float, exponent: int, lower: float, upper: float) -> tuple[float, float]:
    """m*2**(exponent - LIFT)/sqrt(lower*upper) and its logarithm; the first is 0 where a double cannot hold it well."""
    plain = math.ldexp(m, exponent - LIFT)
    ratio = plain / math.sqrt(lower) / math.sqrt(upper)
    if ratio > SAFE and plain > SAFE:
        return ratio, math.log(ratio)
    return 0.0, math.log(m) + (exponent - LIFT) * LN2 - 0.5 * (math.log(lower) + math.log(upper))


@scalar
def log_moneyness(lower: float, upper: float) -> float:
    """a = ln(upper/lower), exact also where the two are close."""
    if upper < 2.0 * lower:
        return math.log1p((upper - lower) / lower)
    ratio = upper / lower
    return math.log(ratio) if math.isfinite(ratio) else math.log(upper) - math.log(lower)


@scalar
def implied(
    price: float, forward: float, strike: float, t: float, discount: float, is_call: int, near: float
) -> tuple[float, int]:
    """iv and OK, or NaN and the reason; of inputs without a `refusal`. near: what `fast` took for s."""
    lower, upper = min(forward, strike), max(forward, strike)
    over, over_exponent = excess(price, discount, forward if is_call else strike, 0.0)
    if over >= 0.0:
        return math.nan, ABOVE_MAXIMUM
    inside = (forward > strike) if is_call else (forward < strike)
    intrinsic = upper - lower if inside else 0.0
    m, exponent = excess(price, discount, intrinsic, (upper - intrinsic) - lower if inside else 0.0)
    if m <= 0.0:
        return math.nan, BELOW_INTRINSIC
    root_t = math.sqrt(t)
    if lower == upper and price / discount < FLAT * lower:
        # Next to nothing at the money: s = sqrt(2 pi) c/forward, which may be too small for a double where iv is not.
        return SQRT_2PI * (price / discount / root_t) / forward, OK
    value, ln_value = over_root(m, exponent, lower, upper)
    _, ln_missing = over_root(-over, over_exponent, lower, upper)
    return solve(log_moneyness(lower, upper), value, ln_value, ln_missing, near) / root_t, OK


@scalar
def y(z: float) -> float:
    """Y(z) = N(z)/n(z) for z < 38."""
    return mills(-z) if z <= 0.0 else SQRT_2PI * math.exp(0.5 * z * z) - mills(z)


@scalar
def tails(a: float, h: float, u: float) -> float:
    """q = Y(h + u) - Y(h - u) for h + u < 2; the difference loses digits only where both a and u are small."""
    return tail_difference(h, u) if u < 0.5 and a < 1.0 else y(h + u) - y(h - u)


@scalar
def outer_tails(h: float, u: float) -> float:
    """r = Y(-h - u) + Y(h - u) for h + u >= 0: what is missing to the bound, over phi, as q is for the price."""
    return mills(h + u) + mills(u - h)


@scalar
def solve(a: float, value: float, ln_value: float, ln_missing: float, near: float) -> float:
    """s at which the price over sqrt(forward*strike) is `value`, with the logarithm ln_value.

    value: 0 where it is too small to be held. ln_missing: the logarithm of what is missing to the bound exp(-a/2).
    Where the price is above half of its bound it hardly moves with s, and the search is for ln_missing instead; there
    s > sqrt(2a), otherwise s < sqrt(2a) + 2. Steps are Householder's as long as they stay between the two sides that
    are known, else the middle of these.
    """
    high = ln_value > -0.5 * a - LN2
    bend = math.sqrt(2.0 * a)
    low_side, high_side = (bend, math.inf) if high else (0.0, bend + 2.0)
    s = near
    if not (a < NEARBY and low_side < near < high_side):
        s = first_high(a, ln_missing) if high else first_low(a, ln_value)
    for _ in range(MOST_STEPS):
        if not low_side < s < high_side:
            s = middle(low_side, high_side)
        change, too_low = step(a, s, value, ln_missing if high else ln_value, high)
        if abs(change) <= LAST_STEP * s:
            return s + change
        if too_low:
            low_side = s
        else:
            high_side = s
        s += change
    return s


@scalar
def middle(low: float, high: float) -> float:
    if math.isinf(high):
        return 2.0 * low + 1.0
    return math.sqrt(low * high) if low > 0.0 else 0.25 * high


@scalar
def step(a: float, s: float, value: float, target: float, high: bool) -> tuple[float, bool]:
    """Householder's step in s (see `fast.step`), and whether s is too small.

    For what is missing to the bound, whose derivative is -phi, the same with q = -r.
    """
    h, u = -a / s, 0.5 * s
    q = -outer_tails(h, u) if high else tails(a, h, u)
    # The logarithm of a quotient near 1 has more digits than the difference of two large logarithms.
    ln_ratio = math.log(value / q) if not high and value > 0.0 else target - math.log(abs(q))
    gap = ln_ratio + 0.5 * (h * h + u * u) + LN_SQRT_2PI
    per_q = 1.0 / q
    c2 = (h * h - u * u) / s
    c3 = c2 * c2 - 3.0 * (h / s) ** 2 - 0.25
    newton = gap * q
    second = c2 - per_q
    third = c3 - (3.0 * c2 - 2.0 * per_q) * per_q
    change = newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))
    return (change if change * newton > 0.0 else newton), newton > 0.0


@scalar
def first_low(a: float, ln_value: float) -> float:
    """A first s below the bend: (h² + u²)/2 = L has the solution below, with L = ln(q/sqrt(2 pi)) - ln_value.

    q is taken from the s before; near the money, where that leads nowhere, sqrt(2 pi)*price is s to first order.
    """
    s = SQRT_2PI * (math.exp(ln_value) + (math.sinh(0.5 * a) if a < 1.0 else 0.0))
    if a < 0.05 and a < 2.0 * s:
        return s
    s = min(max(s, 0.3 * a), math.sqrt(2.0 * a) + 2.0) if a < 1.0 else math.sqrt(2.0 * a)
    for _ in range(4):
        level = max(math.log(tails(a, -a / s, 0.5 * s)) - LN_SQRT_2PI - ln_value, 0.5 * a)
        s = a / math.sqrt(level + math.sqrt(level * level - 0.25 * a * a))
    return s


@scalar
def first_high(a: float, ln_missing: float) -> float:
    """A first s above the bend: the other solution, with r in place of q."""
    s = math.sqrt(2.0 * a) + 1.0
    for _ in range(4):
        level = max(math.log(outer_tails(-a / s, 0.5 * s)) - LN_SQRT_2PI - ln_missing, 0.5 * a)
        s = 2.0 * math.sqrt(level + math.sqrt(level * level - 0.25 * a * a))
    return s


@scalar
def time_value(a: float, s: float, lower: float, upper: float) -> float:
    """The undiscounted out-of-the-money price at total volatility s > 0."""
    h, u = -a / s, 0.5 * s
    if h + u > 1.0:
        return lower * normal(h + u) - upper * normal(h - u)
    phi = math.exp(-0.5 * (h * h + u * u) - LN_SQRT_2PI)
    return phi * tails(a, h, u) * math.sqrt(lower) * math.sqrt(upper)


@scalar
def normal(z: float) -> float:
    """The normal distribution N(z)."""
    return 0.5 * math.erfc(-z * SQRT_HALF)


@scalar
def price(forward: float, strike: float, t: float, sigma: float, discount: float, is_call: int) -> float:
    """The option's value; without volatility or time the discounted intrinsic value; NaN for senseless inputs."""
    if not (forward > 0.0 and strike > 0.0 and t >= 0.0 and sigma >= 0.0 and discount > 0.0):
        return math.nan
    if not (math.isfinite(forward) and math.isfinite(strike) and math.isfinite(discount)):
        return math.nan
    s = sigma * math.sqrt(t)
    if not math.isfinite(s):
        return math.nan
    lower, upper = min(forward, strike), max(forward, strike)
    intrinsic = max(forward - strike if is_call else strike - forward, 0.0)
    value = time_value(log_moneyness(lower, upper), s, lower, upper) if s > 0.0 else 0.0
    return discount * (value + intrinsic)


@scalar
def sensitivities(
    value: float, forward: float, strike: float, t: float, sigma: float, discount: float, rate: float, is_call: int
) -> tuple[float, float, float, float, float]:
    """delta, gamma, theta, vega and rho of an option of that value; the inputs are sound."""
    root_t = math.sqrt(t)
    s = sigma * root_t
    a = log_moneyness(min(forward, strike), max(forward, strike))
    # At the money s may be too small for a double; everywhere else it is not.
    d1 = (math.copysign(a, forward - strike) / s if a > 0.0 else 0.0) + 0.5 * s
    density = math.exp(-0.5 * d1 * d1 - LN_SQRT_2PI)
    delta = normal(d1) if is_call else -normal(-d1)
    sensitive = discount * forward * density
    theta = rate * value - 0.5 * sensitive * sigma / root_t
    return discount * delta, discount * density / (forward * s), theta, sensitive * root_t, -t * value


@scalar
def greeks_refusal(sigma: float, forward: float, strike: float, t: float, discount: float, rate: float) -> int:
    """As `refusal`, with a volatility in place of the price."""
    return NAN if not math.isfinite(rate) else refusal(sigma, forward, strike, t, discount)

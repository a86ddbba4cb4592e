"""An independent judge of volatilities by the million: Black-76 in 80-bit floats.

Shares no formula's code with the kernel. The normal tail is expanded in Chebyshev polynomials that mpmath computes when
the module is imported; differences that would cancel are integrals. Eleven bits more than a double make the judge's own
error about a thousandth of what it measures; `bench/accuracy.py` checks it against mpmath.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np

Long = np.longdouble
if np.finfo(Long).nmant < 63:
    raise SystemExit("this needs 80-bit floats, which this platform's NumPy does not have")

CENTRE = Long("3.75")
DEGREE = 44
SHIFT = 0.25
"""Half of the total volatility below which Y(h+u) - Y(h-u) is integrated."""
ROOT_2PI = Long("2.50662827463100050241576528481104525")


def _mills(y: mp.mpf) -> mp.mpf:
    """M(y) = (1 - N(y))/n(y)."""
    return mp.ncdf(-y) / mp.npdf(y)


def _chebyshev(function: object) -> np.ndarray:
    """Coefficients of function(y)*(1+y)**2, 0 <= y < infinity, in the variable w = (y-c)/(y+c)."""
    with mp.workdps(40):
        n = DEGREE + 1
        angles = [mp.pi * (i + mp.mpf(1) / 2) / n for i in range(n)]
        nodes = [mp.cos(a) for a in angles]
        points = [mp.mpf("3.75") * (1 + w) / (1 - w) for w in nodes]
        values = [function(y) * (1 + y) ** 2 for y in points]  # type: ignore[operator]
        sums = [2 * mp.fsum(v * mp.cos(j * a) for v, a in zip(values, angles, strict=True)) / n for j in range(n)]
        return np.array([Long(mp.nstr(c, 25)) for c in (sums[0] / 2, *sums[1:])])


def _legendre(n: int) -> list[tuple[np.longdouble, np.longdouble]]:
    """Nodes and weights of Gauss's rule on (-1, 1), n even."""
    with mp.workdps(40):
        guesses = [mp.cos(mp.pi * (i + 0.75) / (n + 0.5)) for i in range(n // 2)]
        nodes = [mp.findroot(lambda x: mp.legendre(n, x), guess) for guess in guesses]
        slopes = [n * (mp.legendre(n - 1, x) - x * mp.legendre(n, x)) / (1 - x * x) for x in nodes]
        pairs = [(x, 2 / ((1 - x * x) * d * d)) for x, d in zip(nodes, slopes, strict=True)]
        right = [(Long(mp.nstr(x, 25)), Long(mp.nstr(w, 25))) for x, w in pairs]
        return right + [(-x, w) for x, w in right]


MILLS = _chebyshev(lambda y: _mills(y) / (1 + y))
"""M(y) falls like 1/y, so that M(y)*(1+y) is what is expanded."""
SLOPE = _chebyshev(lambda y: 1 - (y - SHIFT) * _mills(y - SHIFT))
"""Y'(z) = 1 + z*Y(z) at z = SHIFT - y, which falls like 1/y²."""
GAUSS = _legendre(8)


def _series(coefficients: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Clenshaw's sum."""
    w = 2 * (y - CENTRE) / (y + CENTRE)
    low = high = np.zeros_like(y)
    for c in coefficients[:0:-1]:
        low, high = w * low - high + c, low
    return w / 2 * low - high + coefficients[0]


def mills(y: np.ndarray) -> np.ndarray:
    """(1 - N(y))/n(y) for y >= 0."""
    return _series(MILLS, y) / (1 + y)


def tail_difference(h: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Y(h+u) - Y(h-u) for h <= 0 and u up to `SHIFT`, Y = N/n, as the integral of Y'."""
    total = np.zeros_like(h)
    for node, weight in GAUSS:
        y = SHIFT - (h + u * node)
        total += weight * _series(SLOPE, y) / (1 + y) ** 2
    return u * total


def otm(forward: np.ndarray, strike: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The undiscounted out-of-the-money price at total volatility s, and its slope in s."""
    ratio = (forward - strike) / strike
    near = np.abs(ratio) < 0.5
    x = np.where(near, np.log1p(np.where(near, ratio, 0)), np.log(forward / strike))
    h, u = -np.abs(x) / s, s / 2
    scale = np.sqrt(forward) * np.sqrt(strike)
    density = scale * np.exp(-(h * h + u * u) / 2) / ROOT_2PI
    value = np.empty_like(s)
    short, high = u < SHIFT, (u >= SHIFT) & (h + u > 0)
    low = ~(short | high)
    value[short] = density[short] * tail_difference(h[short], u[short])
    value[low] = density[low] * (mills(-(h + u)[low]) - mills((u - h)[low]))
    tails = mills((h + u)[high]) + mills((u - h)[high])
    value[high] = np.minimum(forward, strike)[high] - density[high] * tails
    return value, density


def error_ratio(
    iv: np.ndarray,
    price: np.ndarray,
    forward: np.ndarray,
    strike: np.ndarray,
    t: np.ndarray,
    discount: np.ndarray,
    is_call: np.ndarray,
) -> np.ndarray:
    """As `exact.error_ratio`, for columns of doubles."""
    iv = np.maximum(iv, 5e-324)  # 0 may be the nearest double to a volatility at the money
    ulp_price, ulp_iv = np.spacing(price).astype(Long), np.spacing(iv).astype(Long)
    sigma, p, f, k, years, d = (a.astype(Long) for a in (iv, price, forward, strike, t, discount))
    root_t = np.sqrt(years)
    with np.errstate(all="ignore"):
        time_value = p / d - np.maximum(np.where(is_call, f - k, k - f), 0)
        value, slope = otm(f, k, sigma * root_t)
        unavoidable = ulp_price / (2 * d) + slope * root_t * ulp_iv / 2
        return (np.abs(value - time_value) / unavoidable).astype(np.float64)

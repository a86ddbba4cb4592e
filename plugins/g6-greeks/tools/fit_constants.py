"""Writes src/g6_greeks/kernel/constants.py: every fitted number of the kernel, from its definition.

Needs mpmath; run by hand (some seconds): `python tools/fit_constants.py`. Prints how well each fit does. The arithmetic
is done with 30 to 50 digits, so that the figures are rounded once, and the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import mpmath as mp
import numpy as np

OUT = Path(__file__).parent.parent / "src" / "g6_greeks" / "kernel" / "constants.py"

MILLS_CENTRE = 5
MILLS_DEGREE = 22

ATANH_WIDEST = 0.2136
ATANH_DEGREE = 12

NEAR_WIDEST = 0.37
NEAR_DEGREE = 4

FAR_TOP = 0.1
FAR_CENTRE = 2
FAR_NEAREST, FAR_FARTHEST = 0.75, 39.0
FAR_DEGREE = 10

BLACK_TERMS = ((1, 0), (1, 1), (2, 0), (3, 0))
BLACK_LARGEST_A = 1.0
BLACK_LARGEST_S = 1.6

HEADER = '''"""Fitted numbers, written by tools/fit_constants.py. Do not edit: change the script and run it again."""

# fmt: off
'''


def mills(v: mp.mpf) -> mp.mpf:
    """Mills' ratio (1 - N(v))/n(v) of the standard normal distribution."""
    if v > 1000:
        return 1 / v - 1 / v**3 + 3 / v**5 - 15 / v**7
    return mp.sqrt(mp.pi / 2) * mp.erfc(v / mp.sqrt(2)) * mp.exp(v * v / 2)


def chebyshev(f: Callable[[mp.mpf], mp.mpf], degree: int) -> list[mp.mpf]:
    """Coefficients, lowest power first, of the polynomial through f at the Chebyshev nodes of [-1, 1]."""
    n = degree + 1
    angles = [mp.pi * (2 * i + 1) / (2 * n) for i in range(n)]
    values = [f(mp.cos(angle)) for angle in angles]
    series = [2 * mp.fsum(y * mp.cos(j * a) for y, a in zip(values, angles, strict=True)) / n for j in range(n)]
    series[0] /= 2
    powers = [mp.mpf(0)] * n
    before, now = [mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]
    for c in series:
        for i, t in enumerate(before):
            powers[i] += c * t
        before, now = now, _next_chebyshev(before, now)
    return powers


def _next_chebyshev(before: Sequence[mp.mpf], now: Sequence[mp.mpf]) -> list[mp.mpf]:
    doubled = [mp.mpf(0), *(2 * c for c in now)]
    return [d - (before[i] if i < len(before) else 0) for i, d in enumerate(doubled)]


def evaluate(powers: Sequence[float], x: mp.mpf) -> mp.mpf:
    """The polynomial with these coefficients, lowest power first, by Horner's scheme."""
    result = mp.mpf(0)
    for c in reversed(powers):
        result = result * x + c
    return result


def substitute(powers: Sequence[mp.mpf], factor: mp.mpf, shift: mp.mpf) -> list[mp.mpf]:
    """The polynomial in x that `powers` is in factor*x + shift, by Horner's scheme."""
    result: list[mp.mpf] = [mp.mpf(0)]
    for c in reversed(powers):
        times_x = [mp.mpf(0), *(p * factor for p in result)]
        result = [p + (result[i] * shift if i < len(result) else 0) for i, p in enumerate(times_x)]
        result[0] += c
    return result[: len(powers)]


def on_interval(f: Callable[[mp.mpf], mp.mpf], top: mp.mpf, degree: int) -> list[mp.mpf]:
    """Coefficients of the polynomial in x through f at the Chebyshev nodes of [0, top]."""
    return substitute(chebyshev(lambda u: f(top * (1 + u) / 2), degree), 2 / top, mp.mpf(-1))


def fit_mills() -> list[float]:
    """(v + c) mills(v) as a polynomial in (v - c)/(v + c), c = MILLS_CENTRE: -1 at v = 0 and 1 at infinity."""
    c = mp.mpf(MILLS_CENTRE)

    def f(u: mp.mpf) -> mp.mpf:
        v = c * (1 + u) / (1 - u)
        return (v + c) * mills(v)

    fitted = [float(p) for p in chebyshev(f, MILLS_DEGREE)]
    points = map(mp.mpf, np.concatenate([np.linspace(0, 8, 300), np.geomspace(8, 1e6, 200)]))
    worst = max(abs(evaluate(fitted, (v - c) / (v + c)) / (v + c) / mills(v) - 1) for v in points)
    print(f"Mills' ratio: degree {MILLS_DEGREE}, largest relative error {mp.nstr(worst, 2)}")
    return fitted


def fit_atanh() -> list[float]:
    """2 atanh(z)/z as a polynomial in z², for z² up to ATANH_WIDEST."""
    widest = mp.mpf(ATANH_WIDEST)

    def f(z2: mp.mpf) -> mp.mpf:
        z = mp.sqrt(z2)
        return 2 * mp.atanh(z) / z if z2 else mp.mpf(2)

    fitted = [float(c) for c in on_interval(f, widest, ATANH_DEGREE)]
    points = (widest * i / 500 for i in range(501))
    worst = max(abs(evaluate(fitted, z2) / f(z2) - 1) for z2 in points)
    print(f"atanh: degree {ATANH_DEGREE}, largest relative error {mp.nstr(worst, 2)}")
    return fitted


def normal_price(y: mp.mpf) -> mp.mpf:
    """n(y) - y N(-y), the price of a strike at the distance y when the volatility of the normal model is 1."""
    return mp.npdf(y) * (1 - y * mills(y))


def normal_distance(known: Callable[[mp.mpf], mp.mpf], low: float, high: float) -> mp.mpf:
    """y in [low, high] at which `known`, which rises, is 0."""
    return mp.findroot(known, (mp.mpf(low), mp.mpf(high)), solver="anderson", tol=mp.mpf(10) ** -30)


def flatness(y: mp.mpf) -> mp.mpf:
    """distance/(sqrt(2 pi) half the straddle): 0 at the money."""
    return y / mp.sqrt(2 * mp.pi) / (normal_price(y) + y / 2)


def fit_near() -> list[float]:
    """volatility/(sqrt(2 pi) half the straddle) as a polynomial in the square of the flatness."""
    widest = mp.mpf(NEAR_WIDEST)

    def f(square: mp.mpf) -> mp.mpf:
        y = normal_distance(lambda y: flatness(y) ** 2 - square, 0.0, 1.0) if square else mp.mpf(0)
        return 1 / (mp.sqrt(2 * mp.pi) * (normal_price(y) + y / 2))

    fitted = [float(c) for c in on_interval(f, widest, NEAR_DEGREE)]
    worst = max(abs(evaluate(fitted, x) / f(x) - 1) for x in (widest * i / 200 for i in range(1, 201)))
    print(f"normal model near the money: degree {NEAR_DEGREE}, largest relative error {mp.nstr(worst, 2)}")
    return fitted


def far_coordinate(y: mp.mpf) -> mp.mpf:
    """w = sqrt(FAR_TOP - ln(price/distance))."""
    return mp.sqrt(mp.mpf(FAR_TOP) - mp.log(normal_price(y) / y))


def fit_far() -> list[float]:
    """y/(w + c), c = FAR_CENTRE, as a polynomial in u = (w - c)/(w + c), y being distance/volatility."""
    c = mp.mpf(FAR_CENTRE)
    ends = [far_coordinate(mp.mpf(y)) for y in (FAR_NEAREST, FAR_FARTHEST)]
    first, last = ((w - c) / (w + c) for w in ends)

    def f(u: mp.mpf) -> mp.mpf:
        w = c * (1 + u) / (1 - u)
        return normal_distance(lambda y: far_coordinate(y) - w, 0.5, 45.0) / (w + c)

    inner = chebyshev(lambda x: f(first + (last - first) * (1 + x) / 2), FAR_DEGREE)
    fitted = [float(p) for p in substitute(inner, 2 / (last - first), -1 - 2 * first / (last - first))]
    points = (first + (last - first) * i / 200 for i in range(201))
    worst = max(abs(evaluate(fitted, u) / f(u) - 1) for u in points)
    print(f"normal model far away: degree {FAR_DEGREE}, largest relative error {mp.nstr(worst, 2)}")
    return fitted


def fit_black() -> list[float]:
    """c1 to c4 with s = s0 (1 + s0² (c1 + c2 a² + c3 s0² + c4 s0⁴)), s0 being what the normal model answers.

    Least squares, reweighted so that the largest error becomes small, over log-moneyness a and total volatility s.
    """
    grid = [
        (a, s)
        for a in (0.0, *np.geomspace(0.003, BLACK_LARGEST_A, 40))
        for s in np.geomspace(0.01, BLACK_LARGEST_S, 40)
        if a / s < 35
    ]
    s0 = np.array([normal_answer(a, s) for a, s in grid])
    a2, s = np.array([a for a, _ in grid]) ** 2, np.array([s for _, s in grid])
    terms = np.stack([s0 ** (2 * p) * a2**q for p, q in BLACK_TERMS], axis=1)
    weight = np.ones(len(grid))
    for _ in range(40):
        fitted = np.linalg.lstsq(terms * weight[:, None], (s / s0 - 1) * weight, rcond=None)[0]
        error = np.abs(terms @ fitted + 1 - s / s0)
        weight = weight * np.sqrt(error / error.max() + 1e-3)
    print(f"Black from normal: largest relative error {error.max():.1e}")
    return [float(f"{c:.12g}") for c in fitted]


def normal_answer(a: float, s: float) -> float:
    """The normal model's total volatility, over the logarithmic mean of forward and strike, of Black's price."""
    h, u, half = -mp.mpf(a) / mp.mpf(s), mp.mpf(s) / 2, mp.mpf(a) / 2
    price = mp.exp(-half) * mp.ncdf(h + u) - mp.exp(half) * mp.ncdf(h - u)
    if a == 0:
        return float(mp.sqrt(2 * mp.pi) * price)
    ratio = price / (2 * mp.sinh(half))
    y = normal_distance(lambda y: mp.log(ratio) - mp.log(normal_price(y) / y), 1e-9, 45.0)
    return float(a / y)


def lines(name: str, about: str, value: object) -> str:
    """A constant as Python text."""
    if isinstance(value, list):
        body = "".join(f"    {v!r},\n" for v in value)
        return f'\n{name} = (\n{body})\n"""{about}"""\n'
    return f'\n{name} = {value!r}\n"""{about}"""\n'


def main() -> None:
    mp.mp.dps = 50
    text = HEADER
    text += lines("MILLS_CENTRE", "c in the map v -> (v - c)/(v + c)", float(MILLS_CENTRE))
    text += lines("MILLS", "(v + c) mills(v) in powers of (v - c)/(v + c), v from 0 to infinity", fit_mills())
    text += lines("ATANH", f"2 atanh(z)/z in powers of z², z² up to {ATANH_WIDEST}", fit_atanh())
    mp.mp.dps = 30
    near, far = "normal model's volatility over sqrt(2 pi) half the straddle", "distance/volatility of the normal model"
    text += lines("NEAR_WIDEST", "largest square of the flatness that NEAR is for", NEAR_WIDEST)
    text += lines("NEAR", f"{near}, in powers of the square of the flatness", fit_near())
    text += lines("FAR_TOP", "in w = sqrt(FAR_TOP - ln(price/distance))", FAR_TOP)
    text += lines("FAR_CENTRE", "c in the map w -> (w - c)/(w + c)", float(FAR_CENTRE))
    text += lines("FAR", f"{far} over (w + c), in powers of (w - c)/(w + c)", fit_far())
    text += lines("BLACK", "c1 to c4 of the step from the normal to Black's total volatility", fit_black())
    OUT.write_text(text)


if __name__ == "__main__":
    main()

"""The search for an SVI smile, compiled. All that is compiled together stands in this file: the compiler's cache does
not notice a change elsewhere. Plain loops, since array expressions compile several times as long; nested ones run to
an array's size, since the compiler writes out those to a constant.

theta = (a, left, right, m, ln sigma) is searched, left = b*(1 - rho) and right = b*(1 + rho) being the wings' slopes:

    w(k) = a + left*(r - x)/2 + right*(r + x)/2,   x = k - m,   r = sqrt(x² + sigma²)

For given m and sigma that is linear in the rest (as Zeliade Systems 2009 saw), so the rest follows them by linear least
squares, and the start is the best of a grid of pairs: from the data alone. In these parameters b >= 0, |rho| <= 1 and
the wing bound of Lee (2004), a slope of at most 2, are a box. Inside it m and sigma are found by Levenberg-Marquardt
steps with exact derivatives (Ruhe & Wedin 1980 for problems that are linear in a part).

`data` is (3, quotes): k ascending, w, and 1/standard deviation of w. `rows` (6, quotes + GRID) and `gram` (6, 6) are
room for what `_fill` fills, `box` (2, 5) holds the walls.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from g6_greeks.arrays import Codes, Floats, Indices

FREE, CONSTRAINED, TOO_FEW, NO_CONVERGENCE = range(4)
FEWEST, FEWEST_A_SIDE, GRID = 5, 2, 61
"""g is looked at in GRID places, evenly from the lowest quote's k to the highest's."""
NARROWEST, WIDEST = 0.05, 5.0
"""sigma as parts of that range: three steps of the grid, so that it misses no bend; and what looks straight."""
LEE = 2.0
STARTS_M, STARTS_SIGMA = 5, (0.05, 0.2, 0.8)
STEPS, FIRST_DAMPING, LAST_DAMPING = 60, 1e-3, 1e10
DECREASE, PENALISED_DECREASE = 1e-6, 1e-3
"""A search has ended when a step takes off no more than this part of the sum of squares."""
TUKEY, SIGMA_PER_MAD, ROUNDS, SETTLED = 4.685, 1.4826, 6, 0.02
PENALTIES, MARGIN = (1e4, 1e6, 1e8, 1e10), 1e-4  # of g, so that it ends above 0

F = TypeVar("F")
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract"}}


def _inner(f: F) -> F:
    """Compiled, to be called by what is compiled: wrappers for Python would take a third of the time to compile."""
    return cast(F, cast(Any, njit)(f, no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS))


def _outer(f: F) -> F:
    return cast(F, cast(Any, njit)(f, cache=True, no_cfunc_wrapper=True, **_OPTIONS))


@_outer
def fit_each(first: Indices, quotes: Floats, theta: Floats, kept: Floats, butterfly: Floats, status: Codes) -> None:
    """Fit the quotes first[i] ... first[i+1] - 1 for each i; `quotes` is as `data` above.

    Fills theta (n, 5), butterfly (n,), status (n,), and kept (quotes,): the part of its weight that a quote kept.
    """
    box, gram = np.empty((2, 5)), np.empty((6, 6))
    for i in range(first.size - 1):
        low, high = first[i], first[i + 1]
        data, rows = quotes[:, low:high].copy(), np.empty((6, high - low + GRID))
        status[i] = _fit(theta[i], data, kept[low:high], box, rows, gram)
        if status[i] == FREE:
            status[i], butterfly[i] = _constrain(theta[i], data, box, rows, gram)


@_inner
def _fit(theta: Floats, data: Floats, kept: Floats, box: Floats, rows: Floats, gram: Floats) -> int:
    """The free fit, reweighted by Tukey's biweight (Beaton & Tukey 1974) until the weights, left in `data`, settle."""
    k, puts = data[0], 0
    for i in range(k.size):
        puts += k[i] < 0.0
    if k.size < FEWEST or puts < FEWEST_A_SIDE or k.size - puts < FEWEST_A_SIDE:
        return TOO_FEW
    width, precision, converged = k[-1] - k[0], data[2].copy(), False
    box[0, 0], box[1, 0] = -np.inf, np.inf
    box[0, 1], box[1, 1] = box[0, 2], box[1, 2] = 0.0, LEE
    box[0, 3], box[1, 3] = k[0] - width, k[-1] + width
    box[0, 4], box[1, 4] = math.log(NARROWEST * width), math.log(WIDEST * width)
    _start(theta, data, box, rows, gram)
    for _ in range(ROUNDS):
        converged = _search(theta, data, box, 0.0, rows, gram)
        change, used = _reweight(theta, data, precision, kept)
        if used < FEWEST:
            return TOO_FEW
        if change < SETTLED:
            break
    return FREE if converged else NO_CONVERGENCE


@_inner
def _start(theta: Floats, data: Floats, box: Floats, rows: Floats, gram: Floats) -> None:
    """Of a grid of m and sigma the pair whose linear least-squares fit is the best."""
    width, best, tried = data[0, -1] - data[0, 0], np.inf, np.empty(5)
    for i in range(STARTS_M):
        for part in STARTS_SIGMA:
            tried[3], tried[4] = data[0, 0] + width * i / (STARTS_M - 1), math.log(part * width)
            cost = _linear(tried, data, box, rows, gram)
            if cost < best:
                best = cost
                for p in range(5):
                    theta[p] = tried[p]


@_inner
def _linear(theta: Floats, data: Floats, box: Floats, rows: Floats, gram: Floats) -> float:
    """a, left and right by least squares for the m and sigma of theta, and `_fill` there; the cost."""
    theta[0] = theta[1] = theta[2] = 0.0
    cost = _fill(theta, data, 0.0, rows, gram)
    # Where the first step brings a slope to a wall, the second lets the rest follow.
    for _ in range(2):
        _step(theta, gram, 0.0, np.inf, box, theta)
        cost = _fill(theta, data, 0.0, rows, gram)
        if 0.0 < theta[1] < LEE and 0.0 < theta[2] < LEE:
            break
    return cost


@_inner
def _reweight(theta: Floats, data: Floats, precision: Floats, kept: Floats) -> tuple[float, int]:
    """New weights by each quote's error in standard deviations; the largest change, and how many count at all.

    The scale is that of all errors, and at least 1: an error within what its quote leaves open makes no outlier.
    """
    sigma, error = math.exp(theta[4]), np.empty(precision.size)
    for i in range(error.size):
        error[i] = abs(data[1, i] - _variance(theta, sigma, data[0, i])) * precision[i]
    scale = TUKEY * max(1.0, SIGMA_PER_MAD * _median(error.copy()))
    change, used = 0.0, 0
    for i in range(error.size):
        root = max(1.0 - (error[i] / scale) ** 2, 0.0)
        change = max(change, abs(root * precision[i] - data[2, i]) / precision[i])
        kept[i], data[2, i] = root * root, root * precision[i]
        used += root > 0.0
    return change, used


@_inner
def _median(values: Floats) -> float:
    """The middle value (the upper of two); sorts in place, by insertion, since there are some dozens."""
    for i in range(1, values.size):
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    return float(values[values.size // 2])


@_inner
def _constrain(theta: Floats, data: Floats, box: Floats, rows: Floats, gram: Floats) -> tuple[int, float]:
    """Where g < 0, fit again with growing penalties on that; the fit stands that helps, else the free one."""
    tried, lowest = theta.copy(), _lowest_g(theta, data[0], rows)
    if lowest >= 0.0:
        return FREE, lowest
    # g is not defined where there is no variance; without slopes the search begins far above that.
    if lowest != lowest:
        tried[0], tried[1], tried[2] = _median(data[1].copy()), 0.0, 0.0
    for penalty in PENALTIES:
        _search(tried, data, box, penalty, rows, gram)
        found = _lowest_g(tried, data[0], rows)
        if found >= 0.0:
            for p in range(5):
                theta[p] = tried[p]
            return CONSTRAINED, found
    return FREE, lowest


@_inner
def _lowest_g(theta: Floats, k: Floats, rows: Floats) -> float:
    """The minimum of g on the grid; NaN where the variance is not positive."""
    lowest, step, sigma = np.inf, (k[-1] - k[0]) / (GRID - 1), math.exp(theta[4])
    for j in range(GRID):
        g = _g(theta, sigma, k[0] + j * step, rows, j)
        if g != g:
            return g
        lowest = min(lowest, g)
    return lowest


@_inner
def _variance(theta: Floats, sigma: float, k: float) -> float:
    x = k - theta[3]
    r = math.sqrt(x * x + sigma * sigma)
    return float(theta[0] + 0.5 * (theta[1] * (r - x) + theta[2] * (r + x)))


@_inner
def _g(theta: Floats, sigma: float, k: float, rows: Floats, j: int) -> float:
    """g = (1 - k w'/(2 w))² - w'²/4 (1/w + 1/4) + w''/2 (Gatheral & Jacquier 2014); NaN where w is not positive.

    Its derivatives by theta, by the chain rule over w, w' and w'', go into rows[:5, j].
    """
    w = _variance(theta, sigma, k)
    if w <= 0.0:
        return np.nan
    x = k - theta[3]
    r = math.sqrt(x * x + sigma * sigma)
    b, bend = 0.5 * (theta[1] + theta[2]), sigma * sigma / (r * r * r)
    w1, w2 = 0.5 * (theta[2] - theta[1]) + b * x / r, b * bend
    ratio = 1.0 - 0.5 * k * w1 / w
    by_w = (ratio * k * w1 + 0.25 * w1 * w1) / (w * w)
    by_w1 = -ratio * k / w - 0.5 * w1 * (1.0 / w + 0.25)
    rows[0, j] = by_w
    rows[1, j] = 0.5 * (by_w * (r - x) + by_w1 * (x / r - 1.0) + 0.5 * bend)
    rows[2, j] = 0.5 * (by_w * (r + x) + by_w1 * (x / r + 1.0) + 0.5 * bend)
    rows[3, j] = -by_w * w1 - by_w1 * w2 + 1.5 * w2 * x / (r * r)
    rows[4, j] = by_w * b * sigma * sigma / r - by_w1 * x * w2 + 0.5 * w2 * (2.0 - 3.0 * (sigma / r) ** 2)
    return float(ratio * ratio - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2)


@_inner
def _search(theta: Floats, data: Floats, box: Floats, penalty: float, rows: Floats, gram: Floats) -> bool:
    """Levenberg-Marquardt from theta, in place, inside the box; True when it has converged."""
    trial, ahead = np.empty(5), np.empty((6, 6))
    enough = DECREASE if penalty == 0.0 else PENALISED_DECREASE
    cost, damping, growth = _fill(theta, data, penalty, rows, gram), FIRST_DAMPING, 4.0
    for _ in range(STEPS):
        gain = _step(theta, gram, 0.0 if penalty == 0.0 else damping, damping, box, trial)
        new = _linear(trial, data, box, rows, ahead) if penalty == 0.0 else _fill(trial, data, penalty, rows, ahead)
        if new < cost:
            for p in range(5):
                theta[p] = trial[p]
            if cost - new <= enough * cost:
                return True
            cost, damping, growth, gram, ahead = new, 0.1 * damping, 4.0, ahead, gram
        elif gain <= enough * cost or damping > LAST_DAMPING:
            return True
        else:
            damping, growth = growth * damping, 2.0 * growth
    return False


@_inner
def _fill(theta: Floats, data: Floats, penalty: float, rows: Floats, gram: Floats) -> float:
    """rows: a column per quote and per place of the grid that violates, 0 to 4 the derivatives by theta, 5 the error.
    gram: the product of each two rows, lower triangle. Returns the cost."""
    k, w, precision, sigma, columns = data[0], data[1], data[2], math.exp(theta[4]), data.shape[1]
    half, b, root = 0.5 * (theta[1] - theta[2]), 0.5 * (theta[1] + theta[2]), math.sqrt(penalty)
    for i in range(k.size):
        x = k[i] - theta[3]
        r = math.sqrt(x * x + sigma * sigma)
        rows[0, i] = precision[i]
        rows[1, i] = 0.5 * (r - x) * precision[i]
        rows[2, i] = 0.5 * (r + x) * precision[i]
        rows[3, i] = (half - b * x / r) * precision[i]
        rows[4, i] = b * sigma * sigma / r * precision[i]
        rows[5, i] = (w[i] - _variance(theta, sigma, k[i])) * precision[i]
    for j in range(GRID if penalty > 0.0 else 0):
        g = _g(theta, sigma, k[0] + j * (k[-1] - k[0]) / (GRID - 1), rows, columns)
        if g != g:
            return np.inf
        if g < MARGIN:
            rows[5, columns] = MARGIN - g
            for p in range(rows.shape[0]):
                rows[p, columns] *= root
            columns += 1
    for p in range(gram.shape[0]):
        for q in range(p + 1):
            total = 0.0
            # Without slopes nothing depends on m and sigma.
            for i in range(0 if b == 0.0 and (2 < p < 5 or 2 < q < 5) else columns):
                total += rows[p, i] * rows[q, i]
            gram[p, q] = total
    return float(gram[5, 5])


@_inner
def _step(theta: Floats, gram: Floats, linear: float, damping: float, box: Floats, trial: Floats) -> float:
    """trial = theta and the step, brought into the box; the gain that the linear model promises is returned.

    (normal + damping*diagonal)*step = slope is solved by Cholesky's factors, in units that make the diagonal 1.
    `linear` damps a, left and right, `damping` m and ln sigma; what is damped infinitely stays. A parameter at a wall
    that it is pushed against stays too, and leaves the equations.
    """
    unit, factor, step, gain = np.empty(5), np.empty((5, 5)), np.empty(5), 0.0
    for p in range(theta.size):
        slope = gram[5, p]
        wall = (theta[p] <= box[0, p] and slope < 0.0) or (theta[p] >= box[1, p] and slope > 0.0)
        unit[p] = 0.0 if wall or gram[p, p] <= 0.0 else 1.0 / math.sqrt(gram[p, p])
        rest = 1.0 + (linear if p < 3 else damping)
        step[p] = slope * unit[p]
        for q in range(p):
            factor[p, q] = gram[p, q] * unit[p] * unit[q]
            for j in range(q):
                factor[p, q] -= factor[p, j] * factor[q, j]
            factor[p, q] /= factor[q, q]
            rest -= factor[p, q] ** 2
            step[p] -= factor[p, q] * step[q]
        factor[p, p] = math.sqrt(max(rest, 1e-14))
        step[p] /= factor[p, p]
    for p in range(theta.size - 1, -1, -1):
        for j in range(p + 1, theta.size):
            step[p] -= factor[j, p] * step[j]
        step[p] /= factor[p, p]
        trial[p] = min(max(theta[p] + step[p] * unit[p], box[0, p]), box[1, p])
        gain += step[p] * (gram[5, p] * unit[p] + (linear if p < 3 else damping) * step[p])
    return gain

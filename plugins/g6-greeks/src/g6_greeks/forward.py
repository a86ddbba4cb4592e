"""The forward of each expiry from put-call parity, all expiries of a snapshot in one call.

Parity, call - put = D*(forward - strike), makes each strike a witness: with the discount factor D = exp(-rate*t),
w = strike + (call - put)/D should be the forward. A line is fitted through (strike, w) and read where it meets
w = strike. It is level unless the market discounts by another factor D' than D, which tilts it by 1 - D'/D.

The fit is weighted least squares, reweighted by Tukey's biweight (Beaton & Tukey 1974; the usual tuning constant, the
scale from the median of the absolute residuals): a witness far off the line, such as one with a stale leg, ends with no
weight. The tilt is held towards 0 as strongly as it is uncertain (ridge regression, Hoerl & Kennard 1970), so that few
or imprecise strikes give a level line and do not run away from it. A tilt that neither another interest rate nor noise
nor a small delay explains means that a whole side is stale, since a call is worth the less of the move that it missed
the higher its strike is: then there is no parity and no forward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

from g6_greeks.arrays import Bools, Floats, Indices, read_only

F = TypeVar("F", bound=Callable[..., Any])


def compiled(f: F) -> F:
    built: F = njit(f, cache=True, nogil=True, error_model="numpy")
    return built


NEAREST = 12
"""Strikes asked, those with the smallest difference of call and put: around the money is where both legs trade."""

FEWEST = 3
"""Fewer witnesses cannot tell which one is wrong."""

TICK = 0.05
"""Rupees. A spread below a tick says no more than one tick does, and no line is known better than that."""

LIKELY_RATE = 0.05
FURTHEST_RATE = 0.15
"""How far the market's interest rate may lie from ours, a year: a standard deviation, and what is still believed."""

DEVIATIONS = 4.0
"""A tilt of so many standard errors is no noise."""

LAG = 0.0005
"""A side that is late by so little of the forward is no worse than the spot, which is late as well."""

ROUNDS = 4
TUKEY = 4.685
SIGMA_PER_MAD = 1.4826


def parity_forward(
    rows: Indices, strike: Floats, is_call: Bools, price: Floats, spread: Floats, t: Floats, discount: Floats
) -> tuple[Floats, Floats]:
    """The forward of each expiry and the root mean square of the parity residuals of the strikes used, both rupees,
    shape (expiries,). NaN where fewer than three strikes have both legs, where these do not keep parity, and where the
    discount factor is not known.

    rows: the expiry of each option, ascending; strike ascending within it, call before put. price: rupees, NaN where
    there is none. spread: of the book that the price is the middle of, NaN where it is not. t: years, discount: both
    per expiry.
    """
    found: tuple[Floats, Floats] = _forwards(*read_only(rows, strike, is_call, price, spread, t, discount))
    return found


@compiled
def _forwards(
    rows: Indices, strike: Floats, is_call: Bools, price: Floats, spread: Floats, t: Floats, discount: Floats
) -> tuple[Floats, Floats]:
    forward, rmse = np.full(t.size, np.nan), np.full(t.size, np.nan)
    end = 0
    for expiry in range(t.size):
        start = end
        while end < rows.size and rows[end] == expiry:
            end += 1
        k, gap, width, n = _nearest(strike, is_call, price, spread, start, end)
        d = discount[expiry]
        if n >= FEWEST and d > 0.0:
            n = _trusted(k, gap, width, n)
            for i in range(n):
                gap[i] = k[i] + gap[i] / d
            forward[expiry], residual = _fit(k[:n], gap[:n], width[:n], t[expiry])
            rmse[expiry] = residual * d
    return forward, rmse


@compiled
def _nearest(
    strike: Floats, is_call: Bools, price: Floats, spread: Floats, start: int, end: int
) -> tuple[Floats, Floats, Floats, int]:
    """strike, call - put and the two spreads together of the strikes that have both legs, and how many these are: those
    with the smallest |call - put|, in that order."""
    k, gap, width = np.empty(NEAREST), np.empty(NEAREST), np.empty(NEAREST)
    n = 0
    for i in range(start, end - 1):
        difference = price[i] - price[i + 1]
        pair = is_call[i] and not is_call[i + 1] and strike[i] == strike[i + 1]
        if not pair or not math.isfinite(difference):
            continue
        place = n
        while place > 0 and abs(gap[place - 1]) > abs(difference):
            place -= 1
        n = min(n + 1, NEAREST)
        for j in range(n - 1, place, -1):
            k[j], gap[j], width[j] = k[j - 1], gap[j - 1], width[j - 1]
        if place < n:
            k[place], gap[place], width[place] = strike[i], difference, spread[i] + spread[i + 1]
    return k, gap, width, n


@compiled
def _trusted(k: Floats, gap: Floats, width: Floats, n: int) -> int:
    """Keeps the witnesses to be asked and puts the weight of each, above 0 and at most 1, in place of its width.

    Where enough strikes have both mids, these alone count, by the inverse square of their spreads; else all, equally.
    """
    precise = 0
    for i in range(n):
        precise += math.isfinite(width[i])
    if precise < FEWEST:
        width[:n] = 1.0
        return n
    kept = 0
    for i in range(n):
        if math.isfinite(width[i]):
            k[kept], gap[kept], width[kept] = k[i], gap[i], (TICK / max(width[i], TICK)) ** 2
            kept += 1
    return kept


@compiled
def _fit(k: Floats, witness: Floats, trust: Floats, t: float) -> tuple[float, float]:
    """Where the robust line through (k, witness) meets witness = k, and the root mean square of the residuals used."""
    n = k.size
    middle = _median(witness)
    x, y, residual, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        x[i], y[i] = k[i] - middle, witness[i] - middle
        residual[i] = abs(y[i])
    level, tilt, free, error = 0.0, 0.0, 0.0, 0.0
    for _ in range(ROUNDS):
        reach = TUKEY * max(SIGMA_PER_MAD * _median(residual), TICK)
        for i in range(n):
            weight[i] = trust[i] * max(1.0 - (residual[i] / reach) ** 2, 0.0) ** 2
        level, tilt, free, error = _line(x, y, weight, LIKELY_RATE * t)
        for i in range(n):
            residual[i] = abs(y[i] - level - tilt * x[i])
    squares, used, low, high = 0.0, 0, np.inf, -np.inf
    for i in range(n):
        if weight[i] > 0.0:
            squares, used = squares + residual[i] ** 2, used + 1
            low, high = min(low, x[i]), max(high, x[i])
    if abs(free) * (high - low) > (FURTHEST_RATE * t + DEVIATIONS * error) * (high - low) + LAG * middle:
        return np.nan, np.nan
    return middle + level / (1.0 - tilt), math.sqrt(squares / used)


@compiled
def _line(x: Floats, y: Floats, weight: Floats, likely: float) -> tuple[float, float, float, float]:
    """Level at x = 0 and tilt of the ridge line, the tilt of the free line and its standard error.

    weight: in proportion to the inverse variance. likely: standard deviation of the tilt before the data are seen.
    """
    total, used, mean_x, mean_y = 0.0, 0, 0.0, 0.0
    for i in range(x.size):
        total += weight[i]
        used += weight[i] > 0.0
        mean_x += weight[i] * x[i]
        mean_y += weight[i] * y[i]
    mean_x, mean_y = mean_x / total, mean_y / total
    xx, xy, yy = 0.0, 0.0, 0.0
    for i in range(x.size):
        dx, dy = x[i] - mean_x, y[i] - mean_y
        xx += weight[i] * dx * dx
        xy += weight[i] * dx * dy
        yy += weight[i] * dy * dy
    # Where a single strike has all the weight there is no line: its variance is then a rounding error.
    if xx <= total:
        return mean_y, 0.0, 0.0, np.inf
    noise = max((yy - xy * xy / xx) / max(used - 2, 1), TICK**2)
    tilt = xy / (xx + noise / likely**2)
    return mean_y - tilt * mean_x, tilt, xy / xx, math.sqrt(noise / xx)


@compiled
def _median(values: Floats) -> float:
    """The upper one of an even number: more than half of the values are not above it."""
    ordered = values.copy()
    for i in range(1, ordered.size):
        value, place = ordered[i], i
        while place > 0 and ordered[place - 1] > value:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = value
    median: float = ordered[ordered.size // 2]
    return median

"""Single passes over sorted options, compiled.

All that is compiled together stands in this file: the compiler's cache does not notice a change elsewhere.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from g6_greeks.arrays import Bools, Codes, Floats, Indices

MONOTONE, BUTTERFLY = 1, 2
NEAREST = 5


@njit(cache=True, nogil=True, error_model="numpy")
def mark_order(
    rows: Indices, strike: Floats, call: Bools, right: bool, price: Floats, half: Floats, codes: Codes
) -> None:
    """Mark in `codes` what `broken_order` finds among the options with call == right; NaN is not known."""
    first, second, side = -1, -1, 1.0 if right else -1.0
    for third in range(strike.size):
        if call[third] != right or not (math.isfinite(price[third]) and math.isfinite(half[third])):
            continue
        if second >= 0 and rows[second] == rows[third]:
            if first >= 0 and rows[first] == rows[third] and codes[second] != MONOTONE:
                width = strike[third] - strike[second]
                part = width / (width + (strike[second] - strike[first]))
                line = price[second] - half[second] - part * (price[first] + half[first])
                if line - (1.0 - part) * (price[third] + half[third]) > 0.0:
                    codes[second] = BUTTERFLY
            if side * (price[third] - price[second]) > half[third] + half[second]:
                codes[second] = codes[third] = MONOTONE
        first, second = second, third


@njit(cache=True, nogil=True, error_model="numpy")
def mark_calendar(rows: Indices, k: Floats, low: Floats, high: Floats, broken: Bools) -> None:
    """Fill `broken` as `calendar_broken` says, all known."""
    before = here = right = 0
    for i in range(k.size):
        if i == 0 or rows[i] != rows[i - 1]:
            before, here = (here if i > 0 and rows[i - 1] == rows[i] - 1 else i), i
            right = before
        while right < here and k[right] < k[i]:
            right += 1
        broken[i] = before < right < here and high[i] < min(low[right - 1], low[right])


@njit(cache=True, nogil=True, error_model="numpy")
def volatilities(
    rows: Indices, k: Floats, t: Floats, params: Floats, low: Floats, high: Floats, volatility: Floats
) -> None:
    """Fill `volatility` with that of each option's smile, NaN beyond the quotes that it was fitted to."""
    for i in range(k.size):
        row = rows[i]
        volatility[i] = math.nan
        if low[row] <= k[i] <= high[row]:
            x, sigma = k[i] - params[3, row], params[4, row]
            bend = math.sqrt(x * x + sigma * sigma)
            volatility[i] = math.sqrt((params[0, row] + params[1, row] * (params[2, row] * x + bend)) / t[i])


@njit(cache=True, nogil=True, error_model="numpy")
def money_levels(rows: Indices, k: Floats, iv: Floats, error: Floats, level: Floats) -> None:
    """Fill `level`, (expiries,), with the median volatility of the quotes nearest to the forward; NaN in an expiry of
    fewer than NEAREST."""
    distance, near = np.empty(NEAREST), np.empty(NEAREST)
    i = 0
    for row in range(level.size):
        count = 0
        while i < k.size and rows[i] == row:
            place = abs(k[i])
            if math.isfinite(place) and math.isfinite(iv[i]) and math.isfinite(error[i]):
                if count < NEAREST or place < distance[NEAREST - 1]:
                    j = min(count, NEAREST - 1)
                    while j > 0 and distance[j - 1] > place:
                        distance[j], near[j] = distance[j - 1], near[j - 1]
                        j -= 1
                    distance[j], near[j] = place, iv[i]
                count += 1
            i += 1
        level[row] = _middle(near) if count >= NEAREST else math.nan


@njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _middle(values: Floats) -> float:
    """The median of an odd number: as many are below it as above. np.sort would take seconds to compile."""
    for value in values:
        below = above = 0
        for other in values:
            below += other < value
            above += other > value
        if max(below, above) <= values.size // 2:
            return float(value)
    return math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def calendar_gaps(params: Floats, low: Floats, high: Floats, places: int, gap: Floats) -> None:
    """Fill `gap`, (expiries,), as `calendar_gap` says."""
    earlier = -1
    for row in range(gap.size):
        gap[row] = math.nan
        if not math.isfinite(low[row]):
            continue
        if earlier >= 0:
            bottom, top = max(low[row], low[earlier]), min(high[row], high[earlier])
            if top > bottom:
                gap[row] = math.inf
                for j in range(places):
                    k = bottom + (top - bottom) * j / (places - 1)
                    gap[row] = min(gap[row], _variance(params, row, k) - _variance(params, earlier, k))
        earlier = row


@njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _variance(params: Floats, row: int, k: float) -> float:
    x, sigma = k - params[3, row], params[4, row]
    return float(params[0, row] + params[1, row] * (params[2, row] * x + math.sqrt(x * x + sigma * sigma)))

"""Single passes over sorted options, compiled.

All that is compiled together stands in this file: the compiler's cache does not notice a change elsewhere.
"""

from __future__ import annotations

import math

from numba import njit

from g6_greeks.arrays import Bools, Codes, Floats, Indices

MONOTONE, BUTTERFLY = 1, 2


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

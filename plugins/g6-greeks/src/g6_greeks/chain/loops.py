"""Facts of a chain in one pass over its options each, compiled. Options come sorted by expiry, strike, right.

numpy would need a dozen temporary arrays, each dearer than the work. Of functions that call one another all stand in
this file: the compiler's cache does not notice a change elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

from g6_greeks.arrays import Bools, Floats, Indices

F = TypeVar("F", bound=Callable[..., Any])


def compiled(f: F) -> F:
    built: F = njit(f, cache=True, nogil=True, error_model="numpy")
    return built


@compiled
def add_up(rows: Indices, call: Bools, amount: Floats, sums: Floats) -> None:
    """Add the known amounts to `sums`, (2, expiries) of NaN: calls, then puts."""
    for i in range(rows.size):
        if math.isnan(amount[i]):
            continue
        side, row = (0 if call[i] else 1), rows[i]
        sums[side, row] = amount[i] if math.isnan(sums[side, row]) else sums[side, row] + amount[i]


@compiled
def off_parity(
    rows: Indices,
    strike: Floats,
    mid: Floats,
    half_spread: Floats,
    forward: Floats,
    discount: Floats,
    slack: Floats,
    broken: Bools,
) -> None:
    """Mark in `broken` the two options of each strike that `parity_broken` is about."""
    for i in range(rows.size - 1):
        row = rows[i]
        if rows[i + 1] == row and strike[i + 1] == strike[i]:
            gap = mid[i] - mid[i + 1] - discount[row] * (forward[row] - strike[i])
            if abs(gap) > half_spread[i] + half_spread[i + 1] + slack[i]:
                broken[i] = broken[i + 1] = True


@compiled
def count_quotes(rows: Indices, quoted: Bools, flagged: Bools, counts: Floats) -> None:
    """Add to `counts`, (3, expiries): contracts, those with a quote, and those with one and without a flag."""
    for i in range(rows.size):
        counts[0, rows[i]] += 1
        if quoted[i]:
            counts[1, rows[i]] += 1
            if not flagged[i]:
                counts[2, rows[i]] += 1


@compiled
def least_pain(rows: Indices, strike: Floats, oi: Floats, sums: Floats, pain: Floats) -> None:
    """Fill `pain`, (expiries,) of NaN, with the strike at which the open interest up to it reaches that of all puts."""
    row, up_to = -1, 0.0
    for i in range(rows.size):
        if rows[i] != row:
            row, up_to = rows[i], 0.0
        if not math.isnan(oi[i]):
            up_to += oi[i]
        if math.isnan(pain[row]) and sums[0, row] + sums[1, row] > 0 and up_to >= sums[1, row]:
            pain[row] = strike[i]


@compiled
def around_forward(
    rows: Indices, strike: Floats, call: Bools, iv: Floats, forward: Floats, put_at: Indices, call_at: Indices
) -> None:
    """Fill the two, (expiries,) of -1, with the places of the nearest put and call whose volatility is known."""
    for i in range(rows.size):
        row = rows[i]
        if not math.isfinite(iv[i]):
            continue
        if not call[i] and strike[i] <= forward[row]:
            put_at[row] = i
        elif call[i] and call_at[row] < 0 and strike[i] >= forward[row]:
            call_at[row] = i


@compiled
def at_delta(
    rows: Indices,
    strike: Floats,
    call: Bools,
    iv: Floats,
    forward: Floats,
    t: Floats,
    delta: float,
    level: float,
    found: Floats,
) -> None:
    """Fill `found`, (2, expiries) of NaN: calls', then puts' volatility where N(d) passes `delta` first, outwards.

    level: the d at which N(d) = delta.
    """
    for side in range(2):
        sign, before, d_before = (1.0, -1, math.nan) if side == 0 else (-1.0, -1, math.nan)
        for step in range(rows.size):
            i = step if side == 0 else rows.size - 1 - step
            row = rows[i]
            away, total = sign * math.log(strike[i] / forward[row]), iv[i] * math.sqrt(t[row])
            d = 0.5 * sign * total - away / total
            if call[i] != (side == 0) or not (away >= 0 and math.isfinite(d)):
                continue
            near = before >= 0 and rows[before] == row and d_before >= level and d < level
            if near and math.isnan(found[side, row]):
                inner, outer = 0.5 * math.erfc(-d_before * math.sqrt(0.5)), 0.5 * math.erfc(-d * math.sqrt(0.5))
                part = (inner - delta) / (inner - outer)
                found[side, row] = iv[before] * (1.0 - part) + iv[i] * part
            before, d_before = i, d

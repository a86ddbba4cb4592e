"""Facts of a chain over the strikes that were collected, all expiries of a snapshot in one pass.

Options come sorted by expiry, strike, right; `rows` gives each option's expiry as a row number. NaN means not known.
"""

from __future__ import annotations

import numpy as np

from g6_greeks.black76 import Bools, Floats
from g6_greeks.columns import Indices


def put_call_ratio(rows: Indices, call: Bools, amount: Floats, expiries: int) -> Floats:
    """Sum over puts / sum over calls; NaN where no put is known, no call is known, or the calls sum to 0."""
    calls, puts = _known_sums(rows, call, amount, expiries)
    ratio = np.full(expiries, np.nan)
    np.divide(puts, calls, out=ratio, where=calls > 0)
    return ratio


def max_pain(rows: Indices, strike: Floats, call: Bools, oi: Floats, expiries: int) -> Floats:
    """The lowest strike K that minimises sum(oi*max(K-strike, 0)) over calls + sum(oi*max(strike-K, 0)) over puts.

    One strike up, the sum grows by the calls' oi at or below K and falls by the puts' above it. So it stops falling
    where oi(calls <= K) >= oi(puts > K), that is, where the oi of both up to K reaches that of all puts. NaN where no
    put or no call is known, or nothing is open.
    """
    calls, puts = _known_sums(rows, call, oi, expiries)
    up_to = np.cumsum(np.where(np.isfinite(oi), oi, 0.0))
    counts = np.bincount(rows, minlength=expiries)
    start = np.cumsum(counts) - counts
    before = np.concatenate(([0.0], up_to))[start]
    falling = up_to - before[rows] < puts[rows]
    lowest = start + np.bincount(rows, weights=falling, minlength=expiries).astype(np.intp)
    known = calls + puts > 0
    pain = np.full(expiries, np.nan)
    pain[known] = strike[lowest[known]]
    return pain


def atm_volatility(rows: Indices, strike: Floats, call: Bools, iv: Floats, forward: Floats) -> Floats:
    """Volatility at the forward, between the nearest put at or below it and the nearest call at or above it.

    Linear in total variance over the strike; within one expiry that is linear in iv². NaN where one side is missing.
    """
    distance = strike - forward[rows]
    known = np.isfinite(iv)
    below = np.flatnonzero(known & ~call & (distance <= 0))
    above = np.flatnonzero(known & call & (distance >= 0))[::-1]
    # Of several values for one place numpy keeps the last: the highest put, and counting down, the lowest call.
    put, first_call = np.full((2, forward.size), -1)
    put[rows[below]] = below
    first_call[rows[above]] = above
    both = (put >= 0) & (first_call >= 0)
    low, high = put[both], first_call[both]
    width = strike[high] - strike[low]
    part = np.divide(-distance[low], width, out=np.zeros_like(width), where=width > 0)
    volatility = np.full(forward.size, np.nan)
    volatility[both] = np.sqrt(np.square(iv[low]) * (1.0 - part) + np.square(iv[high]) * part)
    return volatility


def straddle(rows: Indices, strike: Floats, call: Bools, last_price: Floats, atm_strike: Floats) -> Floats:
    """Last price of the call plus that of the put at the at-the-money strike; NaN unless both are known."""
    here = strike == atm_strike[rows]
    legs = np.full((2, atm_strike.size), np.nan)
    legs[call[here].astype(np.intp), rows[here]] = last_price[here]
    both: Floats = legs.sum(axis=0)
    return both


def _known_sums(rows: Indices, call: Bools, amount: Floats, expiries: int) -> Floats:
    """Sums per expiry over the known calls and the known puts, shape (2, expiries); NaN where none is known."""
    known = np.isfinite(amount)
    sides = np.where(call, rows, rows + expiries)[known]
    sums = np.bincount(sides, weights=amount[known], minlength=2 * expiries).astype(np.float64, copy=False)
    sums[np.bincount(sides, minlength=2 * expiries) == 0] = np.nan
    return sums.reshape(2, expiries)

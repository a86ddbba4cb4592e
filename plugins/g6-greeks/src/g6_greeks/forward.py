"""The forward of each expiry from put-call parity, all expiries in one pass.

Parity, call - put = D*(forward - strike), makes each strike a witness: with the discount factor D = exp(-rate*t),
w = strike + (call - put)/D should be the forward. A market that discounts by another factor D' tilts the witnesses by
1 - D'/D per point of strike, so a line is fitted through (strike, w) and read where it meets w = strike. The fit is
weighted least squares, reweighted by Tukey's biweight (Beaton & Tukey 1974; the usual tuning constant, the scale from
the median of the absolute residuals): a witness far off the line, such as one with a stale leg, ends with no weight.
"""

from __future__ import annotations

import numpy as np

from g6_greeks.arrays import Bools, Floats, Indices
from g6_greeks.prices import Prices

NEAREST = 12
"""Strikes asked, those with the smallest difference of call and put: around the money is where both legs trade."""

FEWEST = 3
"""Fewer witnesses cannot tell which one is wrong."""

TICK = 0.05
"""Rupees. A spread below a tick says no more than one tick does, and no line is known better than that."""

STEEPEST = 0.25
"""No market discounts so differently; prices that say so do not keep parity, and show no forward."""

ROUNDS = 2
TUKEY = 4.685
SIGMA_PER_MAD = 1.4826


def parity_forward(rows: Indices, strike: Floats, prices: Prices, discount: Floats) -> Floats:
    """The forward of each expiry, shape (expiries,); NaN where fewer than three strikes have both legs,
    or where these do not keep parity.

    rows: the expiry of each option, ascending; strike ascending within it, call before put. discount: per expiry.
    """
    call = np.flatnonzero((rows[1:] == rows[:-1]) & (strike[1:] == strike[:-1]))
    gap = prices.price[call] - prices.price[call + 1]
    both = np.isfinite(gap)
    call, gap = call[both], gap[both]
    picked, present = _nearest(rows[call], np.abs(gap), discount.size)
    trust = _trust(prices, call, picked, present)
    enough = (trust > 0).sum(axis=1) >= FEWEST
    picked = picked[enough]
    k = strike[call][picked]
    forward = np.full(discount.size, np.nan)
    forward[enough] = _fit(k, k + gap[picked] / discount[enough, None], trust[enough])
    return forward


def _nearest(rows: Indices, distance: Floats, expiries: int) -> tuple[Indices, Floats]:
    """Per expiry the positions of its nearest strikes, nearest first, (expiries, n), and 1.0 where there is one."""
    order = np.lexsort((distance, rows))
    counts = np.bincount(rows, minlength=expiries)
    ranks = np.arange(min(NEAREST, counts.max(initial=0)))
    present = ranks < counts[:, None]
    start = np.cumsum(counts) - counts
    return order[np.where(present, start[:, None] + ranks, 0)], present.astype(np.float64)


def _trust(prices: Prices, call: Indices, picked: Indices, present: Floats) -> Floats:
    """The weight of each witness before its residual is known, between 0 and 1.

    Where enough strikes have both mids, these alone count, by the inverse square of their spreads; else all, equally.
    """
    spread = np.maximum(prices.spread[call] + prices.spread[call + 1], TICK)[picked]
    precise = np.where(np.isnan(spread), 0.0, present)
    by_spread = precise * np.square(TICK / np.where(precise > 0, spread, TICK))
    enough = precise.sum(axis=1, keepdims=True) >= FEWEST
    return np.where(enough, by_spread, present)


def _fit(k: Floats, witness: Floats, trust: Floats) -> Floats:
    """Where the robust line through (k, witness) meets witness = k; arrays (expiries, n), result (expiries,)."""
    known = trust > 0
    middle = _median(witness, known)
    x, y = k - middle, witness - middle
    line = np.zeros_like(x)
    for _ in range(ROUNDS):
        residual = np.abs(y - line)
        scale = np.maximum(SIGMA_PER_MAD * _median(residual, known), TICK)
        weight = trust * np.square(np.maximum(1.0 - np.square(residual / (TUKEY * scale)), 0.0))
        level, tilt = _weighted_line(x, y, weight / np.add.reduce(weight, axis=1, keepdims=True))
        line = level + tilt * x
    believable = np.where(np.abs(tilt) < STEEPEST, tilt, np.nan)
    return (middle + level / (1.0 - believable))[:, 0]


def _weighted_line(x: Floats, y: Floats, share: Floats) -> tuple[Floats, Floats]:
    """Level at x = 0 and tilt of the least-squares line, each (expiries, 1); the shares of a row sum to 1."""
    sx = share * x
    mean_x, mean_y, xx, xy = (np.add.reduce(a, axis=1, keepdims=True) for a in (sx, share * y, sx * x, sx * y))
    variance = xx - mean_x * mean_x
    # Where a single strike has all the weight there is no line: its variance is then a rounding error.
    tilt = np.where(variance > 1.0, xy - mean_x * mean_y, 0.0) / np.maximum(variance, 1.0)
    return mean_y - tilt * mean_x, tilt


def _median(values: Floats, known: Bools) -> Floats:
    """The (lower) median of the known values of each row, (expiries, 1)."""
    ordered = np.sort(np.where(known, values, np.inf), axis=1)
    middle = (np.add.reduce(known, axis=1, dtype=np.intp) - 1) // 2
    median: Floats = ordered[np.arange(middle.size), middle]
    return median[:, None]

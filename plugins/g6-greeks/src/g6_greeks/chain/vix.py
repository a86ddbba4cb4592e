"""Variance and volatility index by the method of Cboe's VIX (Cboe 2019), which NSE's India VIX follows.

The price of a strip of out-of-the-money options, each weighted by 1/strike², is the risk-neutral expectation of the
variance until they expire (Demeterfi, Derman, Kamal & Zou 1999). No model of the smile is needed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from g6_greeks.arrays import Bools, Floats, Indices, read_only

YEAR_DAYS = 365


def pair_forward(rows: Indices, strike: Floats, price: Floats, discount: Floats) -> Floats:
    """Cboe's forward of each expiry: by parity, at the one strike with the smallest difference of call and put.

    rows: the expiry of each option, ascending; strike ascending within it, call before put. price: rupees, NaN where
    unknown. discount: per expiry. Shape (expiries,), index points; NaN where no strike has both prices.
    """
    call = np.flatnonzero((rows[1:] == rows[:-1]) & (strike[1:] == strike[:-1]))
    gap = price[call] - price[call + 1]
    known = np.isfinite(gap)
    call, gap = call[known], gap[known]
    # Of several values for one place numpy keeps the last, here that of the smallest difference.
    order = np.argsort(-np.abs(gap), kind="stable")
    call, gap = call[order], gap[order]
    forward = np.full(discount.size, np.nan)
    forward[rows[call]] = strike[call] + gap / discount[rows[call]]
    return forward


class Strip(NamedTuple):
    """What the options of each expiry say of its variance; all of shape (expiries,).

    variance: annualised. strikes: how many it is made of. missing: the estimated share of the whole variance that lies
    beyond them, 0 to 1. NaN, 0 and NaN where there is no variance.
    """

    variance: Floats
    strikes: Indices
    missing: Floats


def vix_variance(
    rows: Indices, strike: Floats, call: Bools, price: Floats, forward: Floats, t: Floats, discount: Floats
) -> Strip:
    """Annualised variance of each expiry from its out-of-the-money options.

        variance = 2/t * sum(width/strike² * price/discount) - (forward/K0 - 1)²/t

    K0 is the highest strike at or below the forward with a price on both sides, and counts with the mean of the two;
    below it puts count, above it calls. width is half the distance between the two neighbours that count, at the ends
    the whole distance to the one. A wing ends where two strikes in a row have no price.

    rows, strike: sorted as for `pair_forward`. price: rupees, NaN for an option that must not count (Cboe: no bid).
    forward: index points. t: years. There is no variance where a wing or K0 is missing, where the forward is unknown,
    where no time is left, where a wing ends no cheaper than K0, and where the prices make it negative.
    """
    # Not at the top: whoever wants other facts of a chain need not wait for the compiler.
    from g6_greeks.chain.strip import strips

    first = np.searchsorted(rows, np.arange(forward.size + 1))
    sums, strikes = np.empty((3, forward.size)), np.empty(forward.size, dtype=np.intp)
    strips(first, *read_only(strike, call, price, forward), sums, strikes)
    k0, strip, tail = sums
    years = np.where(t > 0, t, np.nan)
    variance = (2.0 * strip / discount - np.square(forward / k0 - 1.0)) / years
    known = variance > 0
    return Strip(
        np.where(known, variance, np.nan), np.where(known, strikes, 0), np.where(known, tail / (tail + strip), np.nan)
    )


def vix_index(variance: Floats, t: Floats, days: float = 30.0) -> float:
    """100 * the volatility over the next `days`, in index points: total variance linear in time between two expiries.

    variance: annualised, shape (expiries,). t: years, ascending, to whatever precision: to the minute as Cboe has it,
    or finer. The two are the last expiry up to `days` away and the first one after. NaN when either is missing or its
    variance is not known: nothing is extrapolated, and no farther expiry stands in.
    """
    target = days / YEAR_DAYS
    after = int(np.searchsorted(t, target, side="right"))
    near = after - 1
    if near < 0 or not t[near] > 0:
        return math.nan
    if t[near] == target:
        return _points(variance[near])
    if after == t.size:
        return math.nan
    part = (t[after] - target) / (t[after] - t[near])
    total = part * variance[near] * t[near] + (1.0 - part) * variance[after] * t[after]
    return _points(total / target)


def _points(variance: float) -> float:
    return 100.0 * math.sqrt(variance) if variance >= 0 else math.nan

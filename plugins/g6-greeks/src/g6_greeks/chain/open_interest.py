"""Facts of a chain that open interest and volume tell."""

from __future__ import annotations

import numpy as np

from g6_greeks.arrays import Bools, Floats, Indices, read_only
from g6_greeks.chain import loops

PERCENT = 0.01


def sums_by_right(rows: Indices, call: Bools, amount: Floats, expiries: int) -> Floats:
    """Sums per expiry over the known calls and over the known puts, shape (2, expiries); NaN where none is known."""
    sums = np.full((2, expiries), np.nan)
    loops.add_up(*read_only(rows, call, amount), sums)
    return sums


def put_call_ratio(rows: Indices, call: Bools, amount: Floats, expiries: int) -> Floats:
    """Sum over puts / sum over calls; NaN where no put is known, no call is known, or the calls sum to 0."""
    calls, puts = sums_by_right(rows, call, amount, expiries)
    ratio = np.full(expiries, np.nan)
    np.divide(puts, calls, out=ratio, where=calls > 0)
    return ratio


def max_pain(rows: Indices, strike: Floats, call: Bools, oi: Floats, expiries: int) -> Floats:
    """The lowest strike K that minimises sum(oi*max(K-strike, 0)) over calls + sum(oi*max(strike-K, 0)) over puts.

    One strike up, the sum grows by the calls' oi at or below K and falls by the puts' above it. So it stops falling
    where oi(calls <= K) >= oi(puts > K), that is, where the oi of both up to K reaches that of all puts. NaN where no
    put or no call is known, or nothing is open.
    """
    sums, pain = sums_by_right(rows, call, oi, expiries), np.full(expiries, np.nan)
    loops.least_pain(*read_only(rows, strike, oi, sums), pain)
    return pain


def gamma_exposure(rows: Indices, call: Bools, gamma: Floats, oi: Floats, spot: float, expiries: int) -> Floats:
    """Rupees of the underlying that dealers have to trade per 1 % move: sum(gamma*oi*spot**2*0.01), calls +, puts -.

    The convention (SqueezeMetrics 2017) takes dealers to be long every call and short every put, which nobody can see;
    a positive number then damps moves. gamma: per point of the underlying; oi: units. A row whose gamma or open
    interest is not known does not count. NaN where no call or no put counts.
    """
    calls, puts = sums_by_right(rows, call, gamma * oi * (PERCENT * spot * spot), expiries)
    exposure: Floats = calls - puts
    return exposure

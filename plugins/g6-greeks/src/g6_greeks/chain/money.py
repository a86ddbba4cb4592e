"""Facts of a chain around the money."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from g6_greeks.arrays import Bools, Floats, Indices

DELTA = 0.25
D_25 = NormalDist().inv_cdf(DELTA)


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


def expected_move(forward: Floats, volatility: Floats, t: Floats) -> Floats:
    """One standard deviation to the expiry, forward*volatility*sqrt(t), in rupees; NaN where no time is left."""
    move: Floats = forward * volatility * np.sqrt(np.where(t > 0, t, np.nan))
    return move


def wings(rows: Indices, strike: Floats, call: Bools, iv: Floats, forward: Floats, t: Floats) -> Floats:
    """Volatility of the call and of the put of 25 delta, shape (2, expiries).

    The delta is the forward's, undiscounted: N(d1) of a call, N(-d1) of a put (Black 1976). Only options out of the
    money count. Linear in delta between the neighbours (of those whose volatility is known) that have 0.25 between
    them; of several such pairs the one nearest to the money. NaN where no two have.
    """
    sign = np.where(call, 1.0, -1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        # `away` grows from the money outwards on either side.
        away = sign * np.log(strike / forward[rows])
        total = iv * np.sqrt(t)[rows]
        signed_d1 = 0.5 * sign * total - away / total
    out = (away >= 0) & np.isfinite(signed_d1)
    outwards = np.concatenate((np.flatnonzero(out & call), np.flatnonzero(out & ~call)[::-1]))
    sides = (rows + t.size * ~call)[outwards]
    return _at_delta(sides, iv[outwards], signed_d1[outwards], 2 * t.size).reshape(2, t.size)


def _at_delta(sides: Indices, iv: Floats, d: Floats, count: int) -> Floats:
    """Where N(d) passes DELTA on each side, shape (count,); the options of a side come from the money outwards."""
    # Counted down, since of several values for one place numpy keeps the last.
    near = np.flatnonzero((d[:-1] >= D_25) & (d[1:] < D_25) & (sides[:-1] == sides[1:]))[::-1]
    inner, outer = _normal(d[near]), _normal(d[near + 1])
    part = (inner - DELTA) / (inner - outer)
    volatility = np.full(count, np.nan)
    volatility[sides[near]] = iv[near] * (1.0 - part) + iv[near + 1] * part
    return volatility


def _normal(x: Floats) -> Floats:
    """The standard normal distribution, for a handful of values."""
    return np.array([0.5 * math.erfc(-v * math.sqrt(0.5)) for v in x.tolist()])

"""Facts of a chain around the money."""

from __future__ import annotations

import numpy as np

from g6_greeks.arrays import Bools, Floats, Indices


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

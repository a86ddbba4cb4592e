"""Facts of a chain around the money."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from g6_greeks.arrays import Bools, Floats, Indices, read_only
from g6_greeks.chain import loops

DELTA = 0.25
D_25 = NormalDist().inv_cdf(DELTA)


def atm_volatility(rows: Indices, strike: Floats, call: Bools, iv: Floats, forward: Floats) -> Floats:
    """Volatility at the forward, between the nearest put at or below it and the nearest call at or above it.

    Linear in total variance over the strike; within one expiry that is linear in iv². NaN where one side is missing.
    """
    put, first_call = np.full((2, forward.size), -1)
    loops.around_forward(*read_only(rows, strike, call, iv, forward), put, first_call)
    both = (put >= 0) & (first_call >= 0)
    low, high = put[both], first_call[both]
    width = strike[high] - strike[low]
    part = np.divide(forward[both] - strike[low], width, out=np.zeros_like(width), where=width > 0)
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
    found = np.full((2, t.size), np.nan)
    loops.at_delta(*read_only(rows, strike, call, iv, forward, t), DELTA, D_25, found)
    return found

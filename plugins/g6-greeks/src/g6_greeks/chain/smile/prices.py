"""Static arbitrage in the quotes themselves, without any model: prices that cannot stand beside each other."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from g6_greeks.arrays import Bools, Codes, Floats, Indices
from g6_greeks.chain.smile import passes

ROUNDING = 1e-9
"""Rupees. Differences of prices on ticks are off by that little."""


class Order(IntEnum):
    """What is wrong with the order of prices over the strike."""

    FINE = 0
    MONOTONE = passes.MONOTONE  # a leg of a pair in which the further out-of-the-money option is the dearer
    BUTTERFLY = (
        passes.BUTTERFLY
    )  # dearer than the line between its two neighbours: the body of a butterfly that pays for being held


def broken_order(rows: Indices, strike: Floats, call: Bools, price: Floats, half: Floats) -> Codes:
    """An `Order` for each option, shape (options,); calls and puts each among themselves, so no forward is needed.

    Options are sorted by expiry and strike. half: half the spread, or half a tick, in rupees: what the price leaves
    open. Only what goes beyond that of all legs together counts. The neighbour is the next strike with a known price.
    """
    codes = np.zeros(strike.size, np.uint8)
    legs = half + ROUNDING
    # The compiler takes arrays that may not be written, as polars gives them, for another type.
    strike, call = np.array(strike), np.array(call)
    for right in (True, False):
        passes.mark_order(rows, strike, call, right, price, legs, codes)
    return codes


def calendar_broken(rows: Indices, k: Floats, low: Floats, high: Floats) -> Bools:
    """True where a quote's total variance is below that of the expiry before at the same k, shape (quotes,).

    rows ascending, k ascending within an expiry; low, high: what the price leaves open of the total variance. It is
    below when its high is under the low of both quotes around it there; without two around it nothing is said.
    """
    known = np.flatnonzero(np.isfinite(low) & np.isfinite(high) & np.isfinite(k))
    broken = np.zeros(rows.size, np.bool_)
    found = np.empty(known.size, np.bool_)
    passes.mark_calendar(rows[known], k[known], low[known], high[known], found)
    broken[known] = found
    return broken

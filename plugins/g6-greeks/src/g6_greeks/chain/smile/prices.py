"""Static arbitrage in the quotes themselves, without any model: prices that cannot stand beside each other."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from g6_greeks.arrays import Bools, Codes, Floats, Indices

ROUNDING = 1e-9
"""Rupees. Differences of prices on ticks are off by that little."""


class Order(IntEnum):
    """What is wrong with the order of prices over the strike."""

    FINE = 0
    MONOTONE = 1  # a leg of a pair in which the further out-of-the-money option is the dearer
    BUTTERFLY = 2  # dearer than the line between its two neighbours: the body of a butterfly that pays for being held


def broken_order(rows: Indices, strike: Floats, call: Bools, price: Floats, half: Floats) -> Codes:
    """An `Order` for each option, shape (options,); calls and puts each among themselves, so no forward is needed.

    Options are sorted by expiry and strike. half: half the spread, or half a tick, in rupees: what the price leaves
    open. Only what goes beyond that of all legs together counts. The neighbour is the next strike with a known price.
    """
    known = np.isfinite(price) & np.isfinite(half)
    order = np.concatenate([np.flatnonzero(known & call), np.flatnonzero(known & ~call)])
    # Only neighbours of the same right and expiry are compared: the sign of a right differs, so does the group.
    side = np.where(call[order], 1.0, -1.0)
    group = (rows[order] + 1) * side
    k, p, h = strike[order], price[order], half[order] + ROUNDING
    pair = group[1:] == group[:-1]
    rise, width = side[1:] * np.diff(p), np.diff(k)
    wrong = pair & (rise > h[1:] + h[:-1])
    codes = np.zeros(strike.size, np.uint8)
    triple = pair[1:] & pair[:-1]
    part = width[1:] / np.where(triple, width[1:] + width[:-1], 1.0)
    excess = p[1:-1] - h[1:-1] - part * (p[:-2] + h[:-2]) - (1.0 - part) * (p[2:] + h[2:])
    codes[order[1:-1][triple & (excess > 0)]] = Order.BUTTERFLY
    codes[order[1:][wrong]] = codes[order[:-1][wrong]] = Order.MONOTONE
    return codes


def calendar_broken(rows: Indices, k: Floats, low: Floats, high: Floats) -> Bools:
    """True where a quote's total variance is below that of the expiry before at the same k, shape (quotes,).

    rows ascending, k ascending within an expiry; low, high: what the price leaves open of the total variance. It is
    below when its high is under the low of both quotes around it there; without two around it nothing is said.
    """
    known = np.flatnonzero(np.isfinite(low) & np.isfinite(high) & np.isfinite(k))
    found, k, low, high = rows[known], k[known], low[known], high[known]
    broken = np.zeros(rows.size, np.bool_)
    if known.size == 0:
        return broken
    # One ascending key for all expiries: the ranges of k are laid out one behind the other.
    span = 1.0 + np.ptp(k)
    key = found * span + (k - k.min())
    right = np.searchsorted(key, key - span)
    # To the left of the first place stands, in numpy, the last: it is of no expiry before.
    around = (found[right] == found - 1) & (found[right - 1] == found - 1)
    broken[known] = around & (high < np.minimum(low[right - 1], low[right]))
    return broken

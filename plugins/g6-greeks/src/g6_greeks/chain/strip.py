"""The sum over a strip of options that `vix_variance` needs, compiled.

All that is compiled together stands in this file: the compiler's cache does not notice a change elsewhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from g6_greeks.arrays import Bools, Floats, Indices

UP, DOWN = 1, -1


@njit(cache=True, nogil=True, error_model="numpy")
def strips(
    first: Indices, strike: Floats, call: Bools, price: Floats, forward: Floats, sums: Floats, strikes: Indices
) -> None:
    """Fill `sums` (3, expiries) with K0, sum(width*price/strike²) and its tail, and `strikes` with their number.

    first: where the options of each expiry begin, and of the last end, shape (expiries + 1,). The rest as for
    `vix_variance`. NaN, and 0 strikes, where K0 or a wing is missing or a wing does not fall; the tail is what the sum
    would gain beyond the two wings.
    """
    for i in range(forward.size):
        sums[:, i], strikes[i] = np.nan, 0
        at = _middle(first[i], first[i + 1], strike, price, forward[i])
        if at < 0:
            continue
        k0, q0 = strike[at], 0.5 * (price[at] + price[at + 1])
        put, low, low_tail, puts = _wing(at - 1, first[i] - 1, DOWN, strike, call, price, k0, q0)
        above, high, high_tail, calls = _wing(at + 2, first[i + 1], UP, strike, call, price, k0, q0)
        if puts == 0 or calls == 0:
            continue
        sums[0, i] = k0
        sums[1, i] = low + high + 0.5 * (above - put) * q0 / k0**2
        sums[2, i] = low_tail + high_tail
        strikes[i] = puts + 1 + calls


@njit(nogil=True, error_model="numpy")
def _middle(first: int, end: int, strike: Floats, price: Floats, forward: float) -> int:
    """The position of the call at the highest strike at or below the forward that has both prices, else -1."""
    for i in range(end - 2, first - 1, -1):
        pair = strike[i] == strike[i + 1] and price[i] > 0 and price[i + 1] > 0
        if pair and strike[i] <= forward:
            return i
    return -1


@njit(nogil=True, error_model="numpy")
def _wing(
    start: int, end: int, step: int, strike: Floats, call: Bools, price: Floats, k0: float, q0: float
) -> tuple[float, float, float, int]:
    """Outwards from the money: the first strike that counts, the wing's sum, its tail, and how many strikes count.

    A strike is added when the next one is known, which its width needs. The tail takes the prices to fall on as they
    fell from K0 to the end, exponentially. Those of a lognormal fall faster and faster, so this is rather too much than
    too little.
    """
    nearest, before, k, q = np.nan, k0, k0, q0
    total, counted, missed = 0.0, 0, 0
    for i in range(start, end, step):
        if call[i] != (step == UP) or strike[i] == k0:
            continue
        if not price[i] > 0:
            missed += 1
            if missed == 2:
                break
            continue
        if counted:
            total += 0.5 * abs(strike[i] - before) * q / k**2
        else:
            nearest = strike[i]
        before, k, q, missed = k, strike[i], price[i], 0
        counted += 1
    if counted == 0 or not q < q0:
        return np.nan, np.nan, np.nan, 0
    tail = q / k**2 * abs(k - k0) / np.log(q0 / q)
    return nearest, total + abs(k - before) * q / k**2, tail, counted

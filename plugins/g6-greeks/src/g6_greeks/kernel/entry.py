"""The doors to the compiled code: rows from `start` to `stop` of whole columns, block by block.

They release the interpreter's lock, so that threads may share a column. Machine code is kept on disk, beside this file
or in the user's cache, and used again as long as the processor, numba and these sources are the same.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from g6_greeks.kernel import careful, fast
from g6_greeks.kernel.careful import NAN, OK
from g6_greeks.kernel.elementary import INNER
from g6_greeks.kernel.fast import BLOCK

# mypy: disable-error-code="no-untyped-def, no-untyped-call"


def _sources() -> str:
    """A digest of this package. numba looks at the file of a function only, not at those of the functions it calls."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def inner(f: Any) -> Any:
    return njit(f, error_model="numpy", nogil=True, **INNER)


@inner
def volatilities(price, forward, strike, t, discount, is_call, value, distance, slope, s, q, fine, iv, status):
    """iv and status of one block; value to q are then what `fast` worked out, of use where `fine` is 1."""
    fast.normalise(price, forward, strike, discount, is_call, value, distance, slope)
    fast.guess(value, distance, slope, s)
    fast.tails(distance, slope, s, q)
    fast.step(forward, strike, value, distance, slope, q, s, fine)
    fast.finish(price, forward, strike, t, discount, value, s, fine, iv)
    for i in range(price.shape[0]):
        status[i] = OK
        if fine[i] == 0.0:
            code = careful.refusal(price[i], forward[i], strike[i], t[i], discount[i])
            iv[i] = math.nan
            if code == OK:
                iv[i], code = careful.implied(price[i], forward[i], strike[i], t[i], discount[i], is_call[i], s[i])
            status[i] = code


@inner
def other_greeks(price, forward, strike, t, discount, rate, is_call, iv, status, fine, delta, gamma, theta, vega, rho):
    """The Greeks of the rows of a block that are not `fine`; those without a volatility get none."""
    for i in range(price.shape[0]):
        if fine[i] == 0.0:
            if status[i] == OK and not math.isfinite(rate[i]):
                status[i], iv[i] = NAN, math.nan
            found = (math.nan, math.nan, math.nan, math.nan, math.nan)
            if status[i] == OK:
                found = careful.sensitivities(
                    price[i], forward[i], strike[i], t[i], iv[i], discount[i], rate[i], is_call[i]
                )
            delta[i], gamma[i], theta[i], vega[i], rho[i] = found


def doors(sources: str) -> tuple[Any, ...]:
    """The four doors. Each holds `sources`, so that machine code of other sources is not taken for its own."""

    def volatility_rows(price, forward, strike, t, discount, is_call, iv, status, start, stop):
        _ = sources
        values, distances, slopes = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
        totals, ratios, fines = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
        for begin in range(start, stop, BLOCK):
            end = min(begin + BLOCK, stop)
            n = end - begin
            value, distance, slope = values[:n], distances[:n], slopes[:n]
            s, q, fine = totals[:n], ratios[:n], fines[:n]
            p, f, k, y = price[begin:end], forward[begin:end], strike[begin:end], t[begin:end]
            d, c = discount[begin:end], is_call[begin:end]
            volatilities(p, f, k, y, d, c, value, distance, slope, s, q, fine, iv[begin:end], status[begin:end])

    def all_rows(
        price, forward, strike, t, discount, rate, is_call, iv, delta, gamma, theta, vega, rho, status, start, stop
    ):
        _ = sources
        values, distances, slopes = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
        totals, ratios, fines = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
        for begin in range(start, stop, BLOCK):
            end = min(begin + BLOCK, stop)
            n = end - begin
            value, distance, slope = values[:n], distances[:n], slopes[:n]
            s, q, fine = totals[:n], ratios[:n], fines[:n]
            p, f, k, y = price[begin:end], forward[begin:end], strike[begin:end], t[begin:end]
            d, r, c = discount[begin:end], rate[begin:end], is_call[begin:end]
            o, code = iv[begin:end], status[begin:end]
            g1, g2, g3 = delta[begin:end], gamma[begin:end], theta[begin:end]
            g4, g5 = vega[begin:end], rho[begin:end]
            volatilities(p, f, k, y, d, c, value, distance, slope, s, q, fine, o, code)
            fast.sensitivities(p, f, k, y, d, r, c, value, distance, slope, s, fine, g1, g2, g3, g4, g5)
            other_greeks(p, f, k, y, d, r, c, o, code, fine, g1, g2, g3, g4, g5)

    def greeks_rows(
        sigma, forward, strike, t, discount, rate, is_call, delta, gamma, theta, vega, rho, status, start, stop
    ):
        _ = sources
        for i in range(start, stop):
            found = (math.nan, math.nan, math.nan, math.nan, math.nan)
            code = careful.greeks_refusal(sigma[i], forward[i], strike[i], t[i], discount[i], rate[i])
            if code == OK:
                value = careful.price(forward[i], strike[i], t[i], sigma[i], discount[i], is_call[i])
                found = careful.sensitivities(
                    value, forward[i], strike[i], t[i], sigma[i], discount[i], rate[i], is_call[i]
                )
            delta[i], gamma[i], theta[i], vega[i], rho[i] = found
            status[i] = code

    def price_rows(forward, strike, t, sigma, discount, is_call, price, start, stop):
        _ = sources
        for i in range(start, stop):
            price[i] = careful.price(forward[i], strike[i], t[i], sigma[i], discount[i], is_call[i])

    compiled = njit(error_model="numpy", nogil=True, cache=True)
    return compiled(volatility_rows), compiled(all_rows), compiled(greeks_rows), compiled(price_rows)


volatility_rows, all_rows, greeks_rows, price_rows = doors(_sources())

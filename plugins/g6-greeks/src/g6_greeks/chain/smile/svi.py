"""Raw SVI (Gatheral 2004): total variance w(k) = a + b*(rho*(k - m) + sqrt((k - m)² + sigma²)), w = iv² t, over
log-moneyness k = ln(strike/forward). Parameters are an array (5,) or (5, ...): a, b, rho, m, sigma.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from g6_greeks.arrays import Bools, Codes, Floats, Indices
from g6_greeks.chain.smile import kernel, passes

FLOOR = 0.005
"""Part of the volatility at the money below which no quote's volatility is taken to be exact: SVI itself is not."""


class Status(IntEnum):
    FREE = kernel.FREE  # the least-squares fit
    CONSTRAINED = kernel.CONSTRAINED  # that had g < 0 on the grid: the fit that has not stands
    TOO_FEW = kernel.TOO_FEW  # under 5 quotes, or under 2 below the forward or at and above it
    NO_CONVERGENCE = kernel.NO_CONVERGENCE

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Smiles:
    """The fits of several expiries; NaN where there is none.

    params: (5, expiries). low, high: the range of k of the quotes used, (expiries,). points: how many, (expiries,).
    butterfly: the lowest g, (expiries,). status: a `Status` each. used: which quotes kept a weight, (quotes,).
    """

    params: Floats
    low: Floats
    high: Floats
    points: Floats
    butterfly: Floats
    status: Codes
    used: Bools


@dataclass(frozen=True)
class SviFit:
    """One smile. params: (5,), NaN when there is no fit. butterfly: the lowest g. used: which quotes kept a weight."""

    params: Floats
    butterfly: float
    status: Status
    used: Bools


def svi_variance(k: Floats, params: Floats) -> Floats:
    """Total variance at log-moneyness k; k broadcasts with each parameter."""
    a, b, rho, m, sigma = params
    x = k - m
    w: Floats = a + b * (rho * x + np.sqrt(x * x + sigma * sigma))
    return w


def durrleman_g(k: Floats, params: Floats) -> Floats:
    """g(k) = (1 - k w'/(2 w))² - w'²/4 (1/w + 1/4) + w''/2, NaN where w is not positive (Gatheral & Jacquier 2014).

    The density of the underlying at expiry is a positive multiple of g: where g < 0 some butterfly pays for holding it.
    """
    _, b, rho, m, sigma = params
    x, w = k - m, svi_variance(k, params)
    r = np.sqrt(x * x + sigma * sigma)
    w1, w2 = b * (rho + x / r), b * sigma * sigma / r**3
    w = np.where(w > 0, w, np.nan)
    g: Floats = np.square(1.0 - 0.5 * k * w1 / w) - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2
    return g


def fit_svi(k: Floats, total_variance: Floats, weight: Floats) -> SviFit:
    """One smile through quotes in any order, all (quotes,); a quote that is not known (NaN) is not used.

    weight: 1/variance of each total variance. A quote that is several times further off than its standard deviation and
    than the others are is left out (Tukey's biweight). g is held at or above 0 in 61 places, evenly from the lowest to
    the highest k, if that is possible; the slopes of the wings never exceed 2 (Lee 2004).
    """
    order = np.argsort(k, kind="stable")
    fits = fit_smiles(np.zeros(k.size, np.intp), k[order], total_variance[order], weight[order], 1)
    used = np.empty(k.size, np.bool_)
    used[order] = fits.used
    return SviFit(fits.params[:, 0], float(fits.butterfly[0]), Status(fits.status[0]), used)


def fit_smiles(rows: Indices, k: Floats, total_variance: Floats, weight: Floats, expiries: int) -> Smiles:
    """The same for each expiry. rows: the expiry of each quote, ascending; k ascending within it."""
    known = np.flatnonzero(np.isfinite(k) & (total_variance > 0) & (weight > 0) & np.isfinite(weight))
    found = rows[known]
    first = np.searchsorted(found, np.arange(expiries + 1))
    theta, butterfly = np.zeros((expiries, 5)), np.full(expiries, np.nan)
    status, kept = np.zeros(expiries, np.uint8), np.zeros(known.size)
    quotes = np.stack([k[known], total_variance[known], np.sqrt(weight[known])])
    kernel.fit_each(first, quotes, theta, kept, butterfly, status)
    none = status >= Status.TOO_FEW
    theta[none] = np.nan
    butterfly[none] = np.nan
    used = np.zeros(k.size, np.bool_)
    used[known] = (kept > 0) & ~none[found]
    return Smiles(_raw(theta), *_ranges(rows[used], k[used], expiries), butterfly, status, used)


def _raw(theta: Floats) -> Floats:
    """From the kernel's parameters to a, b, rho, m, sigma; a flat smile, b = 0, has any rho, and gets 0."""
    a, left, right, m, ln_sigma = theta.T
    total = left + right
    rho = (right - left) / np.where(total > 0, total, 1.0)
    return np.stack([a, 0.5 * total, np.where(total == 0, 0.0, rho), m, np.exp(ln_sigma)])


def _ranges(rows: Indices, k: Floats, expiries: int) -> tuple[Floats, Floats, Floats]:
    """The lowest and the highest k of each expiry and the number of quotes; NaN where there is none."""
    ends = np.searchsorted(rows, np.arange(expiries + 1))
    start, points = ends[:-1], np.diff(ends)
    low, high = np.full((2, expiries), np.nan)
    some = points > 0
    low[some], high[some] = k[start[some]], k[start[some] + points[some] - 1]
    return low, high, np.where(some, points, np.nan)


def deviations(rows: Indices, k: Floats, iv: Floats, error: Floats, expiries: int) -> Floats:
    """A standard deviation of each volatility, (quotes,): its own error and a floor, FLOOR times the volatility at the
    money, which is the median of the five quotes nearest to the forward. NaN in an expiry of fewer."""
    level = np.empty(expiries)
    passes.money_levels(rows, k, iv, error, level)
    return np.hypot(error, FLOOR * level[rows])


def smile_volatility(smiles: Smiles, rows: Indices, k: Floats, t: Floats) -> Floats:
    """The volatility of a fit, (options,), NaN beyond the range of k of the quotes used. rows: the expiry of each;
    t: years."""
    volatility = np.empty(k.size)
    passes.volatilities(rows, k, t, smiles.params, smiles.low, smiles.high, volatility)
    return volatility


def calendar_gap(params: Floats, low: Floats, high: Floats) -> Floats:
    """The lowest w(k) - w_earlier(k) of each expiry over the last one before it that has a fit, (expiries,).

    Below 0 is calendar arbitrage (Gatheral & Jacquier 2014). k runs over 61 places, evenly over the range that both
    fits stand on. NaN for the first expiry, without a fit, and where no k is common.
    """
    gap = np.empty(low.size)
    passes.calendar_gaps(np.ascontiguousarray(params), low, high, kernel.GRID, gap)
    return gap

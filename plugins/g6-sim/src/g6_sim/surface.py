"""The true forward, smile and price of an option.

The smile is the surface SVI of Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces" (Quantitative Finance,
2014), with phi(theta) = ETA / sqrt(theta (1 + theta)): free of butterfly and calendar arbitrage as long as
ETA (1 + |RHO|) <= 2 and theta grows with time, their remark 4.4. Prices are Black's (1976).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from g6_sim.noise import Floats

RATE = 0.065
"""Interest a year, continuous."""

DIVIDEND = 0.012
"""Dividends a year, continuous."""

RHO, ETA = -0.25, 1.0
REVERSION = 4.0
"""How fast short-dated volatility returns to its long-run level, a year."""


def atm_variance(t: Floats, long_run: Floats | float, nerves: Floats | float) -> Floats:
    """Total variance at the forward, theta, at t in years; it grows with t.

    It is the integral of a variance that reverts from (nerves * long_run)² to long_run²; long_run is a volatility.
    """
    excess = (np.square(nerves) - 1) * -np.expm1(-REVERSION * t) / REVERSION
    variance: Floats = np.square(long_run) * (t + excess)
    return variance


def total_variance(k: Floats, theta: Floats) -> Floats:
    """Total variance at the log-moneyness k = ln(strike / forward)."""
    x = k * ETA / np.sqrt(theta * (1 + theta))
    variance: Floats = theta / 2 * (1 + RHO * x + np.sqrt(np.square(x + RHO) + 1 - RHO**2))
    return variance


def black76(
    forward: Floats, strike: Floats, variance: Floats, discount: Floats, is_call: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Price in rupees and delta to the forward, discounted.

    The out-of-the-money side is computed and the other follows by parity, so that a small price keeps its digits.
    """
    deviation = np.sqrt(variance)
    d1 = np.log(forward / strike) / deviation + deviation / 2
    side = np.where(strike >= forward, 1.0, -1.0)
    outside = side * (forward * ndtr(side * d1) - strike * ndtr(side * (d1 - deviation)))
    inside = is_call != (side > 0)
    price = discount * (outside + np.where(inside, np.abs(forward - strike), 0.0))
    sign = np.where(is_call, 1.0, -1.0)
    return price, discount * sign * ndtr(sign * d1)

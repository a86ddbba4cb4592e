"""Writes data/exact_prices.csv: Black-76 prices and Greeks computed with 40 digits. Needs mpmath; run by hand."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import mpmath as mp

COLUMNS = ("forward", "strike", "t", "rate", "iv", "is_call", "price", "delta", "gamma", "theta", "vega", "rho")


def row(forward: float, strike: float, t: float, rate: float, iv: float, is_call: int) -> list[str]:
    f, k, years, r, sigma = map(mp.mpf, (forward, strike, t, rate, iv))
    side = 1 if is_call else -1
    s = sigma * mp.sqrt(years)
    d1 = mp.log(f / k) / s + s / 2
    discount = mp.exp(-r * years)
    price = discount * side * (f * mp.ncdf(side * d1) - k * mp.ncdf(side * (d1 - s)))
    vega = discount * f * mp.npdf(d1) * mp.sqrt(years)
    gamma = discount * mp.npdf(d1) / (f * s)
    results = (price, discount * side * mp.ncdf(side * d1), gamma, r * price - vega * sigma / (2 * years), vega)
    numbers = [forward, strike, t, rate, iv]
    return [*map(repr, numbers), str(is_call), *(repr(float(v)) for v in results), repr(float(-years * price))]


def cases(rng: random.Random) -> list[tuple[float, float, float, float, float, int]]:
    """Out-of-the-money options: usual ones, the last hour and second, deep wings, volatilities from 1 % to 600 %."""
    kinds = ((0.3, 1 / 365, 1, 0.05, 1), (0.02, 1e-6, 1e-4, 0.05, 3), (0.001, 3e-8, 3e-8, 0.05, 1), (3, 0.1, 2, 0.3, 6))
    found = []
    for width, shortest, longest, least, most in kinds:
        while len(found) % 40 < 39:
            t, iv = rng.uniform(shortest, longest), rng.uniform(least, most)
            x = rng.uniform(-width, width)
            if abs(x) > 12 * iv * t**0.5:
                continue
            found.append((24000.0, 24000.0 * float(mp.exp(x)), t, 0.065, iv, int(x > 0)))
        found.append((24000.0, 24000.0, longest, 0.065, least, 1))
    return found


if __name__ == "__main__":
    mp.mp.dps = 40
    with (Path(__file__).parent / "data" / "exact_prices.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(row(*case) for case in cases(random.Random(1976)))

"""A random walk as a function of seed, name and time: any day can be asked for without the days before."""

from __future__ import annotations

from datetime import date, timedelta
from zlib import crc32

import numpy as np

from g6_sim.noise import Floats, uniform, words

DAY = 86_400
YEAR = 365 * DAY

OCTAVES = 7
"""Lattices of 1, 2, 4 … 64 days whose sum is the walk at midnight: Brownian up to that length, and bounded."""

JUMPS = 1.0
"""Jumps expected within a day, besides the one at its start."""

JUMP_SIZE = 0.3
"""Their standard deviation, in standard deviations of a day's diffusion."""


class Walk:
    """A jump diffusion of about unit variance a year around 0, running day and night.

    Midnights follow from noise on dyadic lattices; each day is a Brownian bridge with jumps between its two midnights.
    The random numbers are numpy's default generator's: another numpy may play another market.
    """

    def __init__(self, seed: int, name: str) -> None:
        self._key = (seed << 32) + crc32(name.encode())

    def midnight(self, day: date) -> float:
        """The value when the day begins in India."""
        octaves = np.arange(OCTAVES)
        cells, steps = np.divmod(day.toordinal(), 2**octaves)
        left, right = (2 * uniform(words(cells + side, self._key), octaves) - 1 for side in (0, 1))
        # So scaled, the increments of all octaves over a day have the variance of a day: 4 a² = DAY / YEAR.
        sizes = np.sqrt(3 * 2.0**octaves * DAY / YEAR / 4)
        return float((sizes * (left + (right - left) * steps / 2.0**octaves)).sum())

    def path(self, day: date) -> Floats:
        """The value at each second of the day, both midnights included: DAY + 1 numbers.

        The first is after the opening jump, so it differs from `midnight`.
        """
        rng = np.random.default_rng((self._key, day.toordinal()))
        path: Floats = rng.standard_normal(DAY + 1) * np.sqrt(1 / YEAR)
        jumps = rng.integers(1, DAY, rng.poisson(JUMPS))
        path[0] = 0.0
        np.add.at(path, [0, *jumps], rng.normal(0.0, JUMP_SIZE * np.sqrt(DAY / YEAR), jumps.size + 1))
        np.cumsum(path, out=path)
        start, end = self.midnight(day), self.midnight(day + timedelta(days=1))
        path += np.linspace(start, end - path[-1], DAY + 1)
        return path

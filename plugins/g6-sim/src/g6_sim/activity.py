"""How much of each option is traded and held: most near the money, at round strikes and in the nearest expiry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from g6_sim.noise import Floats, Rows, uniform, words
from g6_sim.table import Terms

RANK = 0.2
"""Each further expiry trades this share of the one before."""

MONTHLY = 5.0
"""Beside weeklies, a monthly contract trades and is held so many times as much."""

HELD = 0.01
"""Lots held at the expiry, of the lots that trade in a day."""

BUILD_UP = 20.0
"""Days to the expiry at which half of the final open interest stands."""


class Activity:
    """Figures of a day for each contract of a listing (columns CONTRACTS), in lots.

    chains: the terms of each index and expiry, indices together and expiries ascending. chain: each contract's place in
    them. z: its moneyness when the day begins, about in standard deviations.
    """

    def __init__(self, listing: pl.DataFrame, chains: Sequence[Terms], chain: Rows, z: Floats, seed: int) -> None:
        strike = listing["strike"].to_numpy()
        is_call = (listing["right"] == "CE").to_numpy()
        monthly = listing["symbol"].str.contains(r"^[A-Z]+\d\d[A-Z]{3}").to_numpy()
        columns = zip(*((t.number, t.lots, t.weekly, t.step, t.level) for t in chains), strict=True)
        number, lots, weekly_too, step, level = (np.array(column) for column in columns)
        share = RANK ** (np.arange(len(chains)) - np.searchsorted(number, number))
        self.keys = words(listing["token"].to_numpy(), seed)
        size = lots[chain] * np.where(monthly & weekly_too[chain], MONTHLY, 1.0)
        size *= _roundness(strike, step[chain]) * np.exp(uniform(self.keys, 1) - 0.5)

        inside = np.minimum(np.where(is_call, z, -z), 0.0)
        self.lots_a_day: Floats = size * share[chain] * np.exp(-0.5 * np.square(z / 1.3) + 2 * inside)
        k = np.log(strike / level[chain]) - np.where(is_call, 0.02, -0.02)
        self._final_lots: Floats = HELD * size * np.exp(-0.5 * np.square(k / 0.05))
        self._pace: Floats = 0.85 + 0.3 * uniform(self.keys, 2)

    def traded(self, rows: Rows, share: Floats | float) -> Floats:
        """Lots traded when this share of the day's volume is done; some contracts trade early and others late."""
        lots: Floats = np.floor(self.lots_a_day[rows] * share ** self._pace[rows])
        return lots

    def held(self, rows: Rows, days: Floats) -> Floats:
        """Lots held, by the days to the expiry; they grow until it comes and know nothing of today."""
        lots: Floats = np.floor(self._final_lots[rows] / (1 + days / BUILD_UP))
        return lots


def _roundness(strike: Floats, step: Rows) -> Floats:
    steps = np.round(strike / step)
    roundness: Floats = np.where(steps % 10 == 0, 4.0, np.where(steps % 2 == 0, 1.5, 1.0))
    return roundness

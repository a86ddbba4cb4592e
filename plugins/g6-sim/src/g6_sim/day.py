"""The six indices and the level of volatility through one day, midnight to midnight in India."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

import numpy as np

from g6_sim.noise import Floats, Rows
from g6_sim.table import Terms
from g6_sim.walk import DAY, Walk
from g6core import IST

COMMON = 0.85
"""Correlation of each index with the market."""

LEVERAGE = -0.6
"""Correlation of volatility with the market."""

NERVOUS = 0.8
"""How far the logarithm of short-dated volatility moves in a year."""

_HOURS = (0.0, 9.25, 10.0, 11.0, 14.0, 15.5, 24.0)
_TRADED = (0.0, 0.04, 0.20, 0.33, 0.64, 0.96, 1.0)
"""The share of the day's volume done by these hours: most of it in the exchange's session, busiest at both ends."""


@dataclass(frozen=True)
class State:
    """The market at one instant.

    at: seconds since 1970. spots: in the order of the table, rounded to 0.01 as exchanges publish them. nerves:
    short-dated volatility over its long-run level.
    """

    at: float
    spots: Floats
    nerves: float


class Day:
    """Every number of one day. Seconds count from its midnight."""

    def __init__(self, seed: int, volatility: float, terms: Sequence[Terms], day: date) -> None:
        self.date = day
        self.midnight = datetime.combine(day, time(0), IST).timestamp()
        market, nerves = Walk(seed, "market"), Walk(seed, "nerves")
        walks = [Walk(seed, t.name) for t in terms] + [nerves]
        shares = np.array([COMMON] * len(terms) + [LEVERAGE])
        sizes = np.array([volatility * t.volatility for t in terms] + [NERVOUS])
        own = sizes * np.sqrt(1 - shares**2)
        base = np.log([*(t.level for t in terms), 1.0])
        common = market.path(day)
        self._logs = np.stack(
            [b + c * common + o * w.path(day) for b, c, o, w in zip(base, sizes * shares, own, walks, strict=True)]
        )
        self._before = base + sizes * shares * market.midnight(day) + own * [w.midnight(day) for w in walks]

    def traded(self, second: float) -> float:
        """The share of the day's volume done so far."""
        return float(np.interp(second / 3600, _HOURS, _TRADED))

    def traded_at(self, seconds: Rows) -> Floats:
        """The same at each of these seconds."""
        return np.interp(seconds / 3600, _HOURS, _TRADED)

    def course(self, seconds: Rows) -> tuple[Floats, Floats]:
        """Spots (an index a row, rounded) and nerves at each of these whole seconds."""
        values = np.exp(self._logs[:, seconds])
        return np.round(values[:-1], 2), values[-1]

    def before(self) -> State:
        """The last instant of the day before."""
        return self._state(0.0, self._before)

    def at(self, second: float) -> State:
        return self._state(second, self._values(second))

    def extremes(self, second: float) -> tuple[State, State]:
        """The lowest and the highest values so far, each index and volatility by itself."""
        now = self._values(second)
        past = self._logs[:, : int(second) + 1]
        low, high = np.minimum(now, past.min(axis=1)), np.maximum(now, past.max(axis=1))
        return self._state(second, low), self._state(second, high)

    def average(self, second: float) -> State:
        """The volume-weighted mean so far, from the values of each minute."""
        minutes = np.arange(0, int(second) + 1, 60)
        weights = np.diff(np.interp(np.append(minutes, second) / 3600, _HOURS, _TRADED))
        total = weights.sum()
        if total <= 0:
            return self.at(second)
        weights /= total
        return self._state(float((minutes * weights).sum()), (self._logs[:, minutes] * weights).sum(axis=1))

    def _values(self, second: float) -> Floats:
        left = min(int(second), DAY - 1)
        part = second - left
        return self._logs[:, left] * (1 - part) + self._logs[:, left + 1] * part

    def _state(self, second: float, logs: Floats) -> State:
        values: Floats = np.exp(logs)
        spots: Floats = np.round(values[:-1], 2)
        return State(self.midnight + second, spots, float(values[-1]))

"""What an expression was earlier on the same trading day: samples of it, one a snapshot, as far back as is asked."""

from __future__ import annotations

import math
from array import array
from bisect import bisect
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from g6_alerts.view import Floats, Rows, View

SLACK = 1.5
"""A sample that should be 15 minutes old may be 22.5 minutes old; beyond that it tells of another time."""
FEWEST = 3
"""Samples for a standard deviation."""


class Samples:
    """The samples of one index, by time, those of another trading day dropped.

    The first one lies at or before the beginning of the window as soon as there is such a one: so it tells what was
    then, and that the window is covered. values: a sequence that can be added to, empty.
    """

    def __init__(self, seconds: float, values: Any) -> None:
        self.seconds, self.values = seconds, values
        self.times: list[float] = []
        self._day: date | None = None

    def add(self, view: View, value: Any) -> None:
        times, at = self.times, view.at
        if self._day != view.day:
            self._day = view.day
            del times[:], self.values[:]
        if times and at < times[-1]:
            place = bisect(times, at)
            times.insert(place, at)
            self.values.insert(place, value)
            return
        times.append(at)
        self.values.append(value)
        surplus = bisect(times, at - self.seconds) - 1 if self.seconds else len(times) - 2
        if surplus > 0:
            del times[:surplus], self.values[:surplus]

    def before(self) -> Any:
        """The value at the beginning of the window; None when none of about that time was seen."""
        times = self.times
        age = times[-1] - times[0]
        if len(times) < 2 or age < self.seconds:
            return None
        return None if self.seconds and age > SLACK * self.seconds else self.values[0]

    def covered(self) -> bool:
        """Whether they reach back to the beginning of the window."""
        return self.times[-1] - self.times[0] >= self.seconds


class Track:
    """The window of one number per snapshot. look: the number now, None when it is not known."""

    def __init__(self, name: str, seconds: float, look: Callable[[View], float | None]) -> None:
        self.seconds = seconds
        self._look = look
        self._answer: Callable[[Samples], float | None] = getattr(self, f"_{name}")
        self._indices: dict[str, Samples] = {}

    def take(self, view: View) -> None:
        """Remember this snapshot."""
        samples = self._indices.get(view.index)
        if samples is None:
            samples = self._indices[view.index] = Samples(self.seconds, array("d"))
        value = self._look(view)
        samples.add(view, math.nan if value is None else value)

    def value(self, view: View) -> float | None:
        """As of the snapshot that was taken last."""
        return self._answer(self._indices[view.index])

    def _prev(self, samples: Samples) -> float | None:
        before = samples.before()
        return None if before is None or before != before else float(before)

    def _change(self, samples: Samples) -> float | None:
        before = samples.before()
        if before is None:
            return None
        change: float = samples.values[-1] - before
        return change if math.isfinite(change) else None

    def _avg(self, samples: Samples) -> float | None:
        known = _known(samples, 1, None)
        return float(known.sum()) / len(known) if len(known) else None

    def _zscore(self, samples: Samples) -> float | None:
        now, known = samples.values[-1], _known(samples, 1, -1)
        if now != now or len(known) < FEWEST:
            return None
        spread = float(known.std())
        return (now - float(known.mean())) / spread if spread > 0 else None


def _known(samples: Samples, first: int, end: int | None) -> Floats:
    """The values of a covered window that are known; none when they are fewer than half."""
    values = np.array(samples.values[first:end] if samples.covered() else ())
    known = values[np.isfinite(values)]
    return known if 2 * len(known) >= len(values) else known[:0]


class RowTrack:
    """The window of a number per option. A contract is known by its symbol, wherever its row is."""

    def __init__(self, name: str, seconds: float, look: Callable[[Rows], Floats], code: str) -> None:
        self.seconds = seconds
        self._name, self._look, self._code = name, look, code
        self._indices: dict[str, Samples] = {}

    def take(self, view: View) -> None:
        rows = view.rows(self._code)
        samples = self._indices.get(view.index)
        if samples is None:
            samples = self._indices[view.index] = Samples(self.seconds, [])
        samples.add(view, (rows.symbols, self._look(rows)))

    def value(self, view: View) -> Floats:
        samples = self._indices[view.index]
        symbols, now = samples.values[-1]
        if self._name in ("prev", "change"):
            past = samples.before()
            before = np.full(len(now), np.nan) if past is None else _beside(symbols, past)
            return before if self._name == "prev" else now - before
        inside = samples.values[1 : -1 if self._name == "zscore" else None] if samples.covered() else []
        if not inside:
            return np.full(len(now), np.nan)
        table = np.vstack([_beside(symbols, sample) for sample in inside])
        return _averages(table) if self._name == "avg" else _scores(now, table)


def _beside(symbols: pl.Series, sample: tuple[pl.Series, Floats]) -> Floats:
    """The numbers of a sample in the order of these contracts, NaN for one that was not there."""
    theirs, numbers = sample
    if theirs is symbols or theirs.equals(symbols, null_equal=True):
        return numbers
    known = dict(zip(theirs.to_list(), numbers.tolist(), strict=True))
    return np.array([known.get(symbol, math.nan) for symbol in symbols.to_list()])


def _averages(table: Floats) -> Floats:
    """Of each column, NaN where fewer than half of it is known."""
    known = np.isfinite(table)
    count = known.sum(axis=0)
    total = np.where(known, table, 0.0).sum(axis=0)
    means = np.full(table.shape[1], np.nan)
    return np.divide(total, count, out=means, where=(count > 0) & (2 * count >= len(table)))


def _scores(now: Floats, table: Floats) -> Floats:
    known = np.isfinite(table)
    count = known.sum(axis=0)
    means = _averages(table)
    squares = np.where(known, (table - means) ** 2, 0.0).sum(axis=0)
    spread = np.sqrt(np.divide(squares, count, out=np.full(len(now), np.nan), where=count >= FEWEST))
    return np.divide(now - means, spread, out=np.full(len(now), np.nan), where=spread > 0)

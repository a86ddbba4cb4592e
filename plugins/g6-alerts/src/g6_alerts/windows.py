"""What an expression was earlier on the same trading day: samples of it, one a snapshot, as far back as is asked."""

from __future__ import annotations

import math
from array import array
from bisect import bisect
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np

from g6_alerts.table import Table
from g6_alerts.view import Floats, Part, View
from g6core import Snapshot

SLACK = 1.5
"""A sample that should be 15 minutes old may be 22.5 minutes old; beyond that it tells of another time."""
FEWEST = 3
"""Samples for a standard deviation."""
ROUNDING = 1e-12
"""A deviation that is a smaller part of the mean is what rounding left of none."""


class Samples:
    """The samples of one index, by time, those of another trading day dropped.

    The first one lies at or before the beginning of the window as soon as there is such a one: so it tells what was
    then, and that the window is covered. values: a sequence that can be added to, empty.
    """

    def __init__(self, seconds: float, values: Any) -> None:
        self.seconds, self.values = seconds, values
        self.times: list[float] = []
        self.newest: Snapshot | None = None
        """The snapshot that was taken last."""
        self._day: date | None = None

    def add(self, view: View, value: Any) -> None:
        times, at = self.times, view.at
        self.newest = view.snapshot
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
        while len(times) > 2 and times[1] <= at - self.seconds:
            del times[0], self.values[0]

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


class Window:
    """An expression over time, by index: a part that remembers. A snapshot is taken when it is looked at.

    now: what the expression is in a view. empty: makes what its values are kept in.
    """

    def __init__(self, seconds: float, now: Callable[[View], Any], empty: Callable[[], Any]) -> None:
        self.seconds = seconds
        self._now, self._empty = now, empty
        self._indices: dict[str, Samples] = {}

    def follows(self, view: View, before: Snapshot | None) -> bool:
        """Whether this snapshot was taken last, or the one before it and none that is newer than this one."""
        samples = self._indices.get(view.index)
        if samples is None or samples.newest is None:
            return False
        return samples.newest is view.snapshot or (samples.newest is before and samples.times[-1] <= view.at)

    def forget(self, index: str) -> None:
        self._indices.pop(index, None)

    def take(self, view: View) -> Samples:
        """The samples, with this snapshot among them."""
        samples = self._indices.get(view.index)
        if samples is None:
            samples = self._indices[view.index] = Samples(self.seconds, self._empty())
        # A view may be made a second time, of a snapshot that was taken already.
        if view.snapshot is None or view.snapshot is not samples.newest:
            samples.add(view, self._now(view))
        return samples


class Track(Window):
    """Of one number per snapshot, NaN when it is not known. name: prev, change, avg or zscore."""

    def __init__(self, name: str, seconds: float, now: Callable[[View], float]) -> None:
        super().__init__(seconds, now, lambda: array("d"))
        self._answer = ANSWERS[name]

    def look(self, view: View) -> float:
        return self._answer(self.take(view))


def _prev(samples: Samples) -> float:
    before: float | None = samples.before()
    return math.nan if before is None else before


def _change(samples: Samples) -> float:
    before = samples.before()
    return math.nan if before is None else _finite(samples.values[-1] - before)


def _avg(samples: Samples) -> float:
    known, total = _known(samples, None)
    return _finite(total / len(known)) if len(known) else math.nan


def _zscore(samples: Samples) -> float:
    now, (known, total) = samples.values[-1], _known(samples, -1)
    if now != now or len(known) < FEWEST:
        return math.nan
    mean = total / len(known)
    off = known - mean
    spread = math.sqrt(off.dot(off) / len(known))
    return _finite((now - mean) / spread) if spread > ROUNDING * abs(mean) else math.nan


ANSWERS: dict[str, Callable[[Samples], float]] = {"prev": _prev, "change": _change, "avg": _avg, "zscore": _zscore}


def _finite(number: float) -> float:
    return number if math.isfinite(number) else math.nan


def _known(samples: Samples, end: int | None) -> tuple[Floats, float]:
    """The values of a covered window that are known, none when they are fewer than half; and their sum."""
    values = np.array(samples.values[1:end] if samples.covered() else ())
    total = float(values.sum())
    if math.isfinite(total):
        return values, total
    known = values[np.isfinite(values)]
    known = known if 2 * len(known) >= len(values) else known[:0]
    return known, float(known.sum())


class RowTrack(Window):
    """Of a number per option. part: the number. code: the expiry of the options."""

    def __init__(self, name: str, seconds: float, part: Part, code: str) -> None:
        super().__init__(seconds, lambda view: (view.rows(code).symbols, view[part]), Table)
        self._name, self._part = name, part

    def look(self, view: View) -> Floats:
        samples = self.take(view)
        now: Floats = view[self._part]
        if self._name in ("prev", "change"):
            past = samples.before()
            before = np.full(len(now), np.nan) if past is None else past
            return before if self._name == "prev" else now - before
        inside = samples.values[1 : -1 if self._name == "zscore" else None]
        if not samples.covered() or not len(inside):
            return np.full(len(now), np.nan)
        return _averages(inside) if self._name == "avg" else _scores(now, inside)


def _averages(table: Floats) -> Floats:
    """Of each column, NaN where fewer than half of it is known."""
    known = np.isfinite(table)
    count = known.sum(axis=0)
    total = np.where(known, table, 0.0).sum(axis=0)
    means = np.full(table.shape[1], np.nan)
    np.divide(total, count, out=means, where=(count > 0) & (2 * count >= len(table)))
    return means


def _scores(now: Floats, table: Floats) -> Floats:
    known = np.isfinite(table)
    count = known.sum(axis=0)
    means = _averages(table)
    squares = np.where(known, (table - means) ** 2, 0.0).sum(axis=0)
    spread = np.sqrt(np.divide(squares, count, out=np.full(len(now), np.nan), where=count >= FEWEST))
    scores = np.full(len(now), np.nan)
    np.divide(now - means, spread, out=scores, where=spread > ROUNDING * np.abs(means))
    return scores

"""What an expression was earlier on the same trading day: samples of it, one a snapshot, as far back as is asked."""

from __future__ import annotations

import math
from array import array
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
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

    The first one lies at or before the beginning of every window as soon as there is such a one. reach: seconds that
    the longest window looks back. values: a sequence that can be added to, empty.
    """

    def __init__(self, reach: float, values: Any) -> None:
        self.reach, self.values = reach, values
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
        while len(times) > 2 and times[1] <= at - self.reach:
            del times[0], self.values[0]

    def before(self, seconds: float) -> Any:
        """The value at the beginning of a window; None when none of about that time was seen."""
        first = self._first(seconds)
        if first < 0 or (seconds and self.times[-1] - self.times[first] > SLACK * seconds):
            return None
        return self.values[first]

    def inside(self, seconds: float, end: int | None = None) -> Any:
        """The values of a window, up to that place; none when they do not reach back to its beginning."""
        first = self._first(seconds)
        return () if first < 0 else self.values[first + 1 : end]

    def _first(self, seconds: float) -> int:
        """The place of the newest sample that is as old as the window, and is not the newest of all; -1 for none."""
        first = bisect(self.times, self.times[-1] - seconds) - 1
        return first if seconds else first - 1


class Series:
    """An expression over time, by index: all windows over it look into the same samples.

    now: what the expression is in a view. empty: makes what its values are kept in.
    """

    def __init__(self, now: Callable[[View], Any], empty: Callable[[], Any]) -> None:
        self.reach = 0.0
        """Seconds that the longest window looks back."""
        self._now, self._empty = now, empty
        self._indices: dict[str, Samples] = {}

    def follows(self, view: View, before: Snapshot | None, seconds: float = 0.0) -> bool:
        """Whether this snapshot was taken last, or the one before it and none that is newer than this one; and whether
        the samples were kept for so long."""
        samples = self._indices.get(view.index)
        if samples is None or samples.newest is None or samples.reach < seconds:
            return False
        return samples.newest is view.snapshot or (samples.newest is before and samples.times[-1] <= view.at)

    def fill(self, now: View, before: Snapshot | None, views: Sequence[View]) -> None:
        """Begin anew with what was recorded before a snapshot, unless that tells less than what is there."""
        filled = Samples(self.reach, self._empty())
        for view in views:
            filled.add(view, self._now(view))
        held = self._indices.get(now.index)
        if held is not None and self.follows(now, before) and not (filled.times and filled.times[0] < held.times[0]):
            held.reach = self.reach
        else:
            self._indices[now.index] = filled

    def take(self, view: View) -> Samples:
        """The samples, with this snapshot among them."""
        samples = self._indices.get(view.index)
        if samples is None:
            samples = self._indices[view.index] = Samples(self.reach, self._empty())
        # A view may be made a second time, of a snapshot that was taken already.
        if view.snapshot is None or view.snapshot is not samples.newest:
            samples.add(view, self._now(view))
        return samples


def track(now: Callable[[View], float]) -> Series:
    """Of one number per snapshot, NaN when it is not known."""
    return Series(now, lambda: array("d"))


def row_track(part: Part, code: str) -> Series:
    """Of a number per option. code: the expiry of the options."""
    return Series(lambda view: (view.rows(code).symbols, view[part]), Table)


class Lookback:
    """What a function finds in the last `seconds` of a series: a part. The snapshot is taken when it is looked at."""

    def __init__(self, find: Callable[[Samples, float], Any], seconds: float, series: Series) -> None:
        self._series, self._find, self._seconds = series, find, seconds

    def look(self, view: View) -> Any:
        return self._find(self._series.take(view), self._seconds)


def _prev(samples: Samples, seconds: float) -> float:
    before: float | None = samples.before(seconds)
    return math.nan if before is None else before


def _change(samples: Samples, seconds: float) -> float:
    before = samples.before(seconds)
    return math.nan if before is None else _finite(samples.values[-1] - before)


def _avg(samples: Samples, seconds: float) -> float:
    known, total = _known(samples.inside(seconds))
    return _finite(total / len(known)) if known else math.nan


def _zscore(samples: Samples, seconds: float) -> float:
    now, (known, total) = samples.values[-1], _known(samples.inside(seconds, -1))
    if now != now or len(known) < FEWEST:
        return math.nan
    mean = total / len(known)
    spread = math.dist(known, [mean] * len(known)) / math.sqrt(len(known))
    return _finite((now - mean) / spread) if spread > ROUNDING * abs(mean) else math.nan


def _finite(number: float) -> float:
    return number if math.isfinite(number) else math.nan


def _known(values: Sequence[float]) -> tuple[Sequence[float], float]:
    """The values that are known, none when they are fewer than half; and their sum."""
    total = sum(values)
    if math.isfinite(total):
        return values, total
    known = [value for value in values if math.isfinite(value)]
    known = known if 2 * len(known) >= len(values) else []
    return known, sum(known)


def _row_prev(samples: Samples, seconds: float) -> Floats:
    before: Floats | None = samples.before(seconds)
    return np.full(len(samples.values[-1]), np.nan) if before is None else before


def _row_change(samples: Samples, seconds: float) -> Floats:
    changes: Floats = samples.values[-1] - _row_prev(samples, seconds)
    return changes


def _row_avg(samples: Samples, seconds: float) -> Floats:
    inside = samples.inside(seconds)
    return _averages(inside) if len(inside) else np.full(len(samples.values[-1]), np.nan)


def _row_zscore(samples: Samples, seconds: float) -> Floats:
    now, inside = samples.values[-1], samples.inside(seconds, -1)
    return _scores(now, inside) if len(inside) else np.full(len(now), np.nan)


FINDS: Mapping[str, Callable[[Samples, float], float]] = {
    "prev": _prev,
    "change": _change,
    "avg": _avg,
    "zscore": _zscore,
}
"""One number per snapshot, NaN when it is not known."""
ROW_FINDS: Mapping[str, Callable[[Samples, float], Floats]] = {
    "prev": _row_prev,
    "change": _row_change,
    "avg": _row_avg,
    "zscore": _row_zscore,
}
"""The same for each option of the newest snapshot."""


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

"""Analytics over recorded days: the recording is read, every analytic's columns are computed anew, and the result is
written as days of another directory, from which sinks are then fed.

Numbers do not depend on how many processes compute them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from pathlib import Path

from g6core import days, newdays
from g6core.assembly import built, refuse_shared
from g6core.components import Sink
from g6core.config import Configuration
from g6core.delivery import SinkState
from g6core.errors import ConfigError, G6Error
from g6core.exchange import Calendar
from g6core.feeding import feed
from g6core.lock import DirectoryLock
from g6core.newdays import NewDay
from g6core.registry import Registry
from g6core.units import Batch, Desk, Recipe, Unit, choose, recipe_of
from g6core.workers import spread

FOLDER = "recomputed"


@dataclass(frozen=True)
class DayDone:
    """options: rows of options tables."""

    day: date
    snapshots: int
    options: int


class View:
    """What a person sees of it; this one shows nothing."""

    def begin(self, days: Sequence[date], snapshots: int, workers: int, out: Path) -> None:
        """What will be done."""

    def advance(self, snapshots: int) -> None:
        """So many more are computed."""

    def day(self, done: DayDone) -> None:
        """A day is in its place."""

    def deliver(self, sinks: Sequence[str]) -> None:
        """All days are written; the sinks are fed."""


@dataclass
class Failure:
    """How often an analytic failed, or was skipped for another's failure. reason: the first one by time, at `at`."""

    count: int
    reason: str
    at: tuple[datetime, str]


@dataclass
class Outcome:
    """What was done.

    problems: why a day could not be recomputed. failures: by analytic. kept, left_out: columns and facts of the
    recording that no selected analytic adds. undelivered: what the sinks have still to get of it.
    """

    out: Path
    workers: int
    simulated: bool = False
    seconds: float = 0.0
    days: list[DayDone] = field(default_factory=list)
    problems: list[G6Error] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)
    sinks: dict[str, SinkState] = field(default_factory=dict)
    undelivered: int = 0

    @property
    def snapshots(self) -> int:
        return sum(day.snapshots for day in self.days)

    @property
    def options(self) -> int:
        return sum(day.options for day in self.days)

    @property
    def whole(self) -> bool:
        """Whether there is everything that there should be."""
        rejected = any(sink.rejected for sink in self.sinks.values())
        return not (self.problems or self.failures or self.undelivered or rejected)


def recompute(
    configuration: Configuration,
    registry: Registry,
    *,
    first: date | None = None,
    last: date | None = None,
    indices: Sequence[str] = (),
    out: Path | None = None,
    workers: int | None = None,
    drop: Sequence[str] = (),
    view: View | None = None,
) -> Outcome:
    """Compute the recorded days of the settings' data directory anew, into `out`, and feed the sinks from there.

    first, last: trading dates in India, inclusive; None: the oldest, the newest. indices: those to take; every one of
    a day when none is named. out: the folder `recomputed` of the data directory unless named. workers: processes, one
    per core unless said; a script that wants more than one needs the guard `if __name__ == "__main__":`. drop: further
    columns of options to leave out.

    A day is written whole and takes the place of one of an earlier recomputation. What cannot be recomputed is told in
    the outcome, and the other days go on. Raises ConfigError; DataError (`no-such-day`, `unknown-index`) when there is
    nothing to do; Busy; Unavailable; G6Error (`worker-died`).
    """
    source = configuration.settings.data_dir.absolute()
    out = (out or source / FOLDER).absolute()
    if out.resolve() == source.resolve():
        raise ConfigError("the recorded days cannot be written over", where=str(out), hint="another --out")
    recipe = recipe_of(configuration, registry, drop)
    units, problems = choose(source, first, last, indices)
    sinks = built(configuration, "sinks")
    refuse_shared(sinks, out)
    _refuse_the_recorders_place(configuration, sinks, out)
    outcome = Outcome(out, min(workers or _cores(), len(units)), problems=problems)
    view = view or View()
    began = time.perf_counter()
    lock = DirectoryLock(out)
    lock.acquire()
    try:
        _Run(recipe, outcome, sinks, view).compute(units)
        if sinks and outcome.days:
            view.deliver(list(sinks))
            written = [days.day_path(out, done.day) for done in outcome.days]
            calendar = Calendar.load(source / "exchange.toml")
            patience = configuration.settings.drain_timeout
            outcome.sinks, outcome.undelivered = feed(sinks, out, written, calendar, patience)
    finally:
        lock.release()
    outcome.seconds = time.perf_counter() - began
    return outcome


def _refuse_the_recorders_place(configuration: Configuration, sinks: Mapping[str, Sink], out: Path) -> None:
    """A place that is set once for all serves the recorder as well, unless it was set on this command line."""
    for name, sink in sinks.items():
        place = sink.place(out)
        said = configuration.components["sinks"][name].sources.values()
        if place is not None and place == sink.place(configuration.settings.data_dir) and "command line" not in said:
            raise ConfigError(
                f"sink `{name}` would write into the place where it writes what is recorded",
                code="shared-place",
                where=place,
                hint=f"`--set sinks.{name}.dir=…` names another one for this time",
            )


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # neither Windows nor macOS has it
        return os.cpu_count() or 1


class _Run:
    """The parent's side: rows of all units come in, and each day is finished when its last unit is."""

    def __init__(self, recipe: Recipe, outcome: Outcome, sinks: Mapping[str, Sink], view: View) -> None:
        self._recipe = recipe
        self._outcome = outcome
        self._sinks = list(sinks)
        self._view = view
        self._open: dict[Path, NewDay] = {}
        self._left: Counter[Path] = Counter()
        self._sizes: dict[Path, list[int]] = {}
        self._spoilt: set[Path] = set()

    def compute(self, units: Sequence[Unit]) -> None:
        out = self._outcome.out
        self._left.update(unit.path for unit in units)
        newdays.refuse_to_lose(out, [path.stem for path in self._left], self._sinks, self._recipe.text)
        newdays.refuse_to_mix(out, units[-1].path)
        newdays.clear(out)
        dates = [date.fromisoformat(path.stem) for path in self._left]
        self._view.begin(dates, sum(unit.snapshots for unit in units), self._outcome.workers, out)
        try:
            with closing(spread(partial(Desk, self._recipe), units, self._outcome.workers)) as answers:
                for unit, part in answers:
                    self._take(unit, part)
        finally:
            for day in self._open.values():
                day.discard()
        self._outcome.days.sort(key=lambda done: done.day)

    def _take(self, unit: Unit, part: Batch | G6Error | None) -> None:
        if isinstance(part, Batch):
            self._add(unit, part)
            return
        if part is not None:
            self._outcome.problems.append(part)
            self._spoilt.add(unit.path)
        self._left[unit.path] -= 1
        if not self._left[unit.path]:
            self._finish(unit.path)

    def _add(self, unit: Unit, batch: Batch) -> None:
        if unit.path not in self._open:
            path = days.day_path(self._outcome.out, date.fromisoformat(unit.path.stem))
            self._open[unit.path] = NewDay(path, self._sinks, (unit.path, self._recipe.text))
        self._open[unit.path].add(batch.rows)
        size = self._sizes.setdefault(unit.path, [0, 0])
        size[0] += len(batch.rows)
        size[1] += batch.options
        self._note(unit, batch)
        self._view.advance(len(batch.rows))

    def _note(self, unit: Unit, batch: Batch) -> None:
        outcome = self._outcome
        outcome.kept |= batch.kept
        outcome.left_out |= batch.left_out
        outcome.simulated |= batch.simulated
        for ts, analytic, reason in batch.failures:
            at = (ts, unit.index)
            failure = outcome.failures.setdefault(analytic, Failure(0, reason, at))
            failure.count += 1
            if at < failure.at:
                failure.reason, failure.at = reason, at

    def _finish(self, path: Path) -> None:
        if path in self._spoilt:
            if path in self._open:
                self._open.pop(path).discard()
        else:
            self._open[path].finish()
            del self._open[path]
            done = DayDone(date.fromisoformat(path.stem), *self._sizes[path])
            self._outcome.days.append(done)
            self._view.day(done)

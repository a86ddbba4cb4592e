"""A recording of another program taken over: a cycle for each of its instants, as days of the data directory.

An instant of an index that is recorded already stays as it is. So an import that was killed is completed by repeating
it, and repeating a complete one adds nothing.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from g6core import days
from g6core.analysis import analyse
from g6core.assembly import Assembly
from g6core.clock import CycleClock, SystemClock
from g6core.collector import Collector
from g6core.components import Component, Context, Provider
from g6core.days import day_path, micros, reading
from g6core.delivery import SinkState
from g6core.errors import ConfigError, G6Error
from g6core.exchange import Calendar, trading_date
from g6core.faults import FAULTS
from g6core.feeding import feed
from g6core.history import History
from g6core.journal import Encoded, Journal
from g6core.lock import DirectoryLock
from g6core.reports import ReadReport
from g6core.snapshot import Snapshot

BATCH = 64
"""Snapshots in one transaction."""


@dataclass
class DayDone:
    """new: snapshots that were recorded. there: those that were recorded before. options: rows of the new ones."""

    day: date
    new: int = 0
    there: int = 0
    options: int = 0
    quoted: int = 0


class View:
    """What a person sees of it; this one shows nothing."""

    def reading(self, day: date, snapshots: int) -> None:
        """The day is at work; so many snapshots of all days are through."""

    def day(self, done: DayDone) -> None:
        """A day is through."""

    def deliver(self, sinks: Sequence[str]) -> None:
        """All days are written; the sinks are fed."""


@dataclass
class Outcome:
    """What was done, or with `dry_run` what would be.

    there: snapshots that were recorded before, by their source. skipped: instants of an index without a snapshot, by
    reason. notes: what was missing in snapshots. report: what the provider says of the recording. stopped: interrupted.
    undelivered: what the sinks have still to get.
    """

    data_dir: Path
    dry_run: bool
    seconds: float = 0.0
    days: list[DayDone] = field(default_factory=list)
    indices: Counter[str] = field(default_factory=Counter)
    there: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    report: ReadReport = field(default_factory=lambda: ReadReport({}, []))
    problem: G6Error | None = None
    stopped: bool = False
    sinks: dict[str, SinkState] = field(default_factory=dict)
    undelivered: int = 0

    @property
    def new(self) -> int:
        return sum(day.new for day in self.days)

    @property
    def whole(self) -> bool:
        """Whether everything that can be taken over is recorded, and delivered."""
        rejected = any(sink.rejected for sink in self.sinks.values())
        return not (self.problem or self.stopped or self.undelivered or rejected)


def take_over(
    assembly: Assembly,
    recording: Path,
    *,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    view: View | None = None,
) -> Outcome:
    """Record what the one provider of the assembly has, and feed the sinks.

    What ends it early is in `problem` of the outcome, with what was done until then. Raises ConfigError when a sink
    would write into the recording, and Busy. Alert rules take no part, and nothing is pruned.
    """
    data_dir = assembly.settings.data_dir.absolute()
    _refuse_to_write_into(recording, assembly, data_dir)
    lock = DirectoryLock(data_dir)
    if not dry_run:
        lock.acquire()
    try:
        return _Import(assembly, Outcome(data_dir, dry_run), stop or threading.Event(), view or View()).run()
    finally:
        if not dry_run:
            lock.release()


def _refuse_to_write_into(recording: Path, assembly: Assembly, data_dir: Path) -> None:
    source = recording.resolve()
    for name, sink in assembly.sinks.items():
        place = sink.place(data_dir)
        there = Path(place).resolve() if place else None
        if there is not None and (there == source or source in there.parents or there in source.parents):
            raise ConfigError(
                f"sink `{name}` would write into the tree that is to be imported",
                code="shared-place",
                where=str(there),
                hint=f"another --data-dir, or `--set sinks.{name}.dir=…`",
            )


class _Import:
    def __init__(self, assembly: Assembly, outcome: Outcome, stop: threading.Event, view: View) -> None:
        ((name, provider),) = assembly.providers.items()
        self._assembly, self._outcome, self._stop, self._view = assembly, outcome, stop, view
        self._provider: Provider = provider
        self._calendar = Calendar.load(outcome.data_dir / "exchange.toml")
        self._clock = CycleClock(SystemClock().now())
        self._context = Context(outcome.data_dir, self._clock, self._calendar, History(outcome.data_dir))
        limit = assembly.settings.journal.max_size
        self._journal = None if outcome.dry_run else Journal(outcome.data_dir, list(assembly.sinks), limit)
        self._name = name
        self._waiting: list[Encoded] = []
        self._recorded: dict[tuple[int, str], str] = {}
        self._day: DayDone | None = None
        self._count = 0

    def run(self) -> Outcome:
        began = time.perf_counter()
        opened: list[Component] = []
        try:
            for part in self._parts():
                part.open(self._context)
                opened.append(part)
            self._read()
        except G6Error as e:
            self._outcome.problem = e
        finally:
            for part in reversed(opened):
                self._outcome.report = self._provider.report() or self._outcome.report
                with suppress(*FAULTS):
                    part.close()
            if self._journal:
                self._journal.close()
        try:
            self._feed()
        except G6Error as e:
            self._outcome.problem = self._outcome.problem or e
        self._outcome.seconds = time.perf_counter() - began
        return self._outcome

    def _parts(self) -> list[Component]:
        """A dry run asks the provider and computes nothing."""
        steps = [] if self._outcome.dry_run else [step.analytic for step in self._assembly.steps]
        return [self._provider, *(plan.strategy for plan in self._assembly.plans[self._name]), *steps]

    def _read(self) -> None:
        _refuse_to_mix(self._outcome.data_dir, self._provider.simulated)
        collector = Collector(self._name, self._provider, self._assembly.plans[self._name], self._calendar)
        timeline = self._provider.timeline()
        if timeline is None:
            raise ConfigError(f"provider `{self._name}` has no recording", code="providers")
        try:
            for instant in timeline:
                if self._stop.is_set():
                    self._outcome.stopped = True
                    break
                self._clock.set(instant)
                self._turn(trading_date(instant))
                self._cycle(collector, instant)
        finally:
            self._turn(None)

    def _turn(self, day: date | None) -> None:
        """From one day to the next; None: the last one is through."""
        if self._day and self._day.day == day:
            return
        if self._day:
            self._commit()
            self._view.day(self._day)
            self._day = None
        if day:
            self._recorded = _recorded(day_path(self._outcome.data_dir, day))
            self._day = DayDone(day)
            self._outcome.days.append(self._day)

    def _cycle(self, collector: Collector, instant: datetime) -> None:
        assert self._day
        for index, raw in collector.collect(instant).items():
            self._outcome.notes.update(raw.notes)
            if raw.snapshot is None:
                self._outcome.skipped[f"{index}: {raw.reason}"] += 1
            elif source := self._recorded.get((micros(instant), index)):
                self._day.there += 1
                self._outcome.there[source] += 1
            else:
                self._keep(raw.snapshot)
        self._view.reading(self._day.day, self._count)

    def _keep(self, snapshot: Snapshot) -> None:
        self._count += 1
        if self._journal is None:
            self._add(snapshot)
            return
        snapshot, notes = analyse(snapshot, self._assembly.steps)
        self._outcome.notes.update(notes)
        self._waiting.append(self._journal.encode(snapshot))
        if len(self._waiting) >= BATCH:
            self._commit()

    def _commit(self) -> None:
        """What cannot be committed is not kept for later: the import ends there, and repeating it goes on."""
        waiting, self._waiting = self._waiting, []
        if self._journal and waiting:
            for _, snapshot in self._journal.append(waiting[0].path, waiting):
                self._add(snapshot)

    def _add(self, snapshot: Snapshot) -> None:
        assert self._day
        self._day.new += 1
        self._day.options += snapshot.options.height
        self._day.quoted += int(snapshot.expiries["quoted"].sum())
        self._outcome.indices[snapshot.index] += 1

    def _feed(self) -> None:
        """Also what an earlier import, or a recorder, has left waiting."""
        data_dir, sinks = self._outcome.data_dir, self._assembly.sinks
        if self._journal is None or not sinks or self._outcome.stopped:
            return
        paths = days.days(data_dir)
        if paths:
            self._view.deliver(list(sinks))
            patience = self._assembly.settings.drain_timeout
            self._outcome.sinks, self._outcome.undelivered = feed(sinks, data_dir, paths, self._calendar, patience)


def _recorded(path: Path) -> dict[tuple[int, str], str]:
    """The source of each snapshot of a day that is recorded already, by microseconds and index."""
    if not path.exists():
        return {}
    with reading(path) as db:
        return {(ts, index): source for ts, index, source in db.execute('SELECT ts, "index", source FROM snapshots')}


def _refuse_to_mix(data_dir: Path, simulated: bool) -> None:
    newest = days.days(data_dir)[-1:]
    stored = days.is_simulated(newest[0]) if newest else None
    if stored is not None and stored != simulated:
        words = {True: "simulated", False: "real"}
        raise ConfigError(
            f"{data_dir} holds {words[stored]} records, and these would be {words[simulated]}",
            code="mixed-sources",
            where=str(newest[0]),
            hint="name another directory with --data-dir",
        )

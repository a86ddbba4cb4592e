"""What `/metrics` looks up when it is asked: the state of the recorder that runs in this process.

All of it is read from what the engine has anyway, whole or by one number: no file is opened, no component asked, and no
table touched. What is not known has no line, rather than the number of an hour ago.
"""

from __future__ import annotations

import os
import platform
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from g6core import __version__, families, measuring
from g6core.metrics import REGISTRY, Family
from g6core.reports import CycleReport

if TYPE_CHECKING:
    from g6core.engine import Engine

Sample = tuple[Family, Sequence[str], float | None]
TYPE = CONTENT_TYPE_LATEST
STATES = ("starting", "recording", "paused", "waiting")

_STARTED = time.time()


class Measured:
    """A view (`loop.View`): counts the cycles of a recorder, and says what holds when `/metrics` is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._state = "starting"
        self._tick: float | None = None
        self._opens: datetime | None = None
        self._last: CycleReport | None = None
        self._recorded: dict[str, datetime] = {}

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        measuring.count(report, engine.settings.interval.total_seconds())
        for index, of_index in report.indices.items():
            if of_index.status == "recorded":
                self._recorded[index] = report.ts
        self._opens, self._last, self._tick = None, report, time.time()
        self._state = "paused" if engine.problem else "recording"

    def idle(self, engine: Engine, opens: datetime) -> None:
        self._opens, self._tick, self._state = opens, time.time(), "waiting"

    def samples(self) -> Iterator[Sample]:
        """From any thread."""
        yield from self._loop()
        if self._last is not None and self._opens is None:
            yield from self._collection(self._last)
        yield from self._providers()
        yield from self._journal()
        yield from self._sinks()

    def _loop(self) -> Iterator[Sample]:
        engine, last = self._engine, self._last
        parts = engine.assembly
        yield from ((families.STATE, [state], state == self._state) for state in STATES)
        yield families.LAST_TICK, (), self._tick
        yield families.INTERVAL, (), engine.settings.interval.total_seconds()
        yield families.SIMULATED, (), parts.simulated
        for kind in ("providers", "sinks", "rules"):
            yield families.COMPONENTS, ["alerts" if kind == "rules" else kind], len(getattr(parts, kind))
        yield families.COMPONENTS, ["analytics"], len(parts.steps)
        if self._state != "starting":
            yield families.OPEN, (), self._opens is None
        yield families.OPENS, (), _unix(self._opens)
        if last is not None:
            yield families.LAST_CYCLE, (), last.ts.timestamp()
            yield families.LAST_SECONDS, (), last.seconds
        rules, muted = engine.rule_counts
        yield families.RULES, (), rules
        yield families.MUTED, (), muted

    def _collection(self, report: CycleReport) -> Iterator[Sample]:
        missed, recorded = dict(self._engine.missed), dict(self._recorded)
        for index, of in report.indices.items():
            yield families.RECORDED, [index], of.status == "recorded"
            yield families.MISSED, [index], missed.get(index)
            yield families.LAST_RECORDED, [index], _unix(recorded.get(index))
            if of.status != "recorded":
                continue
            yield families.INDEX_OPTIONS, [index], of.options
            yield families.INDEX_QUOTED, [index], of.quoted
            yield families.COVERAGE, [index], of.quoted / of.options if of.options else None
            yield families.EXPIRIES, [index], of.expiries
            yield families.ANALYSIS, [index], of.seconds
            yield families.QUOTE_AGE, [index], (report.ts - of.received).total_seconds() if of.received else None
            yield families.EXPIRES, [index], _unix(of.nearest.get("expires_at"))
            yield from _numbers(index, families.FACTS, of.facts)
            yield from _numbers(index, families.NEAREST, of.nearest)

    def _providers(self) -> Iterator[Sample]:
        run = self._engine.run
        for source in list(self._engine.sources):
            name = source.name
            yield families.INDICES, [name], len(source.collector.plans)
            if self._last is not None:
                yield families.UP, [name], source.error is None
            report = run.providers.get(name) if run else None
            if report is not None:
                yield families.DATA_AGE, [name], report.age
            if report is not None and report.session is not None:
                yield families.SESSION, [name], report.session.valid
                yield families.SESSION_ENDS, [name], _unix(report.session.until)

    def _journal(self) -> Iterator[Sample]:
        engine = self._engine
        yield families.UNSAVED, (), engine.unsaved
        yield families.WRITABLE, (), engine.problem is None
        yield families.LIMIT, (), engine.settings.journal.max_size
        try:
            with os.scandir(engine.data_dir / "journal") as found:
                sizes = [(entry.name, entry.stat().st_size) for entry in found]
            disk = shutil.disk_usage(engine.data_dir)
        except OSError:
            # Not made yet, or a file that has just been pruned: asked again, it is known.
            return
        yield families.SIZE, (), sum(size for _, size in sizes)
        yield families.DAYS, (), sum(name.endswith(".db") for name, _ in sizes)
        yield families.FREE, (), disk.free
        yield families.DISK, (), disk.total

    def _sinks(self) -> Iterator[Sample]:
        for name, runner in list(self._engine.runners.items()):
            report = runner.report()
            yield families.WRITTEN, [name], report.written
            yield families.RETRIED, [name], report.retried
            yield families.REJECTED, [name], report.rejected
            yield families.LAG, [name], report.lag
            yield families.BEHIND, [name], report.behind
            yield families.SINK_UP, [name], report.error is None


class Scrape:
    """A collector of prometheus_client: of what is shown now, which is one recorder or none."""

    def __init__(self) -> None:
        self.shown: Measured | None = None

    def describe(self) -> Iterable[Metric]:
        return [_made(family) for family in families.ALL]

    def collect(self) -> Iterable[Metric]:
        made = {family.name: _made(family) for family in families.ALL}
        shown = self.shown
        for family, labels, value in (*_platform(), *_analytics(), *(shown.samples() if shown else ())):
            if value is not None:
                made[family.name].add_metric(labels, float(value))
        return made.values()


@contextmanager
def shown(measured: Measured) -> Iterator[Measured]:
    """`/metrics` is about this recorder meanwhile; where a process has several, about the newest."""
    before, SCRAPE.shown = SCRAPE.shown, measured
    try:
        yield measured
    finally:
        SCRAPE.shown = before


def _platform() -> Iterator[Sample]:
    yield families.BUILD, [__version__, platform.python_version()], 1
    yield families.START, (), _STARTED
    yield families.UPTIME, (), time.time() - _STARTED
    yield families.THREADS, (), threading.active_count()


def _analytics() -> Iterator[Sample]:
    for name, meter in dict(measuring.ANALYTICS).items():
        yield families.ANALYTIC_SECONDS, [name], meter.seconds
        yield families.ANALYTIC_SNAPSHOTS, [name], meter.snapshots
        yield families.ANALYTIC_ROWS, [name], meter.rows
        yield families.ANALYTIC_FAILURES, [name, "failed"], meter.failed
        yield families.ANALYTIC_FAILURES, [name, "skipped"], meter.skipped


def _numbers(index: str, families: Mapping[str, Family], values: Mapping[str, Any]) -> Iterator[Sample]:
    return ((family, [index], values.get(name)) for name, family in families.items())


def _unix(ts: datetime | None) -> float | None:
    return None if ts is None else ts.timestamp()


def _made(family: Family) -> Any:
    form = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return form(family.name, family.help, labels=family.labels)


def text() -> bytes:
    """The page `/metrics`, as Prometheus reads it."""
    return generate_latest(REGISTRY)


SCRAPE = Scrape()
REGISTRY.register(SCRAPE)
ProcessCollector(registry=REGISTRY)

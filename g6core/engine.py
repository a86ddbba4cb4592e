"""The engine: one straight pipeline per cycle, each component guarded on its own.

collect (each provider in its own worker) → analytics → journal → alert rules → `g6_cycle_finished`. Sinks follow the
journal in threads of their own (`delivery`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from g6core import days
from g6core.alerting import Rules
from g6core.analysis import analyse
from g6core.assembly import Assembly
from g6core.clock import CycleClock
from g6core.collector import Collector, Raw
from g6core.components import Alert, Clock, Context
from g6core.condition import Condition
from g6core.cursor import Cursor, Follower
from g6core.days import RULES, Entry
from g6core.delivery import SinkRunner
from g6core.errors import ConfigError, DataError, G6Error, Unavailable
from g6core.exchange import Calendar, trading_date
from g6core.faults import FAULTS, told
from g6core.history import History
from g6core.journal import Journal
from g6core.lock import DirectoryLock
from g6core.measuring import CLOCK_BACK, Stages
from g6core.parts import Parts
from g6core.precedence import Precedence
from g6core.recorder import Recorder
from g6core.reports import CycleReport, IndexReport, RunReport
from g6core.snapshot import Snapshot
from g6core.source import Source

if TYPE_CHECKING:
    from g6core.http import Http

log = logging.getLogger("g6.engine")


class Engine:
    """Runs cycles. `start`, then `cycle` as often as you like, then `stop`; `loop` does that by the clock."""

    def __init__(self, assembly: Assembly, clock: Clock, http: Http | None = None) -> None:
        self.assembly = assembly
        self.clock = clock
        self.settings = assembly.settings
        self.data_dir = assembly.settings.data_dir
        self.calendar = Calendar.load(self.data_dir / "exchange.toml")
        self.runners: dict[str, SinkRunner] = {}
        self._cycle_clock = CycleClock(clock.now())
        self._lock = DirectoryLock(self.data_dir)
        self._precedence = Precedence()
        self._context = Context(
            self.data_dir,
            self._cycle_clock,
            self.calendar,
            History(self.data_dir),
            self.settings.interval,
            clock,
            http,
            give_way=self._precedence.give_way,
        )
        self._parts = Parts(self._context)
        self._condition = Condition(self._context)
        readers = [*assembly.keepers, *([RULES] if assembly.rules else [])]
        self._journal = Journal(self.data_dir, readers, self.settings.journal.max_size)
        self._recorder = Recorder(self._journal)
        self._rules = Rules(assembly.rules, self._journal)
        self.sources: list[Source] = []
        self._last: datetime | None = None
        self.run: RunReport | None = None
        """How the recorder did when it was last looked at; None in a replay."""
        self._pruned: date | None = None
        self.latest: datetime | None = None
        """The newest instant that was recorded or tried, over all runs."""

    def start(self) -> None:
        """Take the directory, open every component, and let the sinks go on from where they were."""
        self._lock.acquire()
        try:
            self._open_components()
            days.refuse_to_mix(self.data_dir, {p.simulated for p in self.assembly.providers.values()})
            self._prune(self.clock.now())
            self._start_sinks()
        except BaseException:
            self.stop()
            raise

    def cycle(self, now: datetime, deadline: float | None = None) -> CycleReport:
        """One pass over all indices at an instant (UTC, aware); returns once its snapshots are in the journal.

        deadline: seconds that the providers get; None waits for as long as they take.
        """
        self._precedence.take()
        try:
            return self._cycle(now, deadline)
        finally:
            self._precedence.leave()

    def watch(self, now: datetime, cycle: CycleReport | None, opens: datetime | None = None) -> None:
        """Let the alert rules look at the recorder itself: after a live cycle, and at each tick of a closed market.

        opens: when the market opens, None while it is open.
        """
        if trading_date(now) != self._pruned:
            self._prune(now)
        problem = self.problem.message if self.problem else None
        self.run = self._condition.report(
            now, cycle, opens, self.settings.interval, self.sources, self.runners, problem
        )
        if not self.assembly.rules:
            return
        path = self._day_for_alerts(now)
        try:
            alerts = self._rules.watch(path, self.run)
        except (Unavailable, DataError) as e:
            log.error(e)
        else:
            for runner in self.runners.values() if alerts else ():
                runner.notify(path)

    def settle(self, seconds: float) -> None:
        """Record what a provider still answers within that time."""
        now = self.clock.now()
        late = [s for source in self.sources for s in source.settle(now, self.settings.interval, seconds)]
        self._recorder.keep([analyse(snapshot, self.assembly.steps)[0] for snapshot in late])
        self._look(self._recorder.commit())

    def drain(self, seconds: float) -> bool:
        """Let the sinks catch up; False when the time was too short."""
        deadline = time.monotonic() + seconds
        return all([runner.drain(deadline) for runner in self.keepers])

    def stop(self) -> None:
        """Close everything in reverse order. What a sink has not got stays in the journal for the next start."""
        deadline = time.monotonic() + 5
        for runner in self.runners.values():
            runner.stop(deadline)
        self._parts.close()
        for source in self.sources:
            source.close(max(0.5, deadline - time.monotonic()))
        self.sources.clear()
        self._journal.close()
        self._lock.release()

    def replan(self, assembly: Assembly) -> None:
        """Go on with other indices, strategies and rules from the next cycle on; the old ones are closed."""
        self._parts.use(assembly)
        self.assembly, self.settings = assembly, assembly.settings
        for source in self.sources:
            source.replan(assembly.plans[source.name])
        self._rules.replace(assembly.rules)

    def next_open(self, now: datetime) -> datetime:
        """Now when there is something to record, else when the first exchange of the indices opens."""
        collectors = [source.collector for source in self.sources]
        if any(c.is_open(plan.index, now) for c in collectors for plan in c.plans):
            return now
        return min((self.calendar.next_open(exchange, now) for exchange in self._exchanges()), default=now)

    def instants(self) -> list[datetime] | None:
        """The instants of the recording that is being replayed; None for live sources."""
        timelines = [timeline for s in self.sources if (timeline := s.provider.timeline()) is not None]
        if timelines and len(self.sources) > 1:
            raise ConfigError(
                "a recording is replayed alone, not together with another provider",
                code="providers",
                hint=f"select one of the plugins that bring {', '.join(s.name for s in self.sources)}",
            )
        return list(timelines[0]) if timelines else None

    def undelivered(self) -> int:
        """Snapshots in the journal, or in memory, that some sink has still to get."""
        return self.unsaved + sum(runner.pending() for runner in self.keepers)

    @property
    def keepers(self) -> list[SinkRunner]:
        """The runners of sinks that must get everything."""
        return [runner for runner in self.runners.values() if runner.sink.keeps]

    @property
    def problem(self) -> G6Error | None:
        """Why nothing can be recorded at the moment, or None."""
        return self._recorder.problem

    @property
    def unsaved(self) -> int:
        """Snapshots that wait in memory for room in the journal."""
        return self._recorder.unsaved

    @property
    def missed(self) -> Mapping[str, int]:
        """Cycles in a row that recorded nothing, by index."""
        return self._condition.missed

    @property
    def rule_counts(self) -> tuple[int, int]:
        """How many alert rules there are, and how many of them are muted."""
        return self._rules.counts

    def _day_for_alerts(self, now: datetime) -> Path:
        """The trading day; where there is none, on a Sunday say, the newest that was recorded."""
        today = days.day_path(self.data_dir, trading_date(now))
        if today.exists() or any(self.calendar.is_trading_day(e, trading_date(now)) for e in self._exchanges()):
            return today
        return next(reversed(days.days(self.data_dir)), today)

    def _exchanges(self) -> set[str]:
        plans = [plan for source in self.sources for plan in source.collector.plans]
        return {exchange for plan in plans if (exchange := self.calendar.exchange_of(plan.index))}

    def _open_components(self) -> None:
        for name, provider in self.assembly.providers.items():
            provider.open(self._context)
            self.sources.append(Source(Collector(name, provider, self.assembly.plans[name], self.calendar)))
        self._parts.use(self.assembly)

    def _prune(self, now: datetime) -> None:
        """At the start, and whenever a date begins: no reader has anything left to do in a day that goes."""
        self._pruned = trading_date(now)
        keep = self.settings.journal.retention
        if keep is None:
            return
        try:
            days.prune(self.data_dir, self._pruned - keep, self.assembly.keepers)
        except OSError as e:
            log.error("old days cannot be removed: %s; recording goes on", told(e))

    def _start_sinks(self) -> None:
        recorded = days.days(self.data_dir)
        self.latest = days.latest_time(self.data_dir)
        self._rules.catch_up(recorded)
        for name, sink in self.assembly.sinks.items():
            place = partial(Cursor if sink.keeps else Follower, name, self._journal.recent)
            runner = SinkRunner(name, sink, place, self._context, self.clock)
            self.runners[name] = runner
            runner.open()
            runner.start(recorded if sink.keeps else recorded[-1:])

    def _cycle(self, now: datetime, deadline: float | None) -> CycleReport:
        began = time.perf_counter()
        self._warn_of_backward_clock(now)
        self._cycle_clock.set(now)
        stages = Stages()
        raws, late = self._collect(now, deadline)
        # Collecting may have waited for a network, and longer than anybody gives way.
        self._precedence.take()
        stages.done("collect")
        reports: dict[str, IndexReport] = {}
        snapshots = [analyse(snapshot, self.assembly.steps)[0] for snapshot in late]
        for index, raw in raws.items():
            reports[index] = self._analyse(raw, snapshots)
        stages.done("analyse")
        refused = self._recorder.keep(snapshots)
        recorded = self._recorder.commit()
        stages.done("record")
        alerts = self._look(recorded)
        stages.done("look")
        self._mark_unrecorded(reports, now, refused, recorded)
        self._condition.took(reports)
        self.latest = max(self.latest or now, now)
        report = CycleReport(now, time.perf_counter() - began, reports, alerts)
        self._announce(report)
        stages.done("announce")
        return report

    def _collect(self, now: datetime, deadline: float | None) -> tuple[dict[str, Raw], list[Snapshot]]:
        raws: dict[str, Raw] = {}
        late: list[Snapshot] = []
        until = None if deadline is None else time.monotonic() + deadline
        for source in self.sources:
            source.begin(now, self.settings.interval)
        for source in self.sources:
            raws.update(source.finish(now, self.settings.interval, until))
            late += source.take_late()
        return raws, late

    def _analyse(self, raw: Raw, snapshots: list[Snapshot]) -> IndexReport:
        if raw.snapshot is None:
            return IndexReport("skipped", raw.reason, notes=raw.notes, code=raw.code)
        began = time.perf_counter()
        snapshot, notes = analyse(raw.snapshot, self.assembly.steps)
        snapshots.append(snapshot)
        return IndexReport(
            "recorded",
            options=snapshot.options.height,
            quoted=int(snapshot.expiries["quoted"].sum()),
            facts=dict(snapshot.facts),
            nearest=snapshot.expiries.row(0, named=True),
            seconds=time.perf_counter() - began,
            received=snapshot.options["received_ts"].max(),  # type: ignore[arg-type]  # a column of times
            notes=(*raw.notes, *notes),
            expiries=snapshot.expiries.height,
        )

    def _look(self, recorded: Mapping[Path, Sequence[Entry]]) -> list[Alert]:
        """Alert rules, then the sinks are told: so a sink that has a snapshot has its alerts as well."""
        alerts: list[Alert] = []
        for path, entries in recorded.items():
            try:
                alerts += self._rules.look(path, entries)
            except (Unavailable, DataError) as e:
                log.error(e)
            for runner in self.runners.values():
                runner.notify(path)
        return alerts

    def _mark_unrecorded(
        self,
        reports: dict[str, IndexReport],
        now: datetime,
        refused: Mapping[str, str],
        recorded: Mapping[Path, Sequence[Entry]],
    ) -> None:
        """What was collected and is not in the journal is told with its reason."""
        new = {s.index for entries in recorded.values() for _, s in entries if s.ts == now}
        waiting = self._recorder.waiting(now)
        for index in [index for index, r in reports.items() if r.status == "recorded" and index not in new]:
            if index in refused:
                reports[index] = IndexReport("failed", refused[index], code="unstorable")
            elif index in waiting and self.problem:
                reports[index] = IndexReport("failed", self.problem.message, code=self.problem.code)
            else:
                reports[index] = IndexReport("skipped", "this instant is already in the journal", code="duplicate")

    def _announce(self, report: CycleReport) -> None:
        for impl in self.assembly.observers:
            try:
                impl.function(report)
            except FAULTS as e:
                log.warning("plugin %s failed in g6_cycle_finished: %s", impl.plugin_name, told(e))

    def _warn_of_backward_clock(self, now: datetime) -> None:
        if self._last is not None and now < self._last:
            behind = self._last - now
            CLOCK_BACK.inc()
            log.error("the clock went back by %s; recording goes on with the new time", behind)
        self._last = now

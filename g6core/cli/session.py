"""One run from settings to exit code: what `g6 run`, `g6 demo` and `g6 replay` share."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from g6core import loop, scrape
from g6core.assembly import assemble, reassemble
from g6core.cli import screen
from g6core.cli.options import load
from g6core.clock import SystemClock
from g6core.components import Sink
from g6core.engine import Engine
from g6core.errors import Unavailable
from g6core.faults import FAULTS, told
from g6core.health import Health
from g6core.http import Http
from g6core.httpd import Httpd
from g6core.logs import PLAIN, log_as, log_to_stderr
from g6core.measuring import RELOADED
from g6core.notify import Notifier
from g6core.reload import Reloader
from g6core.reports import CycleReport
from g6core.status import StatusFile

log = logging.getLogger("g6.session")
SLACK = 30.0
"""Seconds that a cycle may take beside its provider, and a busy machine."""


@dataclass
class Session:
    config: Path | None = None
    plugins: str | None = None
    data_dir: Path | None = None
    changes: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    cycles: int | None = None
    duration: timedelta | None = None
    require_open: bool = False
    speed: float | None = None
    quiet: bool = False
    verbose: bool = False
    views: Sequence[loop.View] = ()
    """Whoever else wants to see each cycle."""

    def run(self) -> int:
        """Returns the exit code; raises what stops the start."""
        log_to_stderr(self.verbose)
        configuration, registry = load(self.config, self.plugins, self.data_dir, self.changes, dict(self.defaults))
        log_as(configuration.settings.log, self.verbose)
        for warning in configuration.warnings:
            log.warning("warning: %s", warning, extra=PLAIN)
        health = Health()
        http = Http(configuration.settings.http, health) if configuration.settings.http.enabled else None
        engine = Engine(assemble(configuration, registry), SystemClock(), http)
        for index in configuration.indices:
            if index not in engine.calendar.indices:
                known = ", ".join(engine.calendar.indices)
                log.warning("warning: the exchange calendar has no index %s; it has %s", index, known, extra=PLAIN)
        self._reloader = Reloader(configuration, registry)
        engine.start()
        try:
            measured = scrape.Measured(engine)
            with scrape.shown(measured), served(http, engine.assembly.sinks.values()):
                return self._record(engine, health, measured)
        finally:
            engine.stop()

    def _record(self, engine: Engine, health: Health, measured: scrape.Measured) -> int:
        stop = stop_on_signals()
        instants = engine.instants()
        seconds = None if self.duration is None else self.duration.total_seconds()
        limits = loop.Limits(self.cycles, seconds)
        notifier = watched(engine)
        with screen.open_view(engine, instants, self.quiet) as shown, closing(notifier):
            view = screen.Views(
                shown, StatusFile(engine.data_dir, engine.clock.now()), health, notifier, measured, *self.views
            )
            if instants is None:
                reload = partial(self._reload, engine)
                last = loop.live(
                    engine, view, stop, limits, require_open=self.require_open, before_cycle=reload, wait=notifier.wait
                )
            else:
                last = loop.recorded(engine, instants, view, stop, limits, self.speed)
            notifier.stopping()
        return self._end(
            engine, last, stop, limited=self.cycles is not None or seconds is not None or instants is not None
        )

    def _end(self, engine: Engine, last: list[CycleReport], stop: threading.Event, *, limited: bool) -> int:
        left = loop.finish(engine, engine.settings.drain_timeout)
        if left:
            told = "%d snapshots wait in the journal; they will be delivered at the next start"
            log.warning(told, left, extra=PLAIN)
        elif stop.is_set():
            log.info("stopped; every sink has everything", extra=PLAIN)
        if not limited:
            return 0
        if stop.is_set():
            return 130
        problem = loop.problem_of(engine, last)
        if problem:
            log.error(problem, extra=PLAIN)
            return problem.exit_code
        return 1 if left else 0

    def _reload(self, engine: Engine) -> None:
        changed = self._reloader.poll()
        if changed is None:
            return
        try:
            engine.replan(reassemble(changed, engine.assembly))
            RELOADED["applied"].inc()
        except FAULTS as e:
            RELOADED["refused"].inc()
            log.error("the changed settings cannot be applied: %s; the recorder goes on as before", told(e))


@contextmanager
def served(http: Http | None, sinks: Iterable[Sink]) -> Iterator[None]:
    """The port is open, by whoever serves it. One that cannot be had is told, and recording goes on without."""
    if http is None or any(sink.serves_http for sink in sinks):
        yield
        return
    try:
        server = Httpd(http)
    except Unavailable as e:
        log.warning(e)
        yield
        return
    log.info("metrics and health at http://%s:%d/metrics", http.host, server.port)
    try:
        yield
    finally:
        server.close()


def watched(engine: Engine) -> Notifier:
    """Who tells systemd. A watchdog that would end the recorder while it waits for a slow provider is told of."""
    notifier = Notifier.of(os.environ)
    slowest = engine.settings.deadline or engine.settings.interval
    if notifier.watchdog and notifier.watchdog < slowest.total_seconds() + SLACK:
        told = "a provider may take %s, and systemd's watchdog waits %.0f s; set WatchdogSec=%.0f or more in the unit"
        log.warning(told, slowest, notifier.watchdog, slowest.total_seconds() + SLACK)
    return notifier


def stop_on_signals() -> threading.Event:
    """Set by SIGINT and SIGTERM: the cycle is finished and the sinks drain. A second SIGINT ends at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop

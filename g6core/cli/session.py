"""One run from settings to exit code: what `g6 run`, `g6 demo` and `g6 replay` share."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import click

from g6core import loop
from g6core.assembly import assemble, reassemble
from g6core.cli import screen
from g6core.cli.options import load
from g6core.clock import SystemClock
from g6core.components import CycleReport, Sink
from g6core.engine import Engine
from g6core.errors import Unavailable
from g6core.faults import FAULTS, told
from g6core.health import Health
from g6core.http import Http
from g6core.httpd import Httpd
from g6core.logs import log_to_stderr
from g6core.reload import Reloader
from g6core.status import StatusFile

log = logging.getLogger("g6.session")


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

    def run(self) -> int:
        """Returns the exit code; raises what stops the start."""
        log_to_stderr(self.verbose)
        configuration, registry = load(self.config, self.plugins, self.data_dir, self.changes, dict(self.defaults))
        for warning in configuration.warnings:
            click.echo(f"warning: {warning}", err=True)
        health = Health()
        http = Http(configuration.settings.http, health) if configuration.settings.http.enabled else None
        engine = Engine(assemble(configuration, registry), SystemClock(), http)
        for index in configuration.indices:
            if index not in engine.calendar.indices:
                known = ", ".join(engine.calendar.indices)
                click.echo(f"warning: the exchange calendar has no index {index}; it has {known}", err=True)
        self._reloader = Reloader(configuration, registry)
        engine.start()
        try:
            with served(http, engine.assembly.sinks.values()):
                return self._record(engine, health)
        finally:
            engine.stop()

    def _record(self, engine: Engine, health: Health) -> int:
        stop = stop_on_signals()
        instants = engine.instants()
        seconds = None if self.duration is None else self.duration.total_seconds()
        limits = loop.Limits(self.cycles, seconds)
        with screen.open_view(engine, instants, self.quiet) as shown:
            view = screen.Views(shown, StatusFile(engine.data_dir, engine.clock.now()), health)
            if instants is None:
                reload = partial(self._reload, engine)
                last = loop.live(engine, view, stop, limits, require_open=self.require_open, before_cycle=reload)
            else:
                last = loop.recorded(engine, instants, view, stop, limits, self.speed)
        return self._end(
            engine, last, stop, limited=self.cycles is not None or seconds is not None or instants is not None
        )

    def _end(self, engine: Engine, last: list[CycleReport], stop: threading.Event, *, limited: bool) -> int:
        left = loop.finish(engine, engine.settings.drain_timeout)
        if left:
            click.echo(f"{left} snapshots wait in the journal; they will be delivered at the next start", err=True)
        elif stop.is_set():
            click.echo("stopped; every sink has everything", err=True)
        if not limited:
            return 0
        if stop.is_set():
            return 130
        problem = loop.problem_of(engine, last)
        if problem:
            click.echo(problem.render(), err=True)
            return problem.exit_code
        return 1 if left else 0

    def _reload(self, engine: Engine) -> None:
        changed = self._reloader.poll()
        if changed is None:
            return
        try:
            engine.replan(reassemble(changed, engine.assembly))
        except FAULTS as e:
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
        log.warning("%s", e.render())
        yield
        return
    log.info("metrics and health at http://%s:%d/metrics", http.host, server.port)
    try:
        yield
    finally:
        server.close()


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

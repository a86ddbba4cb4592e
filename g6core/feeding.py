"""Sinks fed from days that are written already, outside a run: until they have everything, or get on no more."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from g6core import days
from g6core.clock import CycleClock, SystemClock
from g6core.components import Context, Sink
from g6core.cursor import Cursor
from g6core.delivery import SinkRunner, SinkState, wait_for
from g6core.exchange import Calendar
from g6core.history import History


def feed(
    sinks: Mapping[str, Sink], data_dir: Path, paths: Iterable[Path], calendar: Calendar, patience: timedelta
) -> tuple[dict[str, SinkState], int]:
    """Give the sinks the day files of a data directory, as long as they get on, and `patience` when they do not.

    Returns what became of each sink, and how many snapshots and alerts are still undelivered.
    """
    clock = SystemClock()
    newest = days.latest_time(data_dir) or clock.now()
    context = Context(data_dir, CycleClock(newest), calendar, History(data_dir))
    runners = [SinkRunner(name, sink, partial(Cursor, name, {}), context, clock) for name, sink in sinks.items()]
    todo = list(paths)
    try:
        for runner in runners:
            runner.open()
            runner.start(todo)
        wait_for(runners, patience.total_seconds())
        undelivered = sum(runner.pending() for runner in runners)
        return {runner.name: runner.state for runner in runners}, undelivered
    finally:
        deadline = time.monotonic() + 1.5
        for runner in runners:
            runner.stop(deadline)

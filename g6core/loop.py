"""Running cycles: by the clock for live sources, by the recorded instants for a recording."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from g6core.components import CycleReport
from g6core.engine import Engine
from g6core.errors import G6Error, MarketClosed
from g6core.exchange import IST

log = logging.getLogger("g6.loop")
FIRST_DEADLINE = 60.0
"""Seconds that the first cycle gets at least."""


@dataclass(frozen=True)
class Limits:
    """When to end: after so many cycles, or after so long (seconds); None for never."""

    cycles: int | None = None
    seconds: float | None = None


class View(Protocol):
    """What a person sees of a run."""

    def cycle(self, engine: Engine, report: CycleReport) -> None: ...

    def idle(self, engine: Engine, opens: datetime) -> None: ...


def live(
    engine: Engine,
    view: View,
    stop: threading.Event,
    limits: Limits,
    *,
    require_open: bool = False,
    before_cycle: Callable[[], None] = lambda: None,
) -> list[CycleReport]:
    """Cycles at whole multiples of the interval; an overrun skips ticks, it never queues them.

    Returns the last report, if there was one. Raises MarketClosed when require_open is given outside the session.
    """
    began, done, last = time.monotonic(), 0, None
    tick = engine.clock.now().replace(microsecond=0)
    while not stop.is_set():
        opens = engine.next_open(tick)
        if opens > tick:
            if require_open:
                raise MarketClosed(f"the market opens on {opens.astimezone(IST):%a %d %b %H:%M} IST")
            view.idle(engine, opens)
        else:
            before_cycle()
            deadline = _deadline(engine)
            # The first call fetches the day's contracts and connects; a miss there would end a `--once` with nothing.
            last = engine.cycle(tick, deadline if done else max(deadline, FIRST_DEADLINE))
            done += 1
            view.cycle(engine, last)
        left = None if limits.seconds is None else limits.seconds - (time.monotonic() - began)
        if done == limits.cycles or (left is not None and left <= 0):
            break
        tick = _next_tick(engine, tick)
        wait = max(0.0, (tick - engine.clock.now()).total_seconds())
        if left is not None and wait >= left:
            stop.wait(left)
            break
        stop.wait(wait)
    return [last] if last else []


def _deadline(engine: Engine) -> float:
    return (engine.settings.deadline or engine.settings.interval).total_seconds()


def _next_tick(engine: Engine, before: datetime) -> datetime:
    """The next multiple of the interval from now on. When the clock went back, its own reading: never a time twice."""
    interval = engine.settings.interval
    now = engine.clock.now()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    tick = epoch + -((epoch - now) // interval) * interval
    if tick > before:
        return tick
    return now if now < before else before + interval


def recorded(
    engine: Engine, instants: Sequence[datetime], view: View, stop: threading.Event, limits: Limits, speed: float | None
) -> list[CycleReport]:
    """A cycle for each recorded instant, `speed` times as fast as it was recorded; None: as fast as possible."""
    last: list[CycleReport] = []
    began = time.monotonic()
    for done, instant in enumerate(instants):
        late = limits.seconds is not None and time.monotonic() - began >= limits.seconds
        if stop.is_set() or done == limits.cycles or late:
            break
        if speed is not None:
            due = began + (instant - instants[0]).total_seconds() / speed
            stop.wait(max(0.0, due - time.monotonic()))
        last = [engine.cycle(instant)]
        view.cycle(engine, last[0])
    return last


def finish(engine: Engine, patience: timedelta, stop: threading.Event) -> int:
    """Let the sinks drain: as long as they get on, and `patience` when they do not. Returns what stays undelivered."""
    while not engine.drain(0.5):
        before = _delivered(engine)
        if engine.drain(patience.total_seconds()) or _delivered(engine) == before:
            break
    return engine.undelivered()


def _delivered(engine: Engine) -> int:
    return sum(runner.state.written + runner.state.rejected for runner in engine.runners.values())


def problem_of(engine: Engine, reports: Sequence[CycleReport]) -> G6Error | None:
    """What a script should know at the end of a run: the reason why the last cycle recorded nothing, if it did not."""
    if engine.problem:
        return engine.problem
    if reports and not any(r.status == "recorded" for r in reports[-1].indices.values()):
        errors = [source.error for source in engine.sources if source.error]
        reasons = sorted({r.reason or r.status for r in reports[-1].indices.values()})
        return errors[0] if errors else G6Error(f"nothing was recorded: {'; '.join(reasons)}", code="nothing-recorded")
    return None

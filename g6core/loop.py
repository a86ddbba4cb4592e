"""Running cycles: by the clock for live sources, by the recorded instants for a recording."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from g6core.delivery import wait_for
from g6core.engine import Engine
from g6core.errors import G6Error, MarketClosed
from g6core.exchange import IST
from g6core.measuring import TICKS_SKIPPED
from g6core.reports import CycleReport

log = logging.getLogger("g6.loop")
FIRST_DEADLINE = 60.0
"""Seconds that the first cycle gets at least."""
SETTLE = 5.0
"""Seconds at the end for a provider that still answers: what it says is recorded as well."""
UNTOLD = 2.0
"""Seconds at the end after which a person should know what is waited for."""


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
    wait: Callable[[threading.Event, float], object] = threading.Event.wait,
) -> list[CycleReport]:
    """Cycles at whole multiples of the interval; an overrun skips ticks, it never queues them.

    wait: waits for the event, at most so many seconds. Returns the last report, if there was one. Raises MarketClosed
    when require_open is given outside the session.
    """
    began, done, last = time.monotonic(), 0, None
    tick = engine.clock.now().replace(microsecond=0)
    while not stop.is_set():
        opens = engine.next_open(tick)
        if opens > tick:
            if require_open:
                raise MarketClosed(f"the market opens on {opens.astimezone(IST):%a %d %b %H:%M} IST")
            engine.watch(tick, None, opens)
            view.idle(engine, opens)
        else:
            before_cycle()
            if engine.latest is not None and tick <= engine.latest:
                # The clock went back: its own reading is no multiple of the interval, and so is recorded nowhere yet.
                tick = engine.clock.now()
            deadline = _deadline(engine)
            # The first call fetches the day's contracts and connects; a miss there would end a `--once` with nothing.
            last = engine.cycle(tick, deadline if done else max(deadline, FIRST_DEADLINE))
            done += 1
            engine.watch(tick, last)
            view.cycle(engine, last)
        left = None if limits.seconds is None else limits.seconds - (time.monotonic() - began)
        if done == limits.cycles or (left is not None and left <= 0):
            break
        before, tick = tick, _next_tick(engine, tick)
        TICKS_SKIPPED.inc(max(0, (tick - before) // engine.settings.interval - 1))
        pause = max(0.0, (tick - engine.clock.now()).total_seconds())
        if left is not None and pause >= left:
            wait(stop, left)
            break
        wait(stop, pause)
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


def finish(engine: Engine, patience: timedelta) -> int:
    """Let the sinks drain: as long as they get on, and `patience` when they do not. Returns what stays undelivered."""
    engine.settle(min(patience.total_seconds(), SETTLE))
    runners = engine.keepers
    if not engine.drain(UNTOLD):
        busy = ", ".join(runner.name for runner in runners if not runner.drain(0))
        log.warning("waiting until the sinks have everything: %s; Ctrl-C ends at once, and nothing is lost", busy)
        wait_for(runners, patience.total_seconds())
    return engine.undelivered()


def problem_of(engine: Engine, reports: Sequence[CycleReport]) -> G6Error | None:
    """What a script should know at the end of a run: why the last cycle recorded less than it should, if it did.

    In a recording an index may be silent at an instant; there it counts only when all of them are.
    """
    if engine.problem:
        return engine.problem
    indices = reports[-1].indices if reports else {}
    missed = {name: r.reason or r.status for name, r in indices.items() if r.status != "recorded"}
    if not missed or (engine.instants() is not None and len(missed) < len(indices)):
        return None
    errors = [source.error for source in engine.sources if source.error]
    if errors:
        return errors[0]
    reasons = "; ".join(f"{name}: {reason}" for name, reason in missed.items())
    again = "already in the journal" in reasons
    hint = "record into another directory: --out, or --data-dir" if again else None
    return G6Error(f"not recorded in the last cycle: {reasons}", code="nothing-recorded", hint=hint)

"""Whether the recorder is well, for whoever asks over HTTP: fed by the loop, read from any thread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from g6core import __version__
from g6core.reports import CycleReport, RunReport

if TYPE_CHECKING:
    from g6core.engine import Engine

STARTING = 120.0
"""Seconds that a start may take: opening components, compiling, the day's contracts."""
LOW = 2**30
"""Bytes left on the disk below which a person should act."""
BEHIND = timedelta(minutes=5)


@dataclass(frozen=True)
class Check:
    """status: ok, warning or failing."""

    name: str
    status: str
    message: str


@dataclass(frozen=True)
class Beat:
    """A tick of the loop. at: time.monotonic()."""

    at: float
    ts: datetime
    state: str
    interval: float
    problem: str | None
    cycle: CycleReport | None
    run: RunReport | None


class Health:
    """A view (`loop.View`) that answers questions from other threads; each beat replaces the last one whole."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._beat: Beat | None = None

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        self._take(engine, "paused" if engine.problem else "recording", report.ts, report)

    def idle(self, engine: Engine, opens: datetime) -> None:
        self._take(engine, "waiting", engine.clock.now(), None)

    def live(self) -> tuple[bool, str]:
        """Whether the loop still turns: when not, only a restart helps."""
        beat = self._beat
        if beat is None:
            age = time.monotonic() - self._began
            return age < STARTING, f"starting since {age:.0f} s"
        age = time.monotonic() - beat.at
        return age < 60 + 4 * beat.interval, f"last tick {age:.0f} s ago"

    def ready(self) -> tuple[bool, str]:
        """Whether what is collected now would be recorded."""
        beat = self._beat
        if beat is None:
            return False, "starting"
        return beat.problem is None and self.live()[0], beat.problem or beat.state

    def document(self) -> dict[str, Any]:
        """All checks. status: ok; warning: a part does not do what it should; failing: nothing is recorded."""
        beat = self._beat
        checks = list(self._checks(beat))
        found = {check.status for check in checks}
        return {
            "v": 1,
            "version": __version__,
            "status": next(s for s in ("failing", "warning", "ok") if s in found),
            "state": beat.state if beat else "starting",
            "ts": beat.ts.isoformat() if beat else None,
            "checks": [{"name": c.name, "status": c.status, "message": c.message} for c in checks],
        }

    def _take(self, engine: Engine, state: str, ts: datetime, cycle: CycleReport | None) -> None:
        problem = engine.problem.message if engine.problem else None
        interval = engine.settings.interval.total_seconds()
        self._beat = Beat(time.monotonic(), ts, state, interval, problem, cycle, engine.run)

    def _checks(self, beat: Beat | None) -> Iterator[Check]:
        alive, text = self.live()
        yield Check("loop", "ok" if alive else "failing", text)
        if beat is None:
            return
        yield Check("journal", "failing" if beat.problem else "ok", beat.problem or "can be written")
        for index, report in (beat.cycle.indices if beat.cycle else {}).items():
            yield Check(f"index {index}", *_of_status(report.status, report.reason))
        if beat.run:
            yield from _of_run(beat.run)


def _of_status(status: str, reason: str | None) -> tuple[str, str]:
    return ("ok", status) if status == "recorded" else ("warning", reason or status)


def _of_run(run: RunReport) -> Iterator[Check]:
    for name, provider in run.providers.items():
        yield Check(f"provider {name}", "warning" if provider.error else "ok", provider.error or "answers")
    for name, sink in run.sinks.items():
        late = sink.behind > BEHIND.total_seconds()
        waiting = f"{sink.lag} snapshots wait" if late else "keeps up"
        yield Check(f"sink {name}", "warning" if sink.error or late else "ok", sink.error or waiting)
    if run.free is not None:
        yield Check("disk", "warning" if run.free < LOW else "ok", f"{run.free / 1e9:,.1f} GB left")

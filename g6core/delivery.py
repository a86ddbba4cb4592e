"""Delivery: each sink reads the journal at its own pace, in its own thread, behind its own cursor.

So a slow sink delays nobody, one that is down catches up, and a process killed at any instant delivers again what it
had not ticked off.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from g6core.components import Alert, Clock, Context, Sink
from g6core.days import Entry
from g6core.errors import DataError, Rejected, Unavailable
from g6core.faults import FAULTS, close, told
from g6core.logs import about
from g6core.measuring import SINK_ALERTS, WRITE_SECONDS
from g6core.reports import SinkReport

log = logging.getLogger("g6.delivery")
BATCH = 64
LONGEST_WAIT = 60.0
"""Seconds between two attempts at the most."""


@dataclass
class SinkState:
    """What a screen shows of one sink. Counts are of this run; lag = snapshots of the day that it has still to get."""

    written: int = 0
    retried: int = 0
    rejected: int = 0
    lag: int = 0
    error: str | None = None


@dataclass
class _Written:
    """How far this runner has written in one day, which may be ahead of what is ticked off."""

    path: Path
    snapshots: int
    alerts: int


class Place(Protocol):
    """How far a reader got in each day; `cursor.Cursor` keeps it in the day itself."""

    def place(self, path: Path) -> tuple[int, int]: ...
    def end(self, path: Path) -> tuple[int, int]: ...
    def snapshots(self, path: Path, after: int, limit: int) -> list[Entry]: ...
    def alerts(self, path: Path, after: int, limit: int) -> list[tuple[int, Alert]]: ...
    def move(self, path: Path, snapshots: int, alerts: int) -> None: ...
    def set_aside(self, path: Path, kind: str, seq: int, at: datetime, reason: str) -> bool: ...
    def close(self) -> None: ...


class SinkRunner:
    """Delivers recorded days to one sink. places: makes what knows how far it got, one for each thread that asks."""

    def __init__(self, name: str, sink: Sink, places: Callable[[], Place], context: Context, clock: Clock) -> None:
        self.name = name
        self.sink = sink
        self.state = SinkState()
        self._seconds, self._alerts = WRITE_SECONDS.labels(name), SINK_ALERTS.labels(name)
        self._context = replace(context, name=name)
        self._clock = clock
        self._places = places
        self._cursor = places()
        self._days: deque[Path] = deque()
        self._current: Path | None = None
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._stopping = False
        self._idle = False
        self._opened = False
        self._careful = False
        self._failures = 0
        self._got_on = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"g6-sink-{name}", daemon=True)

    def open(self) -> None:
        """Open the sink; one that is unavailable is opened again later, from its own thread."""
        try:
            self.sink.open(self._context)
            self._opened = True
        except Unavailable as e:
            self._complain(e)

    def start(self, days: Iterable[Path]) -> None:
        """Begin with the days that may hold something for this sink."""
        self._days.extend(days)
        self._thread.start()

    def notify(self, path: Path) -> None:
        """The day has something new."""
        with self._wake:
            if path not in self._days:
                self._days.append(path)
            if self._idle:
                self._idle, self._got_on = False, time.monotonic()
            self._wake.notify_all()

    def report(self) -> SinkReport:
        """How the sink does."""
        return SinkReport(**asdict(self.state), behind=0.0 if self._idle else time.monotonic() - self._got_on)

    def pending(self) -> int:
        """Snapshots and alerts that are not ticked off yet, over all days; asks the journal."""
        with self._lock:
            days = {*self._days, *([self._current] if self._current else [])}
        cursor = self._places()
        try:
            return sum(_left(cursor, path) for path in days)
        finally:
            cursor.close()

    def drain(self, deadline: float) -> bool:
        """Wait until everything is delivered, at the most until time.monotonic() reaches the deadline."""
        with self._wake:
            while not self._idle and self._thread.is_alive():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._wake.wait(min(left, 0.1))
        return True

    def stop(self, deadline: float) -> None:
        """End the thread, then close the sink; a sink that hangs is left behind with its thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.ident is not None:
            self._thread.join(max(0.1, deadline - time.monotonic()))
        if self._thread.is_alive():
            log.warning("sink %s does not answer; what it has not got stays in the journal", self.name)
            return
        close(self.sink, f"sink {self.name}")

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._ensure_open()
                self._deliver_all()
                self._failures, self.state.error = 0, None
                self._rest()
            except FAULTS as e:
                self._failures += 1
                wait = min(LONGEST_WAIT, 0.25 * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
                self._complain(e)
                self._pause(wait)
        self._cursor.close()

    def _ensure_open(self) -> None:
        if not self._opened:
            self.sink.open(self._context)
            self._opened = True

    def _deliver_all(self) -> None:
        while (path := self._take()) is not None:
            try:
                done = self._deliver(path)
            except BaseException:
                self._put_back(path)
                raise
            if not done:
                self._put_back(path)
                return

    def _take(self) -> Path | None:
        """The next day. It leaves the list before it is looked at: `notify` puts it there again when more comes in."""
        with self._lock:
            self._current = self._days.popleft() if self._days and not self._stopping else None
            return self._current

    def _put_back(self, path: Path) -> None:
        with self._lock:
            self._current = None
            if path not in self._days:
                self._days.appendleft(path)

    def _deliver(self, path: Path) -> bool:
        """Whether the day is done with: delivered whole, or not readable at all."""
        try:
            place = self._cursor.place(path)
        except (DataError, sqlite3.DatabaseError) as e:
            # One bad day must not keep the others from the sink.
            log.error("sink %s cannot be given %s: %s", self.name, path.name, told(e))
            return True
        return self._deliver_day(path, place)

    def _deliver_day(self, path: Path, done: tuple[int, int]) -> bool:
        written = _Written(path, *done)
        unacknowledged: deque[tuple[float, int, int]] = deque()
        while not self._stopping:
            self.state.lag = self._cursor.end(path)[0] - written.snapshots
            # After a failure a sink that acknowledges late gets one batch at a time: a next failure, which starts
            # again from what is acknowledged, would otherwise undo all that was written in between.
            held_back = self._careful and bool(unacknowledged)
            moved = not held_back and self._write_next(written)
            if moved:
                due = time.monotonic() + self.sink.ack_delay.total_seconds()
                unacknowledged.append((due, written.snapshots, written.alerts))
            self._tick_off(path, unacknowledged)
            if moved or (held_back and not unacknowledged):
                continue
            if not unacknowledged:
                self.state.lag = 0
                return True
            self._sleep(min(1.0, max(0.0, unacknowledged[0][0] - time.monotonic())))
        return False

    def _write_next(self, at: _Written) -> bool:
        """Write one batch of snapshots and one of alerts; True when there was something."""
        self._context.give_way()
        try:
            snapshots = self._cursor.snapshots(at.path, at.snapshots, BATCH)
            if snapshots:
                self._write(at.path, "snapshot", snapshots, self.sink.write)
                at.snapshots = snapshots[-1][0]
                self.state.written += len(snapshots)
            alerts = self._cursor.alerts(at.path, at.alerts, BATCH)
            if alerts:
                self._write(at.path, "alert", alerts, self.sink.write_alerts)
                at.alerts = alerts[-1][0]
                self._alerts.inc(len(alerts))
        except FAULTS:
            self._careful = True
            raise
        return bool(snapshots or alerts)

    def _write(self, path: Path, kind: str, entries: Sequence[tuple[int, Any]], write: Any) -> None:
        try:
            with self._seconds.time():
                write([item for _, item in entries])
        except Rejected as e:
            if len(entries) == 1:
                self._set_aside(path, kind, entries[0][0], e)
                return
            for entry in entries:
                self._write(path, kind, [entry], write)

    def _set_aside(self, path: Path, kind: str, seq: int, e: Rejected) -> None:
        if self._cursor.set_aside(path, kind, seq, self._clock.now(), e.message):
            self.state.rejected += 1
            log.error("sink %s rejected %s %d of %s: %s", self.name, kind, seq, path.stem, e.message, extra=about(e))

    def _tick_off(self, path: Path, unacknowledged: deque[tuple[float, int, int]]) -> None:
        reached = None
        while unacknowledged and unacknowledged[0][0] <= time.monotonic():
            reached = unacknowledged.popleft()
        if reached:
            self.sink.confirm()
            self._cursor.move(path, reached[1], reached[2])
            self._got_on = time.monotonic()
            self._failures, self._careful = 0, False

    def _complain(self, e: BaseException) -> None:
        text = told(e)
        if text != self.state.error:
            log.warning("sink %s: %s; trying again, nothing is lost", self.name, text, extra=about(e))
            log.debug("sink %s", self.name, exc_info=e)
        self.state.error = text
        self.state.retried += 1

    def _rest(self) -> None:
        with self._wake:
            while not self._days and not self._stopping:
                self._idle = True
                self._wake.notify_all()
                self._wake.wait()

    def _sleep(self, seconds: float) -> None:
        """Until something comes in, at the most."""
        with self._wake:
            if not self._stopping and seconds > 0:
                self._wake.wait(seconds)

    def _pause(self, seconds: float) -> None:
        """The whole time, whatever comes in; only `stop` ends it."""
        end = time.monotonic() + seconds
        with self._wake:
            while not self._stopping and (left := end - time.monotonic()) > 0:
                self._wake.wait(left)


def wait_for(runners: Sequence[SinkRunner], patience: float, tell: Callable[[], None] = lambda: None) -> bool:
    """Wait until the runners have delivered everything: as long as they get on, and `patience` seconds when none does.

    What is written and not yet acknowledged counts as getting on. tell: called about twice a second. Whether everything
    is delivered.
    """
    patience += max((runner.sink.ack_delay.total_seconds() for runner in runners), default=0.0)
    before, since = -1, time.monotonic()
    while True:
        deadline = time.monotonic() + 0.5
        done = all([runner.drain(deadline) for runner in runners])
        tell()
        delivered = sum(runner.state.written + runner.state.rejected for runner in runners)
        if delivered != before:
            before, since = delivered, time.monotonic()
        if done or time.monotonic() - since > patience:
            return done


def _left(cursor: Place, path: Path) -> int:
    try:
        return sum(end - place for end, place in zip(cursor.end(path), cursor.place(path), strict=True))
    except (DataError, sqlite3.DatabaseError):
        return 0

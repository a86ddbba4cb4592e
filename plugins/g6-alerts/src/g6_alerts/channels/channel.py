"""A channel: takes the alerts of the journal into its outbox, and sends from there when it may."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from http.client import HTTPException
from typing import Protocol
from urllib.parse import quote

from g6_alerts.channels.message import Message
from g6_alerts.channels.outbox import Outbox
from g6_alerts.channels.policy import SETTLE, plan
from g6_alerts.channels.settings import ChannelSettings, rank
from g6_alerts.silences import Silence, Silences
from g6core import Alert, Clock, Context, DataError, Finding, G6Error, Rejected, Sink, Snapshot, Unavailable, metric

log = logging.getLogger("g6.alerts.channel")
SENT = metric("counter", "g6_alerts_sent_total", "Alerts that a channel has sent.", ["channel"])
MESSAGES = metric("counter", "g6_alerts_messages_total", "Messages that a channel has sent.", ["channel"])
FAILED = metric("counter", "g6_alerts_failed_total", "Messages that a channel's server did not take.", ["channel"])
DROPPED = metric(
    "counter",
    "g6_alerts_dropped_total",
    "Alerts that a channel does not send: below its severity, for others, silenced, refused, from before its time.",
    ["channel", "reason"],
)
HELD = metric("gauge", "g6_alerts_held", "Alerts that wait in a channel's outbox.", ["channel"])
LONGEST_WAIT = 60.0
"""Seconds between two looks at what is held, at the most."""
SHORTEST_WAIT = 0.05
FAULTS = (
    G6Error,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    sqlite3.Error,
    HTTPException,
)
"""What a try of the channel's own thread may end with: none of it ends the thread."""
PATIENCE = 3.0
"""Seconds for a message that is on its way when the recorder stops."""


class Pause(Unavailable):
    """The server wants to be left alone for so many seconds."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class Sender(Protocol):
    """How messages leave by one kind of channel."""

    def send(self, message: Message, channel: str) -> None:
        """Returns when it was taken. Raises Unavailable for later, Rejected for never."""

    def check(self) -> None:
        """Raises PluginError or ConfigError when it can never send as it is set up; asks nobody."""

    def diagnose(self) -> str:
        """Where alerts go, in words. Raises G6Error when it could not send, as far as that is seen without sending."""


class Channel(Sink):
    """Snapshots are not wanted. An alert that was taken is in the outbox, and is sent from there once.

    A thread of its own sends what was held; it and the runner's take turns.
    """

    def __init__(self, settings: ChannelSettings, sender: Sender) -> None:
        self._settings = settings
        self._sender = sender
        self._outbox: Outbox | None = None
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._stopping = False
        self._simulated: bool | None = None
        self._next: datetime | None = None
        self._settled: datetime | None = None
        self._silent_until = 0.0
        self._failures = 0
        self._silences_told: str | None = None
        self._thread: threading.Thread | None = None

    def open(self, context: Context) -> None:
        self.name = context.name or type(self._sender).__name__.lower()
        self._sender.check()
        self._clock: Clock = context.wall_clock or context.clock
        self._silences = Silences(context.data_dir)
        place = context.data_dir / "alerts" / f"{quote(self.name, safe='')}.db"
        now = self._clock.now()
        self._outbox = Outbox(place, now, now - self._settings.digest_after)
        self._since = self._outbox.since
        self._stopping = False
        left = self._outbox.ready() or self._outbox.waiting()
        self._next = now if left else None
        self._thread = threading.Thread(target=self._run, name=f"g6-alerts-{self.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping = True
        self._bell.set()
        if self._thread is None or not self._lock.acquire(timeout=PATIENCE):
            return  # a message hangs; it is written down, and goes again at the next start
        try:
            self._end()
        finally:
            self._lock.release()
        self._thread.join(PATIENCE)
        self._thread = None

    def diagnose(self, context: Context) -> Iterable[Finding]:
        try:
            self._sender.check()
            yield Finding("ok", f"{self._sender.diagnose()}; `g6 alerts test NAME` sends one")
        except G6Error as e:
            yield Finding("error", e.message, e.hint or "mend the settings of the channel")

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        """Looks only at whether a market stands behind the numbers: messages say so."""
        simulated = any(s.facts.get("simulated") for s in snapshots)
        with self._lock:
            if snapshots and simulated != self._simulated:
                self._box.simulated = self._simulated = simulated

    def write_alerts(self, alerts: Sequence[Alert]) -> None:
        now = self._clock.now()
        with self._lock:
            self._box.add([alert for alert in alerts if self._wanted(alert)], now)
            if any(now - alert.ts > self._settings.digest_after for alert in alerts):
                self._settled = now + SETTLE
            self._flush()
            refused = self._box.reason_of_refusal(alerts)
        self._bell.set()
        if refused:
            raise Rejected(refused)

    def flush(self) -> None:
        """Send what may be sent now. Raises Unavailable when the server does not take it."""
        with self._lock:
            self._flush()

    def _end(self) -> None:
        """What waits only for what may come behind it goes now."""
        if self._outbox is None:
            return
        try:
            if not self._failures:
                self._settled = None
                self._flush()
        except FAULTS as e:
            log.warning("channel %s: %s; it is sent at the next start", self.name, _reason(e))
        finally:
            self._outbox.close()
            self._outbox = None

    @property
    def _box(self) -> Outbox:
        if self._outbox is None:
            raise Unavailable("the channel is closed")
        return self._outbox

    def _wanted(self, alert: Alert) -> bool:
        if alert.ts < self._since:
            return self._dropped("before")
        named = alert.labels.get("notify", "").replace(",", " ").split()
        if named and self.name not in named:
            return self._dropped("notify")
        if rank(alert.severity) < rank(self._settings.min_severity):
            return self._dropped("severity")
        return True

    def _dropped(self, reason: str, alerts: int = 1) -> bool:
        DROPPED.labels(self.name, reason).inc(alerts)
        return False

    def _flush(self) -> None:
        try:
            while prepared := self._box.ready() or self._prepared():
                self._send(*prepared)
        except FAULTS as e:
            self._failures += 1
            if isinstance(e, Pause):
                self._silent_until = time.monotonic() + e.seconds
            raise
        self._failures = 0

    def _prepared(self) -> tuple[int, Message] | None:
        """The next message, written down; None when there is nothing to send now."""
        now = self._clock.now()
        waiting = self._box.waiting()
        silences = self._known_silences() if waiting else ()
        silenced = {w.seq for w in waiting if any(s.covers(w.alert, now) for s in silences)}
        if silenced:
            self._box.drop(sorted(silenced), "silenced")
            self._dropped("silenced", len(silenced))
            waiting = [w for w in waiting if w.seq not in silenced]
        sent = self._box.sent_between(now - self._settings.limit[1], now)
        next = plan(waiting, self._settings, now, sent, self._settled)
        self._next = next.wake
        if next.hold:
            self._box.hold([w.seq for w in next.hold])
        HELD.labels(self.name).set(len(waiting))
        if next.take:
            message = Message([w.alert for w in next.take], next.digest, self._box.simulated)
            self._box.prepare([w.seq for w in next.take], message)
        return self._box.ready()

    def _known_silences(self) -> Sequence[Silence]:
        """None while they cannot be read: an alert too many is better than one that nobody hears of."""
        try:
            silences = self._silences.all()
        except DataError as e:
            if e.message != self._silences_told:
                log.warning("channel %s: %s (%s); nothing is silenced", self.name, e.message, self._silences.path)
            self._silences_told = e.message
            return ()
        self._silences_told = None
        return silences

    def _send(self, number: int, message: Message) -> None:
        if (left := self._silent_until - time.monotonic()) > 0:
            raise Unavailable(f"the server asked for a pause; {left:.0f} s of it are left")
        try:
            self._sender.send(message, self.name)
        except Rejected as e:
            FAILED.labels(self.name).inc()
            self._dropped("refused", len(message.alerts))
            log.error("channel %s: %d alerts (%s) refused: %s", self.name, len(message.alerts), message.tally(), e)
            self._box.refuse(number, self._clock.now(), e.message)
        except G6Error:
            FAILED.labels(self.name).inc()
            raise
        else:
            self._box.tick_off(number, self._clock.now())
            SENT.labels(self.name).inc(len(message.alerts))
            MESSAGES.labels(self.name).inc()

    def _run(self) -> None:
        """Sends what was held, when its time has come."""
        told = None
        while not self._stopping:
            if self._bell.wait(self._seconds()):
                self._bell.clear()
                continue
            try:
                self.flush()
                told = None
            except FAULTS as e:
                reason = _reason(e)
                if reason != told and not self._stopping:
                    log.warning("channel %s: %s; trying again, nothing is lost", self.name, reason)
                told = reason

    def _seconds(self) -> float:
        """Until the thread should look at what waits."""
        if self._failures:
            return min(LONGEST_WAIT, float(2 ** min(self._failures, 6)))
        next = self._next  # the runner's thread changes it
        if next is None:
            return LONGEST_WAIT
        return min(LONGEST_WAIT, max(SHORTEST_WAIT, (next - self._clock.now()).total_seconds()))


def _reason(e: BaseException) -> str:
    return e.message if isinstance(e, G6Error) else f"{type(e).__name__}: {e}"

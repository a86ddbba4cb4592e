"""A provider at work: its collector, the one thread it is called from, its deadline and its back-off."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from datetime import UTC, datetime, timedelta
from typing import Any

from g6core.collector import Collector, Plan, Raw
from g6core.components import Context, Provider
from g6core.errors import AuthExpired, G6Error
from g6core.faults import FAULTS, told
from g6core.login import Session
from g6core.logs import about
from g6core.reports import ProviderReport
from g6core.snapshot import Snapshot

log = logging.getLogger("g6.provider")
LONGEST_REST = timedelta(seconds=60)
SESSION_EVERY = timedelta(minutes=1)
"""How often a provider is asked, while the market is closed, whether somebody has logged in."""


class _Worker:
    """One thread that does one thing after the other. It never keeps the process alive: a call that hangs is left
    behind."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, do: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._jobs.put((future, do, args))
        return future

    def _run(self) -> None:
        while True:
            future, do, args = self._jobs.get()
            try:
                future.set_result(do(*args))
            except BaseException as e:
                future.set_exception(e)


def _answered(call: Future[Any], seconds: float | None) -> bool:
    """Whether the call ended, well or badly, within that time; None waits for as long as it takes."""
    return bool(wait([call], seconds).done)


def _session(provider: Provider, context: Context) -> Session | None:
    login = provider.login(context)
    return login.status() if login else None


class Source:
    """Asks one provider in its own thread, so that a slow one delays nobody else.

    An answer that comes after its cycle's deadline is kept and recorded with the next one, under its own time.
    """

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.error: G6Error | None = None
        """Why the provider gives nothing at present, or None."""
        self._worker = _Worker(f"g6-provider-{collector.name}")
        self._running: Future[dict[str, Raw]] | None = None
        self._asked = False
        self._failures = 0
        self._resume = datetime.min.replace(tzinfo=UTC)
        self._late: dict[str, Raw] = {}
        self._session: Session | None = None
        self._asking: Future[Session | None] | None = None
        self._asked_session = datetime.min.replace(tzinfo=UTC)

    @property
    def name(self) -> str:
        return self.collector.name

    @property
    def provider(self) -> Provider:
        return self.collector.provider

    def begin(self, now: datetime, interval: timedelta) -> None:
        """Start a pass, unless the one before still runs or the provider rests after a failure."""
        self._asked = False
        if self._running is not None:
            if not self._running.done():
                return
            self._late = self._outcome(now, interval)
            self.collector.meter.late.inc(sum(raw.snapshot is not None for raw in self._late.values()))
        # A rest that lies further ahead than any can means that the clock went back.
        if now >= self._resume or self._resume - now > LONGEST_REST:
            self._running = self._worker.submit(self._collect, now)
            self._asked = True

    def finish(self, now: datetime, interval: timedelta, until: float | None) -> dict[str, Raw]:
        """The pass's result by index; until: time.monotonic() of the deadline."""
        if self._running is None:
            error = self.error
            return self._skip(error.message if error else "the provider rests after a failure", "resting")
        if not self._asked:
            return self._skip(f"provider {self.name} still answers an earlier cycle", "late")
        if not _answered(self._running, None if until is None else max(0.0, until - time.monotonic())):
            self.collector.meter.deadlines.inc()
            return self._skip(f"provider {self.name} missed the deadline", "deadline")
        return self._outcome(now, interval)

    def take_late(self) -> list[Snapshot]:
        """Snapshots of an earlier cycle that missed its deadline."""
        late, self._late = self._late, {}
        return [raw.snapshot for raw in late.values() if raw.snapshot]

    def settle(self, now: datetime, interval: timedelta, seconds: float) -> list[Snapshot]:
        """What the call that still runs gives within that time; its answer is data like any other."""
        if self._running is None or not _answered(self._running, seconds):
            return []
        return [raw.snapshot for raw in self._outcome(now, interval).values() if raw.snapshot]

    def report(
        self, now: datetime, received: Mapping[str, datetime | None], context: Context, *, ask: bool
    ) -> ProviderReport:
        """How the provider does. received: when the newest quote of each index came. ask: also for its session."""
        times = [ts for plan in self.collector.plans if (ts := received.get(plan.index))]
        self._see_session(now, context, ask=ask)
        return ProviderReport(
            error=self.error.message if self.error else None,
            code=self.error.code if self.error else None,
            session=self._session,
            age=(now - max(times)).total_seconds() if times else None,
        )

    def _see_session(self, now: datetime, context: Context, *, ask: bool) -> None:
        """In the provider's own thread: the answer is that of a tick before."""
        if self._asking is not None and self._asking.done():
            asked, self._asking = self._asking, None
            # What goes wrong here is told when the provider is asked for quotes.
            self._session = None if asked.exception() else asked.result()
        if not ask:
            self._session = None
        elif self._asking is None and abs(now - self._asked_session) >= SESSION_EVERY:
            self._asked_session = now
            self._asking = self._worker.submit(_session, self.provider, context)

    def close(self, seconds: float) -> None:
        """Close the provider in the thread that it is called from; one that hangs is left behind."""
        closing = self._worker.submit(self.provider.close)
        answered = _answered(closing, seconds)
        error = closing.exception() if answered else TimeoutError("it still answers a call")
        if error:
            log.warning("provider %s failed while closing: %s", self.name, told(error))

    def replan(self, plans: Sequence[Plan]) -> None:
        """Collect something else from the next cycle on."""
        self._worker.submit(self.collector.replan, plans)

    def _collect(self, now: datetime) -> dict[str, Raw]:
        with self.collector.meter.passes.time():
            return self.collector.collect(now)

    def _outcome(self, now: datetime, interval: timedelta) -> dict[str, Raw]:
        assert self._running is not None
        running, self._running = self._running, None
        try:
            raws = running.result()
        except AuthExpired as e:
            # Asked again at each tick: the provider notices a new login by itself, and nothing may wait for it.
            return self._fail(e)
        except FAULTS as e:
            self._failures += 1
            if self._failures > 1:
                pause = 2.0 ** min(self._failures - 2, 2) * random.uniform(0.5, 1.0)
                self._resume = now + pause * min(interval, LONGEST_REST / 4)
            return self._fail(e)
        if self.error:
            log.warning("provider %s answers again", self.name)
        self._failures, self.error = 0, None
        return raws

    def _fail(self, e: BaseException) -> dict[str, Raw]:
        error = e if isinstance(e, G6Error) else G6Error(told(e), code="provider")
        if self.error is None or self.error.message != error.message:
            hint = f" ({error.hint})" if error.hint else ""
            said = "provider %s: %s%s; nothing is recorded for its indices"
            log.warning(said, self.name, error.message, hint, extra=about(error))
            log.debug("provider %s", self.name, exc_info=e)
        self.error = error
        self.collector.meter.failed(error.code)
        return self._skip(error.message, error.code)

    def _skip(self, reason: str, code: str) -> dict[str, Raw]:
        return {plan.index: Raw(None, reason, code=code) for plan in self.collector.plans}

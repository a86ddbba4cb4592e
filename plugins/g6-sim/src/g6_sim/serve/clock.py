"""The server's time: the machine's, or one that starts elsewhere and runs at another speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SimClock:
    """start: what it shows when made (aware), None for the machine's time. speed: of its seconds in one of ours."""

    def __init__(
        self, start: datetime | None = None, speed: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.speed = speed
        self._is_machine = start is None and speed == 1.0
        self._start = (start or datetime.now(UTC)).astimezone(UTC)
        self._monotonic = monotonic
        self._made = monotonic()

    def begin(self) -> None:
        """Start anew from the first time."""
        self._made = self._monotonic()

    def now(self) -> datetime:
        if self._is_machine:
            return datetime.now(UTC)
        return self._start + timedelta(seconds=(self._monotonic() - self._made) * self.speed)


class Instant:
    """A clock that shows what it is told: the provider's, so that it answers for the instant that is asked."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        self._now = now

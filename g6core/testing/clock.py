"""Time that a test sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from g6core.clock import CycleClock

START = datetime(2026, 8, 17, 4, 0, tzinfo=UTC)
"""Monday, 09:30 IST: an ordinary session, the day before a weekly expiry."""


class ManualClock(CycleClock):
    """A clock that stands still until it is `set` or advanced."""

    def __init__(self, now: datetime = START) -> None:
        super().__init__(now)

    def advance(self, step: timedelta = timedelta(minutes=1)) -> datetime:
        self.set(self.now() + step)
        return self.now()

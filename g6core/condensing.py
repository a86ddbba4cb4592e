"""Log messages that repeat themselves, condensed: the first is shown at once, the others as one line with a number."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

WINDOW = 60.0
"""Seconds from a message within which the same one is a repetition."""
MOST = 1000
"""Messages that are remembered at a time."""


@dataclass
class _Seen:
    """A message of the running minute. times: repetitions that were held back. record: the last of them."""

    until: float
    times: int = 0
    record: logging.LogRecord | None = None


class Condensing(logging.Handler):
    """Hands records on to `targets`. What is said again within a minute is held back and counted.

    The count comes as the last repetition, with `times` on the record: when its logger says something new, or when the
    minute is over. A record at level DEBUG is never held back.
    """

    def __init__(
        self,
        targets: Sequence[logging.Handler],
        level: int = logging.NOTSET,
        clock: Callable[[], float] = time.monotonic,
        window: float = WINDOW,
    ) -> None:
        self._window = window
        self._targets = tuple(targets)
        self._clock = clock
        self._seen: dict[tuple[object, ...], _Seen] = {}
        self._timer: threading.Timer | None = None
        super().__init__(level)

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        self._tell_overdue(now)
        if record.levelno <= logging.DEBUG:
            self._hand_on(record)
            return
        key = _key(record)
        seen = self._seen.get(key)
        if seen is None:
            self._tell_others(record.name)
            self._remember(key, now)
            self._hand_on(record)
            return
        seen.times += 1
        seen.record = record
        self._wake(seen.until - now)

    def flush(self) -> None:
        """What was held back is told now."""
        self.acquire()
        try:
            for seen in self._seen.values():
                self._tell(seen)
            for target in self._targets:
                with suppress(OSError, ValueError):  # a full disk, a closed stream
                    target.flush()
        finally:
            self.release()

    def close(self) -> None:
        self.flush()
        if self._timer:
            self._timer.cancel()
        for target in self._targets:
            with suppress(OSError, ValueError):
                target.close()
        super().close()

    def _remember(self, key: tuple[object, ...], now: float) -> None:
        if len(self._seen) >= MOST:
            oldest = next(iter(self._seen))
            self._tell(self._seen.pop(oldest))
        self._seen[key] = _Seen(now + self._window)

    def _tell_others(self, name: str) -> None:
        for key, seen in self._seen.items():
            if key[0] == name:
                self._tell(seen)

    def _tell_overdue(self, now: float) -> None:
        for key in [key for key, seen in self._seen.items() if seen.until <= now]:
            self._tell(self._seen.pop(key))

    def _tell(self, seen: _Seen) -> None:
        if seen.record is not None:
            told = copy.copy(seen.record)
            told.times = seen.times
            self._hand_on(told)
        seen.times, seen.record = 0, None

    def _hand_on(self, record: logging.LogRecord) -> None:
        for target in self._targets:
            target.handle(record)

    def _wake(self, seconds: float) -> None:
        """Nothing may be said for hours after this: then the count is told when its minute is over."""
        if self._timer is not None and self._timer.is_alive():
            return
        self._timer = threading.Timer(max(0.05, seconds), self._woken)
        self._timer.daemon = True
        with suppress(RuntimeError):  # the process ends, which tells everything
            self._timer.start()

    def _woken(self) -> None:
        self.acquire()
        try:
            self._timer = None
            now = self._clock()
            self._tell_overdue(now)
            left = [seen.until for seen in self._seen.values() if seen.times]
            if left:
                self._wake(min(left) - now)
        finally:
            self.release()


def _key(record: logging.LogRecord) -> tuple[object, ...]:
    """What makes two records the same: who says what how loudly, and what was raised."""
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError):
        text = f"{record.msg} {record.args!r}"
    raised = record.exc_info[1] if record.exc_info else None
    return record.name, record.levelno, text, repr(raised)

"""No more calls than Kite allows: a distance between calls of a class, and a cap over all of them for who wants one."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal

Kind = Literal["quote", "candle", "other"]
"""Kite's classes of calls, each with a limit of its own (Kite Connect 3, "API rate limit")."""

MINUTE = 60.0


class Limiter:
    """Any number of threads may wait at once; time is lent.

    Kite counts in the seconds of its own clock, and nobody here knows where they begin. So calls keep a distance, and
    none are saved up: n calls a second, n below Kite's number, leave a distance in which the way of a call may vary
    without two of them arriving within one second. per_second: calls of each class. per_minute: calls of all classes
    together, within any sixty seconds.
    """

    def __init__(
        self,
        per_second: Mapping[Kind, float],
        per_minute: int | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._distance = {kind: 1 / number for kind, number in per_second.items()}
        self._next = dict.fromkeys(per_second, -math.inf)
        self._per_minute = per_minute
        self._calls: deque[float] = deque(maxlen=per_minute or 0)
        self._monotonic, self._sleep = monotonic, sleep
        self._lock = threading.Lock()

    def wait(self, kind: Kind, until: float = math.inf) -> bool:
        """Return when a call may be made; it counts as made now. False, at once, when that would be after `until`.

        until: a time of `monotonic`.
        """
        while True:
            with self._lock:
                now = self._monotonic()
                free = max(self._next[kind], self._minute())
                if free <= now:
                    # From the call that is made and not from the turn it had: a thread that wakes late is not followed
                    # too closely.
                    self._next[kind] = now + self._distance[kind]
                    self._calls.append(now)
                    return True
            if free > until:
                return False
            self._sleep(free - now)

    def hold(self, kind: Kind, seconds: float) -> None:
        """No call of this class for so long: Kite said that there were too many."""
        with self._lock:
            self._next[kind] = max(self._next[kind], self._monotonic() + seconds)

    def _minute(self) -> float:
        """When the cap over all classes allows the next call."""
        full = self._per_minute is not None and len(self._calls) == self._per_minute
        return self._calls[0] + MINUTE if full else -math.inf

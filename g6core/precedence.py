"""Recording goes first: threads that work for somebody else stand still while a cycle computes.

They share one interpreter with the cycle, so each of their turns would make it longer.
"""

from __future__ import annotations

import threading
import time

LONGEST = 0.3
"""Seconds after which nobody gives way any more: a first cycle compiles, and an answer is still wanted then."""


class Precedence:
    """`take` and `leave` by the engine's thread, `give_way` by any other. longest: seconds."""

    def __init__(self, longest: float = LONGEST) -> None:
        self._longest = longest
        self._free = threading.Event()
        self._free.set()
        self._until = 0.0

    def take(self) -> None:
        """A cycle computes from now on; taken once more, it begins anew."""
        self._until = time.monotonic() + self._longest
        self._free.clear()

    def leave(self) -> None:
        self._free.set()

    def give_way(self) -> None:
        """Return once no cycle computes, or it has done so for too long."""
        if not self._free.is_set():
            self._free.wait(max(0.0, self._until - time.monotonic()))

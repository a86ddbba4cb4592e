"""Kite's limits of calls, counted by calendar seconds of the machine's clock."""

from __future__ import annotations

import time
from collections.abc import Callable

CALLS = {"quote": 1, "historical": 3, "other": 10}
"""A second, by class."""

KEYS = {"/quote": 500, "/quote/ohlc": 1000, "/quote/ltp": 1000}
"""Instruments in one call."""


def class_of(path: str) -> str | None:
    """The class of a path; None for what is not counted: the stream, the login page and our own controls."""
    if path == "/" or path.startswith(("/connect/", "/sim/")):
        return None
    if path == "/quote" or path.startswith("/quote/"):
        return "quote"
    return "historical" if path.startswith("/instruments/historical/") else "other"


class Limits:
    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._counted: dict[str, tuple[int, int]] = {}

    def allows(self, path: str) -> bool:
        """Count a call; False when its class has had its calls in this second."""
        kind = class_of(path)
        if kind is None:
            return True
        second = int(self._wall())
        before, count = self._counted.get(kind, (second, 0))
        count = count + 1 if before == second else 1
        self._counted[kind] = (second, count)
        return count <= CALLS[kind]

"""What systemd is told: that the recorder is ready, what it does, and that its loop still turns (`sd_notify`).

Said by the loop's own thread alone, so a loop that hangs is silent, and systemd starts the recorder again.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from g6core.exchange import IST
from g6core.redact import redacted
from g6core.reports import CycleReport

if TYPE_CHECKING:
    from g6core.engine import Engine

log = logging.getLogger("g6.notify")
LONGEST_STATUS = 500
"""Letters."""


class Notifier:
    """A view (`loop.View`) for systemd, and the loop's way to wait. Without systemd it does nothing, and waits.

    address: `NOTIFY_SOCKET`, a path or `@` and an abstract name; None for nobody. watchdog: seconds within which
    systemd wants to hear something; None when it does not.
    """

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self.watchdog = watchdog if address else None
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address and address[0] in "/@" and hasattr(socket, "AF_UNIX"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        self._ready = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Notifier:
        """As systemd set the environment. What is meant for another process, or makes no sense, counts as absent."""
        micros = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog = int(micros) / 1e6 if mine and micros.isdecimal() and int(micros) else None
        return cls(environment.get("NOTIFY_SOCKET") or None, watchdog)

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        recorded = sum(index.status == "recorded" for index in report.indices.values())
        done = f"{recorded} of {len(report.indices)} indices at {_time(report.ts)}, {report.seconds * 1000:.0f} ms"
        self._tick(f"paused: {engine.problem.message}" if engine.problem else f"recording: {done}")

    def idle(self, engine: Engine, opens: datetime) -> None:
        self._tick(f"the market is closed; recording begins on {opens.astimezone(IST):%a %d %b %H:%M} IST")

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """Until `stop` or for so many seconds, and systemd hears in between that the loop is there."""
        end = time.monotonic() + seconds
        step = self.watchdog / 3 if self.watchdog else seconds
        while (left := end - time.monotonic()) > 0 and not stop.wait(min(step, left)):
            if self.watchdog:
                self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """The last cycle is done; the sinks drain."""
        self._say("STOPPING=1", "STATUS=the sinks get what they have not got yet")

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None

    def _tick(self, status: str) -> None:
        words = [] if self._ready else ["READY=1"]
        words += ["WATCHDOG=1"] if self.watchdog else []
        line = " ".join(redacted(status).split())[:LONGEST_STATUS]
        self._ready = self._say(*words, f"STATUS={line}") or self._ready

    def _say(self, *lines: str) -> bool:
        """Whether it was said; a systemd that does not listen at the moment is told the next time."""
        if self._socket is None or self._address is None:
            return False
        try:
            self._socket.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)
        except OSError as e:
            log.debug("systemd cannot be told: %s", e)
            return False
        return True


def _time(ts: datetime) -> str:
    return f"{ts.astimezone(IST):%H:%M:%S} IST"

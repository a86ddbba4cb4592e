"""A server that has stopped answering, without closing anything, is left after a time.

Timeouts of the server do not work while it stands still, and no setting of libpq ends a wait for an answer. So the
socket is shut from another thread, and the client that reads from it finds the connection closed.
"""

from __future__ import annotations

import socket
from threading import Lock, Timer
from types import TracebackType


class Deadline:
    """`with deadline:` the connection that it watches is cut when the body takes longer than `seconds`.

    passed: whether that happened in the last use.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.passed = False
        self._lock = Lock()
        self._line: socket.socket | None = None
        self._timer: Timer | None = None

    def watch(self, descriptor: int) -> None:
        """From now on this connection; also in the middle of a body."""
        self.forget()
        with self._lock:
            # A descriptor of our own: the client may close its, and the number may then be another connection's.
            self._line = socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM)
            if self.passed:
                self._cut()

    def forget(self) -> None:
        with self._lock:
            if self._line is not None:
                self._line.close()
            self._line = None

    def __enter__(self) -> None:
        self.passed = False
        self._timer = Timer(self.seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            # Without this a timer that is about to fire could cut the next use.
            self._timer.join()
            self._timer = None

    def _expire(self) -> None:
        with self._lock:
            self.passed = True
            self._cut()

    def _cut(self) -> None:
        if self._line is not None:
            try:
                self._line.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other side was quicker
                return

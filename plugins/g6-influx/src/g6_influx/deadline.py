"""An end for a request as a whole.

The client's timeout is one for each wait: a server that sends a byte now and then could keep a request for ever.
"""

from __future__ import annotations

import contextlib
import socket
from threading import Timer
from typing import Any

from urllib3.connectionpool import HTTPConnectionPool


class Deadline:
    """`with deadline:` the pool's connections are cut off after `seconds`, and TimeoutError is raised."""

    def __init__(self, pool: HTTPConnectionPool, seconds: float) -> None:
        self._seconds = seconds
        self._sockets: list[socket.socket] = []
        self._timer: Timer | None = None
        self._over = False
        pool.ConnectionCls = self._noting(pool.ConnectionCls)

    def __enter__(self) -> None:
        self._over = False
        self._timer = Timer(self._seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()
        if self._over:
            raise TimeoutError(f"no whole answer within {self._seconds:g} s")

    def _noting(self, connection: Any) -> Any:
        """The class of connections, made to tell of its sockets."""
        sockets = self._sockets

        class Noting(connection):
            def connect(self) -> None:
                super().connect()
                # One thread, one connection: those before are closed.
                sockets[:] = [self.sock]

        return Noting

    def _cut(self) -> None:
        self._over = True
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

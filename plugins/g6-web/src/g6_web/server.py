"""uvicorn in a thread of its own, with limits for clients that are slow, stuck, or send without end."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from g6core import Http, Page, Unavailable, port_taken, problem

MOST = 512
"""Connections at a time: each costs the recorder a file descriptor."""
LONGEST_HEAD = 32 * 1024
"""Bytes of a request line and headers."""
LINGER = 2.0
"""Seconds for a client that was refused in the middle of its words to read why."""


class Server:
    """Serves an ASGI app from `start` to `stop`. Raises Unavailable (`port`) when the port cannot be had."""

    def __init__(self, http: Http, app: Any, patience: float, stuck: float) -> None:
        """patience: seconds for a client to say what it wants; stuck: to take something of what it is sent."""
        self._socket = _listen(http)
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(_config(app, partial(Limited, patience, stuck)))
        self._thread = threading.Thread(target=self._run, name="g6-web", daemon=True)
        self._ready = threading.Event()
        self._begin: Callable[[], None] = lambda: None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self, begin: Callable[[], None]) -> None:
        """begin: called first, in the server's event loop."""
        self._begin = begin
        self._thread.start()
        if not self._ready.wait(10):
            self._socket.close()
            raise Unavailable("the HTTP server does not start", hint="it is tried again")

    def stop(self, end: Callable[[], None], patience: float) -> bool:
        """end: called in the event loop, so that what never ends by itself does. False when it took too long."""
        if self._loop is not None and self.alive:
            self._loop.call_soon_threadsafe(end)
        # That an answer is cut off by the end is no error.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._server.should_exit = True
        self._thread.join(patience)
        return not self.alive

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begin()
        self._ready.set()
        await self._server.serve(sockets=[self._socket])


class Limited(HttpToolsProtocol):
    """uvicorn's protocol, which sets no bound to a head that goes on, nor to a client that takes nothing."""

    def __init__(self, patience: float, stuck: float, **given: Any) -> None:
        super().__init__(**given)
        self._patience = patience
        self._most_stuck = stuck
        self._stuck: asyncio.TimerHandle | None = None
        self._in_head = True
        self._refused = False
        self._waiting = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(self._patience, transport.abort)
        if len(self.connections) > MOST:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._late.cancel()
        self._unstick()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self._in_head:
            self._waiting += len(data)
            if self._waiting > LONGEST_HEAD:
                self._refuse(too_long())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._waiting = True, 0
        self._late.cancel()
        self._late = self.loop.call_later(self._patience, self.transport.abort)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._late.cancel()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(self._most_stuck, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unstick()

    def send_400_response(self, msg: str) -> None:
        self._refuse(problem(400, "bad-request", "this is no request that can be understood"))

    def _unstick(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _refuse(self, page: Page) -> None:
        """What comes afterwards is read and thrown away: closed at once, the client might never see the answer."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        head = [f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}", f"content-type: {page.type}"]
        head += [f"content-length: {len(page.body)}", "connection: close", "", ""]
        self.transport.write("\r\n".join(head).encode() + page.body)
        self.transport.write_eof()
        self._late.cancel()
        self._late = self.loop.call_later(LINGER, self.transport.abort)


def too_long() -> Page:
    return problem(431, "bad-request", f"the head of a request is {LONGEST_HEAD:,} bytes at the most")


def _listen(http: Http) -> socket.socket:
    host = http.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, http.port), family=family, backlog=256)
    except OSError as e:
        raise port_taken(http, e) from e


def _config(app: Any, protocol: Any) -> uvicorn.Config:
    # What strangers send is no news; each would otherwise write a line into the recorder's log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
    )

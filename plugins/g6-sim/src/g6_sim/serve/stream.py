"""Kite's stream: a WebSocket at `/` with binary quotes, a heartbeat each second, and scripted faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from g6_sim.serve.errors import GENERAL, NETWORK, TOKEN, KiteError
from g6_sim.serve.faults import Fault
from g6_sim.serve.harm import strikes
from g6_sim.serve.rest import BAD_SESSION
from g6_sim.serve.scene import Scene
from g6_sim.serve.subscriber import Subscriber

if TYPE_CHECKING:
    from g6_sim.serve.app import Server

SOCKETS = 3
"""That an app may have open."""


def handler(server: Server) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The route of the stream; also adds the task that ticks to the server's application."""
    hub = Hub(server)
    server.app.on_startup.append(hub.start)
    server.app.on_shutdown.append(hub.stop)
    return hub.connect


class Hub:
    """All sockets, and the tick that they share. tick: set at the next one, then replaced."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.scene = Scene(server)
        self.sockets: dict[int, Subscriber] = {}
        self.tick = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None
        self._silence: Fault | None = None
        self._silenced: frozenset[Subscriber] = frozenset()

    async def start(self, _: web.Application) -> None:
        self._ticking = asyncio.create_task(self._run())

    async def stop(self, _: web.Application) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        await asyncio.gather(*(socket.close(1001, "going away") for socket in list(self.sockets.values())))
        self.server.sent.close()

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Authorised by its query, as Kite does it; refused before the upgrade."""
        socket = web.WebSocketResponse(compress=False, timeout=0.5, max_msg_size=1 << 20)
        if not socket.can_prepare(request).ok:
            raise KiteError(404, GENERAL, "Route not found")
        if not self.server.accounts.authorised(*(request.query.get(k, "") for k in ("api_key", "access_token"))):
            raise KiteError(403, TOKEN, BAD_SESSION)
        number = next((n for n in range(SOCKETS) if n not in self.sockets), None)
        if number is None:
            raise KiteError(429, NETWORK, f"Maximum number of connections exceeded: {SOCKETS}")
        subscriber = self.sockets[number] = Subscriber(self, socket, request, number)
        try:
            await socket.prepare(request)
            await subscriber.run()
        finally:
            del self.sockets[number]
        return socket

    def silent(self, subscriber: Subscriber) -> bool:
        """Whether the fault holds for it; with `:old=1` only for sockets that were open when it began."""
        fault = self.server.faults.active("silent")
        if fault is not self._silence:
            self._silence, self._silenced = fault, frozenset(self.sockets.values())
        if fault is None or not strikes(fault, subscriber.number):
            return False
        return "old" not in fault.parameters or subscriber in self._silenced

    async def _run(self) -> None:
        period, following = 1 / self.server.options.ticks, time.monotonic()
        while True:
            # A tick that comes late is not made up for.
            following = max(following + period, time.monotonic())
            await asyncio.sleep(following - time.monotonic())
            self.server.faults.ticks += 1
            self._strike()
            if self.sockets:
                self.scene.look()
            tick, self.tick = self.tick, asyncio.Event()
            tick.set()

    def _strike(self) -> None:
        """What happens to sockets from outside."""
        self.server.sent.flush()
        if self.server.faults.take("expire"):
            self.server.accounts.end_all()
        drop = self.server.faults.take("drop")
        for subscriber in list(self.sockets.values()):
            # Asked of each, so that a silence knows who was there when it began.
            self.silent(subscriber)
            if drop and strikes(drop, subscriber.number):
                subscriber.abort()
            elif not subscriber.authorised():
                subscriber.end()

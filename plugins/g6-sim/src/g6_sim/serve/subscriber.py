"""One socket of the stream: what it has subscribed, and what it is sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from aiohttp import WSMsgType, web
from numpy.typing import NDArray

from g6_sim.serve.harm import Parcel, parcel
from g6_sim.serve.packets import HEARTBEAT, MODES, PACKET, QUOTE
from g6_sim.serve.sent import Message

if TYPE_CHECKING:
    from g6_sim.serve.stream import Hub

TOKENS = 3000
"""That a socket may have subscribed."""

BEAT = 1.0


class Subscriber:
    """number: the lowest that was free when it came, from 0."""

    def __init__(self, hub: Hub, socket: web.WebSocketResponse, request: web.Request, number: int) -> None:
        self.number = number
        self._hub, self._socket, self._transport = hub, socket, request.transport
        self._session = request.query.get("api_key", ""), request.query.get("access_token", "")
        self._modes: dict[int, int] = {}
        self._ending = False
        self._day: date | None = None
        self._slots = self._mode = np.zeros(0, np.int64)
        self._before = np.zeros(0, PACKET)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the client is gone. Pings are answered by the WebSocket library; no pong is sent unasked."""
        self._start(self._beats())
        self._start(self._ticks())
        try:
            async for received in self._socket:
                if received.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    with suppress(ConnectionError):
                        await self._obey(received.data)
        finally:
            for task in self._tasks:
                task.cancel()

    def authorised(self) -> bool:
        return self._hub.server.accounts.authorised(*self._session)

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def end(self) -> None:
        """The session is over."""
        if not self._ending:
            self._ending = True
            self._start(self.close(1008, "session expired"))

    async def close(self, code: int, reason: str) -> None:
        with suppress(ConnectionError):
            await self._socket.close(code=code, message=reason.encode())

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _beats(self) -> None:
        with suppress(ConnectionError):
            while not self._socket.closed:
                if not self._hub.silent(self):
                    await self._socket.send_bytes(HEARTBEAT)
                await asyncio.sleep(BEAT)

    async def _ticks(self) -> None:
        """A client that does not keep up misses ticks, and then gets the state of that moment."""
        with suppress(ConnectionError):
            while not self._socket.closed:
                await self._hub.tick.wait()
                self._follow_day()
                await self._send(self._due())

    async def _obey(self, text: str | bytes) -> None:
        """Subscribe, unsubscribe, mode; the same twice does no harm. Other words are ignored, as Kite does."""
        try:
            action, value = _command(text)
        except (ValueError, TypeError, KeyError):
            return
        if action == "unsubscribe":
            for token in _numbers(value):
                self._modes.pop(token, None)
            self._lay_out()
        elif action == "subscribe":
            await self._subscribe(_numbers(value), None)
        elif action == "mode" and isinstance(value, list) and len(value) == 2 and value[0] in MODES:
            await self._subscribe(_numbers(value[1]), MODES.index(value[0]))

    async def _subscribe(self, tokens: Sequence[int], mode: int | None) -> None:
        """Each is answered at once with its present state. mode None: as it was, quote if it is new."""
        new = [token for token in dict.fromkeys(tokens) if token not in self._modes]
        beyond = set(new[max(TOKENS - len(self._modes), 0) :])
        taken = [token for token in tokens if token not in beyond]
        for token in taken:
            self._modes[token] = self._modes.get(token, QUOTE) if mode is None else mode
        self._hub.scene.look()
        self._lay_out()
        slots = self._hub.server.market.slots(np.array(taken, np.int64))
        slots = np.unique(slots[slots >= 0])
        await self._send(slots[self._hub.scene.said[slots]])
        if beyond:
            await self._say(f"{len(beyond)} instruments beyond the limit of {TOKENS} of a connection")

    async def _say(self, text: str) -> None:
        if not self._hub.silent(self):
            await self._socket.send_str(json.dumps({"type": "error", "data": text}))

    def _follow_day(self) -> None:
        """Slots are those of a day; on the next one the same token may be somewhere else, or nowhere."""
        if self._day != self._hub.scene.day:
            self._lay_out()

    def _lay_out(self) -> None:
        """Where the subscribed tokens stand in the scene."""
        scene = self._hub.scene
        if self._day != scene.day:
            self._day, self._before = scene.day, np.zeros(scene.rows.size, PACKET)
        slots = self._hub.server.market.slots(np.fromiter(self._modes, np.int64))
        known = slots >= 0
        self._slots = slots[known]
        self._mode = np.full(scene.rows.size, QUOTE)
        self._mode[self._slots] = np.fromiter(self._modes.values(), np.int64)[known]

    def _due(self) -> NDArray[np.int64]:
        """What has changed since it was sent last."""
        scene, slots = self._hub.scene, self._slots
        slots = slots[scene.said[slots]]
        if not slots.size or self._hub.server.options.all_ticks:
            return slots
        now, before = (rows[slots].view(np.uint8).reshape(slots.size, -1) for rows in (scene.rows, self._before))
        return np.asarray(slots[(now != before).any(axis=1)])

    async def _send(self, slots: NDArray[np.int64]) -> None:
        """The present state of these, in one message, or what the faults make of it."""
        if not slots.size or self._hub.silent(self):
            return
        scene = self._hub.scene
        rows, index, modes = scene.rows[slots], scene.index[slots], self._mode[slots]
        self._before[slots] = rows
        goods = parcel(self._hub.server.faults, self.number, rows, index, modes)
        record = Message(0, self.number, goods.faults, rows, index, modes)
        if goods.seconds:
            self._start(self._hand_over(goods, record))
        else:
            await self._hand_over(goods, record)

    async def _hand_over(self, goods: Parcel, record: Message) -> None:
        await asyncio.sleep(goods.seconds)
        self._hub.server.sent.add(replace(record, at=time.time_ns() // 1000))
        with suppress(ConnectionError):
            for frame in goods.frames:
                await self._socket.send_bytes(frame)


def _command(text: str | bytes) -> tuple[str, Any]:
    command = json.loads(text)
    return command["a"], command["v"]


def _numbers(value: Any) -> list[int]:
    """The tokens of a command; what can be none is left out."""
    return [t for t in value if type(t) is int and 0 <= t < 1 << 32] if isinstance(value, list) else []

"""The stream of snapshots: server-sent events, a bounded queue per client, and nobody waits for anybody."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import polars as pl

from g6_web.board import Board, Held
from g6_web.settings import Settings
from g6core import G6Error, Unavailable, metric

log = logging.getLogger("g6.web")
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
CLIENTS = metric("gauge", "g6_web_streams", "Clients that follow the stream of snapshots")
SKIPPED = metric("counter", "g6_web_stream_skipped_total", "Events that a client was too slow for")

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Encode = Callable[[Held], Awaitable[bytes]]


class Client:
    """What waits for one client, at most `most` frames: then the oldest goes, and it goes on with the newest.

    indices: those it follows; None for all.
    """

    def __init__(self, indices: frozenset[str] | None, most: int) -> None:
        self.indices = indices
        self.gone = False
        self._frames: deque[bytes] = deque(maxlen=most)
        self._last: dict[str, int] = {}
        self._news = asyncio.Event()

    def follows(self, index: str) -> bool:
        return self.indices is None or index in self.indices

    def put(self, held: Held, frame: bytes) -> None:
        index = held.snapshot.index
        if held.stamp <= self._last.get(index, -1):
            return
        self._last[index] = held.stamp
        if len(self._frames) == self._frames.maxlen:
            SKIPPED.inc()
        self._frames.append(frame)
        self._news.set()

    def leave(self) -> None:
        self.gone = True
        self._news.set()

    async def next(self, patience: float) -> bytes:
        """The oldest that waits; empty when nothing came in that time."""
        if not self._frames and not self.gone:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), patience)
            except TimeoutError:
                return b""
        return self._frames.popleft() if self._frames else b""


class Streams:
    """All clients of the stream; lives in the server's event loop, but for `tell`."""

    def __init__(self, board: Board, encode: Encode, settings: Settings) -> None:
        self._board = board
        self._encode = encode
        self._most = settings.streams
        self._queue = settings.queue
        self._heartbeat = settings.heartbeat.total_seconds()
        self._clients: set[Client] = set()
        self._fresh: deque[Held] = deque(maxlen=256)
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._announce())

    def tell(self, fresh: Iterable[Held]) -> None:
        """From any thread: these are new. Returns at once."""
        self._loop.call_soon_threadsafe(self._take, list(fresh))

    def close(self) -> None:
        """Every client's stream ends."""
        self._task.cancel()
        for client in self._clients:
            client.leave()

    def refusal(self) -> G6Error | None:
        if len(self._clients) < self._most:
            return None
        return Unavailable(
            f"{self._most} clients follow the stream already", hint="`streams` in [sinks.web] is how many may"
        )

    async def serve(self, indices: frozenset[str] | None, receive: Receive, send: Send) -> None:
        """Until the client leaves: the newest of each index, then all that comes."""
        client = Client(indices, self._queue)
        watch = self._loop.create_task(_disconnect(receive))
        watch.add_done_callback(lambda _: client.leave())
        self._clients.add(client)
        CLIENTS.set(len(self._clients))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send(_body(b"retry: 3000\n\n"))
            for held in self._board.all():
                if client.follows(held.snapshot.index):
                    client.put(held, await self._frame(held))
            while not client.gone:
                await send(_body(await client.next(self._heartbeat) or b": alive\n\n"))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watch.cancel()
            self._clients.discard(client)
            CLIENTS.set(len(self._clients))

    def _take(self, fresh: list[Held]) -> None:
        self._fresh.extend(fresh)
        self._news.set()

    async def _announce(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._fresh:
                held = self._fresh.popleft()
                if any(client.follows(held.snapshot.index) for client in self._clients):
                    await self._tell(held)

    async def _tell(self, held: Held) -> None:
        try:
            frame = await self._frame(held)
        except (G6Error, ValueError, TypeError, pl.exceptions.PolarsError) as e:
            # One snapshot that cannot be told must not end the stream of the others.
            log.warning("%s of %s cannot be streamed: %s", held.snapshot.index, held.snapshot.ts.isoformat(), e)
            return
        for client in self._clients:
            if client.follows(held.snapshot.index):
                client.put(held, frame)

    async def _frame(self, held: Held) -> bytes:
        body = held.ready(("snapshot",)) or await self._encode(held)
        s = held.snapshot
        head = f'id: {s.ts.isoformat()}\nevent: snapshot\ndata: {{"age": {self._board.age(s.ts):.3f}, '
        return head.encode() + body + b"\n\n"


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _body(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}

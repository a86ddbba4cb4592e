"""A server with a small market, and a plain WebSocket client that keeps what it hears."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from g6_sim import Settings
from g6_sim.provider import Sim
from g6_sim.serve.app import Options, Server
from g6_sim.serve.faults import parse

kiteconnect = pytest.importorskip("kiteconnect")

FRIDAY = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
NIFTY = 256265
TICK = 0.1
Message = tuple[float, bytes]


def serve(**options: Any) -> Server:
    """A small market, a second of which passes in each tick of a tenth."""
    given = {"indices": ("NIFTY",), "ticks": 1 / TICK, "speed": 1 / TICK, "start": FRIDAY} | options
    return Server(lambda: Sim(Settings(seed=7, weeks=1, months=1)), Options(**given))


def options_of(server: Server, count: int) -> list[int]:
    """Tokens of the contracts that are traded most."""
    market = server.market
    traded = sorted(market.quotes(), key=lambda quote: -int(quote["volume"]))
    return [int(quote["token"]) for quote in traded[:count]]


def url(server: Server, token: str | None = None) -> str:
    return f"{server.address}/?api_key=demo&access_token={token or server.accounts.log_in()[0]}"


class Client:
    """messages: (seconds since it connected, bytes) of what came, heartbeats too; texts: what came in words."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[Message] = []
        self.texts: list[Any] = []
        self.closed: int | None = None
        self.began = time.monotonic()

    async def say(self, action: str, value: Any) -> None:
        await self.socket.send_str(json.dumps({"a": action, "v": value}))

    async def full(self, tokens: Sequence[int]) -> None:
        await self.say("subscribe", list(tokens))
        await self.say("mode", ["full", list(tokens)])

    async def listen(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until() and self.closed is None:
            try:
                received = await self.socket.receive(timeout=max(end - time.monotonic(), 0.001))
            except TimeoutError:
                return
            if received.type is aiohttp.WSMsgType.BINARY:
                self.messages.append((time.monotonic() - self.began, received.data))
            elif received.type is aiohttp.WSMsgType.TEXT:
                self.texts.append(json.loads(received.data))
            else:
                self.closed = self.socket.close_code

    @property
    def frames(self) -> list[bytes]:
        return [data for _, data in self.messages if len(data) > 1]

    @property
    def ticks(self) -> list[dict[str, Any]]:
        return [tick for frame in self.frames for tick in parsed(frame)]


def parsed(frame: bytes) -> list[dict[str, Any]]:
    return kiteconnect.KiteTicker("key", "token")._parse_binary(frame)


@asynccontextmanager
async def connected(server: Server, token: str | None = None) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session, session.ws_connect(url(server, token), autoping=False) as socket:
        yield Client(socket)


def talk(server: Server, to: Callable[[Client], Awaitable[None]], fault: str = "") -> Client:
    """What a client heard that connected, and did that. fault: begins when it has connected."""

    async def run() -> Client:
        async with connected(server) as client:
            if fault:
                server.faults.add(parse(fault))
            await to(client)
            return client

    return asyncio.run(run())


def follow(tokens: Sequence[int], seconds: float = 5 * TICK) -> Callable[[Client], Awaitable[None]]:
    async def run(client: Client) -> None:
        await client.full(tokens)
        await client.listen(seconds)

    return run


def refusal(server: Server, address: str) -> int:
    async def run() -> int:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(address)
            return refused.value.status

    return asyncio.run(run())

"""The stream over real sockets: many clients, one that never reads, and an end that nobody holds up."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from g6core import Context, Snapshot, trading_date
from g6core.testing import START, snapshot, snapshots

from .conftest import Site

PATIENCE = 30.0
"""Seconds after which something hangs."""


class Follower:
    """A client of the stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int, path: str = "/api/v1/stream") -> Follower:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        assert b"text/event-stream" in head
        return cls(reader, writer)

    async def piece(self) -> bytes:
        """What the server sent in one go; empty at the end."""
        size = int(await self._reader.readline() or b"0", 16)
        return (await self._reader.readexactly(size + 2))[:-2] if size else b""

    async def event(self) -> tuple[str, Any]:
        """(id, document) of the next snapshot."""
        while not (piece := await self.piece()).startswith(b"id: "):
            assert piece, "the stream has ended"
        names = dict(line.split(": ", 1) for line in piece.decode().strip().split("\n"))
        assert names["event"] == "snapshot"
        return names["id"], json.loads(names["data"])

    def close(self) -> None:
        self._writer.close()


def run(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


def test_a_client_gets_the_newest_and_then_all_that_comes(site: Site) -> None:
    batch = snapshots(4)
    site.sink.write(batch[:2])

    async def follow() -> None:
        client = await Follower.connect(site.port)
        found = [await client.event()]
        for s in batch[2:]:
            site.sink.write([s])
            found.append(await client.event())
        assert [ts for ts, _ in found] == [s.ts.isoformat() for s in batch[1:]]
        assert found[-1][1] == {**site.api("snapshot/NIFTY").json, "age": found[-1][1]["age"]}
        client.close()

    run(follow())


def test_a_client_gets_the_indices_that_it_asked_for(site: Site) -> None:
    async def follow() -> None:
        some = await Follower.connect(site.port, "/api/v1/stream?index=NIFTY,SENSEX")
        every = await Follower.connect(site.port)
        site.sink.write([snapshot(index, strikes=3) for index in ("BANKNIFTY", "NIFTY", "SENSEX")])
        assert [(await some.event())[1]["index"] for _ in range(2)] == ["NIFTY", "SENSEX"]
        assert {(await every.event())[1]["index"] for _ in range(3)} == {"BANKNIFTY", "NIFTY", "SENSEX"}
        some.close()
        every.close()

    run(follow())


def test_what_is_old_is_not_sent(site: Site) -> None:
    first, second, third = snapshots(3)

    async def follow() -> None:
        client = await Follower.connect(site.port)
        for s in (second, first, second, third):
            site.sink.write([s])
        assert [(await client.event())[0] for _ in range(2)] == [second.ts.isoformat(), third.ts.isoformat()]
        client.close()

    run(follow())


def test_a_silent_stream_says_that_it_is_alive(opened: Callable[..., Site]) -> None:
    site = opened(heartbeat="20ms")

    async def follow() -> None:
        client = await Follower.connect(site.port)
        assert [await client.piece() for _ in range(3)] == [b"retry: 3000\n\n", b": alive\n\n", b": alive\n\n"]
        client.close()

    run(follow())


def test_a_hundred_clients_and_one_that_never_reads(opened: Callable[..., Site]) -> None:
    """98 follow a small index, one reads a large one, and one asks for the large one and reads nothing."""
    site = opened(queue=4)
    large = snapshot("SENSEX", strikes=161)
    writes = 24

    async def follow() -> None:
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", site.port))
        stuck.sendall(b"GET /api/v1/stream?index=SENSEX HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        small = [await Follower.connect(site.port, "/api/v1/stream?index=NIFTY") for _ in range(98)]
        other = await Follower.connect(site.port, "/api/v1/stream?index=SENSEX")
        for n in range(writes):
            at = START + timedelta(seconds=n)
            site.sink.write([large.replace(ts=at)])
            assert (await other.event())[0] == at.isoformat()
            if n % 8 == 0:
                site.sink.write([snapshot("NIFTY", at, strikes=3, expiries=1)])
                assert {ts for ts, _ in await asyncio.gather(*(c.event() for c in small))} == {at.isoformat()}
        skipped = next(
            float(line.split()[-1])
            for line in site.get("/metrics").body.decode().splitlines()
            if line.startswith("g6_web_stream_skipped_total")
        )
        assert skipped > before, "the one that never reads was too slow for some"
        for client in (*small, other):
            client.close()
        stuck.close()

    text = site.get("/metrics").body.decode()
    (before,) = [float(x.split()[-1]) for x in text.splitlines() if x.startswith("g6_web_stream_skipped_total")]
    run(follow())


def serving() -> int:
    """Servers of this process, those of other tests included."""
    return sum(thread.name == "g6-web" for thread in threading.enumerate())


def test_the_end_waits_for_no_client(site: Site, context: Context) -> None:
    """Streams, an idle connection, half a request, an answer that nobody takes: the port is free afterwards."""
    site.sink.write([snapshot(strikes=161)])
    port = site.port
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(6)]
    head = b"HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    for s in sockets[:2]:
        s.sendall(b"GET /api/v1/stream " + head + b"\r\n")
        assert s.recv(10)
    sockets[2].sendall(b"GET /api/v1/snap")
    sockets[3].sendall(b"GET /api/v1/snapshot/NIFTY " + head)
    for _ in range(20):
        sockets[4].sendall(b"GET /api/v1/snapshot/NIFTY " + head + b"\r\n")
    before = serving()
    ended = threading.Thread(target=site.sink.close)
    ended.start()
    ended.join(30)
    assert not ended.is_alive()
    for _ in range(200):
        if serving() < before:
            break
        time.sleep(0.1)  # a busy machine
    assert serving() < before
    assert site.sink.port is None
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
    for s in sockets:
        s.close()


def test_questions_that_take_long_hold_up_nobody(
    opened: Callable[..., Site], record: Callable[..., None], context: Context
) -> None:
    batch = snapshots(3)
    record(batch)
    site = opened()
    day = trading_date(batch[0].ts)
    with closing(sqlite3.connect(context.data_dir / "journal" / f"{day}.db", isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")  # so whoever looks into the day waits
        path = f"history/{batch[0].index}/spot?date={day}"
        asking = [threading.Thread(target=site.api, args=(path,), daemon=True) for _ in range(4)]
        for one in asking:
            one.start()
        for page in ("/livez", "/metrics", "/api/v1/indices", f"/api/v1/snapshot/{batch[0].index}"):
            assert site.get(page).status == 200
        assert all(one.is_alive() for one in asking)
        db.execute("ROLLBACK")
        db.execute("PRAGMA locking_mode = NORMAL")
    for one in asking:
        one.join(30)


def test_no_more_clients_than_there_may_be(opened: Callable[..., Site]) -> None:
    site = opened(streams=1)

    async def follow() -> None:
        first = await Follower.connect(site.port)
        answer = await asyncio.to_thread(site.api, "stream")
        assert (answer.status, answer.code) == (503, "unavailable")
        assert "`streams`" in answer.json["hint"]
        first.close()
        while (await asyncio.to_thread(site.get, "/api/v1/stream", "HEAD")).status != 200:
            await asyncio.sleep(0.01)

    run(follow())


@pytest.mark.parametrize("batch", [[snapshot()], snapshots(64, strikes=3, expiries=1)], ids=["one", "many"])
def test_a_write_does_not_wait_for_the_server(site: Site, batch: list[Snapshot]) -> None:
    """Its event loop stands still here, as under a flood of requests."""
    loop = site.sink._server._loop  # type: ignore[union-attr]
    held, go = threading.Event(), threading.Event()
    loop.call_soon_threadsafe(lambda: (held.set(), go.wait(PATIENCE)))  # type: ignore[union-attr]
    assert held.wait(PATIENCE)
    site.sink.write(batch)
    assert not go.is_set()
    go.set()
    assert site.api("snapshot/NIFTY").json["ts"] == batch[-1].ts.isoformat()

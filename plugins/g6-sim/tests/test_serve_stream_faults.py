"""The scripted faults of the stream, as a client meets them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from g6_sim.serve.app import Server
from g6_sim.serve.faults import parse

sys.path.append(str(Path(__file__).parent))

from stream_client import NIFTY, TICK, Client, connected, follow, options_of, refusal, serve, talk, url


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


def test_silent_sockets_stay_open_and_say_nothing(server: Server) -> None:
    async def run(client: Client) -> None:
        await client.full([NIFTY])
        await client.listen(1.2)
        server.faults.clear("silent")
        await client.listen(5 * TICK)

    client = talk(server, run, "silent")
    assert client.closed is None and client.frames
    assert not [data for at, data in client.messages if 0.2 < at < 1.15]


def test_a_silence_of_old_sockets_ends_with_a_new_one(server: Server) -> None:
    async def run() -> None:
        async with connected(server) as old:
            server.faults.add(parse("silent:old=1"))
            await asyncio.sleep(2 * TICK)
            async with connected(server) as new:
                await asyncio.gather(old.full([NIFTY]), new.full([NIFTY]))
                await asyncio.gather(old.listen(5 * TICK), new.listen(5 * TICK))
                assert new.frames and not old.frames

    asyncio.run(run())


def test_a_drop_cuts_the_connection_without_a_word(server: Server) -> None:
    client = talk(server, follow([NIFTY], 3.0), "drop@0.3")
    assert client.closed == 1006 and client.messages[-1][0] < 1.0


def test_a_drop_of_one_socket_leaves_the_others(server: Server) -> None:
    async def run() -> None:
        async with connected(server) as first, connected(server) as second:
            server.faults.add(parse("drop:socket=1"))
            await asyncio.gather(first.listen(0.5), second.listen(0.5))
            assert (first.closed, second.closed) == (None, 1006)

    asyncio.run(run())


def test_truncated_frames_lack_their_end(server: Server) -> None:
    whole = talk(server, follow(options_of(server, 3)))
    cut = talk(server, follow(options_of(server, 3)), "truncated:bytes=10")
    for client, missing in ((whole, 0), (cut, 10)):
        for frame in client.frames:
            assert len(frame) == 2 + int.from_bytes(frame[:2], "big") * (2 + size(frame)) - missing


def size(frame: bytes) -> int:
    return int.from_bytes(frame[2:4], "big")


def test_a_torn_frame_comes_in_two_pieces(server: Server) -> None:
    client = talk(server, follow(options_of(server, 3)), "torn")
    pieces = [data for _, data in client.messages if data != b"\x00"]
    joined = b"".join(pieces)
    for message in server.sent.messages():
        assert message.faults == "torn"
    assert joined.startswith(b"\x00\x03\x00\x2c") and len(pieces) >= 4


def test_duplicates_come_twice(server: Server) -> None:
    frames = talk(server, follow(options_of(server, 3)), "duplicate").frames
    assert len(frames) >= 4 and frames[0::2][: len(frames) // 2] == frames[1::2]


def test_late_frames_come_after_newer_ones(server: Server) -> None:
    async def run(client: Client) -> None:
        await client.full([NIFTY])
        await client.listen(0.3)
        server.faults.clear("late")
        await client.listen(1.5)

    client = talk(server, run, "late:seconds=0.8")
    times = [tick["exchange_timestamp"] for tick in client.ticks if tick["mode"] == "full"]
    assert times != sorted(times)


def test_an_unknown_token_is_nobody_asked_for(server: Server) -> None:
    tokens = options_of(server, 3)
    found = {tick["instrument_token"] for tick in talk(server, follow(tokens), "unknown_token").ticks}
    assert len(found - set(tokens)) == 1


def test_books_of_zeros_and_trades_without_a_time(server: Server) -> None:
    server.faults.add(parse("null_trade_time"))
    ticks = talk(server, follow(options_of(server, 3)), "zero_depth").ticks
    full = [tick for tick in ticks if tick["mode"] == "full"]
    assert full
    for tick in full:
        assert {level["price"] for side in tick["depth"].values() for level in side} == {0}
        assert tick["last_trade_time"].timestamp() == 0 and tick["last_price"] > 0


def test_a_missing_contract_has_no_packets(server: Server) -> None:
    tokens = options_of(server, 3)
    frame = server.market.instruments()
    symbol = frame["tradingsymbol"][int(server.market.slots(tokens)[0])]
    found = {tick["instrument_token"] for tick in talk(server, follow(tokens), f"missing:symbol={symbol}").ticks}
    assert found == set(tokens[1:])


def test_a_session_that_ends_closes_its_sockets_and_refuses_new_ones(server: Server) -> None:
    token = server.accounts.log_in()[0]

    async def run() -> Client:
        async with connected(server, token) as client:
            await client.full([NIFTY])
            server.faults.add(parse("expire@0.3"))
            await client.listen(3)
            return client

    client = asyncio.run(run())
    assert client.closed == 1008 and client.messages[-1][0] < 1.0
    assert refusal(server, url(server, token)) == 403


def test_six_in_the_morning_ends_the_stream() -> None:
    with serve(start=datetime(2026, 11, 20, 0, 29, 56, tzinfo=UTC)) as server:
        client = talk(server, follow([NIFTY], 3.0))
    assert client.closed == 1008

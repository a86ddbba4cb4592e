"""The stream over real sockets: a plain WebSocket client, and the official one in a process of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from g6_sim.serve.app import Server
from g6_sim.serve.faults import parse

sys.path.append(str(Path(__file__).parent))

from stream_client import NIFTY, TICK, Client, connected, follow, options_of, parsed, refusal, serve, talk


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


TICKER = """
import json, sys, threading, time
from kiteconnect import KiteTicker

address, token, tokens, seconds = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), float(sys.argv[4])
heard = {"ticks": [], "connected": 0, "reasons": [], "errors": []}
ticker = KiteTicker("demo", token, root=address.replace("http", "ws", 1))

def connected(ws, response):
    heard["connected"] += 1
    ws.subscribe(tokens)
    ws.set_mode(ws.MODE_FULL, tokens)

ticker.on_connect = connected
ticker.on_ticks = lambda ws, ticks: heard["ticks"].extend(ticks)
ticker.on_close = lambda ws, code, reason: heard["reasons"].append(str(reason))
ticker.on_error = lambda ws, code, reason: heard["errors"].append(code)
ticker.connect(threaded=True)
end = time.monotonic() + seconds
while time.monotonic() < end:
    time.sleep(0.02)
print(json.dumps(heard, default=lambda t: t.timestamp()))
"""


def official(server: Server, tokens: Sequence[int], seconds: float, token: str | None = None) -> dict[str, Any]:
    """What the unmodified KiteTicker heard; Twisted's loop starts once in a process, so it has its own."""
    token = token or server.accounts.log_in()[0]
    command = [sys.executable, "-c", TICKER, server.address, token, json.dumps(list(tokens)), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_official_client_gets_full_ticks_as_they_were_sent(server: Server) -> None:
    tokens = [NIFTY, *options_of(server, 20)]
    heard = official(server, tokens, 1.5)
    assert heard["connected"] == 1 and not heard["errors"]
    for token in tokens:
        sent = [packet for packet in server.sent.of(token) if packet["mode"] == "full"]
        ticks = [t for t in heard["ticks"] if t["instrument_token"] == token and t["mode"] == "full"]
        assert ticks and [t["last_price"] for t in ticks] == [p["last_price"] for p in sent][: len(ticks)]
        for tick, packet in zip(ticks, sent, strict=False):
            assert tick["exchange_timestamp"] == packet["exchange_ts"]
            if token != NIFTY:
                assert (tick["oi"], tick["volume_traded"]) == (packet["oi"], packet["volume"])
                assert [level["price"] for level in tick["depth"]["buy"]] == packet["bid_price"]


def test_the_official_client_is_refused_with_a_wrong_token(server: Server) -> None:
    heard = official(server, [NIFTY], 1.0, token="wrong")
    assert heard["connected"] == 0 and not heard["ticks"]
    assert any("403" in reason for reason in heard["reasons"])


def test_the_official_client_comes_back_after_a_drop(server: Server) -> None:
    def drop_when_it_listens() -> None:
        while not server.sent.of(NIFTY):
            time.sleep(0.05)
        server.faults.add(parse("drop"))

    dropping = threading.Thread(target=drop_when_it_listens, daemon=True)
    dropping.start()
    heard = official(server, [NIFTY], 6.0)
    assert heard["connected"] == 2 and heard["errors"] == [1006]
    assert server.sent.of(NIFTY)[-1]["at"] > server.sent.of(NIFTY)[0]["at"] + 500_000


def test_without_a_session_there_is_no_stream(server: Server) -> None:
    assert refusal(server, f"{server.address}/?api_key=demo&access_token=wrong") == 403
    assert refusal(server, f"{server.address}/?api_key=other&access_token={server.accounts.log_in()[0]}") == 403
    assert refusal(server, server.address) == 403


def test_an_app_has_three_sockets(server: Server) -> None:
    token = server.accounts.log_in()[0]

    async def run() -> int:
        async with connected(server, token), connected(server, token):
            async with connected(server, token):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    async with connected(server, token):
                        pass
            # The place of one that is gone is free.
            await asyncio.sleep(0.2)
            async with connected(server, token) as client:
                await client.full([NIFTY])
                await client.listen(2, lambda: bool(client.frames))
                assert client.frames
            return refused.value.status

    assert asyncio.run(run()) == 429


def test_a_socket_has_three_thousand_tokens(server: Server) -> None:
    async def run(client: Client) -> None:
        await client.say("subscribe", [NIFTY + 256 * n + 1 for n in range(2999)])
        await client.say("subscribe", [NIFTY, *options_of(server, 2)])
        await client.listen(2, lambda: bool(client.texts))

    client = talk(server, run)
    assert client.texts[0]["type"] == "error" and "2 instruments beyond the limit of 3000" in client.texts[0]["data"]
    assert {tick["instrument_token"] for tick in client.ticks} == {NIFTY}


def test_each_mode_has_its_packets_and_is_answered_at_once(server: Server) -> None:
    (token,) = options_of(server, 1)

    async def run(client: Client) -> None:
        await client.say("subscribe", [token])
        await client.listen(1, lambda: len(client.ticks) > 0)
        await client.say("mode", ["ltp", [token]])
        await client.listen(1, lambda: client.ticks[-1]["mode"] == "ltp")
        await client.say("mode", ["full", [token, NIFTY]])
        await client.listen(1, lambda: NIFTY in {tick["instrument_token"] for tick in client.ticks})

    ticks = talk(server, run).ticks
    assert list(dict.fromkeys(tick["mode"] for tick in ticks)) == ["quote", "ltp", "full"]
    assert "depth" in ticks[-1] or ticks[-1]["instrument_token"] == NIFTY


def test_nothing_comes_of_what_is_not_subscribed_any_more(server: Server) -> None:
    first, second = options_of(server, 2)

    async def run(client: Client) -> None:
        await client.full([first, second])
        await client.listen(3 * TICK)
        await client.say("unsubscribe", [first])
        await client.listen(2 * TICK)
        client.messages.clear()
        await client.listen(6 * TICK, lambda: len(client.frames) > 2)

    assert {tick["instrument_token"] for tick in talk(server, run).ticks} == {second}


def test_subscribing_twice_does_no_harm(server: Server) -> None:
    tokens = options_of(server, 3)

    async def run(client: Client) -> None:
        await client.full(tokens)
        await client.full(tokens)
        await client.listen(TICK * 5)

    for frame in talk(server, run).frames:
        found = [tick["instrument_token"] for tick in parsed(frame)]
        assert len(found) == len(set(found))


def test_only_what_changed_is_sent_unless_all_is_wanted() -> None:
    def instants(server: Server) -> int:
        # The market stands still: it is night, and one second lasts for the whole test.
        client = talk(server, follow([NIFTY, *options_of(server, 5)], 6 * TICK))
        return len(client.frames)

    night = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
    with serve(start=night, speed=0.001) as server:
        quiet = instants(server)
    with serve(start=night, speed=0.001, all_ticks=True) as server:
        assert instants(server) >= quiet + 3
    assert quiet <= 2


def test_a_heartbeat_each_second_and_no_pong_unasked(server: Server) -> None:
    async def run(client: Client) -> None:
        await client.listen(2.5)
        await client.socket.ping(b"are you there")
        received = await client.socket.receive(timeout=1)
        assert (received.type, received.data) == (aiohttp.WSMsgType.PONG, b"are you there")

    client = talk(server, run)
    assert [data for _, data in client.messages] == [b"\x00"] * 3 and client.closed is None


def test_what_is_no_command_is_ignored(server: Server) -> None:
    async def run(client: Client) -> None:
        for text in ("", "[]", "{", '{"a": 1}', '{"a": "mode", "v": ["full"]}', '{"a": "mode", "v": 3}', "null"):
            await client.socket.send_str(text)
        await client.say("subscribe", ["x", None, -1, 2**40, True])
        await client.say("subscribe", 5)
        await client.full([NIFTY])
        await client.listen(2, lambda: bool(client.frames))

    client = talk(server, run)
    assert client.closed is None and client.ticks[0]["instrument_token"] == NIFTY


def test_the_log_has_a_line_per_packet(tmp_path: Path) -> None:
    log = tmp_path / "sent.jsonl"
    with serve(log=log) as server:
        tokens = options_of(server, 2)
        client = talk(server, follow(tokens))
    # Counted after the end: what the client no longer heard is in both.
    sent = sum(len(message.rows) for message in server.sent.messages())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(lines) == sent >= len(client.ticks) and {line["token"] for line in lines} == set(tokens)

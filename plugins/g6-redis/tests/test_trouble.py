"""A Redis that is absent, dies, hangs, refuses: said in words, in time, and made good afterwards."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from g6_redis import read
from g6_redis.settings import Settings
from g6_redis.sink import RedisSink

from g6core import Alert, Context, G6Error, Rejected, Unavailable
from g6core.testing import START, snapshot, snapshots
from tests.servers import Redis, free_port

Open = Callable[..., RedisSink]
INDICES = ("BANKNIFTY", "NIFTY", "SENSEX")


@pytest.fixture
def server(own_redis_server: Any) -> Any:
    return own_redis_server


def times(server: Any, prefix: str) -> dict[str, Any]:
    return {index: (found := read.latest(server.url, index, prefix=prefix)) and found["ts"] for index in INDICES}


def everything(db: redis.Redis, prefix: str) -> dict[bytes, Any]:
    keys = sorted(db.scan_iter(match=f"{prefix}:*"))
    return {key: {b"hash": db.hgetall, b"string": db.get, b"set": db.smembers}[db.type(key)](key) for key in keys}


@pytest.mark.parametrize("how", ["restart", "flush", "evict"])
def test_what_redis_lost_is_there_again_with_the_next_snapshot_of_any_index(
    opened: Open, server: Any, prefix: str, db: redis.Redis, how: str
) -> None:
    sink = opened()
    batch = [snapshot(index, strikes=5) for index in INDICES]
    sink.write([snapshot("NIFTY", strikes=9).replace(ts=START.replace(second=0, hour=3)), *batch])
    (later,) = [s.replace(ts=START.replace(minute=31)) for s in batch if s.index == "SENSEX"]
    before = everything(db, prefix)
    if how == "restart":
        server.kill()
        server.start()
    elif how == "flush":
        db.flushdb()
    else:
        db.delete(f"{prefix}:snapshot:BANKNIFTY", f"{prefix}:instruments:SENSEX:2026-08-17")
    sink.write([later])
    now = everything(db, prefix)
    assert times(server, prefix) == {**{s.index: s.ts for s in batch}, "SENSEX": later.ts}
    assert now.keys() == before.keys()
    assert {key for key in now if now[key] != before[key]} == {
        key for key in now if b"SENSEX" in key and b"instruments" not in key
    }


def test_what_was_written_long_ago_does_not_come_back(opened: Open, server: Any, prefix: str) -> None:
    sink = opened(ttl="1s")
    sink.write([snapshot("NIFTY")])
    time.sleep(1.1)
    sink.write([snapshot("SENSEX")])
    assert times(server, prefix) == {"BANKNIFTY": None, "NIFTY": None, "SENSEX": START}


def test_after_an_outage_the_newest_is_there_at_once(opened: Open, server: Any, prefix: str) -> None:
    sink = opened()
    backlog = snapshots(64, strikes=3, expiries=1)
    server.kill()
    for _ in range(3):
        with pytest.raises(Unavailable):
            sink.write(backlog)
    server.start()
    sink.write(backlog)
    assert times(server, prefix)["NIFTY"] == backlog[-1].ts


def test_an_absent_server_is_said_at_once(context: Context) -> None:
    sink = RedisSink(Settings(url=f"redis://127.0.0.1:{free_port()}/0", timeout="500ms"))
    began = time.monotonic()
    for call in (lambda: sink.open(context), lambda: sink.write([snapshot()])):
        with pytest.raises(Unavailable) as caught:
            call()
        assert "does not answer" in caught.value.message
        assert caught.value.hint
    (finding,) = sink.diagnose(context)
    assert finding.level == "error"
    assert time.monotonic() - began < 2
    sink.close()


def test_a_hanging_server_costs_twice_the_timeout_at_the_most(
    opened: Open, server: Any, prefix: str, context: Context
) -> None:
    sink = opened(timeout="300ms")
    (first,) = snapshots(1)
    sink.write([first])
    batch = [snapshot(index, START.replace(minute=45), strikes=201) for index in INDICES]
    server.pause()
    alert = Alert("rule", "NIFTY", START, "look")
    for call in (lambda: sink.write(batch), lambda: sink.write(batch), lambda: sink.write_alerts([alert])):
        began = time.monotonic()
        with pytest.raises(Unavailable):
            call()
        assert time.monotonic() - began < 2 * 0.3 + 0.5, "half a second for a busy machine"
    server.resume()
    sink.write(batch)
    assert set(times(server, prefix).values()) == {batch[0].ts}


@pytest.mark.parametrize("given", [None, "not-the-password"])
def test_a_missing_or_wrong_password_names_the_setting_and_no_secret(
    server: Any, db: redis.Redis, context: Context, given: str | None
) -> None:
    db.config_set("requirepass", "the-right-password")
    sink = RedisSink(Settings(url=server.url, password=given))
    with pytest.raises(Unavailable) as caught:
        sink.open(context)
    assert "`password`" in (caught.value.hint or "") and "REDIS_PASSWORD" in (caught.value.hint or "")
    assert "not-the-password" not in caught.value.render() + repr(sink._settings)
    RedisSink(Settings(url=server.url, password="the-right-password")).open(context)


def test_a_replica_and_a_full_server_say_what_to_do(opened: Open, server: Any, db: redis.Redis) -> None:
    sink = opened()
    db.config_set("maxmemory", 1)
    with pytest.raises(Unavailable) as caught:
        sink.write([snapshot()])
    assert "maxmemory" in (caught.value.hint or "")
    assert db.dbsize() == 0
    db.config_set("maxmemory", 0)
    db.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
    for call in (lambda: sink.write([snapshot()]), lambda: sink.write_alerts([Alert("r", "NIFTY", START, "look")])):
        with pytest.raises(Unavailable) as caught:
            call()
        assert "primary" in (caught.value.hint or "")


@pytest.mark.parametrize("key", ["snapshot:NIFTY", "overview:NIFTY", "instruments:NIFTY:2026-08-17"])
def test_a_foreign_key_costs_its_index_alone(opened: Open, server: Any, prefix: str, db: redis.Redis, key: str) -> None:
    db.lpush(f"{prefix}:{key}", "somebody else's")
    sink = opened()
    with pytest.raises(Rejected) as caught:
        sink.write([snapshot("NIFTY"), snapshot("SENSEX")])
    assert "delete that key" in (caught.value.hint or "")
    with pytest.raises(Rejected):
        sink.write([snapshot("NIFTY")])
    sink.write([snapshot("SENSEX")])
    found = read.latest(server.url, "SENSEX", prefix=prefix)
    assert found and found["ts"] == START
    assert db.lrange(f"{prefix}:{key}", 0, -1) == [b"somebody else's"]


def test_contracts_that_are_no_table_are_rejected(opened: Open, prefix: str, db: redis.Redis) -> None:
    db.set(f"{prefix}:instruments:NIFTY:2026-08-17", b"no table")
    with pytest.raises(Rejected, match="holds something else"):
        opened().write([snapshot()])


class Refusing(socketserver.StreamRequestHandler):
    """Answers every command with one error, as a Redis in that state does."""

    def handle(self) -> None:
        while head := self.rfile.readline():
            for _ in range(int(head[1:])):
                self.rfile.read(int(self.rfile.readline()[1:]) + 2)
            self.wfile.write(b"-%s\r\n" % self.server.says)  # type: ignore[attr-defined]


@pytest.fixture
def refusing() -> Iterator[Callable[[str], str]]:
    """`refusing("LOADING …")`: the address of a server that says it to everything."""
    servers = []

    def start(says: str) -> str:
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing)
        server.daemon_threads = True
        server.says = says.encode()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"redis://127.0.0.1:{server.server_address[1]}/0"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("says", "kind", "hint"),
    [
        ("LOADING Redis is loading the dataset in memory", Unavailable, "answers soon"),
        ("MISCONF Redis is configured to save RDB snapshots, but is unable to", Unavailable, "log"),
        ("MOVED 3999 127.0.0.1:6381", Unavailable, "cluster"),
        ("CROSSSLOT Keys in request don't hash to the same slot", Unavailable, "cluster"),
        ("BUSY Redis is busy running a script", Unavailable, "log"),
        ("ERR max number of clients reached", Unavailable, "start it"),
        ("ERR Error running script (call to f_0): @user_script:1: -OOM command not allowed", Unavailable, "maxmemory"),
        ("ERR Error running script (call to f_0): @user_script:1: WRONGTYPE Operation", Rejected, "delete that key"),
    ],
)
def test_whatever_redis_refuses_has_a_hint(
    refusing: Callable[[str], str], context: Context, says: str, kind: type[G6Error], hint: str
) -> None:
    sink = RedisSink(Settings(url=refusing(says)))
    with pytest.raises(kind) as caught:
        sink.open(context)
        sink.write([snapshot()])
    assert hint in (caught.value.hint or "")
    assert len(caught.value.render()) < 600, "not the tables that were sent"


class TlsRedis(Redis):
    def command(self) -> list[str]:
        key, certificate = self.place / "key.pem", self.place / "cert.pem"
        if not key.exists():
            words = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -days 2"
            name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
            subprocess.run([*words.split(), *name], check=True, capture_output=True)
        tls = ["--tls-port", str(self.tls_port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        return [*super().command(), *tls, "--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"]

    def __init__(self) -> None:
        super().__init__()
        self.tls_port = free_port()


def test_tls(context: Context, prefix: str, server: Any, tmp_path: Path) -> None:
    secure = TlsRedis()
    try:
        secure.start()
        address = f"rediss://127.0.0.1:{secure.tls_port}/0"
        with pytest.raises(Unavailable, match=r"(?i)certificate"):
            RedisSink(Settings(url=address)).open(context)
        known = f"{address}?ssl_ca_certs={secure.place / 'cert.pem'}"
        sink = RedisSink(Settings(url=known, prefix=prefix))
        sink.open(context)
        sink.write([snapshot()])
        assert read.latest(known, "NIFTY", prefix=prefix)
        sink.close()
    finally:
        secure.close()
    with pytest.raises(Unavailable):
        RedisSink(Settings(url=server.url.replace("redis:", "rediss:"))).open(context)


def test_something_that_is_no_redis(context: Context) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                connection.recv(10)

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(Unavailable):
            RedisSink(Settings(url=f"redis://127.0.0.1:{port}/0", timeout="300ms")).open(context)

"""What strangers send: malformed, oversized, climbing, without the token or under another name."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from g6_web.settings import Settings
from g6_web.sink import WebSink
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g6core import Unavailable
from g6core.testing import snapshot

from .conftest import Answer, Site, opening, served_context

TOKEN = "a-token-that-is-long-enough"
HOST = b"Host: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with opening() as start:
        site = start(served_context(tmp_path_factory.mktemp("fixed")), patience="1s")
        site.sink.write([snapshot(strikes=3)])
        yield site


def raw(site: Site, data: bytes) -> bytes:
    """The one answer to these bytes; empty when there is none."""
    found = b""
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as s, suppress(OSError):
        s.sendall(data)
        while not _whole(found) and (piece := s.recv(65536)):
            found += piece
    return found


def _whole(found: bytes) -> bool:
    head, end, body = found.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def answered(found: bytes) -> Answer:
    head, _, body = found.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\nhello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /api/v1/indices HTTP/1.1\r\nHost 127.0.0.1\r\n\r\n",
        b"GET /api/v1/\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /api/v1/indices HTTP/1.1\r\n" + HOST + b"Host: elsewhere.example\r\n\r\n",
        b"GET /api/v1/indices HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\n",
        b"GET /api/v1/indices HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(fixed: Site, data: bytes) -> None:
    answer = answered(raw(fixed, data))
    assert (answer.status, answer.code) == (400, "bad-request")
    assert fixed.api("indices").status == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /api/v1/snapshot/" + b"N" * 10_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /api/v1/indices?" + b"a=b&" * 5_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /api/v1/indices HTTP/1.1\r\n" + HOST + b"X-Long: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /api/v1/indices HTTP/1.1\r\n" + HOST + b"X-A: bbbb\r\n" * 5_000 + b"\r\n", 431),
        (b"GET /api/v1/indices HTTP/1.1\r\n" + HOST + b"X-Endless: " + b"a" * 400_000, 431),
        (b"GET /api/v1/indices HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999\r\n\r\n", 413),
        (b"GET /api/v1/indices HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 413),
    ],
)
def test_what_is_too_large_is_refused(fixed: Site, data: bytes, status: int) -> None:
    answer = answered(raw(fixed, data))
    assert (answer.status, answer.code) == (status, "bad-request")
    assert fixed.api("indices").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/snapshot/../../../etc/passwd",
        "/api/v1/snapshot/..%2f..%2fetc%2fpasswd",
        "/api/v1/snapshot/%2e%2e%2f%2e%2e%2fetc",
        "/api/v1/snapshot/%252e%252e%252fetc",
        "/api/v1/snapshot/..%5c..%5cwindows",
        "/api/v1/snapshot/NIFTY%00.db",
        "/api/v1/snapshot/NIFTY%0d%0aX-Evil:%20yes",
        "/api/v1/history/NIFTY/..%2f..%2fg6.toml",
        "/api/v1//snapshot/NIFTY",
        "/api/v1/snapshot/%c0%ae%c0%ae",
        "/api/v1/snapshot/%F0%9F%98%80",
    ],
)
def test_nobody_climbs(fixed: Site, path: str) -> None:
    answer = answered(raw(fixed, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()))
    assert (answer.status, answer.code) == (400, "bad-request")
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_it_is_there_to_be_read(fixed: Site, method: str) -> None:
    answer = fixed.get("/api/v1/indices", method)
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "bad-request", "GET, HEAD")


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.example", "", "[", "169.254.1.1"])
@pytest.mark.parametrize("path", ["/api/v1/indices", "/metrics", "/nothing"])
def test_another_name_is_not_answered(fixed: Site, host: str, path: str) -> None:
    answer = fixed.get(path, Host=host)
    assert (answer.status, answer.code) == (421, "wrong-host")
    assert fixed.get(path, Host="localhost:9108").status != 421


def test_a_port_with_a_token_wants_it_on_every_page(tmp_path: Path) -> None:
    with opening() as start:
        site = start(served_context(tmp_path, token=TOKEN))
        site.sink.write([snapshot(strikes=3)])
        wrong = [{}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}, {"Authorization": "Bearer "}]
        for path in (
            "/metrics",
            "/healthz",
            "/api/v1/indices",
            "/api/v1/stream",
            "/api/v1/openapi.json",
            "/nothing",
            "//[x",
        ):
            for headers in wrong:
                answer = site.get(path, **headers)
                assert (answer.status, answer.code) == (401, "token")
                assert answer.headers["www-authenticate"] == "Bearer"
                assert TOKEN not in answer.body.decode()
        assert site.api("indices?token=wrong").status == 401
        assert site.api("indices", Authorization=f"Bearer {TOKEN}").status == 200
        assert site.api(f"snapshot/NIFTY?format=csv&token={TOKEN}", Host="sheets.example").status == 200


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    from dataclasses import replace

    from g6core import Http
    from g6core.health import Health
    from g6core.settings import HttpSettings

    context = served_context(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        sink = WebSink(Settings())
        taken = replace(context, http=Http(HttpSettings(port=port), Health()))
        with pytest.raises(Unavailable) as caught:
            sink.open(taken)
        assert caught.value.code == "port" and str(port) in caught.value.message
    sink.open(taken)
    assert Site(sink).get("/livez").status == 200
    sink.close()


@given(st.binary(max_size=300))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_never_fails(fixed: Site, data: bytes) -> None:
    found = raw(fixed, b"GET /api/v1/" + data + b"\r\n\r\n")
    assert not found or 200 <= answered(found).status < 500


@given(path=st.text(max_size=30), query=st.text(max_size=30))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_is_answered(fixed: Site, path: str, query: str) -> None:
    from urllib.parse import quote

    for where in ("snapshot", "chain", "history/NIFTY", "history"):
        answer = fixed.api(f"{where}/{quote(path, safe='')}?expiry={quote(query, safe='')}")
        assert answer.status in (200, 400, 404, 414)


def test_one_who_is_slow_to_speak_is_left(opened: Callable[..., Site]) -> None:
    site = opened(patience="50ms")
    for said in (b"", b"GET /api/v1/ind", b"GET /api/v1/indices HTTP/1.1\r\nHost:"):
        with socket.create_connection(("127.0.0.1", site.port), timeout=20) as s:
            s.sendall(said)
            with suppress(ConnectionResetError):
                assert s.recv(100) == b""


def test_one_who_takes_nothing_is_left(opened: Callable[..., Site]) -> None:
    site = opened(stuck="50ms")
    site.sink.write([snapshot(strikes=161)])
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(20)
        s.connect(("127.0.0.1", site.port))
        ask = b"GET /api/v1/snapshot/NIFTY HTTP/1.1\r\n" + HOST + b"\r\n"
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                s.sendall(ask)

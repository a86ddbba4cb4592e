"""The listener for the browser that comes back: one right answer, whatever else knocks."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from g6core.errors import AuthExpired, Unavailable
from g6core.redirect import Redirect, is_local, state_of

STATE = "r1ghtState_0123456789"


@pytest.fixture
def port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def waiting(port: int) -> Iterator[Redirect]:
    with Redirect(f"http://127.0.0.1:{port}/back", STATE) as redirect:
        yield redirect


def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_the_right_answer_is_taken_once_and_only_that(waiting: Redirect, port: int) -> None:
    for path, status in {
        "/favicon.ico": 404,
        f"/?state={STATE}&request_token=a": 404,
        "/back": 400,
        "/back?request_token=a": 400,
        "/back?state=wrong&request_token=a": 400,
        f"/back?state=wrong&state={STATE}&request_token=a": 400,
        "/back?state=%C3%A4&request_token=a": 400,
    }.items():
        assert get(port, path)[0] == status, path
    assert get(port, f"/back?state={STATE}", "POST")[0] == 501
    status, page = get(port, f"/back?request_token=abc&state={STATE}")
    assert status == 200
    assert "may be closed" in page
    assert "abc" not in page
    assert get(port, f"/back?request_token=second&state={STATE}")[0] == 410
    assert waiting.wait(5) == f"http://127.0.0.1:{port}/back?request_token=abc&state={STATE}"
    with pytest.raises(AuthExpired):
        waiting.wait(0)


def test_a_connection_that_says_nothing_holds_nobody_up(waiting: Redirect, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)) as half:
        half.sendall(b"GET /back?request_to")
        assert get(port, f"/back?state={STATE}")[0] == 200
        assert waiting.wait(5)


def test_only_the_loopback_interface_is_listened_on(waiting: Redirect, port: int) -> None:
    assert waiting.wait is not None
    with socket.socket() as other:
        # On Linux all of 127/8 is this machine: a broad bind would answer here as well.
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_nobody_comes(port: int) -> None:
    start = time.monotonic()
    with Redirect(f"http://localhost:{port}", STATE) as redirect, pytest.raises(AuthExpired) as late:
        redirect.wait(0.05)
    assert late.value.code == "login-timeout"
    assert time.monotonic() - start < 5
    with pytest.raises(ConnectionRefusedError):
        get(port, "/")


def test_a_port_that_is_taken_is_told(waiting: Redirect, port: int) -> None:
    with pytest.raises(Unavailable) as taken:
        Redirect(f"http://127.0.0.1:{port}/", STATE)
    assert taken.value.code == "login-port"
    assert str(port) in taken.value.message


def test_two_right_answers_at_once_are_one(waiting: Redirect, port: int) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(get(port, f"/back?state={STATE}&n={n}")[0])) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200] + [410] * 7


@pytest.mark.parametrize(
    ("redirect", "local"),
    [
        ("http://127.0.0.1:8765/", True),
        ("http://localhost:8765/kite", True),
        ("http://127.0.0.1/", True),
        ("https://127.0.0.1:8765/", False),
        ("https://example.com/kite", False),
        ("http://127.0.0.1.example.com:8765/", False),
        ("http://0.0.0.0:8765/", False),
        ("http://127.0.0.1:99999/", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_plain_address_of_this_machine_can_be_listened_on(redirect: str | None, local: bool) -> None:
    assert is_local(redirect) is local


def test_the_state_is_read_from_an_address_or_its_query() -> None:
    assert state_of(f"http://127.0.0.1:1/?a=b&state={STATE}") == STATE
    assert state_of(f"a=b&state={STATE}") == STATE
    assert state_of("http://127.0.0.1:1/?a=b") is None
    assert state_of("justatoken") is None

"""Calls over a real socket to a server that speaks Kite's envelope, and much else."""

from __future__ import annotations

import gzip
import io
import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest
from g6_kite import measures
from g6_kite.failures import Refused
from g6_kite.rest import CANDLES, FIRST_PAUSE, Rest
from g6_kite.settings import KiteSettings

from g6core import IST, AuthExpired, Unavailable

KEY, SECRET_TOKEN = "abcd1234efgh5678", "XbDeF0hIjKlMnOpQrStUvWxYz0123456"
KEYS = ["NSE:NIFTY 50", "NFO:NIFTY26NOV25000CE"]


@dataclass(frozen=True)
class Answer:
    body: bytes = b""
    status: int = 200
    kind: str | None = "application/json"
    delay: float = 0.0
    abort: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    claimed: int | None = None


def data(value: Any, **more: Any) -> Answer:
    return Answer(json.dumps({"status": "success", "data": value}).encode(), **more)


def error(status: int, kind: str, message: str = "said Kite") -> Answer:
    body = {"status": "error", "message": message, "error_type": kind, "data": None}
    return Answer(json.dumps(body).encode(), status)


PAGE = b"<html><body>502 Bad Gateway</body></html>"
BAD_GATEWAY = Answer(PAGE, 502, "text/html")
QUOTES = data({"NSE:NIFTY 50": {"instrument_token": 256265, "last_price": 25000.05}})


@dataclass
class Asked:
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    connection: tuple[str, int]


@dataclass
class Server:
    """Gives the answers of `script` in turn, the last one for ever."""

    address: str
    script: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            server.asked.append(Asked(parts.path, parse_qs(parts.query), dict(self.headers), self.client_address))
            answer = server.script.pop(0) if len(server.script) > 1 else server.script[0]
            time.sleep(answer.delay)
            if answer.abort:
                self.close_connection = True
                return
            self.send_response(answer.status)
            if answer.kind:
                self.send_header("Content-Type", answer.kind)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(answer.claimed or len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = answer.claimed is not None

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server("")
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    httpd.daemon_threads = True
    made.address = f"http://127.0.0.1:{httpd.server_port}"
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    httpd.shutdown()
    httpd.server_close()


@dataclass
class FakeToken:
    api_key: str = KEY
    access_token: str = field(default=SECRET_TOKEN, repr=False)


@dataclass
class FakeSessions:
    token: FakeToken | None = field(default_factory=FakeToken)

    def current(self) -> FakeToken | None:
        return self.token


class Time:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.sleeps.append(seconds)


@pytest.fixture
def passing() -> Time:
    return Time()


@pytest.fixture
def sessions() -> FakeSessions:
    return FakeSessions()


@pytest.fixture
def make(server: Server, sessions: FakeSessions, passing: Time) -> Iterator[Callable[..., Rest]]:
    made: list[Rest] = []

    def build(**settings: Any) -> Rest:
        s = KiteSettings(**{"api_key": KEY, "address": server.address, "timeout": timedelta(seconds=2), **settings})
        made.append(Rest(s, sessions, monotonic=passing.monotonic, sleep=passing.sleep))
        return made[-1]

    yield build
    for rest in made:
        rest.close()


def test_quotes_come_as_kite_gives_them_and_unknown_keys_are_missing(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [QUOTES]
    assert make().quote(KEYS) == {"NSE:NIFTY 50": {"instrument_token": 256265, "last_price": 25000.05}}
    (asked,) = server.asked
    assert asked.path == "/quote" and asked.query == {"i": KEYS}
    assert asked.headers["Authorization"] == f"token {KEY}:{SECRET_TOKEN}"
    assert asked.headers["X-Kite-Version"] == "3"


def test_five_hundred_keys_go_in_one_call(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [QUOTES]
    keys = [f"NFO:MIDCPNIFTY26NOV{10000 + 25 * n}CE" for n in range(500)]
    make().quote(keys)
    assert [asked.query["i"] for asked in server.asked] == [keys]


def test_calls_share_a_connection(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [QUOTES]
    rest = make()
    for _ in range(4):
        rest.quote(KEYS)
    assert len({asked.connection for asked in server.asked}) == 1


def test_quote_calls_keep_their_distance(server: Server, make: Callable[..., Rest], passing: Time) -> None:
    server.script = [QUOTES]
    rest = make()
    for _ in range(4):
        rest.quote(KEYS)
    assert passing.sleeps == pytest.approx([1 / 0.9] * 3)


PASSING = [
    BAD_GATEWAY,
    Answer(PAGE, 200, "text/html"),
    Answer(b"", 503, None),
    Answer(b"{", 200),
    Answer(b"[]", 200),
    Answer(b'{"status": "success"}', 200),
    Answer(b'{"status": "error"}', 500),
    data(None),
    data([]),
    error(500, "GeneralException"),
    error(502, "DataException"),
    error(503, "NetworkException"),
    error(504, "NetworkException"),
    error(500, "SomethingNew"),
    Answer(abort=True),
    Answer(b'{"status": "succ', claimed=4000),
    Answer(b"no gzip", headers=(("Content-Encoding", "gzip"),)),
]


@pytest.mark.parametrize("answer", PASSING, ids=lambda a: f"{a.status}-{a.body[:20].decode()}")
def test_what_may_pass_is_asked_again(answer: Answer, server: Server, make: Callable[..., Rest], passing: Time) -> None:
    server.script = [answer, answer, QUOTES]
    assert make(quotes_per_second=10).quote(KEYS)
    assert len(server.asked) == 3
    assert sum(passing.sleeps) >= (FIRST_PAUSE + 2 * FIRST_PAUSE) / 2


@pytest.mark.parametrize("answer", PASSING, ids=lambda a: f"{a.status}-{a.body[:20].decode()}")
def test_what_does_not_pass_is_told_after_the_last_attempt(
    answer: Answer, server: Server, make: Callable[..., Rest]
) -> None:
    server.script = [answer]
    with pytest.raises(Unavailable, match=r"Kite gave no quotes: .+, 4 times") as caught:
        make().quote(KEYS)
    assert len(server.asked) == 4
    assert caught.value.code == "unavailable" and "<html>" not in caught.value.render()
    assert caught.value.where == (f"{server.address}/quote",)


def test_the_reason_names_the_status(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [BAD_GATEWAY]
    with pytest.raises(Unavailable, match="HTTP 502, a page instead of data"):
        make(retries=0).quote(KEYS)


def test_a_slow_answer_is_not_waited_for(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [data({}, delay=0.5)]
    with pytest.raises(Unavailable, match="no answer in time"):
        make(retries=1, timeout=timedelta(seconds=0.1)).quote(KEYS)
    assert len(server.asked) == 2


def test_nobody_there(make: Callable[..., Rest]) -> None:
    with pytest.raises(Unavailable) as caught:
        make(address="http://127.0.0.1:1", retries=1).quote(KEYS)
    assert caught.value.message.startswith("Kite gave no quotes: no connection: ")
    assert "refused" in caught.value.message
    assert "NIFTY" not in caught.value.message, "the address is repeated with all its contracts"


def test_pauses_grow_and_differ(server: Server, make: Callable[..., Rest], passing: Time) -> None:
    server.script = [BAD_GATEWAY]
    with pytest.raises(Unavailable):
        make(retries=3, quotes_per_second=10).quote(KEYS)
    for pause, longest in zip(passing.sleeps, (0.5, 1.0, 2.0), strict=True):
        assert longest / 2 <= pause <= longest


def test_no_attempt_begins_after_the_deadline(server: Server, make: Callable[..., Rest], passing: Time) -> None:
    server.script = [BAD_GATEWAY]
    with pytest.raises(Unavailable, match="HTTP 502"):
        make(retries=10).quote(KEYS, within=5.0)
    assert 2 <= len(server.asked) <= 5
    assert passing.now <= 105.0


def test_a_call_for_which_the_limit_leaves_no_time_is_not_made(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [QUOTES]
    rest = make()
    rest.quote(KEYS)
    with pytest.raises(Unavailable, match="limit of calls left no time"):
        rest.quote(KEYS, within=1.0)
    assert len(server.asked) == 1


TOO_MANY = error(429, "NetworkException", "Too many requests")


@pytest.mark.parametrize("answer", [TOO_MANY, Answer(PAGE, 429, "text/html")])
def test_too_many_requests_wait_for_the_next_second(
    answer: Answer, server: Server, make: Callable[..., Rest], passing: Time
) -> None:
    server.script = [answer, QUOTES]
    assert make(quotes_per_second=10).quote(KEYS)
    assert sum(passing.sleeps) >= 1.0


def test_too_many_requests_hold_every_caller_of_the_class(
    server: Server, make: Callable[..., Rest], passing: Time
) -> None:
    server.script = [TOO_MANY, QUOTES]
    rest = make(retries=1, quotes_per_second=10)
    with pytest.raises(Unavailable):
        rest.quote(KEYS, within=0.5)
    rest.quote(KEYS)
    assert sum(passing.sleeps) >= 1.0


EXPIRED = error(403, "TokenException", "Incorrect `api_key` or `access_token`.")


@pytest.mark.parametrize("answer", [EXPIRED, error(403, "UserException"), error(403, "TwoFAException")])
def test_a_session_that_ended_wants_a_login_at_once(answer: Answer, server: Server, make: Callable[..., Rest]) -> None:
    server.script = [answer]
    with pytest.raises(AuthExpired, match="Kite wants a login") as caught:
        make().quote(KEYS)
    assert len(server.asked) == 1
    assert caught.value.hint == "run `g6 login kite`"


def test_a_refused_session_is_left_alone_until_there_is_another(
    server: Server, make: Callable[..., Rest], sessions: FakeSessions
) -> None:
    server.script = [EXPIRED, QUOTES]
    rest = make()
    for _ in range(3):
        with pytest.raises(AuthExpired):
            rest.quote(KEYS)
    assert len(server.asked) == 1
    sessions.token = FakeToken(access_token="another0another0another0another0")
    assert rest.quote(KEYS)
    assert server.asked[-1].headers["Authorization"].endswith(":another0another0another0another0")


def test_a_refused_session_is_tried_again_in_the_end(server: Server, make: Callable[..., Rest], passing: Time) -> None:
    server.script = [EXPIRED, QUOTES]
    rest = make()
    with pytest.raises(AuthExpired):
        rest.quote(KEYS)
    passing.now += 31
    assert rest.quote(KEYS)


def test_without_a_session_nothing_is_asked(server: Server, make: Callable[..., Rest], sessions: FakeSessions) -> None:
    server.script = [QUOTES]
    sessions.token = None
    with pytest.raises(AuthExpired, match="no session"):
        make().quote(KEYS)
    assert not server.asked


def test_a_plan_without_data_is_no_matter_of_trying(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [error(403, "PermissionException", "Insufficient permission for that call.")]
    with pytest.raises(Unavailable, match="no market data") as caught:
        make().quote(KEYS)
    assert caught.value.code == "data-plan" and caught.value.hint and not isinstance(caught.value, AuthExpired)
    assert len(server.asked) == 1


REFUSED = [
    error(400, "InputException", "interval exceeds max limit: 60 days"),
    error(404, "GeneralException"),
    error(405, "GeneralException"),
    error(410, "GeneralException"),
    Answer(PAGE, 403, "text/html"),
    Answer(PAGE, 404, "text/html"),
]


@pytest.mark.parametrize("answer", REFUSED, ids=lambda a: f"{a.status}-{a.kind}")
def test_what_kite_refuses_is_not_asked_again(answer: Answer, server: Server, make: Callable[..., Rest]) -> None:
    server.script = [answer]
    with pytest.raises(Refused, match=f"HTTP {answer.status}") as caught:
        make().quote(KEYS)
    assert caught.value.code == "kite-refused"
    assert len(server.asked) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_instruments_come_as_they_were_sent(packed: bool, server: Server, make: Callable[..., Rest]) -> None:
    csv = b"instrument_token,exchange\n1,NFO\n"
    server.script = [Answer(gzip.compress(csv) if packed else csv, kind="text/csv")]
    assert make().instruments_csv("NFO") == csv
    assert server.asked[0].path == "/instruments/NFO"


def test_instruments_packed_by_the_protocol(server: Server, make: Callable[..., Rest]) -> None:
    csv = b"instrument_token,exchange\n1,NFO\n"
    server.script = [Answer(gzip.compress(csv), kind="text/csv", headers=(("Content-Encoding", "gzip"),))]
    assert make().instruments_csv("NFO") == csv


def test_instruments_that_are_damaged(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [Answer(gzip.compress(b"x" * 9999)[:-12], kind="text/csv")]
    with pytest.raises(Unavailable, match="damaged"):
        make().instruments_csv("NFO")


def test_candles(server: Server, make: Callable[..., Rest]) -> None:
    rows = [
        ["2026-11-20T09:16:00+0530", 101, 103.5, 100.05, 102, 650, 1300],
        ["2026-11-20T09:15:00+0530", 100.5, 101, 100, 101, 0, 1235],
    ]
    server.script = [data({"candles": rows})]
    start = datetime(2026, 11, 20, 9, 15, tzinfo=IST)
    frame = make().candles(12345, start.astimezone(UTC), start + timedelta(minutes=10))
    (asked,) = server.asked
    assert asked.path == "/instruments/historical/12345/minute"
    assert asked.query["from"] == ["2026-11-20 09:15:00"] and asked.query["to"] == ["2026-11-20 09:25:00"]
    assert asked.query["oi"] == ["1"] and asked.query["continuous"] == ["0"]
    assert dict(frame.schema) == CANDLES
    assert frame.rows() == [
        (datetime(2026, 11, 20, 3, 45, tzinfo=UTC), 100.5, 101.0, 100.0, 101.0, 0, 1235),
        (datetime(2026, 11, 20, 3, 46, tzinfo=UTC), 101.0, 103.5, 100.05, 102.0, 650, 1300),
    ]


def test_candles_without_open_interest_and_none_at_all(server: Server, make: Callable[..., Rest]) -> None:
    now = datetime(2026, 11, 20, 9, 15, tzinfo=IST)
    server.script = [data({"candles": [["2026-11-20T09:15:00+0530", 1, 2, 1, 2, 10]]}), data({"candles": []})]
    rest = make()
    assert rest.candles(1, now, now, oi=False)["oi"].to_list() == [None]
    empty = rest.candles(1, now, now)
    assert empty.is_empty() and dict(empty.schema) == CANDLES


@pytest.mark.parametrize("rows", [None, [["2026"]], [[1, 2], [1]], [["no time", 1, 1, 1, 1, 1]], {}])
def test_candles_of_another_form(rows: Any, server: Server, make: Callable[..., Rest]) -> None:
    server.script = [data({"candles": rows} if rows != {} else {})]
    now = datetime(2026, 11, 20, 9, 15, tzinfo=IST)
    with pytest.raises(Unavailable, match="not of the form"):
        make().candles(1, now, now)


def test_profile(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [data({"user_id": "AB1234"})]
    rest = make()
    assert rest.profile() == {"user_id": "AB1234"}


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    server: Server, make: Callable[..., Rest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.script = [QUOTES]
    assert make().quote(KEYS)


def test_no_secret_in_errors_tracebacks_and_debug_logs(server: Server, make: Callable[..., Rest]) -> None:
    echo = f"no such header: Authorization: token {KEY}:{SECRET_TOKEN} or access_token={SECRET_TOKEN}"
    answers = [
        error(500, "GeneralException", echo),
        error(400, "InputException", echo),
        error(403, "TokenException", echo),
    ]
    server.script = [*answers, Answer(f"<html>{echo}</html>".encode(), 502, "text/html")]
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    told = ""
    try:
        rest = make(retries=0)
        rest._client.debug = True
        for _ in range(4):
            rest._refused = None
            with pytest.raises(Unavailable) as caught:
                rest.quote(KEYS)
            told += caught.value.render() + "".join(traceback.format_exception(caught.value))
            assert caught.value.__cause__ is None and caught.value.__context__ is None
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert "Request: GET" in written.getvalue(), "the client logs its headers in debug mode"
    assert SECRET_TOKEN not in told + written.getvalue()


def test_candles_are_a_frame_that_polars_can_join(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [data({"candles": [["2026-11-20T09:15:00+0530", 1, 2, 1, 2, 10, 5]] * 2})]
    now = datetime(2026, 11, 20, 9, 15, tzinfo=IST)
    frame = make().candles(1, now, now)
    assert frame.height == 1, "a minute that comes twice is one"
    assert frame["ts"].dtype == pl.Datetime("us", "UTC")


def counted(metric: Any, **labels: str) -> float:
    """A counter's value."""
    found = [s for family in metric.collect() for s in family.samples if s.name.endswith("_total")]
    return sum(s.value for s in found if s.labels == labels)


def test_calls_are_counted_with_their_trouble_and_their_waits(server: Server, make: Callable[..., Rest]) -> None:
    server.script = [error(429, "NetworkException", "Too many requests"), BAD_GATEWAY, QUOTES, QUOTES]
    before = {status: counted(measures.REQUESTS, kind="quote", status=status) for status in ("200", "429", "502")}
    limited, retried = counted(measures.TOO_MANY, kind="quote"), counted(measures.RETRIES, kind="quote")
    waited = counted(measures.WAITS, kind="quote")
    asks = make(retries=3)
    asks.quote(KEYS)
    asks.quote(KEYS)
    after = {status: counted(measures.REQUESTS, kind="quote", status=status) for status in before}
    assert {status: after[status] - before[status] for status in before} == {"200": 2, "429": 1, "502": 1}
    assert counted(measures.TOO_MANY, kind="quote") == limited + 1
    assert counted(measures.RETRIES, kind="quote") == retried + 2
    # Behind the 429 all wait for a second; the last call waits for its turn.
    assert counted(measures.WAITS, kind="quote") > waited + 1

"""Sessions, limits, faults and the clock of the server, on times that the test sets."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from g6_sim.serve.clock import SimClock
from g6_sim.serve.errors import KiteError
from g6_sim.serve.faults import NAMES, Faults, parse
from g6_sim.serve.limits import Limits
from g6_sim.serve.login import Account, Accounts, ends_at

from g6core import IST, ConfigError


class Seconds:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def request_token(accounts: Accounts) -> str:
    return parse_qs(urlsplit(accounts.redirect()).query)["request_token"][0]


def form(token: str, secret: str = "demo", api_key: str = "demo") -> dict[str, str]:
    checksum = hashlib.sha256(f"{api_key}{token}{secret}".encode()).hexdigest()
    return {"api_key": api_key, "request_token": token, "checksum": checksum}


def test_the_clock_runs_at_its_speed(seconds: Seconds) -> None:
    start = datetime(2026, 11, 20, 9, 15, tzinfo=IST)
    clock = SimClock(start, 60.0, seconds)
    seconds.now += 2.0
    assert clock.now() == start + timedelta(minutes=2) and clock.now().tzinfo is UTC
    clock.begin()
    assert clock.now() == start


def test_a_request_token_is_good_once_and_for_minutes(seconds: Seconds) -> None:
    accounts = Accounts(Account(), SimClock(), monotonic=seconds)
    token = request_token(accounts)
    access, _ = accounts.new_session(form(token))
    assert accounts.authorised("demo", access) and not accounts.authorised("other", access)
    with pytest.raises(KiteError, match="invalid or has expired"):
        accounts.new_session(form(token))
    token = request_token(accounts)
    seconds.now += 301.0
    with pytest.raises(KiteError, match="invalid or has expired"):
        accounts.new_session(form(token))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"checksum": "00"}, "checksum"), ({"checksum": "é"}, "checksum"), ({"api_key": "x"}, "api_key"), ({}, "expired")],
)
def test_a_wrong_form_gives_no_session(changes: dict[str, str], message: str) -> None:
    accounts = Accounts(Account(), SimClock())
    with pytest.raises(KiteError, match=message) as raised:
        accounts.new_session(form("unknown") | changes)
    assert raised.value.status == 403 and raised.value.error_type == "TokenException"


def test_the_redirect_keeps_what_the_address_has() -> None:
    accounts = Accounts(Account(redirect="http://127.0.0.1:8765?app=g6"), SimClock())
    address = urlsplit(accounts.redirect("state=a%26b&x=1"))
    query = parse_qs(address.query)
    assert address.path == "/" and query["app"] == ["g6"] and query["state"] == ["a&b"] and query["x"] == ["1"]
    assert query["status"] == ["success"] and query["action"] == ["login"] and len(query["request_token"][0]) > 20


@pytest.mark.parametrize(
    ("login", "end"),
    [("05:59:59", "2026-11-20 06:00"), ("06:00:00", "2026-11-21 06:00"), ("23:30:00", "2026-11-21 06:00")],
)
def test_a_session_ends_at_the_next_six_in_the_morning(login: str, end: str) -> None:
    at = datetime.fromisoformat(f"2026-11-20T{login}").replace(tzinfo=IST)
    assert ends_at(at) == datetime.fromisoformat(end).replace(tzinfo=IST)


def test_six_oclock_comes_by_the_servers_clock(seconds: Seconds) -> None:
    clock = SimClock(datetime(2026, 11, 20, 5, 59, 0, tzinfo=IST), 60.0, seconds)
    accounts = Accounts(Account(), clock, monotonic=seconds)
    access, _ = accounts.log_in()
    seconds.now += 0.9
    assert accounts.authorised("demo", access)
    seconds.now += 0.1
    assert not accounts.authorised("demo", access)
    again, _ = accounts.log_in()
    seconds.now += 60.0
    assert accounts.authorised("demo", again)


def test_sessions_may_be_made_shorter(seconds: Seconds) -> None:
    accounts = Accounts(Account(), SimClock(), expire_after=5.0, monotonic=seconds)
    access, _ = accounts.log_in()
    seconds.now += 4.9
    assert accounts.authorised("demo", access)
    seconds.now += 0.2
    assert not accounts.authorised("demo", access)


def test_limits_count_calendar_seconds(seconds: Seconds) -> None:
    limits = Limits(seconds)
    seconds.now = 1000.99
    assert limits.allows("/quote") and not limits.allows("/quote/ltp")
    assert [limits.allows("/instruments/historical/1/day") for _ in range(4)] == [True] * 3 + [False]
    assert [limits.allows("/user/profile") for _ in range(11)] == [True] * 10 + [False]
    assert all(limits.allows(path) for path in ("/", "/sim/faults", "/connect/login") for _ in range(20))
    seconds.now = 1001.0
    assert limits.allows("/quote/ohlc") and not limits.allows("/quote")


def test_a_fault_is_written_as_it_is_read() -> None:
    for text in ("silent@0", "drop@30+5", "late@t40+2:seconds=3", "missing@0:symbol=NIFTY26NOV24500CE", "slow@1.5"):
        assert str(parse(text)) == text
    assert parse("storm429").length is None and parse("late:seconds=3").number("seconds", 2.0) == 3.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "earthquake",
        "silent@",
        "silent@x",
        "silent@1+",
        "silent@1:seconds",
        "silent 5",
        "slow:second=1",
        "slow:seconds=x",
    ],
)
def test_a_wrong_fault_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="not a fault"):
        parse(text)


def test_faults_hold_in_their_time(seconds: Seconds) -> None:
    faults = Faults([parse("silent@10+5"), parse("late@t3+1"), parse("slow@20")], seconds)
    names = {name for name in NAMES if faults.active(name)}
    assert names == set()
    for passed, ticks, expected in (
        (9.9, 2, set()),
        (10.0, 3, {"silent", "late"}),
        (15.0, 4, set()),
        (99.0, 4, {"slow"}),
    ):
        seconds.now, faults.ticks = 1000.0 + passed, ticks
        assert {name for name in NAMES if faults.active(name)} == expected


def test_an_instant_is_taken_once(seconds: Seconds) -> None:
    faults = Faults([parse("drop@1"), parse("drop@1")], seconds)
    assert faults.take("drop") is None
    seconds.now += 5
    assert faults.take("drop") and faults.take("drop") and faults.take("drop") is None


def test_an_added_fault_counts_from_now(seconds: Seconds) -> None:
    faults = Faults((), seconds)
    seconds.now, faults.ticks = 1050.0, 7
    faults.add(parse("silent@1+2"))
    faults.add(parse("torn@t1+1"))
    assert not faults.active("silent") and not faults.active("torn")
    seconds.now, faults.ticks = 1051.0, 8
    assert faults.active("silent") and faults.active("torn")
    faults.clear("silent")
    assert not faults.active("silent") and faults.active("torn")
    faults.clear()
    assert faults.plan == ()

"""Calls and instruments of g6-kite against the simulator, over a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from g6_kite.instruments import EXCHANGES, SPOTS, Instruments
from g6_kite.rest import Rest
from g6_kite.settings import KiteSettings
from g6_sim import Settings
from g6_sim.provider import Sim
from g6_sim.serve.app import Options, Server
from g6_sim.serve.faults import parse

from g6core import IST, AuthExpired, Context, Unavailable
from g6core.exchange import Calendar
from g6core.history import History

FRIDAY = datetime(2026, 11, 20, 11, 30, tzinfo=IST)
SETTINGS = Settings(seed=7, weeks=2, months=2)
KEYS = ["NSE:NIFTY 50", "NFO:NIFTY26NOV24500CE", "NFO:NIFTY26NOV24500PE", "NFO:NOSUCH"]


@dataclass
class Token:
    access_token: str = field(repr=False)
    api_key: str = "demo"


@dataclass
class Sessions:
    token: Token

    def current(self) -> Token:
        return self.token


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(lambda: Sim(SETTINGS), Options(start=FRIDAY)) as server:
        yield server


@pytest.fixture
def sessions(server: Server) -> Sessions:
    return Sessions(Token(server.accounts.log_in()[0]))


@pytest.fixture
def rest(server: Server, sessions: Sessions) -> Iterator[Callable[..., Rest]]:
    made: list[Rest] = []

    def make(**settings: Any) -> Rest:
        s = KiteSettings(api_key="demo", address=server.address, **settings)
        made.append(Rest(s, sessions))
        return made[-1]

    yield make
    for one in made:
        one.close()


def quiet_after(server: Server, seconds: float) -> None:
    threading.Timer(seconds, server.faults.clear).start()


def test_calls_one_after_the_other_stay_within_kite_s_limit(server: Server, rest: Callable[..., Rest]) -> None:
    asks = rest()
    start = time.monotonic()
    for _ in range(4):
        assert set(asks.quote(KEYS)) == set(KEYS[:3])
    assert time.monotonic() - start >= 3 / 0.9


@pytest.mark.parametrize("fault", ["html502", "storm429"])
def test_a_short_trouble_is_outlasted(fault: str, server: Server, rest: Callable[..., Rest]) -> None:
    asks = rest()
    server.faults.add(parse(fault))
    quiet_after(server, 0.8)
    assert set(asks.quote(KEYS)) == set(KEYS[:3])


def test_a_long_trouble_is_told(server: Server, rest: Callable[..., Rest]) -> None:
    server.faults.add(parse("html502"))
    with pytest.raises(Unavailable, match="Kite gave no profile: HTTP 502, a page instead of data, 2 times"):
        rest(retries=1).profile()


def test_a_slow_answer_is_not_waited_for(server: Server, rest: Callable[..., Rest]) -> None:
    server.faults.add(parse("slow:seconds=3"))
    start = time.monotonic()
    with pytest.raises(Unavailable, match="no answer in time"):
        rest(retries=0, timeout=timedelta(seconds=0.3)).profile()
    assert time.monotonic() - start < 2.5


def test_a_session_that_ends_wants_a_login_and_a_new_one_goes_on(
    server: Server, sessions: Sessions, rest: Callable[..., Rest]
) -> None:
    asks = rest()
    assert asks.profile()["user_id"]
    server.faults.add(parse("expire"))
    with pytest.raises(AuthExpired):
        asks.profile()
    server.faults.clear()
    sessions.token = Token(server.accounts.log_in()[0])
    assert asks.profile()["user_id"]


def test_the_lists_are_the_market_s(server: Server, rest: Callable[..., Rest], tmp_path: Path) -> None:
    context = Context(tmp_path, server.clock, Calendar.load(), History(tmp_path))
    listed = Instruments(rest(), KiteSettings(api_key="demo", address=server.address), context)
    market = Sim(SETTINGS)
    market.open(context)
    for index in EXCHANGES:
        contracts, expected = listed.contracts(index), market.contracts(index)
        same = ["index", "exchange", "symbol", "expiry", "strike", "right", "lot_size", "tick_size"]
        assert contracts.select(same).equals(expected.select(same))
        assert contracts["token"].n_unique() == contracts.height
        assert set(listed.futures(index)) <= set(expected["expiry"]) and listed.futures(index)
    assert {index: listed.spot(index) for index in SPOTS} == SPOTS


def test_candles_of_a_contract(server: Server, rest: Callable[..., Rest]) -> None:
    asks = rest()
    token = int(asks.quote(KEYS)["NFO:NIFTY26NOV24500CE"]["instrument_token"])
    start = FRIDAY.astimezone(UTC) - timedelta(minutes=30)
    frame = asks.candles(token, start, start + timedelta(minutes=9))
    assert 0 < frame.height <= 10
    assert frame["ts"].is_between(start, start + timedelta(minutes=9)).all() and frame["ts"].is_sorted()
    assert (frame["low"] <= frame["open"]).all() and (frame["close"] <= frame["high"]).all()

"""The official client, as it is, against the server on a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import requests
from g6_sim import Settings
from g6_sim.provider import Sim
from g6_sim.serve.app import Options, Server
from g6_sim.serve.faults import parse
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_errors

from g6core import IST, Unavailable

FRIDAY = datetime(2026, 11, 20, 11, 30, tzinfo=IST)
OPTION = "NFO:NIFTY26NOV24500CE"
SETTINGS = Settings(seed=7, weeks=1, months=1)

Run = Callable[..., Server]


@pytest.fixture
def run() -> Iterator[Run]:
    """`run(faults=[…])`: a started server, on Friday 11:30 in India; calls are not counted unless asked for."""
    with ExitStack() as stack:

        def started(**options: Any) -> Server:
            given: dict[str, Any] = {"start": FRIDAY, "limits": False, "indices": ("NIFTY", "SENSEX")} | options
            return stack.enter_context(Server(lambda: Sim(SETTINGS), Options(**given)))

        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for all that change nothing."""
    with Server(lambda: Sim(SETTINGS), Options(start=FRIDAY, limits=False, indices=("NIFTY", "SENSEX"))) as server:
        yield server


def client(server: Server, **more: Any) -> KiteConnect:
    """Logged in without the page."""
    return KiteConnect("demo", server.accounts.log_in()[0], root=server.address, **more)


@pytest.fixture(scope="module")
def kite(server: Server) -> KiteConnect:
    return client(server)


def redirected(server: Server, **params: str) -> dict[str, list[str]]:
    address = f"{server.address}/connect/login"
    answer = requests.get(address, {"v": "3", "api_key": "demo", **params}, allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    return parse_qs(urlsplit(answer.headers["Location"]).query)


def test_a_login_from_the_page_to_the_logout(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KiteConnect, "_default_login_uri", f"{server.address}/connect/login")
    kite = KiteConnect("demo", root=server.address)
    page = requests.get(kite.login_url(), {"redirect_params": "state=xyz"}, timeout=5)
    assert page.text.count("<button>") == 1 and page.headers["Content-Type"].startswith("text/html")
    back = redirected(server, auto="1", redirect_params="state=xyz")
    assert back["state"] == ["xyz"] and back["status"] == ["success"]
    session = kite.generate_session(back["request_token"][0], api_secret="demo")
    assert session["login_time"].replace(tzinfo=IST) - FRIDAY < timedelta(minutes=10)
    assert session["access_token"] == kite.access_token and session["user_id"] == kite.profile()["user_id"]
    assert kite.invalidate_access_token() is True
    kite.set_access_token(session["access_token"])
    with pytest.raises(kite_errors.TokenException) as raised:
        kite.profile()
    assert raised.value.code == 403


def test_the_page_hands_on_what_it_was_asked_with(server: Server) -> None:
    asked = {"v": "3", "api_key": "demo", "redirect_params": 'state="><script>'}
    page = requests.get(f"{server.address}/connect/login", asked, timeout=5).text
    assert "<script>" not in page and "state=&quot;&gt;&lt;script&gt;" in page


def test_the_page_may_redirect_at_once(run: Run) -> None:
    assert redirected(run(auto_login=True))["request_token"]


def test_a_wrong_secret_is_refused(server: Server) -> None:
    kite = KiteConnect("demo", root=server.address)
    with pytest.raises(kite_errors.TokenException, match="checksum"):
        kite.generate_session(redirected(server, auto="1")["request_token"][0], api_secret="wrong")


def test_without_a_session_there_is_nothing(server: Server) -> None:
    for path in ("/user/profile", "/instruments", "/quote?i=NSE:NIFTY+50", "/instruments/historical/256265/day"):
        answer = requests.get(server.address + path, timeout=5)
        assert answer.status_code == 403 and answer.json()["error_type"] == "TokenException"
        assert answer.json()["status"] == "error" and answer.json()["message"] and answer.json()["data"] is None


def test_an_unknown_route_is_told_in_json(server: Server) -> None:
    headers = {"Authorization": f"token demo:{server.accounts.log_in()[0]}"}
    for method, path, status in (("get", "/nothing", 404), ("put", "/user/profile", 405), ("get", "/", 404)):
        answer = requests.request(method, server.address + path, headers=headers, timeout=5)
        assert answer.status_code == status and answer.json()["error_type"] == "GeneralException"


def test_profile_and_margins(kite: KiteConnect) -> None:
    assert {"user_id", "broker", "exchanges", "products", "order_types", "meta"} <= kite.profile().keys()
    assert kite.margins().keys() == {"equity", "commodity"}
    margin = kite.margins("equity")
    assert margin["enabled"] and "live_balance" in margin["available"] and "span" in margin["utilised"]


def test_instruments(kite: KiteConnect, server: Server) -> None:
    every, of_bse = kite.instruments(), kite.instruments("BFO")
    assert len(every) == server.market.tokens.size
    assert of_bse == [row for row in every if row["exchange"] == "BFO"]
    row = next(row for row in every if row["tradingsymbol"] == "NIFTY26NOV24500CE")
    assert row["expiry"].isoformat() == "2026-11-23" and row["strike"] == 24500.0 and row["lot_size"] == 65
    assert row["instrument_type"] == "CE" and row["segment"] == "NFO-OPT" and row["name"] == "NIFTY"
    assert row["instrument_token"] == int(row["exchange_token"]) * 256 + 2
    assert kite.instruments("MCX") == []


def test_the_dump_comes_packed_or_not(server: Server) -> None:
    headers = {"Authorization": f"token demo:{server.accounts.log_in()[0]}"}
    plain, packed = (
        requests.get(f"{server.address}/instruments", headers=headers | {"Accept-Encoding": form}, timeout=5)
        for form in ("identity", "gzip")
    )
    assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
    assert plain.content == packed.content and packed.headers["Content-Type"].startswith("text/csv")


def test_a_quote_is_the_markets_field_by_field(server: Server, kite: KiteConnect) -> None:
    item = kite.quote(OPTION)[OPTION]
    # The market at that second, from another one: every number follows from seed and time.
    with Server(lambda: Sim(SETTINGS), Options(start=item["timestamp"].replace(tzinfo=IST))) as other:
        quote = other.market.quotes()[other.market.slot_of_key(OPTION)]
    assert item["instrument_token"] == quote["token"] and item["last_price"] == quote["last_price"] > 0
    assert item["ohlc"] == {name: quote[name] for name in ("open", "high", "low", "close")}
    names = {"volume": "volume", "oi": "oi", "oi_day_high": "oi_high", "oi_day_low": "oi_low"}
    names |= {"last_quantity": "last_qty", "buy_quantity": "buy_qty", "sell_quantity": "sell_qty"}
    assert {theirs: item[theirs] for theirs in names} == {theirs: quote[ours] for theirs, ours in names.items()}
    assert item["average_price"] == quote["average_price"] and item["last_trade_time"] == item["timestamp"]
    for side, ours in (("buy", "bid"), ("sell", "ask")):
        assert [level["price"] for level in item["depth"][side]] == quote[f"{ours}_price"].tolist()
        assert [level["quantity"] for level in item["depth"][side]] == quote[f"{ours}_qty"].tolist()
        assert [level["orders"] for level in item["depth"][side]] == quote[f"{ours}_orders"].tolist()


def test_the_three_forms_of_a_quote(kite: KiteConnect) -> None:
    assert kite.ltp(OPTION)[OPTION].keys() == {"instrument_token", "last_price"}
    assert kite.ohlc([OPTION])[OPTION].keys() == {"instrument_token", "last_price", "ohlc"}
    index = kite.quote("NSE:NIFTY 50")["NSE:NIFTY 50"]
    assert index["instrument_token"] == 256265 and index["last_price"] > 0 and "depth" not in index
    assert index["timestamp"].replace(tzinfo=IST) >= FRIDAY and not index["volume"]
    assert kite.ltp("256265").keys() == {"256265"}


def test_keys_without_a_quote_are_silently_absent(server: Server, kite: KiteConnect) -> None:
    quotes = server.market.quotes()
    silent = server.market.instruments()["tradingsymbol"][int(np.flatnonzero(~quotes["quoted"])[0])]
    for call in (kite.quote, kite.ohlc, kite.ltp):
        assert call([OPTION, "NFO:NOPE", f"NFO:{silent}", "12", "NSE:INFY"]).keys() == {OPTION}
        assert call("NFO:NOPE") == {}


def test_keys_of_a_call_are_limited(kite: KiteConnect) -> None:
    keys = [OPTION, *(f"NFO:NOPE{n}" for n in range(1000))]
    for call, limit in ((kite.quote, 500), (kite.ohlc, 1000), (kite.ltp, 1000)):
        assert call(keys[:limit]).keys() == {OPTION}
        with pytest.raises(kite_errors.InputException) as raised:
            call(keys[: limit + 1])
        assert raised.value.code == 400
    with pytest.raises(kite_errors.InputException):
        kite.quote()


def test_calls_are_limited_by_the_second(run: Run) -> None:
    kite = client(run(limits=True))
    with pytest.raises(kite_errors.NetworkException, match="Too many requests") as raised:
        for _ in range(10):
            kite.ltp(OPTION)
    assert raised.value.code == 429
    assert kite.profile()


def test_candles_are_the_quotes_of_their_minute(kite: KiteConnect) -> None:
    quote = kite.quote(OPTION)[OPTION]
    begin = datetime(2026, 11, 20, 9, 15, tzinfo=IST)
    candles = kite.historical_data(quote["instrument_token"], begin, quote["timestamp"], "minute", oi=True)
    assert [c["date"] for c in candles] == [c["date"] for c in sorted(candles, key=lambda c: c["date"])]
    assert candles[0]["date"] == begin
    assert len(candles) == 1 + (quote["timestamp"].replace(tzinfo=IST) - begin) // timedelta(minutes=1)
    for candle in candles:
        assert (
            candle["low"]
            <= min(candle["open"], candle["close"])
            <= max(candle["open"], candle["close"])
            <= candle["high"]
        )
        assert candle["volume"] > 0 and candle["volume"] % 65 == 0 and candle["oi"] % 65 == 0
    assert candles[-1]["low"] <= quote["last_price"] <= candles[-1]["high"] and candles[-1]["oi"] == quote["oi"]
    assert quote["ohlc"]["low"] <= min(c["low"] for c in candles)
    assert quote["ohlc"]["high"] >= max(c["high"] for c in candles)


def test_longer_candles_are_made_of_minutes(kite: KiteConnect) -> None:
    def candles(interval: str) -> list[dict[str, Any]]:
        begin, end = datetime(2026, 11, 20, 9, 15, tzinfo=IST), datetime(2026, 11, 20, 11, 14, 59, tzinfo=IST)
        token = kite.ltp(OPTION)[OPTION]["instrument_token"]
        found: list[dict[str, Any]] = kite.historical_data(token, begin, end, interval, oi=True)
        return found

    minutes = candles("minute")
    for interval, length in (("3minute", 3), ("5minute", 5), ("10minute", 10), ("30minute", 30), ("60minute", 60)):
        for n, candle in enumerate(candles(interval)):
            part = minutes[n * length : (n + 1) * length]
            assert candle["date"] == part[0]["date"] and candle["volume"] == sum(p["volume"] for p in part)
            assert (candle["open"], candle["close"], candle["oi"]) == (
                part[0]["open"],
                part[-1]["close"],
                part[-1]["oi"],
            )
            assert candle["high"] == max(p["high"] for p in part) and candle["low"] == min(p["low"] for p in part)


@pytest.mark.parametrize("key", ["NSE:NIFTY 50", "NSE:INDIA VIX", "NFO:NIFTY26NOVFUT"])
def test_candles_of_indices_and_futures(kite: KiteConnect, key: str) -> None:
    quote = kite.quote(key)[key]
    begin = quote["timestamp"] - timedelta(minutes=10)
    candles = kite.historical_data(quote["instrument_token"], begin, quote["timestamp"], "minute")
    assert len(candles) in (10, 11) and "oi" not in candles[0]
    assert candles[-1]["low"] <= quote["last_price"] <= candles[-1]["high"]


@pytest.mark.parametrize(
    ("interval", "days"),
    [("minute", 60), ("3minute", 100), ("5minute", 100), ("10minute", 100), ("15minute", 200), ("60minute", 400)],
)
def test_spans_are_limited(kite: KiteConnect, interval: str, days: int) -> None:
    with pytest.raises(kite_errors.InputException, match=f"interval exceeds max limit: {days} days"):
        kite.historical_data(256265, FRIDAY - timedelta(days=days, minutes=1), FRIDAY, interval)


def test_wrong_questions_for_candles(kite: KiteConnect) -> None:
    for token, begin, interval in (
        (1, FRIDAY, "day"),
        (256265, "soon", "day"),
        (256265, FRIDAY, "2minute"),
        ("x", FRIDAY, "day"),
    ):
        with pytest.raises(kite_errors.InputException) as raised:
            kite.historical_data(token, begin, FRIDAY, interval)
        assert raised.value.code == 400


def test_nothing_of_the_future(kite: KiteConnect) -> None:
    assert kite.historical_data(256265, FRIDAY + timedelta(hours=6), FRIDAY + timedelta(days=1), "minute") == []


def test_six_oclock_ends_a_session(run: Run) -> None:
    server = run(start=datetime(2026, 11, 21, 5, 59, 59, tzinfo=IST), speed=1.0)
    kite = client(server)
    hook: list[bool] = []
    kite.set_session_expiry_hook(lambda: hook.append(True))
    until = datetime(2026, 11, 21, 6, 0, tzinfo=IST)
    while server.clock.now() < until:
        try:
            kite.profile()
        except kite_errors.TokenException:
            assert server.clock.now() >= until
    with pytest.raises(kite_errors.TokenException):
        kite.profile()
    assert hook
    assert client(server).profile()


def test_expired_by_a_fault(run: Run) -> None:
    server = run()
    kite = client(server)
    assert kite.profile()
    server.faults.add(parse("expire"))
    with pytest.raises(kite_errors.TokenException):
        kite.profile()
    assert client(server).profile()


def test_an_html_502(run: Run) -> None:
    kite = client(run(faults=[parse("html502")]))
    with pytest.raises(kite_errors.DataException) as raised:
        kite.profile()
    assert raised.value.code == 502


def test_a_storm_of_429(run: Run) -> None:
    server = run(faults=[parse("storm429")])
    kite = client(server)
    with pytest.raises(kite_errors.NetworkException):
        kite.quote(OPTION)
    server.faults.clear()
    assert kite.quote(OPTION)


def test_a_slow_answer(run: Run) -> None:
    kite = client(run(faults=[parse("slow:seconds=5")]), timeout=0.3)
    with pytest.raises(requests.ReadTimeout):
        kite.profile()


def test_a_contract_missing_from_the_dump(run: Run) -> None:
    server = run()
    kite = client(server)
    every = {row["tradingsymbol"] for row in kite.instruments()}
    server.faults.add(parse(f"missing:symbol={OPTION.partition(':')[2]}"))
    assert every - {row["tradingsymbol"] for row in kite.instruments()} == {"NIFTY26NOV24500CE"}
    assert kite.ltp([OPTION, "NSE:NIFTY 50"]).keys() == {"NSE:NIFTY 50"}
    server.faults.clear()
    server.faults.add(parse("missing:every=10"))
    assert len(kite.instruments()) == len(every) - -(-len(every) // 10)
    server.faults.clear()
    assert {row["tradingsymbol"] for row in kite.instruments()} == every


def test_no_depth_and_no_trade_time(run: Run) -> None:
    item = client(run(faults=[parse("zero_depth"), parse("null_trade_time")])).quote(OPTION)[OPTION]
    zero = {"price": 0, "quantity": 0, "orders": 0}
    assert item["depth"] == {"buy": [zero] * 5, "sell": [zero] * 5}
    assert item["last_trade_time"] is None and item["last_price"] > 0


def test_faults_by_request(run: Run) -> None:
    server = run()
    place = f"{server.address}/sim/faults"
    assert requests.post(place, json={"fault": "html502@0+60"}, timeout=5).json()["data"][0].startswith("html502@")
    with pytest.raises(kite_errors.DataException):
        client(server).profile()
    assert requests.delete(place, params={"name": "html502"}, timeout=5).json()["data"] == []
    assert client(server).profile() and requests.get(place, timeout=5).json()["data"] == []
    for wrong in ({"fault": "earthquake"}, {}, [1]):
        answer = requests.post(place, json=wrong, timeout=5)
        assert answer.status_code == 400 and answer.json()["error_type"] == "InputException"
    assert requests.post(place, data="{", timeout=5).status_code == 400


def test_a_taken_port_is_told(server: Server) -> None:
    with pytest.raises(Unavailable, match=str(server.port)):
        Server(lambda: Sim(SETTINGS), Options(port=server.port, indices=("NIFTY",))).start()

"""A recorded day in the broker's own protocol: `g6 sim serve --replay`, asked by the official client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from g6_sim.serve.app import Options, Server
from kiteconnect import KiteConnect

from g6core import IST, build_provider

OPENING = datetime(2026, 8, 17, 9, 15, tzinfo=IST)
SYMBOL = "NIFTY2681824500CE"


def recording(place: Path) -> Path:
    """Five minutes of two contracts; in the fourth nothing was traded, and the second contract comes late."""
    rows = []
    for minute in range(5):
        for strike in (24500.0, 24550.0)[: 1 if minute < 2 else 2]:
            same = {"index": "NIFTY", "expiry": date(2026, 8, 18), "strike": strike, "right": "CE", "lot_size": 65}
            traded = 650 * (minute if minute < 3 else minute - 1)
            quote = {"last_price": 100.05 + minute, "bid": 100.0, "bid_qty": 65, "volume": 6500 + traded, "oi": 1300}
            known = {"exchange": "NFO", "symbol": f"NIFTY26818{strike:.0f}CE", "token": int(strike) * 256 + 2}
            rows.append({"ts": OPENING + timedelta(minutes=minute), "spot": 24500.5 + minute} | same | quote | known)
    pl.DataFrame(rows).write_parquet(place)
    return place


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    path = recording(tmp_path / "day.parquet")
    with Server(lambda: build_provider("replay", {"path": str(path)}), Options(limits=False, speed=0.001)) as server:
        yield server


@pytest.fixture
def kite(server: Server) -> KiteConnect:
    return KiteConnect("demo", server.accounts.log_in()[0], root=server.address)


def at(tmp_path: Path, minutes: float) -> Server:
    """The same recording at a later time; it hardly moves."""
    path = recording(tmp_path / "day.parquet")
    options = Options(limits=False, speed=0.001, start=OPENING + timedelta(minutes=minutes))
    return Server(lambda: build_provider("replay", {"path": str(path)}), options)


def test_it_begins_with_the_recording(server: Server, kite: KiteConnect) -> None:
    assert abs(server.clock.now() - OPENING) < timedelta(seconds=1)
    listed = kite.instruments("NFO")
    assert {row["tradingsymbol"]: row["instrument_token"] for row in listed} == {
        SYMBOL: 24500 * 256 + 2,
        "NIFTY2681824550CE": 24550 * 256 + 2,
    }
    assert listed[0]["lot_size"] == 65 and listed[0]["expiry"] == date(2026, 8, 18)


def test_quotes_are_what_was_recorded_and_no_more(kite: KiteConnect) -> None:
    found = kite.quote(f"NFO:{SYMBOL}", "NFO:NIFTY2681824550CE", "NSE:NIFTY 50", "NSE:INDIA VIX")
    assert found.keys() == {f"NFO:{SYMBOL}", "NSE:NIFTY 50"}
    quote = found[f"NFO:{SYMBOL}"]
    assert (quote["last_price"], quote["volume"], quote["oi"]) == (100.05, 6500, 1300)
    assert quote["depth"]["buy"][0] == {"price": 100.0, "quantity": 65, "orders": 0}
    nothing = {"price": 0, "quantity": 0, "orders": 0}
    assert quote["depth"]["buy"][1:] == [nothing] * 4 and quote["depth"]["sell"] == [nothing] * 5
    assert quote["ohlc"] == dict.fromkeys(("open", "high", "low", "close"), 0)
    assert quote["timestamp"] is None and quote["last_trade_time"] is None
    assert found["NSE:NIFTY 50"]["last_price"] == 24500.5


def test_candles_are_what_was_recorded_so_far(tmp_path: Path) -> None:
    with at(tmp_path, 3.5) as server:
        kite = KiteConnect("demo", server.accounts.log_in()[0], root=server.address)
        candles = kite.historical_data(24500 * 256 + 2, OPENING, OPENING + timedelta(hours=1), "minute", oi=True)
        assert [(c["date"].minute, c["close"], c["volume"], c["oi"]) for c in candles] == [
            # Of the first minute nobody knows what was traded in it, and in the fourth nothing was.
            (16, 101.05, 650, 1300),
            (17, 102.05, 650, 1300),
        ]
        index = kite.historical_data(256265, OPENING, OPENING + timedelta(hours=1), "3minute")
        assert [(c["open"], c["high"], c["low"], c["close"]) for c in index] == [
            (24500.5, 24502.5, 24500.5, 24502.5),
            (24503.5, 24503.5, 24503.5, 24503.5),
        ]


def test_a_later_start(tmp_path: Path) -> None:
    with at(tmp_path, 2) as server:
        kite = KiteConnect("demo", server.accounts.log_in()[0], root=server.address)
        assert len(kite.ltp(f"NFO:{SYMBOL}", "NFO:NIFTY2681824550CE")) == 2


def test_after_its_last_day_there_is_nothing(tmp_path: Path) -> None:
    with at(tmp_path, 60 * 24) as server:
        kite = KiteConnect("demo", server.accounts.log_in()[0], root=server.address)
        assert kite.instruments("NFO") == [] and kite.ltp(f"NFO:{SYMBOL}", "NSE:NIFTY 50") == {}

"""Candles on disk: what was stored is read back, once, with its source, whole after a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from g6_kite.candles import CANDLES, Instrument, candles_path, known, micros, read_candles
from g6_kite.candlestore import CandleStore

from g6core import ConfigError, DataError, Unavailable

if TYPE_CHECKING:
    from tests.launch import Launcher

DAY = date(2026, 8, 17)
OPEN = datetime(2026, 8, 17, 3, 45, tzinfo=UTC)
NOW = datetime(2026, 8, 17, 5, 0, tzinfo=UTC)
CALL = Instrument("NIFTY", "NFO", "NIFTY2681824650CE", 12345, date(2026, 8, 18), 24650.0, "CE")
SPOT = Instrument("NIFTY", "NSE", "NIFTY 50", 256265)


def candles(n: int, start: datetime = OPEN, volume: int | None = 75) -> pl.DataFrame:
    ts = [start + timedelta(minutes=i) for i in range(n)]
    price = [100.0 + i for i in range(n)]
    rows = {"ts": ts, "open": price, "high": price, "low": price, "close": price}
    whole = {"volume": [volume] * n, "oi": [None] * n}
    return pl.DataFrame({**rows, **whole}, schema_overrides={"volume": pl.Int64, "oi": pl.Int64})


def span(n: int, start: datetime = OPEN) -> tuple[int, int]:
    return micros(start), micros(start + timedelta(minutes=n - 1))


def test_what_was_stored_is_read_back_with_where_it_came_from(tmp_path: Path) -> None:
    with CandleStore(tmp_path) as store:
        assert store.write(DAY, CALL, candles(3), [span(3)], NOW) == 3
        assert store.write(DAY, SPOT, candles(2), [span(2)], NOW) == 2
    found = read_candles(candles_path(tmp_path, DAY))
    assert dict(found.schema) == CANDLES
    assert found["symbol"].to_list() == [CALL.symbol] * 3 + [SPOT.symbol] * 2
    assert found.row(1, named=True) == {
        "index": "NIFTY",
        "exchange": "NFO",
        "symbol": CALL.symbol,
        "token": 12345,
        "expiry": date(2026, 8, 18),
        "strike": 24650.0,
        "right": "CE",
        "ts": OPEN + timedelta(minutes=1),
        "open": 101.0,
        "high": 101.0,
        "low": 101.0,
        "close": 101.0,
        "volume": 75,
        "oi": None,
        "fetched_at": NOW,
        "source": "kite",
    }
    assert found.row(4, named=True)["expiry"] is None


def test_anybody_can_read_the_view_with_sqlite(tmp_path: Path) -> None:
    with CandleStore(tmp_path) as store:
        store.write(DAY, CALL, candles(2), [span(2)], NOW)
    with sqlite3.connect(candles_path(tmp_path, DAY)) as db:
        assert db.execute("SELECT symbol, close FROM candles ORDER BY ts").fetchall() == [
            (CALL.symbol, 100.0),
            (CALL.symbol, 101.0),
        ]


def test_the_same_answer_twice_is_there_once_and_a_later_one_replaces_it(tmp_path: Path) -> None:
    path = candles_path(tmp_path, DAY)
    for _ in range(2):
        with CandleStore(tmp_path) as store:
            store.write(DAY, CALL, candles(3), [span(3)], NOW)
    once = read_candles(path)
    assert once.height == 3
    assert len(known(path).asked) == 1
    with CandleStore(tmp_path) as store:
        later = candles(1).with_columns(close=pl.lit(99.5))
        store.write(DAY, CALL, later, [span(1)], NOW + timedelta(hours=1))
    assert read_candles(path)["close"].to_list() == [99.5, 101.0, 102.0]


def test_what_is_absent_is_null(tmp_path: Path) -> None:
    with CandleStore(tmp_path) as store:
        odd = candles(1, volume=None).with_columns(open=pl.lit(float("nan")), close=pl.lit(None, pl.Float64))
        store.write(DAY, CALL, odd, [span(1)], NOW)
    row = read_candles(candles_path(tmp_path, DAY)).row(0, named=True)
    assert (row["open"], row["close"], row["volume"], row["oi"]) == (None, None, None, None)
    assert row["high"] == 100.0


def test_without_volume_an_option_was_not_traded_and_an_index_was_there(tmp_path: Path) -> None:
    with CandleStore(tmp_path) as store:
        for instrument in (CALL, SPOT):
            store.write(DAY, instrument, candles(1, volume=0), [span(1)], NOW)
    stored = known(candles_path(tmp_path, DAY))
    by_symbol = {stored.instruments[row].symbol: bool(t) for row, t in zip(stored.of, stored.traded, strict=True)}
    assert by_symbol == {CALL.symbol: False, SPOT.symbol: True}


def test_that_kite_was_asked_is_remembered_also_when_it_had_nothing(tmp_path: Path) -> None:
    with CandleStore(tmp_path) as store:
        assert store.write(DAY, CALL, candles(0), [span(10)], NOW) == 0
    stored = known(candles_path(tmp_path, DAY))
    assert stored.instruments == [CALL]
    assert stored.asked.tolist() == [[0, *span(10)]]


def test_simulated_and_real_candles_of_a_day_are_never_mixed(tmp_path: Path) -> None:
    with CandleStore(tmp_path, simulated=True) as store:
        store.write(DAY, CALL, candles(1), [span(1)], NOW)
    with CandleStore(tmp_path) as store, pytest.raises(ConfigError) as refused:
        store.open(DAY)
    assert refused.value.code == "mixed-sources"


@pytest.mark.parametrize("content", [b"no database at all, whatever its name says", b"x" * 8192])
def test_a_file_that_is_none_is_told_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = candles_path(tmp_path, DAY)
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DataError) as unread:
        known(path)
    with CandleStore(tmp_path) as store, pytest.raises(DataError) as unwritten:
        store.open(DAY)
    assert unread.value.code == unwritten.value.code == "bad-candles"
    assert path.read_bytes() == content


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    with CandleStore(tmp_path) as store:
        store.open(DAY)
    with sqlite3.connect(candles_path(tmp_path, DAY)) as db:
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(DataError, match="format 2"):
        read_candles(candles_path(tmp_path, DAY))


def test_a_file_whose_maker_was_killed_at_once_is_a_day_without_candles(tmp_path: Path) -> None:
    path = candles_path(tmp_path, DAY)
    path.parent.mkdir()
    path.touch()
    assert read_candles(path).is_empty()
    assert known(path).instruments == []
    with CandleStore(tmp_path) as store:
        store.write(DAY, CALL, candles(2), [span(2)], NOW)
    assert read_candles(path).height == 2


def test_a_file_in_the_way_of_the_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "candles").touch()
    with CandleStore(tmp_path) as store, pytest.raises(Unavailable) as told:
        store.open(DAY)
    assert told.value.code == "not-writable"


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_candles import CALL, DAY, NOW, CandleStore, Instrument, candles, span
with CandleStore(Path(sys.argv[1])) as store:
    for n in range(100_000):
        one = Instrument("NIFTY", "NFO", f"NIFTY{n}CE", n, CALL.expiry, float(n), "CE")
        store.write(DAY, one, candles(300), [span(300)], NOW)
        print(n, flush=True)
"""


def test_killed_at_any_instant_only_whole_answers_are_there(tmp_path: Path, launcher: Launcher) -> None:
    path, place = candles_path(tmp_path, DAY), str(Path(__file__).parent)
    (tmp_path / "writer.py").write_text(WRITER)
    done = 0
    for pause in (0.0, 0.013, 0.05):
        writer = launcher.piped("writer", tmp_path, place, cwd=tmp_path, env=dict(os.environ))
        said = [int(writer.stdout.readline()) for _ in range(2)]
        time.sleep(pause)
        writer.send_signal(signal.SIGKILL)
        said += [int(line) for line in writer.stdout.read().splitlines()]
        writer.communicate()
        done = max(done, *said)
        stored = known(path)
        counts = pl.Series(stored.of).value_counts()["count"]
        assert counts.to_list() == [300] * len(stored.instruments)
        assert len(stored.asked) == len(stored.instruments) > done

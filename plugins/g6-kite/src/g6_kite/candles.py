"""Historical candles on disk: one SQLite file per trading day, `<data>/candles/YYYY-MM-DD.db`.

A candle is what was traded in a minute, no quote: it never becomes a snapshot of the journal. Beside the candles stands
which minutes Kite was asked for, so that "nothing was traded" and "nobody asked" are told apart. Times are microseconds
since 1970 UTC; a candle's is its start. The view `candles` has every column for whoever opens a file with sqlite3.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from g6core import DataError

FORMAT = 1
MINUTE = 60_000_000
"""Microseconds."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UTC_TIME = pl.Datetime("us", "UTC")

CANDLES: dict[str, Any] = {
    "index": pl.String,  # the underlying
    "exchange": pl.String,  # with `symbol` the identity: NFO, BFO; NSE, BSE for an index itself
    "symbol": pl.String,
    "token": pl.Int64,
    "expiry": pl.Date,  # null for an index, as strike and right
    "strike": pl.Float64,
    "right": pl.String,
    "ts": UTC_TIME,  # the candle's start
    "open": pl.Float64,  # rupees; points for an index
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Int64,  # units traded in the minute
    "oi": pl.Int64,  # open interest in units
    "fetched_at": UTC_TIME,
    "source": pl.String,
}
"""What `read_candles` gives: a row per instrument and minute."""

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS about (simulated INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS instruments (
    id INTEGER PRIMARY KEY, "index" TEXT NOT NULL, exchange TEXT NOT NULL, symbol TEXT NOT NULL, token INTEGER NOT NULL,
    expiry TEXT, strike REAL, "right" TEXT, UNIQUE (exchange, symbol));
CREATE TABLE IF NOT EXISTS minutes (
    instrument INTEGER NOT NULL REFERENCES instruments, ts INTEGER NOT NULL, open REAL, high REAL, low REAL, close REAL,
    volume INTEGER, oi INTEGER, fetched_at INTEGER NOT NULL, source TEXT NOT NULL,
    PRIMARY KEY (instrument, ts)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked (
    instrument INTEGER NOT NULL REFERENCES instruments, first INTEGER NOT NULL, last INTEGER NOT NULL,
    fetched_at INTEGER NOT NULL, PRIMARY KEY (instrument, first, last)) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS candles AS
    SELECT "index", exchange, symbol, token, expiry, strike, "right", ts, open, high, low, close, volume, oi,
           fetched_at, source
    FROM minutes JOIN instruments ON instruments.id = minutes.instrument;
PRAGMA user_version = {FORMAT}
"""
Span = tuple[int, int]
"""The starts of the first and the last minute, microseconds."""


@dataclass(frozen=True)
class Instrument:
    """Something that has candles: an option, or an index itself (then without expiry, strike and right)."""

    index: str
    exchange: str
    symbol: str
    token: int
    expiry: date | None = None
    strike: float | None = None
    right: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.exchange, self.symbol


def candles_path(data_dir: Path, day: date) -> Path:
    return data_dir / "candles" / f"{day}.db"


def read_candles(path: Path) -> pl.DataFrame:
    """Every candle of a day file, columns CANDLES, by instrument and time. Raises DataError (`bad-candles`)."""
    names = ", ".join(f'"{name}"' for name in CANDLES)
    with reading(path) as db:
        rows = db.execute(f"SELECT {names} FROM candles").fetchall()
    columns = list(zip(*rows, strict=True)) or [()] * len(CANDLES)
    plain = {**CANDLES, "ts": pl.Int64, "fetched_at": pl.Int64, "expiry": pl.String}
    frame = pl.DataFrame([pl.Series(n, values, plain[n]) for n, values in zip(CANDLES, columns, strict=True)])
    times = [pl.col(name).cast(CANDLES[name]) for name in ("ts", "fetched_at")]
    return frame.with_columns(pl.col("expiry").str.to_date("%Y-%m-%d"), *times).sort("exchange", "symbol", "ts")


@dataclass(frozen=True)
class Known:
    """What a day file has, as arrays: row `of[i]` of `instruments` traded (or not) in the minute `ts[i]`; what was
    asked in whole spans."""

    instruments: Sequence[Instrument]
    of: np.ndarray
    ts: np.ndarray
    traded: np.ndarray
    asked: np.ndarray
    """A row per span: row of `instruments`, first minute, last minute."""


_NONE = np.empty(0, np.int64)
NOTHING = Known((), _NONE, _NONE, np.empty(0, np.bool_), np.empty((0, 3), np.int64))


def known(path: Path) -> Known:
    """What is there of a day; NOTHING without a file. Raises DataError (`bad-candles`)."""
    if not path.exists():
        return NOTHING
    with reading(path) as db:
        db.execute("BEGIN")  # the three answers belong together while somebody writes
        listed = db.execute(
            'SELECT id, "index", exchange, symbol, token, expiry, strike, "right" FROM instruments ORDER BY id'
        ).fetchall()
        minutes = db.execute("SELECT instrument, ts, coalesce(volume, 0) > 0 FROM minutes").fetchall()
        asked = db.execute("SELECT instrument, first, last FROM asked").fetchall()
    ids = np.array([row[0] for row in listed], np.int64)
    instruments = [_instrument(*row[1:]) for row in listed]
    spot = np.array([i.expiry is None for i in instruments], np.bool_)
    number, ts, traded = np.array(minutes, np.int64).reshape(-1, 3).T
    of = np.searchsorted(ids, number)
    spans = np.array(asked, np.int64).reshape(-1, 3)
    spans[:, 0] = np.searchsorted(ids, spans[:, 0])
    return Known(instruments, of, ts, traded.astype(np.bool_) | spot[of], spans)


def _instrument(
    index: str, exchange: str, symbol: str, token: int, expiry: str | None, strike: float | None, right: str | None
) -> Instrument:
    return Instrument(index, exchange, symbol, token, date.fromisoformat(expiry) if expiry else None, strike, right)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot change the file. Raises DataError (`bad-candles`)."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] == 0 and is_blank(db):
                # Whoever made it was killed before its first transaction: a day without candles.
                with closing(sqlite3.connect(":memory:")) as blank:
                    blank.executescript(SCHEMA)
                    yield blank
                return
            check_format(db, path)
            yield db
    except sqlite3.DatabaseError as e:
        raise bad(path, str(e)) from e


def is_blank(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def micros(ts: datetime) -> int:
    return (ts - EPOCH) // timedelta(microseconds=1)


def from_micros(value: int) -> datetime:
    return EPOCH + timedelta(microseconds=int(value))


def check_format(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != FORMAT:
        raise bad(path, f"it has format {version}, this g6-kite knows {FORMAT}")


def bad(path: Path, why: str) -> DataError:
    return DataError(
        f"{path.name} cannot be read as a day of candles: {why}",
        code="bad-candles",
        where=str(path),
        hint="move the file away; `g6 backfill` fetches what Kite still has",
    )

"""The candles' writing side: one transaction for each answer of Kite."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from g6_kite.candles import SCHEMA, Instrument, Span, bad, candles_path, check_format, is_blank, micros
from g6core import ConfigError, G6Error, Unavailable

SOURCE = "kite"
_INSTRUMENT = (
    'INSERT INTO instruments ("index", exchange, symbol, token, expiry, strike, "right") VALUES (?, ?, ?, ?, ?, ?, ?)'
    " ON CONFLICT (exchange, symbol) DO UPDATE SET token = excluded.token RETURNING id"
)
_CANDLE = "INSERT OR REPLACE INTO minutes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ASKED = "INSERT OR REPLACE INTO asked VALUES (?, ?, ?, ?)"


class CandleStore:
    """The writing side. Each `write` is one transaction: a process killed at any instant leaves whole answers only.

    simulated: whether the candles come from a simulator; a day never holds both kinds (ConfigError `mixed-sources`).
    """

    def __init__(self, data_dir: Path, *, simulated: bool = False) -> None:
        self._data_dir = data_dir
        self._simulated = simulated
        self._days: dict[date, sqlite3.Connection] = {}

    def __enter__(self) -> CandleStore:
        return self

    def __exit__(self, *error: object) -> None:
        for db in self._days.values():
            db.close()
        self._days.clear()

    def open(self, day: date) -> None:
        """Make or open a day's file, so that what is wrong with it is known before Kite is asked."""
        if day not in self._days:
            path = candles_path(self._data_dir, day)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._days[day] = _opened(path, self._simulated)
            except (sqlite3.DatabaseError, OSError) as e:
                raise _unwritable(path, e) from e

    def write(
        self, day: date, instrument: Instrument, candles: pl.DataFrame, asked: Sequence[Span], now: datetime
    ) -> int:
        """Store one answer; writing it again changes nothing but `fetched_at`. Returns how many candles it had.

        candles: ts, open, high, low, close, volume, oi. asked: the minutes that Kite has now answered for, whether it
        had a candle or not.
        """
        self.open(day)
        at = micros(now)
        try:
            with self._days[day] as db:
                db.execute("BEGIN IMMEDIATE")
                expiry = instrument.expiry and instrument.expiry.isoformat()
                who = (instrument.index, *instrument.key, instrument.token, expiry, instrument.strike, instrument.right)
                (number,) = db.execute(_INSTRUMENT, who).fetchone()
                db.executemany(_CANDLE, ((number, *row, at, SOURCE) for row in _rows(candles)))
                db.executemany(_ASKED, ((number, first, last, at) for first, last in asked))
        except (sqlite3.DatabaseError, OSError) as e:
            raise _unwritable(candles_path(self._data_dir, day), e) from e
        return candles.height


def _rows(candles: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    prices = [pl.col(name).cast(pl.Float64).fill_nan(None) for name in ("open", "high", "low", "close")]
    whole = [pl.col(name).cast(pl.Int64) for name in ("volume", "oi")]
    return candles.select(pl.col("ts").dt.epoch("us"), *prices, *whole).iter_rows()


def _opened(path: Path, simulated: bool) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        if is_blank(db):
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.execute("INSERT INTO about VALUES (?)", (simulated,))
        db.execute("COMMIT")
        check_format(db, path)
        _check_kind(db, path, simulated)
    except BaseException:
        db.close()
        raise
    return db


def _check_kind(db: sqlite3.Connection, path: Path, simulated: bool) -> None:
    before = bool(db.execute("SELECT simulated FROM about").fetchone()[0])
    if before != simulated:
        kinds = {True: "simulated", False: "real"}
        raise ConfigError(
            f"{path.name} holds {kinds[before]} candles, and these would be {kinds[simulated]}",
            code="mixed-sources",
            where=str(path),
            hint="name another directory with --data-dir, or move the file away",
        )


def _unwritable(path: Path, e: sqlite3.DatabaseError | OSError) -> G6Error:
    if getattr(e, "sqlite_errorname", "") in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
        return bad(path, str(e))
    full = getattr(e, "sqlite_errorname", "") == "SQLITE_FULL" or "No space" in str(e)
    return Unavailable(
        f"the candles cannot be written: {e}",
        code="disk-full" if full else "not-writable",
        where=os.fspath(path),
        hint="free some space, or name another directory with --data-dir",
    )

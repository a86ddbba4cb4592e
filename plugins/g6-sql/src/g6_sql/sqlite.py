"""SQLite: one file, one writer, readers at any time.

WAL with `synchronous=FULL`: what `write` returned for is on the disk. The cursor of the journal moves on then, so that
NORMAL, which may lose the last transactions when the power fails, would lose them for good.
"""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from g6_sql.failures import failure
from g6_sql.migrate import VERSION_TABLE
from g6_sql.rows import Rows
from g6_sql.store import Store, statement
from g6_sql.tables import Table
from g6core import Finding, Unavailable

ROWS = 5_000
"""Rows that are Python objects at a time."""
PAGE = 16_384
"""Bytes of a page in a new file. A row has about 500, and bigger pages are written quicker than the usual 4,096."""
CACHE = 64
"""Megabytes of pages held, so that the indices of a day need not be read again for each batch."""


class SqliteStore(Store):
    dialect = 0
    errors = (sa.exc.SQLAlchemyError, sqlite3.Error, OverflowError, UnicodeError)

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._inode: int | None = None
        url = sa.URL.create("sqlite", database=str(path))
        engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            hide_parameters=True,
            connect_args={"timeout": seconds, "check_same_thread": False},
        )
        sa.event.listen(engine, "connect", self._connected)
        sa.event.listen(engine, "begin", _begin_immediate)
        super().__init__(engine, str(path))

    def open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise Unavailable(
                f"the directory of the database cannot be made: {e.strerror or e}",
                code="not-writable",
                where=self.where,
                hint="make it, or set another `url`",
            ) from e
        super().open()
        self._inode = _inode(self._path)

    def prepare(self, rows: Rows) -> None:
        if _inode(self._path) != self._inode:
            # Moved away or replaced: what is written into the open file would be seen by nobody.
            self.leave()
            self.open()

    def begin(self, connection: sa.Connection) -> None:
        """Nothing is to be set."""

    def make_room(self, connection: sa.Connection) -> None:
        """The file is made by connecting."""

    def keep_others_waiting(self, connection: sa.Connection) -> None:
        """BEGIN IMMEDIATE has done it."""

    def upsert(self, connection: sa.Connection, table: Table, frame: pl.DataFrame) -> None:
        # A column of nulls alone stands in the statement: to hand over a value takes longer than to store a null.
        bound = [series for series in frame if series.null_count() < frame.height]
        names = {series.name for series in bound}
        marks = ", ".join("?" if name in names else "NULL" for name in frame.columns)
        sql = statement(self, table, frame.columns, f"VALUES ({marks})")
        db: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        for start in range(0, frame.height, ROWS):
            # SQLAlchemy would want all rows in a list; the driver takes one after the other.
            db.executemany(sql, zip(*(_values(series.slice(start, ROWS)) for series in bound), strict=True))

    def columns_of(self, connection: sa.Connection, table: Table) -> Mapping[str, str]:
        rows = connection.exec_driver_sql(f"PRAGMA table_info({self.quote(table.name)})")
        return {row[1]: row[2].lower() for row in rows}

    def diagnose(self) -> Iterator[Finding]:
        nearest = next(p for p in (self._path, *self._path.absolute().parents) if p.exists())
        if not os.access(nearest, os.W_OK):
            yield Finding("error", f"cannot write {self.where}", f"make {nearest} writable, or set another `url`")
        elif nearest != self._path:
            yield Finding("ok", f"{self.where} will be made; SQLite {sqlite3.sqlite_version}")
        else:
            yield self._looked_at()

    def _looked_at(self) -> Finding:
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=self._seconds)) as db:
                tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
                found = (
                    db.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
                    if VERSION_TABLE in tables
                    else None
                )
        except sqlite3.Error as e:
            problem = failure(e, self.where)
            return Finding("error", f"{problem.message} ({self.where})", problem.hint or "set another `url`")
        revision = f"tables of revision {found[0]}" if found else "no tables yet"
        return Finding("ok", f"{self.where}: SQLite {sqlite3.sqlite_version}, {revision}")

    def _connected(self, db: Any, _: object) -> None:
        # Transactions are begun by us, so that they take the lock at once instead of failing in their middle.
        db.isolation_level = None
        db.execute(f"PRAGMA page_size = {PAGE}")
        db.execute(f"PRAGMA cache_size = {-1024 * CACHE}")
        end = time.monotonic() + self._seconds
        while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as e:
                # Two that change it at once do not wait for one another, whatever the timeout says.
                if not getattr(e, "sqlite_errorname", "").startswith("SQLITE_BUSY") or time.monotonic() > end:
                    raise
                time.sleep(0.01)
        db.execute("PRAGMA synchronous = FULL")


def _values(series: pl.Series) -> list[Any]:
    """As Python objects, with NaN for null: SQLite stores it as NULL, and the driver needs eight times as long for
    None."""
    values = (series.cast(pl.String) if series.dtype == pl.Date else series).to_list()
    return [math.nan if value is None else value for value in values] if series.null_count() else values


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None

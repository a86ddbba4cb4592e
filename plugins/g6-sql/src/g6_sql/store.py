"""A database that takes rows: what SQLite and PostgreSQL have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import polars as pl
import sqlalchemy as sa

from g6_sql.failures import failure
from g6_sql.kinds import DECLARED, KINDS, Kind, encoded, fits, kind_of
from g6_sql.measures import FAILURES, ROWS, SECONDS
from g6_sql.migrate import migrate
from g6_sql.rows import Rows
from g6_sql.tables import TABLES, Table
from g6core import Finding, Rejected

LONGEST_NAME = 63
"""Bytes of a column's name; PostgreSQL cuts off what is longer."""


class Store(ABC):
    """One connection, made when it is needed and left after any error. Used by one thread.

    where: the database for people, without a password.
    """

    dialect: int
    """Which of the names in DECLARED are its own."""
    errors: tuple[type[Exception], ...] = (sa.exc.SQLAlchemyError,)

    def __init__(self, engine: sa.Engine, where: str) -> None:
        self.where = where
        self._engine = engine
        self._connection: sa.Connection | None = None
        self._columns: dict[str, dict[str, Kind | None]] = {}

    def open(self) -> None:
        """Connect, and make or upgrade the tables. Raises Unavailable, ConfigError."""
        with self.transaction() as connection:
            self.keep_others_waiting(connection)
            self.make_room(connection)
            migrate(connection, self.where)

    def close(self) -> None:
        self.leave()
        self._engine.dispose()

    def write(self, rows: Rows) -> None:
        """All of it or nothing, in one transaction. Raises Unavailable, Rejected."""
        given = [(table, rows[table.name]) for table in TABLES if table.name in rows and rows[table.name].height]
        ready = [(table, self._fitted(table, frame)) for table, frame in given]
        self.prepare(rows)
        with SECONDS.time(), FAILURES.count_exceptions(), self.transaction() as connection:
            for table, frame in ready:
                self.upsert(connection, table, frame)
        for table, frame in ready:
            ROWS.labels(table.name).inc(frame.height)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Raises Unavailable or Rejected for what the database refuses; the connection is then a new one."""
        try:
            with self.limited():
                if self._connection is None:
                    self._connection = self._engine.connect()
                with self._connection.begin():
                    self.begin(self._connection)
                    yield self._connection
        except self.errors as e:
            self.leave()
            raise self.failure(e) from e
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Drop the connection, and what is known of the database: somebody may have changed it."""
        connection, self._connection = self._connection, None
        self._columns.clear()
        if connection is not None:
            connection.invalidate()
            connection.close()

    def failure(self, e: Exception) -> Exception:
        return failure(e, self.where)

    def quoted(self, names: Iterable[str]) -> str:
        return ", ".join(self.quote(name) for name in names)

    def quote(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def run(self, connection: sa.Connection, sql: str) -> None:
        """A statement without parameters, whatever characters the names in it have."""
        connection.exec_driver_sql(sql)

    @abstractmethod
    def prepare(self, rows: Rows) -> None:
        """What must be there before the rows can come, each in a transaction of its own."""

    def limited(self) -> AbstractContextManager[None]:
        """Around everything that talks to the database."""
        return nullcontext()

    @abstractmethod
    def begin(self, connection: sa.Connection) -> None:
        """At the start of each transaction."""

    @abstractmethod
    def make_room(self, connection: sa.Connection) -> None:
        """Before the tables are made."""

    @abstractmethod
    def keep_others_waiting(self, connection: sa.Connection) -> None:
        """No other g6 changes tables until the end of the transaction."""

    @abstractmethod
    def upsert(self, connection: sa.Connection, table: Table, frame: pl.DataFrame) -> None:
        """Put encoded rows into the table; a row of the same key is replaced in these columns."""

    @abstractmethod
    def columns_of(self, connection: sa.Connection, table: Table) -> Mapping[str, str]:
        """Each column's type, in the words of the database and lower case."""

    @abstractmethod
    def diagnose(self) -> Iterator[Finding]:
        """What `g6 doctor` shows; changes nothing."""

    def _fitted(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows as the table takes them, with new columns made in the database. Raises Rejected (`bad-frame`)."""
        given = {series.name: kind_of(series.dtype) for series in frame}
        kinds: Mapping[str, Kind | None] = table.columns
        if table.grows:
            kinds = self._grown(table, {name: kind for name, kind in given.items() if kind is not None})
            for name, kind in given.items():
                if kind is not None and not fits(kind, kinds[name]):
                    raise _unfitting(table, name, kind, str(kinds[name]))
        wanted = {name: kinds[name] or given[name] or "text" for name in given if name in kinds}
        try:
            return encoded(frame, wanted)
        except pl.exceptions.PolarsError as e:
            raise Rejected(f"{table.name} has a value that does not fit its column: {e}", code="bad-frame") from e

    def _grown(self, table: Table, given: Mapping[str, Kind]) -> Mapping[str, Kind | None]:
        """The kinds of the table's columns, after those that it lacks were added."""
        known = self._columns.get(table.name)
        if known is None or not given.keys() <= known.keys():
            with self.transaction() as connection:
                known = self._known(connection, table)
                new = {name: kind for name, kind in given.items() if name not in known}
                if new:
                    self._add(connection, table, new)
                    known = self._known(connection, table)
            self._columns[table.name] = known
        return known

    def _add(self, connection: sa.Connection, table: Table, new: Mapping[str, Kind]) -> None:
        self.keep_others_waiting(connection)
        there = self._known(connection, table)
        for name, kind in new.items():
            if name in there:
                continue
            _check_name(table, name, there)
            column = f"{self.quote(name)} {DECLARED[kind][self.dialect]}"
            self.run(connection, f"ALTER TABLE {self.quote(table.name)} ADD COLUMN {column}")
            there[name] = kind

    def _known(self, connection: sa.Connection, table: Table) -> dict[str, Kind | None]:
        return {name: KINDS.get(kind) for name, kind in self.columns_of(connection, table).items()}


def _check_name(table: Table, name: str, there: Iterable[str]) -> None:
    """Any name is safe, as it is quoted; but not every one can be kept apart from others."""
    if not name.isprintable() or not 0 < len(name.encode()) <= LONGEST_NAME:
        raise Rejected(f"{name!r} cannot be a column of {table.name}", code="bad-frame")
    like = next((other for other in there if other.lower() == name.lower()), None)
    if like is not None:
        raise Rejected(f"{table.name} has a column `{like}`, which is too like `{name}`", code="bad-frame")


def _unfitting(table: Table, name: str, given: str, wanted: str) -> Rejected:
    return Rejected(
        f"`{name}` of {table.name} is {wanted} in the database and {given} in the snapshot",
        code="bad-frame",
        hint=f"have the analytic give {wanted}, or change the column's type in the database",
    )


def statement(store: Store, table: Table, names: Sequence[str], source: str) -> str:
    """The upsert of these columns; `source` is what stands behind them."""
    rest = [name for name in names if name not in table.keys]
    changes = ", ".join(f"{store.quote(name)} = excluded.{store.quote(name)}" for name in rest)
    action = f"DO UPDATE SET {changes}" if changes else "DO NOTHING"
    return (
        f"INSERT INTO {store.quote(table.name)} ({store.quoted(names)}) {source}"
        f" ON CONFLICT ({store.quoted(table.keys)}) {action}"
    )

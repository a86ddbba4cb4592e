"""PostgreSQL: rows by COPY into a temporary table, and from there over those of the same key.

What all transactions need is set for the transaction alone, so that a pooler between may give each another session
(the temporary tables are then those of one session: a pooler must keep sessions).
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime

import polars as pl
import psycopg
import sqlalchemy as sa

from g6_sql.deadline import Deadline
from g6_sql.failures import failure, no_answer
from g6_sql.migrate import VERSION_TABLE
from g6_sql.rows import Rows
from g6_sql.settings import Settings
from g6_sql.store import Store, statement
from g6_sql.tables import OPTIONS, Table
from g6core import IST, Finding, Unavailable, trading_date

LOCK = 0x67365F73716C
"""The advisory lock under which tables are changed."""
SHORTEST_CONNECT = 2
"""Seconds; libpq takes no less."""


class PostgresStore(Store):
    dialect = 1
    errors = (sa.exc.SQLAlchemyError, psycopg.Error)

    def __init__(self, settings: Settings) -> None:
        self._schema = settings.schema_name
        self._seconds = settings.timeout.total_seconds()
        self._deadline = Deadline(self._seconds)
        self._staged: dict[str, list[str]] = {}
        self._months: set[date] = set()
        url = server_url(settings)
        engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            hide_parameters=True,
            use_native_hstore=False,
            connect_args={name: value for name, value in self._patience().items() if name not in url.query},
        )
        sa.event.listen(engine, "connect", self._connected, insert=True)
        super().__init__(engine, url.render_as_string(hide_password=True))

    def _patience(self) -> dict[str, object]:
        """Settings of libpq. What they do not cover is the deadline's."""
        return {
            "connect_timeout": max(SHORTEST_CONNECT, math.ceil(self._seconds)),
            "tcp_user_timeout": math.ceil(1000 * self._seconds),
            "keepalives_idle": 30,
            "application_name": "g6",
        }

    def run(self, connection: sa.Connection, sql: str) -> None:
        # SQLAlchemy always passes parameters, if only none, and psycopg then looks for their places.
        super().run(connection, sql.replace("%", "%%"))

    def limited(self) -> Deadline:
        return self._deadline

    def begin(self, connection: sa.Connection) -> None:
        limit = f"{math.ceil(1000 * self._seconds)}ms"
        connection.exec_driver_sql(
            "SELECT set_config('search_path', %s, true), set_config('statement_timeout', %s, true)",
            (self.quote(self._schema), limit),
        )

    def leave(self) -> None:
        super().leave()
        self._deadline.forget()
        self._staged.clear()
        self._months.clear()

    def failure(self, e: Exception) -> Exception:
        return no_answer(self._seconds, self.where) if self._deadline.passed else failure(e, self.where)

    def make_room(self, connection: sa.Connection) -> None:
        there = "SELECT to_regnamespace(%s) IS NOT NULL"
        if not connection.exec_driver_sql(there, (self.quote(self._schema),)).scalar():
            connection.exec_driver_sql(f"CREATE SCHEMA {self.quote(self._schema)}")

    def keep_others_waiting(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,))

    def prepare(self, rows: Rows) -> None:
        """The partition of each month. They are made before the rows come: later it could not be done without waiting
        for somebody who waits for us."""
        if "options" not in rows:
            return
        months = {trading_date(ts).replace(day=1) for ts in rows["options"]["ts"].unique()}
        if missing := months - self._months:
            with self.transaction() as connection:
                self._make_partitions(connection, sorted(missing))
            self._months |= months

    def _make_partitions(self, connection: sa.Connection, months: list[date]) -> None:
        names = {month: f"{OPTIONS.name}_{month:%Y_%m}" for month in months}
        there = "SELECT to_regclass(%s) IS NOT NULL"
        lacking = [m for m in months if not connection.exec_driver_sql(there, (self.quote(names[m]),)).scalar()]
        if lacking:
            self.keep_others_waiting(connection)
        for month in lacking:
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {self.quote(names[month])} PARTITION OF {OPTIONS.name}"
                f" FOR VALUES FROM ('{_midnight(month)}') TO ('{_midnight(_next(month))}')"
            )

    def upsert(self, connection: sa.Connection, table: Table, frame: pl.DataFrame) -> None:
        stage, names = f"g6_new_{table.name}", self.quoted(frame.columns)
        if self._staged.get(table.name) != frame.columns:
            self.run(connection, f"DROP TABLE IF EXISTS pg_temp.{stage}")
            self.run(
                connection,
                f"CREATE TEMPORARY TABLE {stage} ON COMMIT DELETE ROWS AS"
                f" SELECT {names} FROM {self.quote(table.name)} WITH NO DATA",
            )
            self._staged[table.name] = frame.columns
        session: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        with session.cursor() as cursor, cursor.copy(f"COPY {stage} ({names}) FROM STDIN (FORMAT csv)") as copy:  # type: ignore[arg-type]
            copy.write(_csv(frame))
        self.run(connection, statement(self, table, frame.columns, f"SELECT {names} FROM pg_temp.{stage}"))

    def columns_of(self, connection: sa.Connection, table: Table) -> Mapping[str, str]:
        rows = connection.exec_driver_sql(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (self.quote(table.name),),
        )
        return {name: kind.lower() for name, kind in rows}

    def diagnose(self) -> Iterator[Finding]:
        try:
            with self.transaction() as connection:
                version = connection.exec_driver_sql("SHOW server_version").scalar()
                found = self._revision(connection)
                allowed = found or self._may_create(connection)
        except Unavailable as e:
            yield Finding("error", f"{e.message} ({self.where})", e.hint or "see whether the server runs, and `url`")
            return
        finally:
            self.close()
        tables = f"tables of revision {found}" if found else "no tables yet"
        yield Finding("ok", f"{self.where}: PostgreSQL {version}, {tables} in schema {self._schema}")
        if not allowed:
            yield Finding(
                "error",
                f"the user may not make tables in schema {self._schema}",
                f"as a superuser: GRANT CREATE, USAGE ON SCHEMA {self._schema} TO …; or set another `schema_name`",
            )

    def _revision(self, connection: sa.Connection) -> str | None:
        if connection.exec_driver_sql("SELECT to_regclass(%s)", (VERSION_TABLE,)).scalar() is None:
            return None
        return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()

    def _may_create(self, connection: sa.Connection) -> bool:
        name = self.quote(self._schema)
        if connection.exec_driver_sql("SELECT to_regnamespace(%s) IS NULL", (name,)).scalar():
            ask, about = "SELECT has_database_privilege(current_database(), %s)", "CREATE"
            return bool(connection.exec_driver_sql(ask, (about,)).scalar())
        ask = "SELECT has_schema_privilege(%s, 'CREATE')"
        return bool(connection.exec_driver_sql(ask, (self._schema,)).scalar())

    def _connected(self, session: psycopg.Connection, _: object) -> None:
        self._deadline.watch(session.fileno())


def server_url(settings: Settings) -> sa.URL:
    """The URL for SQLAlchemy, with the password where there is one."""
    url = sa.make_url(settings.url or "").set(drivername="postgresql+psycopg")
    return url.set(password=settings.password.get_secret_value()) if settings.password else url


def _csv(frame: pl.DataFrame) -> bytes:
    """Null is an empty cell, an empty text stands in quotes; that is how PostgreSQL tells them apart."""
    buffer = io.BytesIO()
    frame.write_csv(buffer, include_header=False)
    return buffer.getvalue()


def _midnight(day: date) -> str:
    """The start of a day in India, so that a trading day is in one partition."""
    return datetime(day.year, day.month, day.day, tzinfo=IST).isoformat()


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)

"""The promises of every sink whose store has trouble, over both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from g6_sql.settings import Settings
from g6_sql.sink import SqlSink

from g6core.testing import DeliveryContract
from g6core.testing.delivery_contract import Spoil, Trouble

from .conftest import instant

ROWS = 'SELECT "index", ts, symbol FROM options'


class TestSqlite(DeliveryContract):
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "new" / "tables.sqlite"

    @pytest.fixture
    def build(self, path: Path) -> Callable[[], SqlSink]:
        return lambda: SqlSink(Settings(url=f"sqlite:///{path}", timeout=timedelta(milliseconds=50)))

    @pytest.fixture
    def stored(self, path: Path) -> Callable[[], list[tuple[str, datetime, str]]]:
        def read() -> list[tuple[str, datetime, str]]:
            with closing(sqlite3.connect(path)) as db:
                return [(index, instant(ts), symbol) for index, ts, symbol in db.execute(ROWS)]

        return read

    @pytest.fixture
    def trouble(self, path: Path) -> Trouble:
        """Another writer holds the file; a contract without a symbol has no place in a key."""

        @contextmanager
        def trouble(kind: str) -> Iterator[Spoil]:
            if kind == "permanent":
                yield lambda s: s.replace(options=s.options.with_columns(symbol=pl.lit(None, pl.String)))
                return
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE")
                yield lambda s: s
                db.execute("ROLLBACK")

        return trouble


class TestPostgres(DeliveryContract):
    @pytest.fixture
    def plain(self, postgres_url: str) -> str:
        """The URL as psycopg takes it."""
        return postgres_url.replace("+psycopg", "")

    @pytest.fixture
    def build(self, postgres_url: str) -> Callable[[], SqlSink]:
        return lambda: SqlSink(Settings(url=postgres_url))

    @pytest.fixture
    def stored(self, plain: str) -> Callable[[], list[tuple[str, datetime, str]]]:
        def read() -> list[tuple[str, datetime, str]]:
            with psycopg.connect(plain) as db:
                return [(index, instant(ts), symbol) for index, ts, symbol in db.execute(ROWS)]

        return read

    @pytest.fixture
    def trouble(self, plain: str) -> Trouble:
        """The database lets nobody in and has thrown out who was there; a text holds what PostgreSQL cannot store."""
        name = plain.rpartition("/")[2]

        def let_in(db: psycopg.Connection[Any], anybody: bool) -> None:
            db.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {anybody}')  # type: ignore[arg-type]
            db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

        @contextmanager
        def trouble(kind: str) -> Iterator[Spoil]:
            if kind == "permanent":
                yield lambda s: s.replace(options=s.options.with_columns(expiry_code=pl.lit("a\0b")))
                return
            with psycopg.connect(plain.replace(name, "postgres"), autocommit=True) as db:
                let_in(db, False)
                yield lambda s: s
                let_in(db, True)

        return trouble

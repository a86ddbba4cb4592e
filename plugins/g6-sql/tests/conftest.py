"""A sink over each of the two databases, and what is stored there, read by SQL alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from g6_sql.settings import Settings
from g6_sql.sink import SqlSink

from g6core import Context
from g6core.testing.component_contract import lent_context

Query = Callable[..., Sequence[Any]]
_numbers = count()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return lent_context(tmp_path)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/g6.sqlite"


@pytest.fixture
def postgres_url(postgres: Any) -> str:
    """Of a new, empty database."""
    url: str = postgres.create(f"test_{next(_numbers)}")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return found


@pytest.fixture
def opened(context: Context, url: str) -> Iterator[Callable[..., SqlSink]]:
    """A sink over the database, as after a start; closed after the test."""
    sinks = []

    def open_one(**settings: Any) -> SqlSink:
        sink = SqlSink(Settings(url=url, **settings))
        sink.open(context)
        sinks.append(sink)
        return sink

    yield open_one
    for sink in sinks:
        sink.close()


@pytest.fixture
def query(url: str) -> Iterator[Query]:
    """Rows of a statement, by a connection that the sink does not know."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)

    def rows(statement: str, **values: Any) -> Sequence[Any]:
        with engine.begin() as connection:
            result = connection.execute(sa.text(statement), values)
            return result.fetchall() if result.returns_rows else []

    yield rows
    engine.dispose()


def instant(value: datetime | str) -> datetime:
    """A time as either database gives it."""
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)

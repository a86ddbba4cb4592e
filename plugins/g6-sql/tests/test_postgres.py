"""The server: partitions, one that dies, hangs or refuses, and no password anywhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import psycopg
import pytest
from g6_sql.settings import Settings
from g6_sql.sink import SqlSink

from g6core import Context, Rejected, Unavailable
from g6core.testing import START, snapshot, snapshots

PARTITIONS = "SELECT relid::text FROM pg_partition_tree('options') WHERE isleaf ORDER BY 1"
MARGIN = 3.0
"""Seconds that a busy machine may add."""


def rows(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as db:
        cursor = db.execute(statement, values or None)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def opened(context: Context) -> Iterator[Callable[..., SqlSink]]:
    sinks = []

    def open_one(url: str, **settings: Any) -> SqlSink:
        sink = SqlSink(Settings(url=url, **settings))
        sink.open(context)
        sinks.append(sink)
        return sink

    yield open_one
    for sink in sinks:
        sink.close()


Open = Callable[..., SqlSink]


def test_each_month_has_a_partition(opened: Open, postgres_url: str) -> None:
    sink = opened(postgres_url)
    for ts in (START, datetime(2024, 12, 31, 4, tzinfo=UTC), datetime(2026, 8, 18, 4, tzinfo=UTC)):
        sink.write([snapshot(ts=ts, strikes=1)])
    assert rows(postgres_url, PARTITIONS) == [("options_2024_12",), ("options_2026_08",)]
    assert rows(postgres_url, "SELECT count(DISTINCT ts) FROM options_2026_08") == [(2,)]


def test_a_month_begins_at_midnight_in_india(opened: Open, postgres_url: str) -> None:
    midnight = datetime(2026, 8, 31, 18, 30, tzinfo=UTC)
    batch = [snapshot(ts=midnight + timedelta(microseconds=n), strikes=1) for n in (-1, 0)]
    opened(postgres_url).write(batch)
    for month, s in zip(("2026_08", "2026_09"), batch, strict=True):
        assert rows(postgres_url, f"SELECT DISTINCT ts FROM options_{month}") == [(s.ts,)]


def test_a_partition_that_was_taken_away_is_made_again(opened: Open, postgres_url: str) -> None:
    sink = opened(postgres_url)
    first, second = snapshots(2)
    sink.write([first])
    rows(postgres_url, "DROP TABLE options_2026_08")
    with pytest.raises(Unavailable, match="no partition"):
        sink.write([second])
    sink.write([second])
    assert rows(postgres_url, "SELECT DISTINCT ts FROM options") == [(second.ts,)]


def test_a_table_that_was_dropped_loses_no_snapshot(opened: Open, postgres_url: str) -> None:
    """Somebody can mend that: it is no reason for dead letters."""
    sink = opened(postgres_url)
    sink.write(snapshots(1))
    rows(postgres_url, "ALTER TABLE facts RENAME TO hidden")
    with pytest.raises(Unavailable, match="facts"):
        sink.write(snapshots(2))
    rows(postgres_url, "ALTER TABLE hidden RENAME TO facts")
    sink.write(snapshots(2))


def test_a_server_that_dies_gets_everything_when_it_is_back(opened: Open, own_postgres: Any) -> None:
    sink = opened(own_postgres.url)
    first, second, third = snapshots(3)
    sink.write([first])
    own_postgres.kill()
    for _ in range(2):
        with pytest.raises(Unavailable):
            sink.write([second])
    own_postgres.start()
    sink.write([second, third])
    assert rows(own_postgres.url, "SELECT ts, count(*) FROM options GROUP BY ts ORDER BY ts") == [
        (s.ts, s.options.height) for s in (first, second, third)
    ]


def test_a_server_that_hangs_is_left_in_time(opened: Open, own_postgres: Any, context: Context) -> None:
    """With a connection, without one, and in `open`; a batch that does not fit into any buffer too."""
    patience = 1.5
    opened(own_postgres.url)
    sink = opened(own_postgres.url, timeout=timedelta(seconds=patience))
    first, second = snapshots(2, strikes=201)
    sink.write([first])
    own_postgres.pause()
    for connect in (0, 2):
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            sink.write([second])
        assert patience * 0.9 <= time.monotonic() - began < max(patience, connect) + MARGIN
        assert caught.value.hint
    other = SqlSink(Settings(url=own_postgres.url, timeout=timedelta(seconds=patience)))
    with pytest.raises(Unavailable):
        other.open(context)
    (finding,) = other.diagnose(context)
    assert finding.level == "error"
    own_postgres.resume()
    sink.write([second])
    assert rows(own_postgres.url, "SELECT count(DISTINCT ts) FROM options") == [(2,)]


def test_a_lock_is_waited_for_no_longer_than_was_said(opened: Open, postgres_url: str) -> None:
    opened(postgres_url)
    sink = opened(postgres_url, timeout=timedelta(seconds=1.5))
    first, second = snapshots(2)
    sink.write([first])
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as db:
        db.execute("LOCK TABLE options IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(Unavailable):
            sink.write([second])
        assert time.monotonic() - began < 1.5 + MARGIN
    sink.write([second])
    assert rows(postgres_url, "SELECT count(DISTINCT ts) FROM options") == [(2,)]


def test_a_refusal_has_the_words_of_the_server_and_the_place(opened: Open, postgres_url: str) -> None:
    s = snapshot()
    with pytest.raises(Rejected) as caught:
        opened(postgres_url).write([s.replace(options=s.options.with_columns(expiry_code=pl.lit("a\0b")))])
    assert "invalid byte sequence" in caught.value.message
    assert "line 1" in caught.value.message


def test_a_name_of_the_system_is_no_column(opened: Open, postgres_url: str) -> None:
    s = snapshot()
    with pytest.raises(Rejected, match="ctid"):
        opened(postgres_url).write([s.replace(options=s.options.with_columns(ctid=pl.lit(1)))])


def test_a_role_that_may_only_write_there(opened: Open, postgres_url: str) -> None:
    """Tables made by an administrator; the recorder's role owns only its schema."""
    role = postgres_url.rpartition("/")[2]
    rows(postgres_url, f'CREATE ROLE "{role}" LOGIN')
    rows(postgres_url, f'CREATE SCHEMA mine AUTHORIZATION "{role}"')
    opened(postgres_url.replace("g6@", f"{role}@"), schema_name="mine").write(snapshots(1))
    assert rows(postgres_url, "SELECT count(*) > 0 FROM mine.options") == [(True,)]


def test_the_doctor_says_what_is_missing(context: Context, postgres_url: str) -> None:
    role = postgres_url.rpartition("/")[2]
    rows(postgres_url, f'CREATE ROLE "{role}_reader" LOGIN')
    levels = {}
    for user in ("g6", f"{role}_reader"):
        found = list(SqlSink(Settings(url=postgres_url.replace("g6@", f"{user}@"))).diagnose(context))
        levels[user] = [finding.level for finding in found]
    assert levels == {"g6": ["ok"], f"{role}_reader": ["ok", "error"]}
    assert rows(postgres_url, "SELECT to_regclass('options')") == [(None,)]


def test_several_may_write_to_a_server(tmp_path: Any) -> None:
    places = {
        SqlSink(Settings(url=url, **more)).place(tmp_path)
        for url, more in (
            ("postgresql://u@db.example/g6", {}),
            ("postgresql+psycopg://other@db.example:5432/g6", {"password": "secret-word"}),
            ("postgresql://u@db.example/g6", {"schema_name": "two"}),
        )
    }
    assert places == {"postgresql://db.example:5432/g6/public", "postgresql://db.example:5432/g6/two"}
    assert SqlSink(Settings(url="postgresql://u@db.example/g6")).shared


PASSWORD = "tr%ub4dor&3:@/pw"


def test_the_password_opens_the_door_and_is_shown_nowhere(
    own_postgres: Any, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rows(own_postgres.url, f"ALTER ROLE g6 PASSWORD '{PASSWORD}'")
    (own_postgres.place / "data" / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    with psycopg.connect(own_postgres.url.replace("+psycopg", ""), autocommit=True) as db:
        db.execute("SELECT pg_reload_conf()")
    time.sleep(0.3)
    told = []
    for given in (None, PASSWORD + "x"):
        sink = SqlSink(Settings(url=own_postgres.url, password=given))
        with pytest.raises(Unavailable) as caught:
            sink.open(context)
        assert "G6_SINKS__SQL__PASSWORD" in (caught.value.hint or "")
        told += [caught.value.render(), *(f.message + str(f.hint) for f in sink.diagnose(context))]
    sink = SqlSink(Settings(url=own_postgres.url, password=PASSWORD))
    sink.open(context)
    sink.write(snapshots(1))
    s = snapshot()
    with pytest.raises(Rejected) as refused:
        sink.write([s.replace(options=s.options.with_columns(expiry_code=pl.lit("a\0b")))])
    own_postgres.kill()
    with pytest.raises(Unavailable) as gone:
        sink.write(snapshots(1))
    told += [refused.value.render(), gone.value.render(), sink.place(context.data_dir), caplog.text]
    told += [repr(e.value.__cause__) for e in (refused, gone, caught)]
    for text in told:
        assert PASSWORD not in text and "ub4dor" not in text

"""Tables made and upgraded at the start, by several processes at once, and never over somebody else's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from g6_sql.migrate import VERSION_TABLE
from g6_sql.settings import Settings
from g6_sql.sink import SqlSink
from g6_sql.tables import OPTIONS, TABLES, metadata

from g6core import ConfigError, Context
from g6core.testing import snapshot
from tests.launch import Launcher

from .conftest import Query

Open = Callable[..., SqlSink]


def test_the_tables_are_as_the_code_thinks(opened: Open, url: str) -> None:
    opened()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata()) == []
    engine.dispose()


def test_a_difference_would_be_seen(opened: Open, query: Query, url: str) -> None:
    opened()
    query("ALTER TABLE options ADD COLUMN strange INTEGER")
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert len(compare_metadata(context, metadata())) == 1
    engine.dispose()


def test_the_tables_hold_every_column_of_the_core() -> None:
    from g6core import EXPIRIES
    from g6core import OPTIONS as CORE

    tables = {table.name: table.columns for table in TABLES}
    assert CORE.keys() <= tables["options"].keys()
    assert EXPIRIES.keys() <= tables["expiries"].keys()


def test_the_keys_are_indices_of_the_tables(opened: Open, url: str) -> None:
    opened()
    engine = sa.create_engine(url)
    inspector = sa.inspect(engine)
    for table in TABLES:
        assert inspector.get_pk_constraint(table.name)["constrained_columns"] == list(table.keys)
    assert [i["column_names"] for i in inspector.get_indexes(OPTIONS.name)] == [["index", "expiry", "ts"]]
    engine.dispose()


def test_opening_again_changes_nothing(opened: Open, query: Query) -> None:
    opened().write([snapshot()])
    before = query("SELECT count(*) FROM options")
    opened()
    assert query("SELECT count(*) FROM options") == before
    assert [tuple(row) for row in query(f"SELECT version_num FROM {VERSION_TABLE}")] == [("0001",)]


def test_tables_of_a_newer_version_are_refused(opened: Open, query: Query) -> None:
    opened()
    query(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(ConfigError) as caught:
        opened()
    assert caught.value.code == "sql-version"
    assert "9999" in caught.value.message and "upgrade" in (caught.value.hint or "")


def test_a_table_of_somebody_else_is_left_alone(opened: Open, query: Query) -> None:
    query("CREATE TABLE alerts (mine TEXT)")
    with pytest.raises(ConfigError, match="alerts"):
        opened()
    assert query("SELECT mine FROM alerts") == []
    with pytest.raises(sa.exc.DBAPIError):
        query("SELECT * FROM options")


START_AT_ONCE = """
import sys
from pathlib import Path
from datetime import timedelta
from g6_sql.settings import Settings
from g6_sql.sink import SqlSink
from g6core.testing import START, snapshot
from g6core.testing.component_contract import lent_context
import polars as pl, alembic.command, psycopg, sqlalchemy.dialects.sqlite
sink = SqlSink(Settings(url=sys.argv[1]))
s = snapshot(ts=START + timedelta(minutes=int(sys.argv[2])), strikes=3)
print("ready", flush=True)
sys.stdin.readline()
sink.open(lent_context(Path(sys.argv[3])))
sink.write([s.replace(options=s.options.with_columns(x=pl.lit(0.5)))])
sink.close()
"""


def test_several_that_start_at_once_make_one_set_of_tables(
    url: str, tmp_path: Path, query: Query, launcher: Launcher
) -> None:
    """And each then adds the same column and, on PostgreSQL, makes the same partition."""
    (tmp_path / "at_once.py").write_text(START_AT_ONCE)
    env = dict(os.environ)
    started = [launcher.piped("at_once", url, str(n), tmp_path, cwd=tmp_path, env=env) for n in range(2)]
    for one in started:
        assert one.stdout.readline() == "ready\n"
    for one in started:
        one.stdin.write("\n")
        one.stdin.flush()
    for one in started:
        _, errors = one.communicate(timeout=60)
        assert one.returncode == 0, errors
    assert query("SELECT count(DISTINCT ts), count(x) - count(*) FROM options")[0] == (2, 0)


def test_a_schema_of_its_own(context: Context, postgres_url: str) -> None:
    sinks = [SqlSink(Settings(url=postgres_url, schema_name=name)) for name in ("one", "two")]
    for sink in sinks:
        sink.open(context)
        sink.write([snapshot()])
    assert len({sink.place(context.data_dir) for sink in sinks}) == 2
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        for name in ("one", "two"):
            assert (
                connection.execute(sa.text(f"SELECT count(*) FROM {name}.options")).scalar()
                == snapshot().options.height
            )
        assert not sa.inspect(connection).has_table("options", schema="public")
    engine.dispose()
    for sink in sinks:
        sink.close()

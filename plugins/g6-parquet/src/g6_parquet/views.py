"""The dataset as tables of SQL: DuckDB in memory, over exactly the files that count, shut off from everything else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from g6_parquet.segments import ALERTS, TABLES, Place, Segment, places
from g6_parquet.upkeep import is_parquet
from g6core import ConfigError

if TYPE_CHECKING:
    import duckdb

CORE = {
    "options": "date DATE, index RECORDED_INDEX, ts TIMESTAMPTZ, exchange VARCHAR, symbol VARCHAR, token BIGINT, "
    "expiry DATE, strike DOUBLE, right VARCHAR, lot_size BIGINT, tick_size DOUBLE, expiry_code VARCHAR, "
    "offset BIGINT, last_price DOUBLE, average_price DOUBLE, bid DOUBLE, ask DOUBLE, bid_qty BIGINT, ask_qty BIGINT, "
    "volume BIGINT, oi BIGINT, exchange_ts TIMESTAMPTZ, received_ts TIMESTAMPTZ",
    "expiries": "date DATE, index RECORDED_INDEX, ts TIMESTAMPTZ, expiry DATE, code VARCHAR, codes VARCHAR[], "
    "expires_at TIMESTAMPTZ, atm_strike DOUBLE, contracts BIGINT, quoted BIGINT, future DOUBLE",
    "snapshots": "date DATE, index RECORDED_INDEX, ts TIMESTAMPTZ, source VARCHAR, contracts BIGINT, quoted BIGINT, "
    "simulated DOUBLE, spot DOUBLE, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, vix DOUBLE",
    "alerts": "date DATE, index VARCHAR, ts TIMESTAMPTZ, rule VARCHAR, key VARCHAR, severity VARCHAR, state VARCHAR, "
    "summary VARCHAR, labels STRUCT(key VARCHAR, value VARCHAR)[]",
}
"""The columns that are always there, and their order; what analytics add follows. RECORDED_INDEX is a type of the
database that lists the names there are: a number to DuckDB, which groups by it a third quicker than by text. An alert
about the recorder has the index '', which DuckDB would take for null in such a list."""

VIEWS = {
    "options": ("options", "SELECT * FROM {table}"),
    "expiries": ("expiries", "SELECT * FROM {table}"),
    "overview": ("snapshots", "SELECT * REPLACE (coalesce(simulated, 0) <> 0 AS simulated) FROM {table}"),
    "alerts": ("alerts", "SELECT * REPLACE (map_from_entries(labels) AS labels) FROM {table}"),
    "coverage": (
        "snapshots",
        """SELECT date, index, count(*) AS snapshots, min(ts) AS first, max(ts) AS last,
        CAST(sum(contracts) AS BIGINT) AS rows, sum(quoted) / nullif(sum(contracts), 0) AS quoted,
        max(epoch_us(ts) - epoch_us(before)) / 1e6 AS biggest_gap_seconds
        FROM (SELECT *, lag(ts) OVER (PARTITION BY index, date ORDER BY ts) AS before FROM {table})
        GROUP BY date, index ORDER BY date, index""",
    ),
}
"""What can be asked: the table of files behind each, and the view over it."""

SETTINGS = ("temp_directory=''", "enable_external_access=false", "lock_configuration=true")
"""After these a statement reaches the allowed files and nothing else: no other file, no network, no setting."""


Files = tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
"""Of each view the paths of its files, in groups of the same columns."""


def opened(root: Path, sql: str, memory: str) -> duckdb.DuckDBPyConnection:
    """A session over the views that `sql` names, all of them when it names none. Raises duckdb.Error."""
    named = [name for name in VIEWS if re.search(rf"\b{name}\b", sql, re.IGNORECASE)] or list(VIEWS)
    live = {tables: _live(root, tables) for tables in {_set(VIEWS[name][0]) for name in named}}
    files = tuple((name, _groups(live[_set(VIEWS[name][0])], VIEWS[name][0])) for name in named)
    indices = tuple(sorted({place.index for segments in live.values() for place, _ in segments}))
    return _over(files, indices, memory).cursor()


@lru_cache(maxsize=1)
def _over(files: Files, indices: tuple[str, ...], memory: str) -> duckdb.DuckDBPyConnection:
    """A database with the views, shut off from everything else. It is kept, since to make one takes longer than most
    questions do; a file of a name never changes, so the same files are the same answers. What is set is GLOBAL: each
    question has a cursor of its own, which a plain SET does not reach."""
    db = database(memory)
    db.execute("SET GLOBAL parquet_metadata_cache = true")
    db.execute(f"CREATE TYPE recorded_index AS ENUM (SELECT unnest({_texts(indices)}))")
    for name, groups in files:
        table, view = VIEWS[name]
        db.execute(f"CREATE VIEW {name} AS {view.format(table=f'({_union(table, groups)})')}")
    allowed = dict.fromkeys(path for _, groups in files for paths in groups for path in paths)
    for setting in (f"allowed_paths={_texts(allowed)}", *SETTINGS):
        db.execute(f"SET {setting}")
    return db


forget = _over.cache_clear
if hasattr(os, "register_at_fork"):
    # Its threads would not survive a fork.
    os.register_at_fork(before=forget)


def database(memory: str) -> duckdb.DuckDBPyConnection:
    """An empty one, that loads nothing. India's time is the local one. Raises ConfigError for no size of memory."""
    import duckdb

    db = duckdb.connect(
        config={
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            "enable_external_file_cache": False,
        }
    )
    db.execute("SET GLOBAL TimeZone = 'Asia/Kolkata'")
    try:
        db.execute("SET memory_limit = $limit", {"limit": memory})
    except duckdb.Error:
        raise ConfigError(f"{memory!r} is no size of memory", code="bad-query", hint="such as --memory 8GB") from None
    return db


def with_texts(db: duckdb.DuckDBPyConnection, answer: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The same rows with texts in place of RECORDED_INDEX, which only the database knows."""
    listed = str(db.sql("SELECT NULL::recorded_index").types[0])
    kinds = [str(kind) for kind in answer.types]
    if not any(listed in kind for kind in kinds):
        return answer
    columns = []
    for n, (name, kind) in enumerate(zip(answer.columns, kinds, strict=True), 1):
        value = f"CAST(#{n} AS {kind.replace(listed, 'VARCHAR')})" if listed in kind else f"#{n}"
        columns.append(value + ' AS "' + name.replace('"', '""') + '"')
    return answer.project(", ".join(columns))


def _set(table: str) -> tuple[str, ...]:
    """The tables that a segment with this one has."""
    return TABLES if table in TABLES else ALERTS


def columns(db: duckdb.DuckDBPyConnection) -> Mapping[str, Sequence[str]]:
    """The columns of each view that is there."""
    names = [name for (name,) in db.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()]
    return {name: db.sql(f"SELECT * FROM {name} LIMIT 0").columns for name in names}


def _live(root: Path, tables: Sequence[str]) -> list[tuple[Place, Segment]]:
    return [(place, segment) for place in places(root, tables) for segment in place.segments()]


def _groups(live: Iterable[tuple[Place, Segment]], table: str) -> tuple[tuple[str, ...], ...]:
    """The files by their columns, so that only the first of each group is opened to learn them."""
    groups: dict[str, list[str]] = {}
    for place, segment in live:
        groups.setdefault(segment.columns, []).append(place.path(table, segment))
    return tuple(_sound_first(paths) for paths in groups.values())


def _sound_first(paths: list[str]) -> tuple[str, ...]:
    """A damaged file must not stand for those that a query would read."""
    sound = next((n for n, path in enumerate(paths) if is_parquet(Path(path))), 0)
    return (paths[sound], *paths[:sound], *paths[sound + 1 :])


def _union(table: str, groups: Sequence[Sequence[str]]) -> str:
    core = _core(table)
    nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in core.items())
    parts = [f"SELECT {nothing} WHERE false"]
    for paths in groups:
        parts.append(
            f"SELECT * FROM read_parquet({_texts(paths)}, hive_partitioning=true, hive_types_autocast=false, "
            f"hive_types={{'index': {core['index']}, 'date': DATE}})"
        )
    return " UNION ALL BY NAME ".join(parts)


def _core(table: str) -> dict[str, str]:
    pairs = re.findall(r"(\w+) (\w+(?:\([^)]*\))?(?:\[\])?)(?:, |$)", CORE[table])
    return {name: kind for name, kind in pairs}


def _texts(texts: Iterable[str]) -> str:
    quoted = ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
    return f"[{quoted}]" if quoted else "[]::VARCHAR[]"

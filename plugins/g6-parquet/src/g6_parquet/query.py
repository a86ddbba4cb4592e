"""One SELECT over the dataset, and what is wrong with it in words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from g6_parquet import views
from g6_parquet.segments import ALERTS, TABLES, places
from g6_parquet.upkeep import is_parquet
from g6core import ConfigError, DataError, G6Error

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY = "2GB"
LARGEST = 1 << 30
"""Bytes of an answer that is held in memory."""
TRIES = 50
RESERVED = re.compile(r"(?<![\w.\"'])(right|offset)(?![\w\"'(])", re.IGNORECASE)


def ask(root: Path, sql: str, memory: str = MEMORY) -> pa.Table:
    """The answer to one SELECT or WITH statement over the views; times are India's, aware.

    Raises ConfigError (`bad-query`) when the statement is wrong or more than a question, DataError when nothing is
    recorded, a file cannot be read or the answer is too large.
    """
    if not any((root / table).is_dir() for table in (TABLES[-1], *ALERTS)):
        raise DataError(
            "no Parquet files are there to be asked",
            code="nothing-recorded",
            where=str(root),
            hint="record with the sink: `g6 run --plugins …,parquet`; --data-dir names another directory",
        )
    missing = None
    for left in reversed(range(TRIES)):
        try:
            return _answer(root, sql, memory)
        except Vanished as e:
            # What is listed again, and is missing again, was not merged away.
            if not left or e.where == missing:
                raise
            missing = e.where
    raise AssertionError("unreachable")


class Vanished(DataError):
    """A file that was listed is not there any more: a recorder merged it away. Who looks again finds the new one."""

    code = "parquet-unreadable"


def _answer(root: Path, sql: str, memory: str) -> pa.Table:
    import duckdb

    db = None
    try:
        db = views.opened(root, sql, memory)
        _check_one_question(db, sql)
        return _fetched(db, sql)
    except duckdb.Error as e:
        # The database may have become unusable with it.
        views.forget()
        raise _told(e, sql, db, root) from e
    finally:
        if db is not None:
            db.close()


def _check_one_question(db: duckdb.DuckDBPyConnection, sql: str) -> None:
    import duckdb

    statements = db.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigError(
            "a query is one SELECT or WITH statement",
            code="bad-query",
            note="the dataset is only read: nothing is written, attached, installed or set",
        )


def _fetched(db: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    import pyarrow as pa

    reader = views.with_texts(db, db.sql(sql)).to_arrow_reader(65_536)
    batches, size = [], 0
    for batch in reader:
        batches.append(batch)
        size += batch.nbytes
        if size > LARGEST:
            raise DataError(
                f"the answer is larger than {LARGEST >> 20} MB",
                code="bad-query",
                hint="narrow it: `WHERE index = … AND date = …`, or LIMIT; `g6 export` writes whole tables to a file",
            )
    return pa.Table.from_batches(batches, reader.schema)


def _told(e: duckdb.Error, sql: str, db: duckdb.DuckDBPyConnection | None, root: Path) -> G6Error:
    import duckdb

    text = str(e)
    message = re.sub(r"^[\w ]+ Error: ", "", text.split("\n", 1)[0]).rstrip("!")
    named = _file_in(text, root)
    if named and not named.exists():
        return Vanished(f"{named.name} is missing, and its namesakes in other tables are there", where=str(named))
    if isinstance(e, duckdb.PermissionException):
        return ConfigError(
            f"a query reads the recorded tables and nothing else: {message}",
            code="bad-query",
            hint=f"the tables are {', '.join(views.VIEWS)}",
        )
    if isinstance(e, duckdb.OutOfMemoryException):
        return DataError(
            f"the query needs more memory than it may have: {message}",
            code="bad-query",
            hint="narrow it: `WHERE index = … AND date = …`; or allow more: --memory 8GB",
        )
    unreadable = isinstance(e, (duckdb.IOException, duckdb.InvalidInputException))
    if bad := named or (_damaged(root) if unreadable else None):
        return DataError(
            f"{bad.name} cannot be read: {message}",
            code="parquet-unreadable",
            where=str(bad),
            hint="move the file, and its namesakes in the other tables, out of the dataset",
        )
    return ConfigError(
        f"the query cannot be run: {message}", code="bad-query", where=_place(text), hint=_hint(text, sql, db)
    )


def _damaged(root: Path) -> Path | None:
    """The first file of the dataset that a quick look finds damaged."""
    for place in (p for tables in (TABLES, ALERTS) for p in places(root, tables)):
        for path in (place.file(table, segment) for segment in place.segments() for table in place.tables):
            if not is_parquet(path):
                return path
    return None


def _file_in(text: str, root: Path) -> Path | None:
    named = re.search(re.escape(str(root)) + r"[^'\"\n]*?\.parquet", text)
    return Path(named[0]) if named else None


def _place(text: str) -> Sequence[str]:
    """The line of the statement that DuckDB means."""
    return re.findall(r"^LINE \d+: .*$", text, re.MULTILINE)[:1]


def _hint(text: str, sql: str, db: duckdb.DuckDBPyConnection | None) -> str | None:
    there = views.columns(db) if db is not None else {}
    if table := re.search(r"Table with name (\S+) does not exist", text):
        close = difflib.get_close_matches(table[1].lower(), views.VIEWS, n=1)
        listed = f"the tables are {', '.join(views.VIEWS)}"
        return f"did you mean `{close[0]}`? {listed}" if close else listed
    if column := re.search(r'column "?(?:named )?"?([^"]+)" (?:not found|that)|column named "([^"]+)"', text):
        wanted = (column[1] or column[2]).lower()
        known = list(dict.fromkeys(name for names in there.values() for name in names))
        close = difflib.get_close_matches(wanted, known, n=1)
        listed = "; ".join(f"{view}: {', '.join(names)}" for view, names in there.items())
        return f"did you mean `{close[0]}`? {listed}" if close else listed
    if (word := RESERVED.search(sql)) and "syntax error" in text:
        return f'`{word[1]}` is a word of SQL: write "{word[1].lower()}" in double quotes'
    return None

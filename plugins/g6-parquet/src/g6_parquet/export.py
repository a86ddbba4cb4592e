"""A table or an answer as a file: Parquet, CSV or Excel by the file's extension."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from g6_parquet import query
from g6_parquet.files import FULL
from g6_parquet.output import as_csv, cell, rows_of
from g6_parquet.segments import ALERTS, TABLES, places
from g6core import IST, ConfigError, DataError, Unavailable

if TYPE_CHECKING:
    import pyarrow as pa

EXCEL_ROWS = 1_048_576
GROUP = 65_536
"""Rows of a row group."""
ORDER = {
    "options": 'ts, index, expiry, strike, "right"',
    "expiries": "ts, index, expiry",
    "overview": "ts, index",
    "alerts": "ts, index, rule, key",
}


@dataclass(frozen=True)
class Wanted:
    """What is to be written. sql: a query in place of a table."""

    table: str = "options"
    indices: Sequence[str] = ()
    first: date | None = None
    last: date | None = None
    sql: str | None = None


def export(root: Path, wanted: Wanted, path: Path, *, force: bool, memory: str = query.MEMORY) -> int:
    """Write the file, whole or not at all; returns its rows.

    Raises ConfigError for another extension or a file that is there, DataError when there is nothing of that kind or
    too much for Excel, Unavailable when the file cannot be written.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise ConfigError(
            f"`{path.name}` says by no known extension what it should be", hint=f"one of {', '.join(WRITERS)}"
        )
    if path.exists() and not force:
        raise ConfigError(f"{path} exists", code="file-exists", hint="--force overwrites it")
    if writer is _excel and wanted.sql is None:
        _check_room(sum(answer["rows"][0].as_py() for answer in _answers(root, wanted, memory, "count(*) AS rows")))
    answers = _answers(root, wanted, memory)
    first = next(answers)
    try:
        with _whole(path) as f:
            return writer(f, chain([first], answers))
    except OSError as e:
        raise _refused(e, path) from e


def _answers(root: Path, wanted: Wanted, memory: str, what: str = "*") -> Iterator[pa.Table]:
    """The answer to the query, or the table date by date; at least one."""
    if wanted.sql is not None:
        yield query.ask(root, wanted.sql, memory)
        return
    for day in _days(root, wanted):
        names = ", ".join("'" + name.replace("'", "''") + "'" for name in wanted.indices)
        which = f"AND index IN ({names})" if names else ""
        order = f"ORDER BY {ORDER[wanted.table]}" if what == "*" else ""
        yield query.ask(root, f"SELECT {what} FROM {wanted.table} WHERE date = '{day}' {which} {order}", memory)


def _days(root: Path, wanted: Wanted) -> list[date]:
    tables = ALERTS if wanted.table == "alerts" else TABLES
    found = places(root, tables)
    days = {
        place.day
        for place in found
        if (not wanted.indices or place.index in wanted.indices)
        and (wanted.first is None or wanted.first <= place.day)
        and (wanted.last is None or place.day <= wanted.last)
    }
    if not days:
        indices = sorted({place.index for place in found})
        there = sorted({place.day for place in found})
        raise DataError(
            f"nothing of that is recorded in `{wanted.table}`",
            code="nothing-recorded",
            where=str(root),
            hint=f"there is {', '.join(indices)} from {there[0]} to {there[-1]}" if there else None,
        )
    return sorted(days)


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """The file gets its name when all of it is on disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _parquet(f: BinaryIO, answers: Iterable[pa.Table]) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    writer, rows = None, 0
    try:
        for answer in answers:
            writer = writer or parquet.ParquetWriter(f, answer.schema, compression="zstd")
            writer.write_table(answer, row_group_size=GROUP)
            rows += answer.num_rows
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        raise ConfigError(
            f"Parquet has no place for a column of the answer: {e}",
            code="bad-query",
            hint="make it a text: `CAST(x AS VARCHAR)`",
        ) from e
    finally:
        if writer is not None:
            writer.close()
    return rows


def _csv(f: BinaryIO, answers: Iterable[pa.Table]) -> int:
    rows = 0
    for answer in answers:
        f.write(as_csv(answer, header=not rows))
        rows += answer.num_rows
    return rows


def _excel(f: BinaryIO, answers: Iterable[pa.Table]) -> int:
    """Times are India's, as Excel's own, which have no zone: the column's name says it."""
    import xlsxwriter

    book = xlsxwriter.Workbook(f, {"constant_memory": True, "strings_to_urls": False})
    formats = {
        datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        date: book.add_format({"num_format": "yyyy-mm-dd"}),
    }
    sheet = book.add_worksheet("g6")
    sheet.freeze_panes(1, 0)
    rows = 0
    for answer in answers:
        _check_room(rows + answer.num_rows)
        if not rows:
            _header(sheet, answer)
        for row in rows_of(answer):
            rows += 1
            for n, value in enumerate(row):
                _put(sheet, rows, n, value, formats)
    book.close()
    return rows


def _header(sheet: Any, answer: pa.Table) -> None:
    from pyarrow import types

    for n, column in enumerate(answer.schema):
        zoned = types.is_timestamp(column.type) and column.type.tz
        sheet.write_string(0, n, f"{column.name} (IST)" if zoned else column.name)
        if types.is_timestamp(column.type):
            sheet.set_column(n, n, 19)


def _put(sheet: Any, row: int, column: int, value: Any, formats: dict[type[date], Any]) -> None:
    """Texts as texts: what begins with `=` is no formula."""
    match value:
        case None:
            return
        case datetime():
            naive = value.astimezone(IST).replace(tzinfo=None) if value.tzinfo else value
            sheet.write_datetime(row, column, naive, formats[datetime])
        case date():
            sheet.write_datetime(row, column, value, formats[date])
        case bool():
            sheet.write_boolean(row, column, value)
        case int() | float() | Decimal():
            if math.isfinite(value):
                sheet.write_number(row, column, float(value))
        case _:
            sheet.write_string(row, column, str(cell(value)))


def _check_room(rows: int) -> None:
    if rows >= EXCEL_ROWS:
        raise DataError(
            f"{rows:,} rows and more do not fit into Excel, which has {EXCEL_ROWS:,} with the header",
            code="too-many-rows",
            hint="fewer: --index, --from, --to, or a --query that sums up; or a .parquet or .csv file",
        )


def _refused(e: OSError, path: Path) -> Unavailable:
    reason = e.strerror or str(e)
    if e.errno in FULL:
        return Unavailable(f"no space to write the file: {reason}", code="disk-full", where=str(path))
    return Unavailable(
        f"the file cannot be written: {reason}", code="not-writable", where=str(path), hint="name another place"
    )


WRITERS: dict[str, Callable[[BinaryIO, Iterable[Any]], int]] = {".parquet": _parquet, ".csv": _csv, ".xlsx": _excel}

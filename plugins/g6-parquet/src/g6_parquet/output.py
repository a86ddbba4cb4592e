"""An answer as a table for people, as JSON and as CSV. Absent is null or empty, and so is what is not a number."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from g6core import IST

if TYPE_CHECKING:
    import pyarrow as pa

TIME = "%Y-%m-%dT%H:%M:%S%.f%:z"
PLAIN_TIME = "%Y-%m-%dT%H:%M:%S%.f"
MOST = 200
"""Rows that a person is shown."""


def document(answer: pa.Table) -> str:
    """`{"v": 1, "columns": […], "rows": [[…], …]}`; times are ISO 8601 in UTC."""
    rows = [[_plain(value) for value in row] for row in rows_of(answer)]
    return json.dumps({"v": 1, "columns": answer.column_names, "rows": rows}, ensure_ascii=False, allow_nan=False)


def as_csv(answer: pa.Table, *, header: bool = True) -> bytes:
    """Times are ISO 8601 with India's offset."""
    import polars as pl

    frame = pl.DataFrame(pl.from_arrow(_flat(answer)))
    zoned = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone]
    floats = pl.col(pl.Float64, pl.Float32)
    frame = frame.with_columns(
        pl.when(floats.is_finite()).then(floats),
        *(pl.col(name).dt.convert_time_zone(IST.key).dt.to_string(TIME) for name in zoned),
    )
    names = io.StringIO()
    if header:
        csv.writer(names, lineterminator="\n").writerow(answer.column_names)
    return names.getvalue().encode() + frame.write_csv(include_header=False, datetime_format=PLAIN_TIME).encode()


def _flat(answer: pa.Table) -> pa.Table:
    """With columns that have a kind of value for a cell, and names that are all different."""
    import pyarrow as pa
    from pyarrow import types

    columns = [
        pa.array([None if (text := cell(value)) is None else str(text) for value in column.to_pylist()], pa.string())
        if types.is_nested(t) or types.is_binary(t) or types.is_interval(t) or types.is_time(t) or types.is_decimal(t)
        else column
        for column, t in zip(answer.columns, answer.schema.types, strict=True)
    ]
    return pa.table(columns, names=[str(n) for n in range(len(columns))])


def as_table(answer: pa.Table) -> str:
    """For a person: the first rows in columns, numbers to the right, times as India has them."""
    from pyarrow import types

    shown = [[_short(value) for value in row] for row in rows_of(answer.slice(0, MOST))]
    cells = [answer.column_names, *shown]
    widths = [max(len(row[n]) for row in cells) for n in range(answer.num_columns)]
    numeric = [types.is_integer(t) or types.is_floating(t) or types.is_decimal(t) for t in answer.schema.types]
    lines = [
        "  ".join(
            c.rjust(w) if right else c.ljust(w) for c, w, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join([*lines, _footer(answer)])


def cell(value: Any) -> Any:
    """A value for a cell of CSV; nested ones as JSON."""
    match value:
        case datetime(tzinfo=zone) if zone is not None:
            return value.astimezone(IST).isoformat()
        case float() if not math.isfinite(value):
            return None
        case datetime() | date() | time():
            return value.isoformat()
        case list() | dict() | bytes():
            return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)
        case tuple():
            return _plain(value)
    return value


def rows_of(answer: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Python values; times aware."""
    for batch in answer.to_batches():
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _footer(answer: pa.Table) -> str:
    from pyarrow import types

    rows = f"{answer.num_rows:,} row{'s' if answer.num_rows != 1 else ''}"
    notes = [f"{rows}; the first {MOST} are shown, --csv and --json give all" if answer.num_rows > MOST else rows]
    if any(types.is_timestamp(t) and t.tz for t in answer.schema.types):
        notes.append("times are India's (IST, +05:30)")
    return f"({'; '.join(notes)})"


def _short(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime(tzinfo=zone):
            text = (value.astimezone(IST) if zone else value).isoformat(" ")
            return text.removesuffix("+05:30")
        case float():
            return f"{value:.10g}" if math.isfinite(value) else ""
    text = cell(value)
    return " ".join(str(text).split())


def _plain(value: Any) -> Any:
    """A value that JSON has."""
    match value:
        case datetime(tzinfo=zone) if zone is not None:
            return value.astimezone(UTC).isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes():
            return base64.b64encode(value).decode()
        case timedelta():
            return value.total_seconds()
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case (months, days, nanoseconds) if isinstance(value, tuple) and hasattr(value, "nanoseconds"):
            return _interval(months, days, nanoseconds)
        case list() | tuple():
            return [_plain(one) for one in value]
    return value


def _interval(months: int, days: int, nanoseconds: int) -> str:
    """As SQL writes it: `1 day 00:01:00`."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    seconds, fraction = divmod(rest // 1000, 1_000_000)
    clock = f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    clock += f".{fraction:06d}" if fraction else ""
    parts = [f"{n} {word}{'s' if abs(n) != 1 else ''}" for n, word in ((months, "month"), (days, "day")) if n]
    return " ".join([*parts, clock] if rest or not parts else parts)

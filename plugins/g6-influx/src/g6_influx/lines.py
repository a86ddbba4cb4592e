"""InfluxDB's line protocol: `measurement,tag=value field=value,field=value timestamp`.

Columns become text by polars, so a batch costs a few expressions and no loop over its rows.
Reference: docs.influxdata.com, "Line protocol".
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import polars as pl

from g6core import Rejected

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

LINE_BREAK = "\u2028"
"""Stands for a line feed in a text: VictoriaMetrics ends a line there even within quotes, and would take the rest for a
line of its own."""

_UNFIT = re.compile(r"[\x00-\x1f\\]")
"""What a tag or a name cannot hold: servers differ about a backslash, and there is no way to write a line break."""
_SPECIAL = re.compile(r"([,= ])")
_RAW, _QUOTED = ["\\", '"', "\n"], ["\\\\", '\\"', LINE_BREAK]

INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
TEXTS = (pl.String, pl.Boolean, pl.Categorical, pl.Enum)


def has_field(dtype: pl.DataType) -> bool:
    """Numbers, booleans, texts and times; lists, structures and bytes have no place in a field."""
    return dtype.is_numeric() or dtype.is_temporal() or dtype in TEXTS


@lru_cache(maxsize=4096)
def name(text: str) -> str:
    """A tag's value, or the key of a tag or field, as the protocol writes it.

    Raises Rejected for a backslash or a control character.
    """
    if _UNFIT.search(text):
        raise Rejected(f"{text!r} can be no tag and no name: it has a backslash or a control character")
    return _SPECIAL.sub(r"\\\1", text)


def names(texts: pl.Series) -> pl.Series:
    """`name` of each; null and the empty text are null, since a tag cannot be empty."""
    escaped = {text: name(text) for text in texts.unique().drop_nulls().to_list() if text}
    return texts.replace_strict(escaped, default=None, return_dtype=pl.String)


def free(name: str, tags: Collection[str]) -> str:
    """The name of a field: with `_value` behind it where a tag, or the point's time, is called so already."""
    return f"{name}_value" if name in tags or name == "time" else name


def prefix(
    measurement: str, tags: Mapping[str, pl.Series], expiry: pl.Series, fixed: Iterable[pl.Series] = ()
) -> pl.Series:
    """Each point up to its changing fields: `measurement,tag=…,… expiry="…",…`; a tag that is null is left out.

    The expiry is a field of every point, so that whatever follows begins with a comma.
    """
    head = [pl.concat_str(pl.lit(f",{key}="), pl.lit(names(column))) for key, column in sorted(tags.items())]
    first = [pl.lit(' expiry="'), pl.lit(expiry).cast(pl.String), pl.lit('"')]
    return _joined([pl.lit(measurement), *head, *first, *fields(fixed)])


def join(prefix: pl.Series, columns: Iterable[pl.Series], micros: pl.Series) -> pl.Series:
    """The points, a line each, without its line feed."""
    return _joined([pl.lit(prefix), *fields(columns), pl.lit(" "), pl.lit(micros).cast(pl.String)])


def micros(ts: datetime) -> int:
    """Since 1970 UTC."""
    return (ts - EPOCH) // MICROSECOND


def text(value: str) -> str:
    """A field's text, in quotes."""
    for raw, quoted in zip(_RAW, _QUOTED, strict=True):
        value = value.replace(raw, quoted)
    return f'"{value}"'


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, Any], micros: int) -> str:
    """One point, or nothing when no field is left: None and numbers that are not finite have none.

    The same forms as those of `fields`, for what has few rows: an expression costs more than the work there.
    """
    written = [f"{name(key)}={value}" for key, given in fields.items() if (value := _value(given)) is not None]
    if not written:
        return ""
    head = "".join(f",{key}={name(value)}" for key, value in sorted(tags.items()) if value)
    return f"{measurement}{head} {','.join(written)} {micros}\n"


def fields(columns: Iterable[pl.Series]) -> list[pl.Expr]:
    """Texts that make `,key=value` of each column, and nothing where its value is null or not finite."""
    made: list[pl.Expr] = []
    for column in columns:
        begin, value, end, whole = _field(column)
        parts = [pl.lit(f",{name(column.name)}={begin}"), value, *([pl.lit(end)] if end else [])]
        # Of a column without nulls the parts are joined with all others at once, which saves a copy.
        made += parts if whole else [pl.concat_str(parts)]
    return made


def _joined(parts: list[pl.Expr]) -> pl.Series:
    return pl.select(pl.concat_str(parts, ignore_nulls=True)).to_series()


def _value(given: Any) -> str | None:
    match given:
        case None:
            return None
        case str():
            return text(given)
        case bool():
            return str(given).lower()
        case int():
            return f"{given}i"
        case datetime():
            return f"{micros(given)}i"
        case date():
            return f'"{given}"'
        case time():
            return f"{_since_midnight(given) // MICROSECOND}i"
        case timedelta():
            return f"{given // MICROSECOND}i"
    return repr(float(given)) if math.isfinite(given) else None


def _since_midnight(given: time) -> timedelta:
    return datetime.combine(EPOCH, given) - datetime.combine(EPOCH, time())


def _field(column: pl.Series) -> tuple[str, pl.Expr, str, bool]:
    """What stands before each value, its text, what stands behind it, and whether every row has one.

    Integers end in `i`, unsigned ones of 64 bits in `u`; times and durations are integers of microseconds.
    """
    dtype, value, whole = column.dtype, pl.lit(column), not column.null_count()
    if dtype == pl.Datetime:
        return "", value.dt.epoch("us").cast(pl.String), "i", whole
    if dtype == pl.Duration:
        return "", value.dt.total_microseconds().cast(pl.String), "i", whole
    if dtype == pl.Time:
        return "", (value.cast(pl.Int64) // 1000).cast(pl.String), "i", whole
    if dtype in INTEGERS:
        return "", value.cast(pl.String), "i", whole
    if dtype == pl.UInt64:
        return "", value.cast(pl.String), "u", whole
    if dtype.is_numeric():
        return _number(column if dtype.is_float() else column.cast(pl.Float64))
    if dtype == pl.Boolean:
        return "", value.cast(pl.String), "", whole
    texts = value.cast(pl.String)
    odd = column.cast(pl.String).str.contains_any(_RAW).any()
    return '"', texts.str.replace_many(_RAW, _QUOTED) if odd else texts, '"', whole


def _number(column: pl.Series) -> tuple[str, pl.Expr, str, bool]:
    value = pl.lit(column)
    # A sum is finite only when every term is, and far cheaper to ask for.
    if math.isfinite(column.sum()):
        return "", value.cast(pl.String), "", not column.null_count()
    return "", pl.when(value.is_finite()).then(value).cast(pl.String), "", False

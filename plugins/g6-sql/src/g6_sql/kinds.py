"""The kinds of column: what a polars type becomes in SQL, and how its values get there.

Times are UTC. What neither database has a type for is text: a time without a zone, a time of day. A duration is whole
microseconds, a list or a struct is JSON. NaN is no number and becomes null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import polars as pl

from g6core import Rejected

Kind = Literal["integer", "double", "boolean", "text", "date", "time", "json"]

DECLARED: dict[Kind, tuple[str, str]] = {
    "integer": ("BIGINT", "bigint"),
    "double": ("DOUBLE", "double precision"),
    "boolean": ("BOOLEAN", "boolean"),
    "text": ("TEXT", "text"),
    "date": ("DATE", "date"),
    "time": ("DATETIME", "timestamp with time zone"),
    "json": ("JSON", "jsonb"),
}
"""How SQLite and PostgreSQL call each."""
KINDS: dict[str, Kind] = {name.lower(): kind for kind, names in DECLARED.items() for name in names}
"""The kind by the type's name in the database."""


def kind_of(dtype: pl.DataType) -> Kind | None:
    """None for a column that has never had a value. Raises Rejected (`bad-frame`) for bytes and Python objects."""
    if dtype == pl.Null:
        return None
    if dtype.is_integer() or dtype == pl.Duration:
        return "integer"
    if dtype.is_float() or dtype.is_decimal():
        return "double"
    if isinstance(dtype, pl.Datetime):
        return "time" if dtype.time_zone else "text"
    if dtype.is_nested():
        return "json"
    if dtype in (pl.Binary, pl.Object):
        raise Rejected(f"a column of {dtype} has no place in a table", code="bad-frame")
    plain: dict[pl.DataType, Kind] = {pl.Boolean(): "boolean", pl.Date(): "date"}
    return plain.get(dtype, "text")


def fits(given: Kind, wanted: Kind | None) -> bool:
    """Whether values of one kind may stand in a column of another; None is a type that only the database knows."""
    return wanted is None or given == wanted or (given, wanted) == ("integer", "double")


def encoded(frame: pl.DataFrame, kinds: Mapping[str, Kind]) -> pl.DataFrame:
    """The columns that are named, as both databases take them.

    Raises polars' error for a value that is out of range.
    """
    return pl.DataFrame([_encoded(frame[name], kind) for name, kind in kinds.items()])


def _encoded(series: pl.Series, kind: Kind) -> pl.Series:
    # By series: an expression of polars starts an engine, which costs more than all casts of a snapshot's column.
    if kind == "time" and series.dtype != pl.Null:
        return iso(series)
    if kind == "json" and series.dtype.is_nested():
        return json_texts(series)
    if kind == "integer":
        return (series.dt.total_microseconds() if series.dtype == pl.Duration else series).cast(pl.Int64)
    if kind == "double":
        numbers = series.cast(pl.Float64)
        # One NaN makes the sum NaN.
        return numbers.fill_nan(None) if math.isnan(numbers.sum()) else numbers
    return series if kind in ("boolean", "date") else series.cast(pl.String)


def json_texts(values: pl.Series) -> pl.Series:
    texts = [None if value is None else json.dumps(value, default=str) for value in values.to_list()]
    return pl.Series(values.name, texts, dtype=pl.String)


def iso(times: pl.Series) -> pl.Series:
    """Times as text of one width; each different one is formatted once, as most rows share theirs."""
    micros = times.cast(pl.Datetime("us", times.dtype.time_zone)).cast(pl.Int64)  # type: ignore[attr-defined]
    known = micros.drop_nulls() if micros.null_count() else micros
    different, places = np.unique(known.to_numpy(), return_inverse=True)
    texts = pl.Series(times.name, np.datetime_as_string(different.astype("M8[us]"), timezone="UTC").tolist(), pl.String)
    if known is micros:
        return texts.gather(places)
    at = np.zeros(len(times), dtype=np.int64)
    there = times.is_not_null().to_numpy()
    at[there] = places
    return texts.gather(pl.Series(at).set(pl.Series(~there), None))

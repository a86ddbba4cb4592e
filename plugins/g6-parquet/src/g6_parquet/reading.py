"""Files of a place, read: what is wrong with one is said by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl

from g6_parquet.segments import Place, Segment
from g6_parquet.tables import CORE, together
from g6core import DataError

T = TypeVar("T")
TRIES = 20
FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def again(ask: Callable[[], T]) -> T:
    """The answer, asked for anew while files that were listed are merged away meanwhile."""
    for _ in range(TRIES):
        try:
            return ask()
        except FileNotFoundError as e:
            missing = e
    raise unreadable(
        Path(missing.filename or str(missing)), "it is missing, and its namesakes in other tables are there"
    )


def read(place: Place, table: str, segment: Segment, *where: pl.Expr, columns: Sequence[str] = ()) -> pl.DataFrame:
    """A file of a segment, or those of its rows and columns that are asked for.

    Raises FileNotFoundError, and DataError (`parquet-unreadable`) when it is damaged or somebody else's.
    """
    path = place.file(table, segment)
    try:
        lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        lazy = lazy.select(columns) if columns else lazy
        return lazy.filter(*where).collect() if where else lazy.collect()
    except FAULTS as e:
        raise unreadable(path, str(e)) from e


def schema(place: Place, table: str, segment: Segment) -> pl.Schema:
    """The columns of a file; raises as `read` does."""
    path = place.file(table, segment)
    try:
        return pl.Schema(pl.read_parquet_schema(path))
    except FAULTS as e:
        raise unreadable(path, str(e)) from e


def read_all(place: Place, table: str, segments: Sequence[Segment], *where: pl.Expr) -> pl.DataFrame:
    """The rows of several segments, in their order; raises as `read` does."""
    if not segments:
        return pl.DataFrame(schema=CORE[table])
    return together([read(place, table, segment, *where) for segment in segments])


def unreadable(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path.name} cannot be read: {reason.splitlines()[0] if reason else 'no reason given'}",
        code="parquet-unreadable",
        where=str(path),
        hint="move the file, and its namesakes in the other tables, out of the dataset; everything else stays readable",
    )

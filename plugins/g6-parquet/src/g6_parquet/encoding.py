"""How a table is written as Parquet: the encodings that make it small and quick to read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from g6core import Rejected

if TYPE_CHECKING:
    from g6_parquet.settings import Settings

GROWING = {"volume"}
"""Numbers that change little from one time to the next."""
STAYING = {"ts", "oi", "average_price"}
"""What comes again and again: as it is, zstd packs it best or nearly so, and it is read quickest."""


def write(f: BinaryIO, frames: Iterable[pl.DataFrame], settings: Settings) -> None:
    """The frames, which have the same columns, under one another. There is at least one; it may have no rows.

    Raises OSError, and Rejected (`bad-frame`) for a kind of value that Parquet does not have.
    """
    import pyarrow as pa
    from pyarrow import parquet

    writer = None
    try:
        for frame in frames:
            table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                writer = parquet.ParquetWriter(f, table.schema, **_options(table.schema, settings))
            writer.write_table(table, row_group_size=settings.rows_per_group)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, pl.exceptions.PolarsError) as e:
        raise Rejected(f"a table does not fit into Parquet: {e}", code="bad-frame") from e
    finally:
        if writer is not None:
            writer.close()


def _options(schema: Any, settings: Settings) -> dict[str, Any]:
    """Floats by their bytes, which zstd packs better than whole numbers; times and counters by their differences."""
    from pyarrow import types

    encodings: dict[str, str] = {}
    for column in schema:
        if column.name in STAYING and types.is_primitive(column.type):
            encodings[column.name] = "PLAIN"
        elif types.is_floating(column.type) and not types.is_float16(column.type):
            encodings[column.name] = "BYTE_STREAM_SPLIT"
        elif types.is_timestamp(column.type) or (column.name in GROWING and types.is_integer(column.type)):
            encodings[column.name] = "DELTA_BINARY_PACKED"
    return {
        "compression": "zstd",
        "compression_level": settings.compression_level,
        "use_dictionary": [column.name for column in schema if column.name not in encodings],
        "column_encoding": encodings or None,
    }

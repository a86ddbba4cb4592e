"""What the month takes on the disk: the CSV tree, and the Parquet dataset with all digits and with six."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any


def sizes(place: Path, days: Sequence[date]) -> dict[str, Any]:
    """Bytes and files; ratio: of the CSV tree to the dataset. columns: bytes of each column of the options."""
    tree = [path.stat().st_size for path in (place / "data" / "g6_data").rglob("*.csv")]
    every, six = (_dataset(place / name / "parquet", sum(tree)) for name in ("data", "six_digits"))
    assert every["rows"] == six["rows"]
    return {
        "days": len(days),
        "csv": sum(tree),
        "csv_files": len(tree),
        **every,
        "six_digits": six,
        "running_files": sum(1 for _ in (place / "running" / "parquet").rglob("*.parquet")),
    }


def _dataset(root: Path, csv: int) -> dict[str, Any]:
    import pyarrow.parquet as pq

    files = [path.stat().st_size for path in root.rglob("*.parquet")]
    columns: dict[str, int] = {}
    rows = 0
    for metadata in (pq.read_metadata(path) for path in sorted((root / "options").rglob("*.parquet"))):
        rows += metadata.num_rows
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            for column in map(group.column, range(group.num_columns)):
                name = column.path_in_schema
                columns[name] = columns.get(name, 0) + column.total_compressed_size
    return {
        "rows": rows,
        "parquet": sum(files),
        "parquet_files": len(files),
        "ratio": csv / sum(files),
        "columns": dict(sorted(columns.items(), key=lambda item: -item[1])),
    }


def lines(s: dict[str, Any]) -> Iterator[str]:
    """As a person reads it."""
    mb, six = 1e6, s["six_digits"]
    yield (
        f"{s['rows']:,} rows, {s['days']} days: {s['csv'] / mb:,.0f} MB in {s['csv_files']:,} CSV files, "
        f"{s['parquet'] / mb:,.0f} MB in {s['parquet_files']:,} Parquet files: {s['ratio']:.1f} times smaller; with "
        f"`digits = 6` {six['parquet'] / mb:,.0f} MB: {six['ratio']:.1f} times smaller"
    )
    yield "\n| Parquet column | bytes a row | with `digits = 6` |\n|---|---|---|"
    for name, size in {**s["columns"], "all": sum(s["columns"].values())}.items():
        other = sum(six["columns"].values()) if name == "all" else six["columns"][name]
        if size > 0.1 * s["rows"]:
            yield f"| {name} | {size / s['rows']:.2f} | {other / s['rows']:.2f} |"

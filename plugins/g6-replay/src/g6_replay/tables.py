"""Files into frames of text, each row with its file and line; nothing is interpreted here."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

from g6_replay.tally import LINE
from g6core import DataError

GZIP = b"\x1f\x8b"

Refuse = Callable[[str, int], None]
"""Called with a reason and a line for each row that has not as many fields as the header."""


def unreadable(path: Path, why: object) -> DataError:
    return DataError(f"{path} cannot be read: {why}", code="replay-unreadable", where=str(path))


def empty(path: Path, why: str) -> DataError:
    return DataError(f"{path} {why}", code="replay-empty", where=str(path), hint="nothing was recorded there")


def contents(path: Path) -> bytes:
    """The file, unpacked if it is gzip. Raises DataError when there is none, it is empty or it is torn."""
    try:
        data = path.read_bytes()
        if data.startswith(GZIP):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as e:
        raise unreadable(path, e) from e
    if not data.strip():
        raise empty(path, "is empty")
    return data.removeprefix(b"\xef\xbb\xbf")


def header(path: Path, data: bytes) -> list[str]:
    names = next(csv.reader(io.StringIO(data.partition(b"\n")[0].decode("utf-8", "replace"))), [])
    names = [name.strip() for name in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"{path.name} has the column `{twice[0]}` twice"
        raise DataError(message, code="replay-columns", where=f"{path}:1", hint="remove or rename one of them")
    return names


def read_csv(path: Path, data: bytes, refuse: Refuse) -> pl.DataFrame:
    """The CSV as text, absent cells null, with the column LINE."""
    names = header(path, data)
    frame = _read_regular(data, names)
    if frame is None:
        frame = _read_ragged(data, names, refuse)
    if frame.is_empty():
        raise empty(path, "has a header and no rows")
    return frame


def _read_regular(data: bytes, names: list[str]) -> pl.DataFrame | None:
    """None unless every line has as many separators as the header: polars fills short rows up, also torn ones."""
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if b'"' in data or b"\r\r" in data or data.count(b",") != lines * (len(names) - 1):
        return None
    try:
        frame = pl.read_csv(data, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=False)
    except pl.exceptions.PolarsError:
        return None
    if frame.height != lines - 1 or frame.width != len(names):
        return None
    return frame.rename(dict(zip(frame.columns, names, strict=True))).with_row_index(LINE, offset=2)


def _read_ragged(data: bytes, names: list[str], refuse: Refuse) -> pl.DataFrame:
    reader = csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline=""))
    next(reader)
    rows, lines = [], []
    for row in fields(reader, refuse):
        if len(row) == len(names):
            rows.append(row)
            lines.append(reader.line_num)
        elif row:
            refuse("a row has not as many fields as the header", reader.line_num)
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    frame = frame.with_columns(pl.all().replace("", None))
    return frame.insert_column(0, pl.Series(LINE, lines, dtype=pl.UInt32))


def fields(reader: Iterable[list[str]], refuse: Refuse) -> Iterable[list[str]]:
    """The rows of a csv.reader; what it cannot read is refused."""
    try:
        yield from reader
    except csv.Error:
        refuse("the rest of the file is not CSV", reader.line_num)  # type: ignore[attr-defined]


def read_parquet(path: Path) -> pl.DataFrame:
    """The Parquet file in its own types; LINE is the row's number."""
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as e:
        raise unreadable(path, e) from e
    if frame.is_empty():
        raise empty(path, "has no rows")
    return frame.with_row_index(LINE, offset=1)

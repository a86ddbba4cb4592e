"""Many small CSV files into one frame of text. Files of the same header are parsed in one go."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from g6_replay.tables import contents, fields, header
from g6_replay.tally import FILE, LINE, REPAIRED, Tally
from g6core import DataError

Layouts = Mapping[int, list[str]]
"""Known columns by their number."""

TROUBLE = {
    "replay-empty": "empty file",
    "replay-unreadable": "file that cannot be read",
    "replay-columns": "file with a column twice in its header",
}


class Reader:
    """Reads files whose rows may have another known number of columns than the header.

    layouts: the known columns. shorter: whether a row may be shorter than its header; else it counts as torn.
    """

    def __init__(self, layouts: Layouts, needed: Sequence[str], tally: Tally, *, shorter: bool = False) -> None:
        self._layouts = layouts
        self._needed = needed
        self._tally = tally
        self._shorter = shorter
        self._headers: dict[bytes, list[str]] = {}

    def read(self, paths: Sequence[Path]) -> pl.DataFrame:
        """A row per line with columns FILE (its number in `paths`, as in the tally) and LINE; absent is null.

        What cannot be used is counted: files that are empty, unreadable or lack a needed column, and torn rows.
        """
        alike: dict[bytes, list[tuple[int, bytes, int]]] = {}
        frames: list[pl.DataFrame] = []
        for file, path in enumerate(paths):
            try:
                data = contents(path).replace(b"\r\n", b"\n")
                names = self._names(path, data)
            except DataError as e:
                self._tally.add(TROUBLE.get(e.code, e.message), 1, self._tally.files[file])
                continue
            head, _, body = data.partition(b"\n")
            lines = body.count(b"\n") + (not body.endswith(b"\n"))
            if not body:
                self._tally.add("file without rows", 1, self._tally.files[file])
            elif lacking := [name for name in self._needed if name not in names]:
                self._tally.add(f"file that has no column `{lacking[0]}`", 1, self._tally.place(file, 1))
            elif _is_regular(data) and body.count(b",") == lines * (len(names) - 1):
                alike.setdefault(head, []).append((file, body, lines))
            else:
                frames += self._ragged(file, data, names)
        for head, files in alike.items():
            frames += self._together(self._headers[head], files)
        return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()

    def _names(self, path: Path, data: bytes) -> list[str]:
        head = data.partition(b"\n")[0]
        if head not in self._headers:
            self._headers[head] = _ours(header(path, data))
        return self._headers[head]

    def _together(self, names: list[str], files: Sequence[tuple[int, bytes, int]]) -> list[pl.DataFrame]:
        frame = _parsed(b"".join(body if body.endswith(b"\n") else body + b"\n" for _, body, _ in files), names)
        counts = [lines for _, _, lines in files]
        if frame is None or frame.height != sum(counts):
            # One of them is not as regular as its number of separators made it look.
            head = ",".join(names).encode() + b"\n"
            return [part for file, body, _ in files for part in self._ragged(file, head + body, names)]
        number = pl.Series(FILE, np.repeat([file for file, _, _ in files], counts), pl.UInt32)
        line = pl.Series(LINE, np.concatenate([np.arange(2, lines + 2) for lines in counts]), pl.UInt32)
        return [frame.with_columns(number, line)]

    def _ragged(self, file: int, data: bytes, names: list[str]) -> list[pl.DataFrame]:
        """The rows by their number of columns, each under the names of its own layout."""
        found: dict[tuple[str, ...], tuple[list[list[str]], list[int]]] = {}
        whole = data.endswith(b"\n")
        reader = csv.reader(io.StringIO(data.decode("utf-8", "replace").replace("\0", ""), newline=""))
        head = next(reader)
        last = data.count(b"\n") + (not whole)
        for row in fields(reader, lambda why, line: self._tally.add(why, 1, self._tally.place(file, line))):
            place = self._tally.place(file, reader.line_num)
            if len(row) > 1 and row[0].strip() == head[0].strip():
                names = _ours([name.strip() for name in row])
                self._tally.add("header again in the middle of a file; the rows below follow it", 1, place, REPAIRED)
            elif layout := self._layout(row, names, torn=not whole and reader.line_num == last):
                rows, lines = found.setdefault(tuple(layout), ([], []))
                rows.append(row)
                lines.append(reader.line_num)
                if len(row) != len(names):
                    reason = f"row of {len(row)} columns below a header of {len(names)}, read by its own layout"
                    self._tally.add(reason, 1, place, REPAIRED)
            elif row:
                self._tally.add("torn line (a row has not as many fields as the header)", 1, place)
        return [_framed(rows, list(layout), file, lines) for layout, (rows, lines) in found.items()]

    def _layout(self, row: list[str], names: list[str], *, torn: bool) -> list[str] | None:
        """The columns of a row; None when it is torn. A torn line may look like one of a shorter layout."""
        if len(row) == len(names):
            return names
        known = self._layouts.get(len(row)) if len(names) in self._layouts else None
        return known if known and (len(row) > len(names) or (self._shorter and not torn)) else None


def _ours(names: list[str]) -> list[str]:
    """In the oldest header `strike` is the index price, and `offset_price` the strike."""
    oldest = {"strike": "index_price", "offset_price": "strike"} if "offset_price" in names else {}
    return [oldest.get(name, name) for name in names]


def _is_regular(data: bytes) -> bool:
    return b'"' not in data and b"\r" not in data and b"\0" not in data


def _parsed(body: bytes, names: list[str]) -> pl.DataFrame | None:
    try:
        frame = pl.read_csv(
            body, has_header=False, new_columns=names, infer_schema=False, encoding="utf8-lossy", quote_char=None
        )
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.columns == names else None


def _framed(rows: list[list[str]], names: list[str], file: int, lines: list[int]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    frame = frame.with_columns(pl.all().replace("", None))
    return frame.with_columns(pl.lit(file, pl.UInt32).alias(FILE), pl.Series(LINE, lines, dtype=pl.UInt32))

"""Old dates removed, and what `g6 doctor` finds in a dataset."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from g6_parquet.segments import ALERTS, TABLES, Place, parse, places
from g6_parquet.store import log
from g6core import DataError, Finding

MAGIC = b"PAR1"


def remove_before(root: Path, first: date) -> None:
    """Remove the dates before the first one to keep. The deciding table goes first, so that none is there in part."""
    for tables in (TABLES, ALERTS):
        for table in reversed(tables):
            for place in places(root, (table,)):
                if place.day < first:
                    _remove(place.directory(table))


def _remove(directory: Path) -> None:
    try:
        shutil.rmtree(directory)
    except OSError as e:
        log.warning("an old date cannot be removed: %s", e)


def findings(root: Path) -> Iterator[Finding]:
    """Files that cannot be read or are nobody's, one by one."""
    for tables in (TABLES, ALERTS):
        for place in places(root, tables):
            yield from _of_place(place)


def _of_place(place: Place) -> Iterator[Finding]:
    try:
        segments = place.segments()
    except DataError as e:
        yield Finding("error", f"{e.message}: {' and '.join(e.where)}", e.hint)
        return
    for table in place.tables:
        for segment in segments:
            path = place.file(table, segment)
            if not is_parquet(path):
                yield Finding("error", f"a Parquet file is damaged: {path}", "move it out of the dataset")
        for name in os.listdir(place.directory(table)) if place.directory(table).is_dir() else ():
            if name.endswith(".parquet") and parse(name) is None:
                path = place.directory(table) / name
                yield Finding("warning", f"a Parquet file that g6 did not write is left aside: {path}", "move it away")


def is_parquet(path: Path) -> bool:
    """Whether the file begins and ends as one; a quick look that finds torn and foreign files."""
    try:
        with path.open("rb") as f:
            head = f.read(4)
            f.seek(-4, os.SEEK_END)
            return head == MAGIC == f.read(4)
    except OSError:
        return False

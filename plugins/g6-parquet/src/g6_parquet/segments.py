"""Which files of a dataset count.

A *place* is an index on a date. Everything that was written there is a sequence of writes, numbered 1, 2, 3, …; a
*segment* holds a range of them and is a file of the same name in each table of the place:

    options/index=NIFTY/date=2026-11-20/part-00000001-00000010-1f3a5b7c.parquet     writes 1 to 10, by time
    expiries/index=NIFTY/date=2026-11-20/part-00000001-00000010-1f3a5b7c.parquet
    snapshots/index=NIFTY/date=2026-11-20/part-00000001-00000010-1f3a5b7c.parquet

`part` is sorted by time, `day` is a compacted one; the last word stands for the columns, so that files with the same
columns are known without being opened.

Why a snapshot is seen once and whole, whenever a process is killed and whoever reads meanwhile:

1.  A file gets its name by a rename, after it is on disk. So under its name it is whole or not there.
2.  The last table of a place (`snapshots`, or `alerts` alone) decides: a segment exists when its file is there, and
    that file is renamed last, when the others are in their directories. Files of the other tables without it are
    leftovers: nobody looks at them, and the next writer of the place removes them.
3.  A segment is superseded by one whose range contains its own, or that has the same range and is compacted. A merged
    segment covers exactly the ranges of those it was made of, so the one rename that makes it exist also takes those
    away: before it a reader sees them, after it the merged one, never both and never neither.
4.  Superseded files are removed later, the deciding file last, so that whoever is killed in between leaves files that
    are still superseded, and the next one to look removes them.
5.  Segments are made under a lock of the dataset, one at a time. A new write takes the number after the highest. A
    compaction reads without the lock, and takes it to give its file the name only if all that it read still exists:
    ranges are therefore nested or apart, and never overlap.
6.  Whoever lists a directory while files come and go may miss some of both. So it is listed until it is twice the same
    and no number is missing. What was listed may still be removed before it is read: then the reader lists again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote

from g6core import DataError

TABLES = ("options", "expiries", "snapshots")
"""Of a snapshot; the last one decides."""
ALERTS = ("alerts",)
_NAME = re.compile(r"(part|day)-(\d{8,})-(\d{8,})-([0-9a-f]{8})\.parquet")
_TRIES = 20


@dataclass(frozen=True)
class Segment:
    """The writes `first` to `last` of a place. columns: a word for the columns of all its tables."""

    first: int
    last: int
    columns: str
    compacted: bool = False

    @property
    def name(self) -> str:
        return f"{'day' if self.compacted else 'part'}-{self.first:08d}-{self.last:08d}-{self.columns}.parquet"

    @property
    def writes(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Place:
    """An index on a date. tables: those that its segments are made of, the deciding one last."""

    root: Path
    index: str
    day: date
    tables: Sequence[str] = TABLES

    def directory(self, table: str) -> Path:
        return Path(self._directory(table))

    def file(self, table: str, segment: Segment) -> Path:
        return Path(self.path(table, segment))

    def path(self, table: str, segment: Segment) -> str:
        """As a text: a question names every file, and a Path takes three times as long to make."""
        return f"{self._directory(table)}{os.sep}{segment.name}"

    @cached_property
    def deciding(self) -> Path:
        return self.directory(self.tables[-1])

    @cached_property
    def _below(self) -> str:
        return os.sep.join(("", f"index={quote(self.index, safe='')}", f"date={self.day}"))

    def _directory(self, table: str) -> str:
        return f"{self.root}{os.sep}{table}{self._below}"

    def segments(self) -> list[Segment]:
        """Those that count, in the order of their writes; none when there is no such place."""
        return self._listed()[1]

    def every_segment(self) -> list[Segment]:
        """The superseded ones as well."""
        return self._listed()[0]

    def _listed(self) -> tuple[list[Segment], list[Segment]]:
        """Every segment, and those that count."""
        directory = self._directory(self.tables[-1])
        names = _names(directory)
        for _ in range(_TRIES):
            again = _names(directory)
            found = [segment for name in again if (segment := parse(name))]
            counted = live(found, directory)
            if again == names and not gaps(counted):
                break
            names = again
        return found, counted


def parse(name: str) -> Segment | None:
    """The segment of a file name; None for a file of somebody else."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[2]) > int(match[3]):
        return None
    return Segment(int(match[2]), int(match[3]), match[4], match[1] == "day")


def live(segments: Iterable[Segment], where: str | Path) -> list[Segment]:
    """The segments that none supersedes, in order. Raises DataError when two overlap, which no writer leaves."""
    found: list[Segment] = []
    for segment in sorted(segments, key=lambda s: (s.first, -s.last, not s.compacted, s.columns)):
        if found and segment.last <= found[-1].last:
            continue
        if found and segment.first <= found[-1].last:
            raise DataError(
                "two files of the dataset hold the same writes and more",
                code="parquet-unreadable",
                where=[str(Path(where, one.name)) for one in (found[-1], segment)],
                note="files of two datasets were put into one directory",
                hint="move one of them, and its namesakes in the other tables, out of the dataset",
            )
        found.append(segment)
    return found


def gaps(segments: Sequence[Segment]) -> bool:
    """Whether a number is missing before the last one."""
    return any(s.first != before + 1 for s, before in zip(segments, [0, *(s.last for s in segments)], strict=False))


def places(root: Path, tables: Sequence[str] = TABLES) -> list[Place]:
    """Every place with a directory of its own, by index and date."""
    found = []
    for index in _subdirectories(root / tables[-1], "index"):
        for day in _subdirectories(root / tables[-1] / f"index={index}", "date"):
            try:
                found.append(Place(root, unquote(index), date.fromisoformat(day), tables))
            except ValueError:
                continue
    return sorted(found, key=lambda p: (p.index, p.day))


def _subdirectories(directory: Path, key: str) -> list[str]:
    return [name.removeprefix(f"{key}=") for name in _names(directory) if name.startswith(f"{key}=")]


def _names(directory: str | Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []

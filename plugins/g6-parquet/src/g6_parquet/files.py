"""Files that appear whole or not at all, and what the system refuses in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from g6_parquet.measures import BYTES, FILES, SECONDS
from g6_parquet.segments import Place, Segment
from g6core import Unavailable

FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
WRITE_LOCK = ".write.lock"
"""Held while segments are made or removed, for moments."""
COMPACT_LOCK = ".compact.lock"
"""Held while a place is compacted, by one process at a time."""
LONGEST_WAIT = 30.0
"""Seconds that a write waits for another process's."""

Fill = Callable[[BinaryIO], None]


@contextmanager
def locked(root: Path, name: str = WRITE_LOCK, wait: float = LONGEST_WAIT) -> Iterator[None]:
    """Raises Unavailable when another process has the lock for too long, or the directory cannot be written."""
    try:
        lock = FileLock(root / name, timeout=wait, poll_interval=0.01).acquire()
    except Timeout:
        raise Unavailable(
            "another process writes this dataset and does not come to an end", where=str(root / name)
        ) from None
    except OSError as e:
        raise unavailable(e, root) from e
    with lock:
        yield


def stage(place: Place, segment: Segment, tables: Mapping[str, Fill]) -> None:
    """Write the files of a segment beside their names; nobody sees them there. Raises OSError and leaves nothing."""
    try:
        for table, fill in tables.items():
            make_directory(place.directory(table))
            with SECONDS.time(), open(_beside(place, table, segment), "wb") as f:
                fill(f)
                f.flush()
                os.fsync(f.fileno())
                BYTES.labels(table).inc(os.fstat(f.fileno()).st_size)
            FILES.labels(table).inc()
    except BaseException:
        unstage(place, segment)
        raise


def publish(place: Place, segment: Segment) -> None:
    """Give the staged files their names, the deciding one last. Raises OSError."""
    *others, deciding = place.tables
    for table in others:
        os.replace(_beside(place, table, segment), place.file(table, segment))
    for table in others:
        sync(place.directory(table))
    os.replace(_beside(place, deciding, segment), place.file(deciding, segment))
    sync(place.directory(deciding))


def unstage(place: Place, segment: Segment) -> None:
    for table in place.tables:
        with suppress(OSError):
            _beside(place, table, segment).unlink()


def remove(place: Place, segment: Segment) -> None:
    """Take a superseded segment away, the deciding file last. Raises OSError."""
    for table in place.tables:
        place.file(table, segment).unlink(missing_ok=True)


def remove_leftovers(place: Place, segments: set[str]) -> None:
    """Remove what a killed writer left: files without a deciding one, and those that never got their name.

    segments: the names of all that exist. Only under the write lock; staged compactions belong to the compactor.
    """
    for table in place.tables:
        directory = place.directory(table)
        for name in os.listdir(directory) if directory.is_dir() else ():
            leftover = name.startswith(".part-") or (name.startswith(("part-", "day-")) and name not in segments)
            if leftover and name.endswith((".tmp", ".parquet")):
                (directory / name).unlink(missing_ok=True)


def remove_staged_days(place: Place) -> None:
    """Remove what a killed compaction left; only under the compact lock."""
    for table in place.tables:
        for path in place.directory(table).glob(".day-*.tmp"):
            path.unlink(missing_ok=True)


def make_directory(directory: Path) -> None:
    """With its parents, each on disk. Raises OSError."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    with suppress(FileExistsError):
        directory.mkdir()
    sync(directory.parent)


def sync(directory: Path) -> None:
    """Bring the names in a directory to the disk, where the system can."""
    if os.name != "posix":
        return
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def unavailable(e: OSError, path: Path) -> Unavailable:
    """What the system refused, as a person wants to hear it."""
    reason = e.strerror or str(e)
    where = str(e.filename or path)
    if e.errno in FULL:
        return Unavailable(
            f"no space to write a Parquet file: {reason}",
            code="disk-full",
            where=where,
            note="what was there is as it was; the snapshots wait in the journal",
            hint="free some space; writing goes on by itself",
        )
    return Unavailable(
        f"cannot write a Parquet file: {reason}",
        code="not-writable",
        where=where,
        hint="make the directory writable, or set `dir` of the sink to another one",
    )


def _beside(place: Place, table: str, segment: Segment) -> Path:
    return place.directory(table) / f".{segment.name}.tmp"

"""Append-only CSV files that survive a killed process, a full disk and a second delivery.

A file is looked at once, when it is first used: a torn last line is cut off and its latest timestamp noted. From then
on later rows are appended blindly, and only a row that is not later makes the file be read again.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

from g6_csv.measures import BYTES, OPEN, REPEATED
from g6core import Unavailable

FLAGS = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
MOST = 4096


def descriptor_limit() -> int:
    """How many files to keep open: half of what the process may have, 4096 at the most."""
    try:
        import resource
    except ImportError:  # Windows: its C runtime stops at 8192
        return MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(1, min(MOST, soft // 2))


class Descriptors:
    """Files open for appending; beyond the limit the one unused for longest is closed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[str, int] = OrderedDict()

    def get(self, path: str, flags: int = 0) -> int:
        fd = self._open.get(path)
        if fd is not None:
            self._open.move_to_end(path)
            return fd
        while len(self._open) >= self._limit:
            self._close(self._open.popitem(last=False)[1])
        fd = self._open[path] = os.open(path, FLAGS | flags, 0o666)
        OPEN.inc()
        return fd

    def close(self, path: str) -> None:
        fd = self._open.pop(path, None)
        if fd is not None:
            self._close(fd)

    def close_all(self) -> None:
        while self._open:
            self._close(self._open.popitem()[1])

    def _close(self, fd: int) -> None:
        os.close(fd)
        OPEN.dec()


class Table:
    """One CSV table: `<first>.csv`, and `<first>.2.csv`, … where other columns were written on the same day.

    first:  the path of the first file.
    header: the columns of now, as the file's first line.
    keys:   how many of the first columns tell a row from every other; the very first is the timestamp.
    """

    __slots__ = ("_descriptors", "_first", "_header", "_keys", "_last", "_new", "_path")

    def __init__(self, descriptors: Descriptors, first: Path, header: bytes, keys: int) -> None:
        self._descriptors = descriptors
        self._first = first
        self._header = header
        self._keys = keys
        self._path = ""
        self._last = b""
        self._new = False

    def append(self, lines: Sequence[bytes]) -> None:
        """Append those lines that are not there yet. Their timestamps ascend; the same row comes once.

        Raises Unavailable (`disk-full`, `not-writable`); the file is then as it was before.
        """
        try:
            if not self._path:
                self._find()
            if _timestamp(lines[0]) <= self._last:
                given, lines = len(lines), self._missing(lines)
                REPEATED.inc(given - len(lines))
            if lines:
                self._write(b"".join(lines))
                last = _timestamp(lines[-1])
                if last > self._last:
                    self._last = last
        except OSError as e:
            self.close()
            raise unavailable(e, self._first) from e

    def close(self) -> None:
        """Close the file and forget what is known of it; the next use looks at it again."""
        self._descriptors.close(self._path)
        self._path = ""

    def _write(self, data: bytes) -> None:
        fd = self._descriptors.get(self._path)
        if self._new:
            data = self._header + data
        written = 0
        try:
            while written < len(data):
                written += os.write(fd, data[written:])
        except OSError:
            if written:
                os.ftruncate(fd, os.fstat(fd).st_size - written)
            raise
        BYTES.inc(written)
        self._new = False

    def _find(self) -> None:
        """Choose the file with the columns of now, or a new one behind those with other columns."""
        self._last, chosen = b"", ""
        for path, data in self._files():
            self._last = max(self._last, _timestamp(max(_rows(data), default=b"")))
            if not chosen and (not data or data.startswith(self._header)):
                chosen, self._new = str(path), not data
        self._path = chosen or self._create()

    def _create(self) -> str:
        path = next(path for path in self._names() if not path.exists())
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptors.get(str(path), os.O_CREAT)
        self._new = True
        return str(path)

    def _missing(self, lines: Sequence[bytes]) -> list[bytes]:
        """The lines that none of the files has; columns that changed in between do not make a row another one."""
        times = {_timestamp(line) for line in lines}
        known = {self._key(row) for _, data in self._files() for row in _rows(data) if _timestamp(row) in times}
        return [line for line in lines if self._key(line) not in known]

    def _key(self, line: bytes) -> tuple[bytes, ...]:
        return tuple(line.split(b",", self._keys)[: self._keys])

    def _files(self) -> Iterator[tuple[Path, bytes]]:
        """The files that there are, with their whole lines; a torn last one is cut off on disk."""
        for path in self._names():
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                os.truncate(path, whole)
            yield path, data[:whole]

    def _names(self) -> Iterator[Path]:
        yield self._first
        number = 2
        while True:
            yield self._first.with_suffix(f".{number}.csv")
            number += 1


def unavailable(e: OSError, path: Path) -> Unavailable:
    """What the system refused, as a person wants to hear it."""
    reason = e.strerror or str(e)
    if e.errno in FULL:
        return Unavailable(
            f"no space to append to a CSV file: {reason}",
            code="disk-full",
            where=str(path),
            note="the file is as it was; the rows wait in the journal",
            hint="free some space; writing goes on by itself",
        )
    return Unavailable(
        f"cannot write a CSV file: {reason}",
        code="not-writable",
        where=str(path),
        hint="make the directory writable, or set `dir` of the sink to another one",
    )


def _timestamp(line: bytes) -> bytes:
    return line.partition(b",")[0]


def _rows(data: bytes) -> list[bytes]:
    """The lines behind the header, without their newlines."""
    return data.split(b"\n")[1:-1]

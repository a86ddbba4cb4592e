"""The raw tape: every frame of the stream as it came, with its time and its socket, beside the journal's day.

A file is a row of blocks, each whole in itself: a header (magic, sizes, checksums) and compressed frames. It is only
ever appended to. A block that was being written when the process died stays behind as a torn place: the reader counts
it and goes on at the next block.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

import zstandard

from g6core import trading_date

MAGIC = b"G6TAPE1\n"
_SIZES = struct.Struct("<8sIII")
"""Magic, compressed and plain size of the block, CRC-32 of the compressed bytes."""
_CHECK = struct.Struct("<I")
"""CRC-32 of the sizes, so that no torn header sends the reader far away."""
_HEADER = _SIZES.size + _CHECK.size
_FRAME = struct.Struct("<qHI")
"""Microseconds since 1970, the socket's number, the frame's size."""

LEVEL = 1
BLOCK = 1 << 20
"""Bytes of frames after which a block is written."""
EVERY = 0.5
"""Seconds after which a block is written however small it is."""
PENDING = 64 << 20
"""Bytes of frames that wait for the disk at most; what comes beyond is dropped, and counted."""


class Recorded(NamedTuple):
    received_us: int
    connection: int
    frame: bytes


def tape_path(data_dir: Path, day: date) -> Path:
    return data_dir / "journal" / f"{day.isoformat()}.tape"


class TapeWriter:
    """Appends frames to the tape of their day. `write` only remembers; a thread of its own compresses and writes.

    dropped: frames that never reached the disk. trouble: why the last block was not written, None when it was.
    """

    def __init__(self, data_dir: Path) -> None:
        self.dropped = 0
        self.trouble: OSError | None = None
        self._data_dir = data_dir
        self._waiting: list[Recorded] = []
        self._size = 0
        self._closed = False
        self._wake = threading.Condition()
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._thread = threading.Thread(target=self._run, name="kite-tape", daemon=True)
        self._thread.start()

    def write(self, received_us: int, connection: int, frame: bytes) -> None:
        """received_us: microseconds since 1970, UTC. Neither waits for the disk nor raises."""
        with self._wake:
            if self._closed or self._size + len(frame) > PENDING:
                self.dropped += 1
                return
            self._waiting.append(Recorded(received_us, connection, frame))
            self._size += len(frame)
            if self._size >= BLOCK:
                self._wake.notify()

    def close(self) -> None:
        """Write what is left."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        closed = False
        while not closed:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._size >= BLOCK, EVERY)
                closed, waiting, self._waiting = self._closed, self._waiting, []
            for path, block in _blocks(waiting, self._data_dir):
                self._keep(path, block)
                with self._wake:
                    self._size -= sum(len(recorded.frame) for recorded in block)

    def _keep(self, path: Path, block: list[Recorded]) -> None:
        try:
            _append(path, _pack(block, self._compressor))
            self.trouble = None
        except OSError as e:
            self.trouble = e
            with self._wake:
                self.dropped += len(block)


class TapeReader:
    """The frames of a tape in the order they were written; what a torn place lost is missing.

    torn: places without a whole block, as far as the reading has come; torn_bytes: what stands there. Reading raises
    OSError when there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = self.torn_bytes = 0

    def __iter__(self) -> Iterator[Recorded]:
        self.torn = self.torn_bytes = 0
        whole = True
        with self.path.open("rb") as file:
            end, at = os.fstat(file.fileno()).st_size, 0
            while at < end:
                block = _read_block(file, at)
                if block is None:
                    following = _next_magic(file, at + 1, end)
                    # A torn block may hold what looks like the beginning of another: still one place.
                    self.torn += whole
                    self.torn_bytes += following - at
                    at, whole = following, False
                else:
                    content, at = block
                    whole = True
                    yield from _unpack(content)


def _pack(block: Sequence[Recorded], compressor: zstandard.ZstdCompressor) -> bytes:
    plain = b"".join(part for r in block for part in (_FRAME.pack(r.received_us, r.connection, len(r.frame)), r.frame))
    packed = compressor.compress(plain)
    sizes = _SIZES.pack(MAGIC, len(packed), len(plain), zlib.crc32(packed))
    return sizes + _CHECK.pack(zlib.crc32(sizes)) + packed


def _unpack(content: bytes) -> Iterator[Recorded]:
    at = 0
    while at < len(content):
        received_us, connection, size = _FRAME.unpack_from(content, at)
        at += _FRAME.size
        yield Recorded(received_us, connection, content[at : at + size])
        at += size


def _blocks(waiting: Sequence[Recorded], data_dir: Path) -> Iterator[tuple[Path, list[Recorded]]]:
    """Cut where a block is full and where a day ends."""
    block: list[Recorded] = []
    size, path = 0, data_dir
    for recorded in waiting:
        own = tape_path(data_dir, trading_date(datetime.fromtimestamp(recorded.received_us / 1e6, UTC)))
        if block and (own != path or size >= BLOCK):
            yield path, block
            block, size = [], 0
        block.append(recorded)
        path, size = own, size + len(recorded.frame)
    if block:
        yield path, block


def _append(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        left = memoryview(content)
        while left:
            left = left[file.write(left) :]


def _read_block(file: BinaryIO, at: int) -> tuple[bytes, int] | None:
    """The frames' bytes and where the block ends; None when there is no whole block."""
    file.seek(at)
    header = file.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(MAGIC):
        return None
    _, size, plain, checksum = _SIZES.unpack_from(header)
    if _CHECK.unpack_from(header, _SIZES.size) != (zlib.crc32(header[: _SIZES.size]),):
        return None
    packed = file.read(size)
    if len(packed) < size or zlib.crc32(packed) != checksum:
        return None
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=plain), at + _HEADER + size


def _next_magic(file: BinaryIO, at: int, end: int) -> int:
    """Where a block may begin from there on; the end when nowhere."""
    while at < end:
        file.seek(at)
        piece = file.read(BLOCK)
        found = piece.find(MAGIC)
        if found >= 0:
            return at + found
        # The next one may lie across the edge of two pieces.
        at += max(len(piece) - len(MAGIC) + 1, 1)
    return end

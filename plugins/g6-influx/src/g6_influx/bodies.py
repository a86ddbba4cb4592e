"""Snapshots as request bodies of bounded size."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import groupby

import polars as pl

from g6_influx import facts
from g6_influx.options import Options, columns_of
from g6core import Rejected, Snapshot

ROWS = 8192
"""Options that are encoded together; some 600 bytes each."""


class Encoder:
    """Lines of snapshots; `wide` is a point per strike."""

    def __init__(self, wide: bool) -> None:
        self._options = Options(wide)

    def bodies(self, snapshots: Sequence[Snapshot]) -> Iterator[bytes]:
        """Every line of the snapshots, each with its line feed, oldest first.

        Raises Rejected for a snapshot that has no form in line protocol.
        """
        for _, alike in groupby(snapshots, columns_of):
            for together in _bounded(list(alike)):
                yield self._body(together)

    def _body(self, snapshots: Sequence[Snapshot]) -> bytes:
        buffer = io.BytesIO()
        try:
            self._options.encode(snapshots).to_frame().write_csv(buffer, include_header=False, quote_style="never")
        except pl.exceptions.PolarsError as e:
            raise Rejected(f"the options do not fit into line protocol: {e}", code="bad-frame") from e
        for snapshot in snapshots:
            buffer.write(f"{facts.expiries(snapshot)}{facts.overview(snapshot)}".encode())
        return buffer.getvalue()


def _bounded(snapshots: Sequence[Snapshot]) -> Iterator[Sequence[Snapshot]]:
    """In their order, as many together as make ROWS options, and at least one."""
    start = rows = 0
    for at, snapshot in enumerate(snapshots):
        if rows and rows + snapshot.options.height > ROWS:
            yield snapshots[start:at]
            start, rows = at, 0
        rows += snapshot.options.height
    yield snapshots[start:]


def cut(body: bytes, size: int) -> Iterator[bytes]:
    """The body in parts of whole lines and `size` bytes at the most; a line that is longer is a part of its own."""
    start = 0
    while len(body) - start > size:
        end = body.rfind(b"\n", start, start + size) + 1 or body.find(b"\n", start) + 1
        yield body[start:end]
        start = end
    if start < len(body):
        yield body[start:]

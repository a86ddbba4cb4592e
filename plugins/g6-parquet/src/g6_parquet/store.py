"""The writing side of a place: each batch is a new segment, and small segments are merged into bigger ones.

As in a log-structured merge tree: as soon as `merge_files` segments of equally many writes stand at the end, they
become one. So a day of 375 writes is in some twenty files, and one of 22,500 in some forty.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from g6_parquet import encoding, files, reading
from g6_parquet.measures import MERGES
from g6_parquet.segments import Place, Segment, live
from g6_parquet.tables import Known, columns_word
from g6core import DataError

if TYPE_CHECKING:
    from g6_parquet.settings import Settings

log = logging.getLogger("g6.parquet")
Frames = Mapping[str, pl.DataFrame]


class Store:
    """What is stored of one place, as far as a writer has to know; looked at again when another process changed it.

    key: the columns of the deciding table that tell its rows apart. Every method is called under the write lock and
    raises OSError, or DataError when a stored file cannot be read.
    """

    def __init__(self, place: Place, settings: Settings, key: Sequence[str] = ("ts",)) -> None:
        self.place = place
        self.keys: set[tuple[object, ...]] = set()
        self.known = Known()
        self._settings = settings
        self._key = list(key)
        self._every: list[Segment] | None = None
        self._rows: dict[Segment, int] = {}

    def look(self) -> None:
        """Learn what is there, unless it is what was there last."""
        every = self.place.every_segment()
        if self._every is not None and set(every) == set(self._every):
            return
        files.remove_leftovers(self.place, {segment.name for segment in every})
        self.keys, self.known, self._rows = set(), Known(), {}
        for segment in live(every, self.place.deciding):
            self._learn(segment)
        self._every = every

    def add(self, tables: Frames) -> None:
        """Store the rows of a batch, none of which is there yet, and merge what is due."""
        deciding = tables[self.place.tables[-1]]
        superseded = self._superseded()
        last = max((segment.last for segment in self._live()), default=0)
        segment = self._make(last + 1, last + 1, tables)
        self._rows[segment] = _rows(deciding)
        self.keys.update(deciding.select(self._key).iter_rows())
        try:
            if self._due():
                # Superseded files go only at a later merge: whoever listed them has had time to read them.
                self._forget(superseded)
            while due := self._due():
                self._merge(due)
        except (OSError, DataError) as e:
            # What was given is stored; that it is in more files than it should be hurts nobody yet.
            log.warning("%s of %s: files could not be merged: %s", self.place.index, self.place.day, e)
            self._every = None

    def _make(self, first: int, last: int, tables: Frames) -> Segment:
        segment = Segment(first, last, columns_word({name: frame.schema for name, frame in tables.items()}))
        files.stage(self.place, segment, fills(tables, self._settings))
        try:
            files.publish(self.place, segment)
        except OSError:
            files.unstage(self.place, segment)
            raise
        self._every = [*(self._every or []), segment]
        return segment

    def _due(self) -> list[Segment]:
        """The segments at the end that are to become one."""
        last = self._live()[-self._settings.merge_files :]
        alike = len({segment.writes for segment in last}) == 1 and not any(segment.compacted for segment in last)
        rows = sum(self._rows.get(segment, 0) for segment in last)
        return (
            last if alike and len(last) == self._settings.merge_files and rows <= self._settings.rows_per_file else []
        )

    def _merge(self, due: Sequence[Segment]) -> None:
        read = partial(reading.read_all, self.place, segments=due)
        tables = {table: read(table).sort("ts", maintain_order=True) for table in self.place.tables}
        merged = self._make(due[0].first, due[-1].last, tables)
        self._rows[merged] = sum(self._rows.pop(segment) for segment in due)
        MERGES.inc()

    def _forget(self, superseded: Sequence[Segment]) -> None:
        for segment in superseded:
            files.remove(self.place, segment)
        self._every = [segment for segment in self._every or [] if segment not in superseded]

    def _live(self) -> list[Segment]:
        return live(self._every or [], self.place.deciding)

    def _superseded(self) -> list[Segment]:
        counted = set(self._live())
        return [segment for segment in self._every or [] if segment not in counted]

    def _learn(self, segment: Segment) -> None:
        deciding = reading.read(self.place, self.place.tables[-1], segment)
        self.keys.update(deciding.select(self._key).iter_rows())
        self._rows[segment] = _rows(deciding)
        for table in self.place.tables:
            self.known.add(table, reading.schema(self.place, table, segment))


def fills(tables: Frames, settings: Settings) -> dict[str, Callable[..., None]]:
    """What writes each table into its file."""
    return {name: partial(encoding.write, frames=[frame], settings=settings) for name, frame in tables.items()}


def _rows(deciding: pl.DataFrame) -> int:
    return int(deciding["contracts"].sum()) if "contracts" in deciding.columns else deciding.height

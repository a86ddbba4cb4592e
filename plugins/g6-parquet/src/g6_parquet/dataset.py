"""The reading side: days, snapshots by time, the newest at an instant. It changes nothing and takes no lock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

import polars as pl

from g6_parquet import reading
from g6_parquet.segments import TABLES, Place, Segment, places
from g6_parquet.tables import CORE, decoded, together
from g6core import Snapshot, trading_date

WINDOW = 200_000
"""Rows of options that are held at a time while a day is read."""
KEPT = 512
"""Deciding files whose rows are kept."""
WHICH = "#segment"


class Dataset:
    """What is under a directory, at every question anew; only what the deciding files held is kept in memory."""

    def __init__(self, root: Path, window: int = WINDOW) -> None:
        self._root = root
        self._window = window
        self._heads = Heads()

    def days(self) -> list[date]:
        """The dates with at least one snapshot, ascending."""
        found: dict[date, bool] = {}
        for place in places(self._root):
            found[place.day] = found.get(place.day, False) or bool(place.segments())
        return sorted(day for day, there in found.items() if there)

    def at(self, index: str, ts: datetime) -> Snapshot | None:
        """The newest snapshot of the index at or before the instant, of that trading date; None when there is none."""
        return reading.again(lambda: self._at(Place(self._root, index, trading_date(ts)), ts))

    def count(self, day: date) -> int:
        """How many snapshots there are of a date."""
        return sum(Timeline(p, self._heads).rows["ts"].n_unique() for p in places(self._root) if p.day == day)

    def read(self, day: date) -> Iterator[Snapshot]:
        """The snapshots of a date by time, those of one time by index; a window of them is held at a time."""
        timelines = {p.index: Timeline(p, self._heads) for p in places(self._root) if p.day == day}
        for window in _windows({index: timeline.rows for index, timeline in timelines.items()}, self._window):
            parts = [list(timelines[index].snapshots(times)) for index, times in window.items()]
            yield from sorted((s for part in parts for s in part), key=lambda s: (s.ts, s.index))

    def _at(self, place: Place, ts: datetime) -> Snapshot | None:
        newest: tuple[pl.DataFrame, Segment] | None = None
        until = pl.col("ts") <= ts
        for segment in place.segments():
            row = self._heads.of(place, segment).filter(until).tail(1)
            if row.height and (newest is None or row["ts"][0] > newest[0]["ts"][0]):
                newest = row, segment
        if newest is None:
            return None
        row, segment = newest
        (found,) = _snapshots(place, row, [segment])
        return found


class Heads:
    """The table `snapshots` of segments, by time. A file that has its name never changes, so it is read once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Path, int, int], pl.DataFrame] = {}

    def of(self, place: Place, segment: Segment) -> pl.DataFrame:
        """Raises FileNotFoundError and DataError."""
        path = place.file(TABLES[-1], segment)
        # One of another file system or of a dataset begun anew may have the same name.
        stat = path.stat()
        key = (path, stat.st_ino, stat.st_mtime_ns)
        if key not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[key] = reading.read(place, TABLES[-1], segment).sort("ts")
        return self._kept[key]


class Timeline:
    """The snapshots of a place by time. rows: the table `snapshots`, with the segment of each row by its number."""

    def __init__(self, place: Place, heads: Heads) -> None:
        self._place = place
        self._heads = heads
        self.rows = reading.again(self._look)

    def snapshots(self, times: Sequence[datetime]) -> Iterator[Snapshot]:
        """Those of some of its times, which ascend."""
        return reading.again(lambda: self._snapshots(times))

    def _look(self) -> pl.DataFrame:
        self._segments = self._place.segments()
        frames = [
            self._heads.of(self._place, segment).with_columns(pl.lit(n, pl.Int64).alias(WHICH))
            for n, segment in enumerate(self._segments)
        ]
        self.rows = (
            together(frames).sort("ts") if frames else pl.DataFrame(schema={**CORE[TABLES[-1]], WHICH: pl.Int64})
        )
        return self.rows

    def _snapshots(self, times: Sequence[datetime]) -> Iterator[Snapshot]:
        rows = self.rows.filter(pl.col("ts").is_in(times))
        segments = [self._segments[n] for n in rows[WHICH].unique(maintain_order=True)]
        try:
            return iter(_snapshots(self._place, rows.drop(WHICH), segments))
        except FileNotFoundError:
            self._look()
            raise


def _snapshots(place: Place, rows: pl.DataFrame, segments: Sequence[Segment]) -> list[Snapshot]:
    first, last = rows["ts"].min(), rows["ts"].max()
    here = pl.col("ts") == first if first == last else pl.col("ts").is_between(first, last)
    options, expiries = (reading.read_all(place, table, segments, here) for table in TABLES[:2])
    return list(decoded(place.index, rows, options, expiries))


def _windows(timelines: dict[str, pl.DataFrame], window: int) -> Iterator[dict[str, list[datetime]]]:
    """The times of each index, in pieces that ascend and are of at the most `window` rows, or of one instant."""
    frames = [rows.select("ts", "contracts", index=pl.lit(index)) for index, rows in timelines.items()]
    if not frames:
        return
    at_once = pl.col("contracts").sum().over("ts")
    whole = pl.concat(frames).sort("ts", "index").with_columns(at_once=at_once)
    before = whole.unique("ts", maintain_order=True).select("ts", piece=pl.col("at_once").cum_sum() // window)
    for piece in whole.join(before, on="ts", maintain_order="left").partition_by("piece", maintain_order=True):
        yield {index: part["ts"].to_list() for (index,), part in piece.partition_by("index", as_dict=True).items()}

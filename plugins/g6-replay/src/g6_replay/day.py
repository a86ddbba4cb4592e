"""A day of our own journal. A whole day does not fit in memory, so it is read once for its contents and then along."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from itertools import groupby
from pathlib import Path

import polars as pl

from g6_replay.recording import CONTRACT, IST, listing, quote_columns, spots_of
from g6_replay.tables import empty, unreadable
from g6core import CONTRACTS, QUOTES, Calendar, ReadReport, Remark, Snapshot, Spot, read_day


class Day:
    """Raises DataError when the file is no journal day, is damaged or holds no snapshot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.simulated = False
        self.set_aside: list[Remark] = []
        self._read = 0
        self._listings: dict[tuple[str, date], pl.DataFrame] = {}
        instants: set[datetime] = set()
        try:
            for snapshot in _snapshots(path):
                self._read += 1
                instants.add(snapshot.ts)
                self.simulated |= snapshot.simulated
                self._list(snapshot)
        except (sqlite3.DatabaseError, pl.exceptions.PolarsError, OSError, ValueError) as e:
            raise unreadable(path, e) from e
        if not instants:
            raise empty(path, "holds no snapshot")
        self.instants = sorted(instants)
        self.indices = sorted({index for index, _ in self._listings})
        self._known = instants
        self._ahead: Iterator[tuple[datetime, Iterator[Snapshot]]] = iter(())
        self._now: tuple[datetime | None, list[Snapshot]] = (None, [])

    def _list(self, snapshot: Snapshot) -> None:
        key = (snapshot.index, snapshot.ts.astimezone(IST).date())
        shown = snapshot.options.select(CONTRACTS.keys())
        before = self._listings.get(key)
        if before is None:
            self._listings[key] = listing(shown)
        elif not shown.select(CONTRACT).join(before, on=CONTRACT, how="anti").is_empty():
            self._listings[key] = listing(pl.concat([before, shown]))

    def contracts(self, index: str, day: date) -> pl.DataFrame:
        return self._listings.get((index, day), pl.DataFrame(schema=CONTRACTS))

    def rows(self, instant: datetime) -> pl.DataFrame:
        frames = [s.options.select(*CONTRACT, *quote_columns(s.options)) for s in self._at(instant)]
        if not frames:
            return pl.DataFrame(schema={**dict.fromkeys(CONTRACT, pl.String), **QUOTES})
        return pl.concat(frames, how="diagonal").unique(CONTRACT, keep="last", maintain_order=True)

    def spots(self, instant: datetime) -> Mapping[str, Spot]:
        spots: dict[str, Spot] = {}
        for snapshot in self._at(instant):
            spots |= spots_of(snapshot.index, snapshot.facts)
        return spots

    def futures(self, instant: datetime) -> Mapping[str, Mapping[date, float]]:
        return {s.index: known for s in self._at(instant) if (known := _futures(s))}

    def _at(self, instant: datetime) -> list[Snapshot]:
        if instant not in self._known:
            return []
        if self._now[0] != instant:
            self._now = (instant, self._seek(instant))
        return self._now[1]

    def _seek(self, instant: datetime) -> list[Snapshot]:
        """Read on to the instant, and from the beginning when it lies behind."""
        while True:
            for ts, snapshots in self._ahead:
                if ts == instant:
                    return list(snapshots)
            self._ahead = groupby(_snapshots(self._path), key=lambda s: s.ts)

    def timeline(self) -> list[datetime]:
        return self.instants

    def report(self) -> ReadReport:
        return ReadReport({"snapshots": self._read}, [])

    def use(self, calendar: Calendar) -> None:
        """Nothing depends on it."""

    def close(self) -> None:
        self._ahead = iter(())


def _snapshots(path: Path) -> Iterator[Snapshot]:
    return (snapshot for _, snapshot in read_day(path))


def _futures(snapshot: Snapshot) -> dict[date, float]:
    return {day: price for day, price in snapshot.expiries.select("expiry", "future").iter_rows() if price is not None}

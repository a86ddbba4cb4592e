"""The sink: which snapshot is new, where it goes, and when a date is over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from g6_parquet import files
from g6_parquet.compaction import compact
from g6_parquet.dataset import Dataset
from g6_parquet.segments import ALERTS, TABLES, Place, places
from g6_parquet.settings import Settings
from g6_parquet.store import Store, log
from g6_parquet.tables import encoded, encoded_alerts
from g6_parquet.upkeep import findings, remove_before
from g6core import Alert, Archive, Context, DataError, Finding, Snapshot, Unavailable, trading_date

T = TypeVar("T", Snapshot, Alert)


class ParquetArchive(Archive):
    """What was written is on disk when `write` returns. Several processes may write and read at the same time."""

    shared = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = Path()
        self._dataset = Dataset(self._root)
        self._context: Context | None = None
        self._stores: dict[Place, Store] = {}
        self._unfinished: set[Place] | None = None
        """Places that may want to be compacted when their date is over; None before the first write."""

    def open(self, context: Context) -> None:
        self._root = self._settings.directory(context.data_dir).absolute()
        self._context, self._dataset = context, Dataset(self._root)
        try:
            files.make_directory(self._root)
        except OSError as e:
            raise files.unavailable(e, self._root) from e
        with files.locked(self._root):
            if self._settings.retention is not None:
                remove_before(self._root, trading_date(context.clock.now()) - self._settings.retention)

    def close(self) -> None:
        """Also compacts what was written of dates that are over, which may take some seconds."""
        if self._context is not None:
            now = self._context.clock.now()
            self._compact(place for place in self._unfinished or () if self._is_over(place, now))
        self._stores.clear()
        self._unfinished = None

    def place(self, data_dir: Path) -> str:
        return str(self._settings.directory(data_dir).absolute())

    def diagnose(self, context: Context) -> Iterable[Finding]:
        root = self._settings.directory(context.data_dir)
        nearest = next(p for p in (root, *root.absolute().parents) if p.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
            hint = f"make {nearest} writable, or set another `dir`"
            yield Finding("error", f"cannot write Parquet files to {root}", hint)
        yield from findings(root)

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        def add(store: Store, batch: Sequence[Snapshot]) -> None:
            new = {s.ts: s for s in batch if (s.ts,) not in store.keys}
            if new:
                store.add(encoded([new[ts] for ts in sorted(new)], store.known, self._settings.digits))

        self._write(_by_place(snapshots, self._root, TABLES), add, ("ts",))

    def write_alerts(self, alerts: Sequence[Alert]) -> None:
        def add(store: Store, batch: Sequence[Alert]) -> None:
            new = {key: a for a in batch if (key := (a.ts, a.rule, a.key)) not in store.keys}
            if new:
                store.add({ALERTS[0]: encoded_alerts(list(new.values()))})

        self._write(_by_place(alerts, self._root, ALERTS), add, ("ts", "rule", "key"))

    def days(self) -> Sequence[date]:
        return self._dataset.days()

    def count(self, day: date) -> int:
        return self._dataset.count(day)

    def read(self, day: date) -> Iterator[Snapshot]:
        return self._dataset.read(day)

    def at(self, index: str, ts: datetime) -> Snapshot | None:
        return self._dataset.at(index, ts)

    def _write(
        self, batches: dict[Place, list[T]], add: Callable[[Store, Sequence[T]], None], key: Sequence[str]
    ) -> None:
        if not batches:
            return
        with files.locked(self._root):
            for place, batch in batches.items():
                self._add(place, batch, add, key)
        self._finish_before(min(place.day for place in batches), batches)

    def _add(
        self, place: Place, batch: Sequence[T], add: Callable[[Store, Sequence[T]], None], key: Sequence[str]
    ) -> None:
        # A store that failed is not put back: the next write looks at what is on disk.
        store = self._stores.pop(place, None) or Store(place, self._settings, key)
        try:
            store.look()
            add(store, batch)
        except OSError as e:
            raise files.unavailable(e, place.deciding) from e
        self._stores[place] = store

    def _finish_before(self, day: date, written: Iterable[Place]) -> None:
        """Compact the dates that the writes have left behind."""
        if self._unfinished is None:
            self._unfinished = self._left_by_another(day)
        self._unfinished.update(written)
        over = {place for place in self._unfinished if place.day < day}
        self._unfinished -= over
        for place in over:
            self._stores.pop(place, None)
        self._compact(over)

    def _left_by_another(self, day: date) -> set[Place]:
        """The last date of each index before the day: whoever wrote it may have been killed before it was compacted."""
        earlier = [p for tables in (TABLES, ALERTS) for p in places(self._root, tables) if p.day < day]
        return set({(place.index, tuple(place.tables)): place for place in earlier}.values())

    def _compact(self, over: Iterable[Place]) -> None:
        for place in sorted(over, key=lambda p: (p.day, p.index)):
            try:
                compact(place, self._settings, wait=0)
            except (Unavailable, DataError) as e:
                # What is stored stays as it is; `g6 compact` does it later.
                log.warning("%s of %s is not compacted: %s", place.index, place.day, e.message)

    def _is_over(self, place: Place, now: datetime) -> bool:
        today = trading_date(now)
        if place.day != today or self._context is None:
            return place.day < today
        exchange = self._context.calendar.exchange_of(place.index)
        session = self._context.calendar.session(exchange, today) if exchange else None
        return session is not None and now >= session[1]


def _by_place(batch: Sequence[T], root: Path, tables: Sequence[str]) -> dict[Place, list[T]]:
    found: dict[Place, list[T]] = {}
    for one in batch:
        found.setdefault(Place(root, one.index, trading_date(one.ts), tables), []).append(one)
    return found

"""What was recorded before, lent to analytics and alert rules: read only, never beyond the instant asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from g6core.days import SELECT, day_path, days, entry, from_micros, micros, reading
from g6core.errors import DataError
from g6core.snapshot import Snapshot

log = logging.getLogger("g6.history")
T = TypeVar("T")


class History:
    """The recorded days of a data directory.

    Every question has a `before` (UTC, aware): what was recorded at or after it is not seen, so an analytic gives the
    same answer live, after a restart and years later. A day that cannot be read counts as absent and is told once.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._told: set[Path] = set()

    def days(self, before: datetime) -> list[date]:
        """The trading days with a file, oldest first, none after that of `before` (by its UTC date)."""
        dates = [date.fromisoformat(path.stem) for path in days(self._data_dir)]
        return [day for day in dates if day <= before.date()]

    def first(self, index: str, day: date, before: datetime) -> Snapshot | None:
        """The first snapshot of the index on that trading day, or None."""
        return self._one(day_path(self._data_dir, day), index, before, "ASC")

    def last(self, index: str, day: date, before: datetime) -> Snapshot | None:
        """The last snapshot of the index on that trading day, or None."""
        return self._one(day_path(self._data_dir, day), index, before, "DESC")

    def stretch(self, index: str, day: date, begin: datetime, before: datetime) -> list[Snapshot]:
        """The snapshots of the index on that trading day from `begin` on, by time."""

        def ask(path: Path) -> list[Snapshot]:
            where = 'WHERE "index" = ? AND ts >= ? AND ts < ? ORDER BY ts, seq'
            with reading(path) as db:
                rows = db.execute(f"{SELECT} {where}", (index, micros(begin), micros(before))).fetchall()
            return [entry(row)[1] for row in rows]

        return self._read(day_path(self._data_dir, day), ask) or []

    def facts(self, index: str, day: date, before: datetime) -> list[tuple[datetime, Mapping[str, float]]]:
        """The facts of each snapshot of the index on that trading day, by time; quick, since no table is read."""

        def ask(path: Path) -> list[tuple[datetime, Mapping[str, float]]]:
            with reading(path) as db:
                rows = db.execute(
                    'SELECT ts, facts FROM snapshots WHERE "index" = ? AND ts < ? ORDER BY ts, seq',
                    (index, micros(before)),
                ).fetchall()
            return [(from_micros(ts), json.loads(facts)) for ts, facts in rows]

        return self._read(day_path(self._data_dir, day), ask) or []

    def _one(self, path: Path, index: str, before: datetime, order: str) -> Snapshot | None:
        def ask(path: Path) -> Snapshot | None:
            where = f'WHERE "index" = ? AND ts < ? ORDER BY ts {order}, seq {order} LIMIT 1'
            with reading(path) as db:
                row = db.execute(f"{SELECT} {where}", (index, micros(before))).fetchone()
            return entry(row)[1] if row else None

        return self._read(path, ask)

    def _read(self, path: Path, ask: Callable[[Path], T]) -> T | None:
        if not path.is_file():
            return None
        try:
            return ask(path)
        except DataError as e:
            if path not in self._told:
                self._told.add(path)
                log.warning("%s; analytics and alert rules go on without that day", e.message)
            return None

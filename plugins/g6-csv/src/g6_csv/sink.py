"""The sink: which line goes into which file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

import polars as pl
from filelock import FileLock, Timeout

from g6_csv import columns, rows
from g6_csv.files import MOST, Descriptors, Table, descriptor_limit, unavailable
from g6_csv.measures import LINES
from g6_csv.rows import Place
from g6_csv.settings import Settings
from g6core import Context, Finding, Rejected, Sink, Snapshot, Unavailable, trading_date

LOCK = ".g6.lock"
NO_OFFSET = "none"
"""The folder of contracts whose offset is not known, because there was no spot."""

OVERVIEW_HEADER = (",".join(columns.OVERVIEW) + "\n").encode()


class CsvSink(Sink):
    """Rows are on their way to the disk when `write` returns: they survive a killed process.

    descriptors: how many files to keep open.
    """

    def __init__(self, settings: Settings, descriptors: int | None = None) -> None:
        self._settings = settings
        self._header = (",".join(settings.header) + "\n").encode()
        self._descriptors = Descriptors(descriptors or descriptor_limit())
        self._root = Path()
        self._lock: FileLock | None = None
        self._days: dict[tuple[date, str], dict[Place, Table]] = {}

    def open(self, context: Context) -> None:
        self._root = self._directory(context.data_dir)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            # One lock per directory and process: within a process the engine sees to it.
            self._lock = FileLock(self._root.absolute() / LOCK, thread_local=False, is_singleton=True)
            self._lock.acquire(timeout=0.5)
        except Timeout:
            # Each would take the other's rows for its own, or write them once more.
            raise Unavailable(
                "another g6 process writes into this directory",
                code="busy",
                where=str(self._root),
                hint="stop it, or give one of the two another `dir`; nothing is lost meanwhile",
            ) from None
        except OSError as e:
            raise unavailable(e, self._root) from e

    def close(self) -> None:
        if self._lock is not None:
            self._lock.release()
        self._descriptors.close_all()
        self._days.clear()

    def diagnose(self, context: Context) -> Iterable[Finding]:
        root = self._directory(context.data_dir)
        nearest = next(p for p in (root, *root.absolute().parents) if p.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
            yield Finding(
                "error", f"cannot write CSV files to {root}", f"make {nearest} writable, or set another `dir`"
            )
        if descriptor_limit() < MOST:
            message = f"CSV files beyond {descriptor_limit()} are opened anew for each row"
            yield Finding("warning", message, f"raise the limit of open files: `ulimit -n {2 * MOST}`")

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        for run in ascending(snapshots):
            for table, lines in self._sorted_out(run).items():
                table.append(lines)
                LINES.inc(len(lines))

    def place(self, data_dir: Path) -> str:
        return str(self._directory(data_dir).absolute())

    def _directory(self, data_dir: Path) -> Path:
        given = self._settings.dir
        return data_dir / "g6_data" if given is None else given.expanduser()

    def _sorted_out(self, snapshots: Sequence[Snapshot]) -> dict[Table, list[bytes]]:
        """The lines of all snapshots by the table that they go to."""
        days = [(trading_date(s.ts), s.index) for s in snapshots]
        self._leave_days_but(set(days))
        tables = [self._days.setdefault(day, {}) for day in days]
        lines: dict[Table, list[bytes]] = {}
        for n, place, line in self._encoded(snapshots):
            table = tables[n].get(place)
            if table is None:
                table = tables[n][place] = self._table(*days[n], place)
            if table in lines:
                lines[table].append(line)
            else:
                lines[table] = [line]
        return lines

    def _encoded(self, snapshots: Sequence[Snapshot]) -> Iterator[tuple[int, Place, bytes]]:
        try:
            options = (rows.wide if self._settings.layout == "wide" else rows.day)(snapshots, self._settings)
        except pl.exceptions.PolarsError as e:
            raise Rejected(f"the options do not fit into CSV: {e}", code="bad-frame") from e
        yield from options
        for n, snapshot in enumerate(snapshots):
            yield n, "overview", rows.overview(snapshot)

    def _table(self, day: date, index: str, place: Place) -> Table:
        name = f"{day}.csv"
        if place == "overview":
            return Table(
                self._descriptors, self._root / "overview" / index / name, OVERVIEW_HEADER, columns.KEYS["overview"]
            )
        folder = self._root / "options" / index
        if isinstance(place, tuple):
            code, offset = place
            folder = folder / code / (NO_OFFSET if offset is None else str(offset))
        return Table(self._descriptors, folder / name, self._header, columns.KEYS[self._settings.layout])

    def _leave_days_but(self, days: set[tuple[date, str]]) -> None:
        """Close the files of dates that the snapshots have left behind."""
        dates = {day for day, _ in days}
        for key in [key for key in self._days if key[0] not in dates]:
            for table in self._days.pop(key).values():
                table.close()


def ascending(snapshots: Sequence[Snapshot]) -> Iterator[Sequence[Snapshot]]:
    """The snapshots in runs within which the time of each index ascends, so that a repeated one begins a new run."""
    start = 0
    latest: dict[str, datetime] = {}
    for at, snapshot in enumerate(snapshots):
        before = latest.get(snapshot.index)
        if before is not None and snapshot.ts <= before:
            yield snapshots[start:at]
            start = at
            latest.clear()
        latest[snapshot.index] = snapshot.ts
    if snapshots:
        yield snapshots[start:]

"""The way of a fill: recorded days one behind the other, from the journal and from archives, and the place on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from g6core import days
from g6core.components import Alert, Archive
from g6core.cursor import Cursor
from g6core.days import Entry, bad_day, day_path, micros
from g6core.errors import DataError

T = TypeVar("T")
READER = "@fill"
SPAN = 10**9
"""The n-th row of the k-th day of the way stands at k * SPAN + n."""
_JOINT = SPAN // 2
"""Where the journal's snapshots of a joined day begin."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS asked (range TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS place (kind TEXT PRIMARY KEY, day TEXT NOT NULL, n INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS dead_letters (
    day TEXT NOT NULL, kind TEXT NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (day, kind, n));
"""


class Day(Protocol):
    """A recorded day, read in order."""

    date: date

    def snapshots(self, after: int, limit: int) -> list[Entry]: ...
    def alerts(self, after: int, limit: int) -> list[tuple[int, Alert]]: ...
    def close(self) -> None: ...


class JournalDay:
    def __init__(self, path: Path) -> None:
        self.date = date.fromisoformat(path.stem)
        self._path = path
        self._cursor = Cursor(READER, {})

    def snapshots(self, after: int, limit: int) -> list[Entry]:
        return self._read(lambda: self._cursor.snapshots(self._path, after, limit))

    def alerts(self, after: int, limit: int) -> list[tuple[int, Alert]]:
        return self._read(lambda: self._cursor.alerts(self._path, after, limit))

    def close(self) -> None:
        self._cursor.close()

    def _read(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except sqlite3.DatabaseError as e:
            raise bad_day(self._path, e) from e


class ArchivedDay:
    """An archive keeps snapshots; the alerts of its days are wherever they were delivered."""

    def __init__(self, archive: Archive, day: date) -> None:
        self.date = day
        self._archive = archive
        self._rest: Iterator[Entry] = iter(())
        self._at = -1

    def snapshots(self, after: int, limit: int) -> list[Entry]:
        if after != self._at:
            self._rest = islice(enumerate(self._archive.read(self.date), 1), after, None)
        page = list(islice(self._rest, limit))
        self._at = page[-1][0] if page else after
        return page

    def alerts(self, after: int, limit: int) -> list[tuple[int, Alert]]:
        return []

    def close(self) -> None:
        self._rest = iter(())


class JoinedDay:
    """A day of which the archive has snapshots that the journal has not: both, one behind the other.

    Sinks keep one copy of what comes twice.
    """

    def __init__(self, archived: ArchivedDay, recorded: JournalDay) -> None:
        self.date = recorded.date
        self._archived, self._recorded = archived, recorded

    def snapshots(self, after: int, limit: int) -> list[Entry]:
        if after < _JOINT and (page := self._archived.snapshots(after, limit)):
            return page
        return [(_JOINT + seq, s) for seq, s in self._recorded.snapshots(max(0, after - _JOINT), limit)]

    def alerts(self, after: int, limit: int) -> list[tuple[int, Alert]]:
        return self._recorded.alerts(after, limit)

    def close(self) -> None:
        self._archived.close()
        self._recorded.close()


class FillPlace:
    """`delivery.Place` over all days; `path` is the file of its progress.

    problems: what is wrong with a day that could not be read to its end; the days after it go on.
    """

    def __init__(self, path: Path, way: Sequence[Day], problems: list[DataError]) -> None:
        self._path = path
        self._way = way
        self._problems = problems
        self._db: sqlite3.Connection | None = None

    def place(self, path: Path) -> tuple[int, int]:
        kept = {kind: (day, n) for kind, day, n in self._on().execute("SELECT kind, day, n FROM place")}
        return self._at(kept.get("snapshot")), self._at(kept.get("alert"))

    def end(self, path: Path) -> tuple[int, int]:
        """Nobody counts an archive beforehand."""
        return 0, 0

    def snapshots(self, path: Path, after: int, limit: int) -> list[Entry]:
        return self._next(after, lambda day, n: day.snapshots(n, limit))

    def alerts(self, path: Path, after: int, limit: int) -> list[tuple[int, Alert]]:
        return self._next(after, lambda day, n: day.alerts(n, limit))

    def move(self, path: Path, snapshots: int, alerts: int) -> None:
        rows = [("snapshot", *self._kept(snapshots)), ("alert", *self._kept(alerts))]
        self._on().executemany("INSERT OR REPLACE INTO place VALUES (?, ?, ?)", rows)

    def set_aside(self, path: Path, kind: str, seq: int, at: datetime, reason: str) -> bool:
        day, n = self._kept(seq)
        row = (day, kind, n, micros(at), reason)
        return self._on().execute("INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?, ?, ?)", row).rowcount == 1

    def close(self) -> None:
        for day in self._way:
            day.close()
        if self._db is not None:
            self._db.close()
        self._db = None

    def _next(self, after: int, read: Callable[[Day, int], list[tuple[int, T]]]) -> list[tuple[int, T]]:
        """The next rows: of the day in which `after` lies, else of the first day behind it that has any."""
        k, n = divmod(after, SPAN)
        while k < len(self._way):
            try:
                if page := read(self._way[k], n):
                    return [(k * SPAN + seq, item) for seq, item in page]
            except DataError as e:
                if e.message not in {problem.message for problem in self._problems}:
                    self._problems.append(e)
            self._way[k].close()
            k, n = k + 1, 0
        return []

    def _kept(self, at: int) -> tuple[str, int]:
        """As the file keeps a place, since further days may have joined the way when it is read again."""
        k, n = divmod(at, SPAN)
        return str(self._way[k].date), n

    def _at(self, kept: tuple[str, int] | None) -> int:
        if kept is None:
            return 0
        days = [str(day.date) for day in self._way]
        k = sum(day < kept[0] for day in days)
        return k * SPAN + (kept[1] if kept[0] in days else 0)

    def _on(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=10)
            self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_SCHEMA}")
        return self._db


def way_of(
    data_dir: Path, archives: Mapping[str, Archive], first: date | None, last: date | None
) -> tuple[list[Day], dict[date, str]]:
    """The days from `first` to `last`, ascending, and the archives of those that are not in the journal."""

    def wanted(day: date) -> bool:
        return (first is None or first <= day) and (last is None or day <= last)

    recorded = [date.fromisoformat(path.stem) for path in days.days(data_dir)]
    found: dict[date, Day] = {day: JournalDay(day_path(data_dir, day)) for day in recorded if wanted(day)}
    origins: dict[date, str] = {}
    for name, archive in archives.items():
        for day in filter(wanted, archive.days()):
            held = found.get(day)
            if held is None:
                found[day], origins[day] = ArchivedDay(archive, day), name
            elif isinstance(held, JournalDay) and has_more(archive, day, data_dir):
                found[day], origins[day] = JoinedDay(ArchivedDay(archive, day), held), name
    if not found:
        there = sorted({*recorded, *(day for archive in archives.values() for day in archive.days())})
        raise DataError(
            "no day of that range is recorded",
            code="no-such-day",
            where=str(data_dir),
            note=f"recorded: {there[0]} to {there[-1]}, {len(there)} days" if there else "nothing is recorded",
            hint="`g6 journal` lists the days; a selected archive, such as `parquet`, has older ones",
        )
    return [found[day] for day in sorted(found)], origins


def has_more(archive: Archive, day: date, data_dir: Path) -> bool:
    """Whether an archive has more snapshots of a day than its journal, of which a part was lost then."""
    try:
        return (archive.count(day) or 0) > days.count(day_path(data_dir, day))
    except DataError:
        # The day itself will say what is wrong with it when it is read.
        return False


def begin(path: Path, asked: str, again: bool) -> None:
    """Make the file of the progress ready; what was not asked for before begins anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(_SCHEMA)
        if again or db.execute("SELECT range FROM asked").fetchone() != (asked,):
            for table in ("asked", "place", "dead_letters"):
                db.execute(f"DELETE FROM {table}")
            db.execute("INSERT INTO asked VALUES (?)", (asked,))


def rejected(path: Path) -> list[str]:
    """Day and reason of what the sink would not take."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT day, kind, n, reason FROM dead_letters ORDER BY day, kind, n").fetchall()
    return [f"{day} {kind} {n}: {reason}" for day, kind, n, reason in rows]


def forget(path: Path) -> None:
    """Remove the file of a progress that has reached its end."""
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()

"""Recorded days, read: one SQLite file per trading day, `<data>/journal/YYYY-MM-DD.db`, written by `journal.Journal`.

Times are microseconds since 1970 UTC; frames are Arrow IPC streams with zstd; facts are JSON. Reading never changes a
day, works on a copy, and works while the day is being written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from g6core.errors import ConfigError, DataError
from g6core.exchange import trading_date
from g6core.snapshot import EXPIRIES, OPTIONS, Snapshot, completed, decode_frame

FORMAT = 1
SELECT = 'SELECT seq, ts, "index", source, facts, expiries, options FROM snapshots'
RULES = "@rules"
"""The reader's name of the alert rules; no sink can have it."""
_PAGE = 64

Entry = tuple[int, Snapshot]
"""A snapshot and its place (seq) in its day."""


def days(data_dir: Path) -> list[Path]:
    """The day files of a data directory, oldest first."""
    return sorted(path for path in (data_dir / "journal").glob("????-??-??.db") if _is_date(path.stem))


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def day_path(data_dir: Path, day: date) -> Path:
    return data_dir / "journal" / f"{day}.db"


def read_day(path: Path, index: str | None = None) -> Iterator[Entry]:
    """Every snapshot of a day file by time, of one index when it is named; also of a copy, and while it is being
    written.

    Read page by page: one long read would keep the recorder from folding its log into the file.
    """
    with reading(path) as db:
        chosen = 'SELECT seq FROM snapshots WHERE "index" = coalesce(?, "index") ORDER BY ts, seq'
        places = [seq for (seq,) in db.execute(chosen, (index,)).fetchall()]
        for start in range(0, len(places), _PAGE):
            page = places[start : start + _PAGE]
            marks = ",".join("?" * len(page))
            rows = {row[0]: row for row in db.execute(f"{SELECT} WHERE seq IN ({marks})", page).fetchall()}
            yield from (entry(rows[seq]) for seq in page)


def latest(data_dir: Path, index: str) -> Snapshot | None:
    """The newest snapshot of an index, or None."""
    return next((s for path in reversed(days(data_dir)) if (s := latest_of(path, index))), None)


def latest_of(path: Path, index: str) -> Snapshot | None:
    """The newest snapshot of an index in a day, or None."""
    with reading(path) as db:
        row = db.execute(f'{SELECT} WHERE "index" = ? ORDER BY ts DESC LIMIT 1', (index,)).fetchone()
    return entry(row)[1] if row else None


def at(data_dir: Path, index: str, ts: datetime) -> Snapshot | None:
    """The newest snapshot of an index at or before an instant, of the trading date of that instant; or None."""
    path = day_path(data_dir, trading_date(ts))
    if not path.is_file():
        return None
    with reading(path) as db:
        where = 'WHERE "index" = ? AND ts <= ? ORDER BY ts DESC LIMIT 1'
        row = db.execute(f"{SELECT} {where}", (index, micros(ts))).fetchone()
    return entry(row)[1] if row else None


def latest_time(data_dir: Path) -> datetime | None:
    """The newest instant that is recorded, or None."""
    for path in reversed(days(data_dir)):
        with reading(path) as db:
            ts = db.execute("SELECT max(ts) FROM snapshots").fetchone()[0]
        if ts is not None:
            return from_micros(ts)
    return None


def count(path: Path) -> int:
    """How many snapshots a day holds."""
    with reading(path) as db:
        n: int = db.execute("SELECT count(*) FROM snapshots").fetchone()[0]
    return n


def indices_of(path: Path) -> list[str]:
    """The indices that a day holds, sorted."""
    with reading(path) as db:
        return [row[0] for row in db.execute('SELECT DISTINCT "index" FROM snapshots ORDER BY 1')]


def is_simulated(path: Path) -> bool | None:
    """Whether a day holds simulated snapshots; None when it holds none at all."""
    with reading(path) as db:
        row = db.execute("SELECT facts FROM snapshots LIMIT 1").fetchone()
    return bool(json.loads(row[0]).get("simulated")) if row else None


def rule_states(path: Path) -> dict[str, str] | None:
    """What the alert rules remembered when the day was last written; None for a day that was recorded without rules."""
    with reading(path) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'rule_states'").fetchone():
            return None
        states = dict(db.execute("SELECT rule, state FROM rule_states").fetchall())
        looked = db.execute("SELECT 1 FROM cursors WHERE reader = ?", (RULES,)).fetchone()
    return states if states or looked else None


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot change the day. Raises DataError when the file is no whole journal of this format."""
    if not path.is_file():
        raise DataError(f"no such journal day: {path}", code="no-such-day", hint="`g6 journal` lists the days")
    try:
        with closing(_connect(path)) as db:
            check_format(db, path)
            yield db
    except sqlite3.DatabaseError as e:
        raise bad_day(path, e) from e


def _connect(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    # A recording may be read in a provider's thread and closed by the main one; never by two at a time.
    db = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=10, check_same_thread=False)
    try:
        db.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        # A copy in a directory that cannot be written to has no shared-memory file; nobody else writes it either.
        db.close()
        db = sqlite3.connect(f"{uri}?immutable=1", uri=True, check_same_thread=False)
    return db


def check_format(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != FORMAT:
        raise DataError(
            f"{path.name} has journal format {version}; this g6core knows {FORMAT}",
            code="bad-journal",
            where=str(path),
            hint="move the file out of the journal folder, or use the version of g6core that wrote it",
        )


def bad_day(path: Path, e: sqlite3.DatabaseError) -> DataError:
    return DataError(
        f"{path.name} cannot be read as a journal day: {e}",
        code="bad-journal",
        where=str(path),
        hint="move the file out of the journal folder; `sqlite3 FILE .recover` may save what is in it",
    )


def micros(ts: datetime) -> int:
    return (ts - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def from_micros(value: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)


def entry(row: tuple[int, int, str, str, str, bytes, bytes]) -> Entry:
    seq, ts, index, source, facts, expiries, options = row
    rows, dates = completed(decode_frame(options), OPTIONS), completed(decode_frame(expiries), EXPIRIES)
    return seq, Snapshot(index, from_micros(ts), source, rows, dates, json.loads(facts))


@dataclass(frozen=True)
class DaySummary:
    """One line of `g6 journal`."""

    path: Path
    day: str
    snapshots: int
    alerts: int
    bytes: int
    sources: tuple[str, ...]
    lag: Mapping[str, int]
    """Snapshots and alerts that each reader has still to get; a reader that the day does not know is not in it."""
    dead_letters: Mapping[str, int]


def summary(path: Path) -> DaySummary:
    with reading(path) as db:
        snapshots, last = db.execute("SELECT count(*), coalesce(max(seq), 0) FROM snapshots").fetchone()
        alerts, last_alert = db.execute("SELECT count(*), coalesce(max(seq), 0) FROM alerts").fetchone()
        sources = tuple(r[0] for r in db.execute("SELECT DISTINCT source FROM snapshots ORDER BY source"))
        places = db.execute("SELECT reader, snapshots, alerts FROM cursors WHERE reader <> ?", (RULES,)).fetchall()
        dead = dict(db.execute("SELECT reader, count(*) FROM dead_letters GROUP BY reader").fetchall())
    size = sum(part.stat().st_size for part in _parts(path))
    lag = {reader: last - place + last_alert - alert_place for reader, place, alert_place in places}
    return DaySummary(path, path.stem, snapshots, alerts, size, sources, lag, dead)


def prune(data_dir: Path, before: date, readers: Sequence[str], forget: Sequence[str] = ()) -> list[Path]:
    """Remove the days before a date that every reader has got whole; returns the files removed.

    readers: the enabled sinks; a day that does not know one of them has still to be given to it. A reader that a day
    does know counts even when nobody selects it now, unless it is in `forget`. A day that cannot be read stays.
    Only for whoever holds the directory's lock: nobody may have the days open.
    """
    return [
        path for path in days(data_dir) if date.fromisoformat(path.stem) < before and _remove(path, readers, forget)
    ]


def _remove(path: Path, readers: Sequence[str], forget: Sequence[str]) -> bool:
    try:
        lag = summary(path).lag
    except DataError:
        return False
    if any(n for reader, n in lag.items() if reader not in forget) or not set(readers) <= set(lag):
        return False
    for part in _parts(path):
        part.unlink()
    return True


def _parts(path: Path) -> list[Path]:
    """All files of a day: its own, its log, and what a provider keeps beside it, such as a tape."""
    return list(path.parent.glob(f"{path.stem}.*"))


def refuse_to_mix(data_dir: Path, simulated: set[bool]) -> None:
    """Simulated and real snapshots in one directory could never be told apart in a CSV file.

    simulated: what the providers are. Raises ConfigError (`mixed-sources`).
    """
    kinds = ((path, is_simulated(path)) for path in reversed(days(data_dir)))
    # A day may hold nothing but alerts about the recorder.
    path, stored = next(((path, kind) for path, kind in kinds if kind is not None), (None, None))
    if stored is not None and simulated and simulated != {stored}:
        raise ConfigError(
            f"{data_dir} holds {'simulated' if stored else 'real'} records, "
            f"and these would be {'simulated' if True in simulated else 'real'}",
            code="mixed-sources",
            where=str(path),
            hint="name another directory with --data-dir",
        )

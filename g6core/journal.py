"""The journal: what was recorded, safe on disk before anything else happens to it.

One SQLite file per trading day, `<data>/journal/YYYY-MM-DD.db`, in WAL mode with synchronous=FULL. A cycle is done
when its snapshots are committed here. Readers (one per sink, and the alert rules) keep their place in the same file,
so that a day copied elsewhere is whole. Times are microseconds since 1970 UTC; frames are Arrow IPC streams with
zstd; facts are JSON.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from g6core.components import Alert
from g6core.errors import DataError, Unavailable
from g6core.exchange import trading_date
from g6core.snapshot import Snapshot, decode_frame, encode_facts, encode_frame

FORMAT = 1
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS snapshots (
    seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, "index" TEXT NOT NULL, source TEXT NOT NULL,
    facts TEXT NOT NULL, expiries BLOB NOT NULL, options BLOB NOT NULL, UNIQUE (ts, "index"));
CREATE TABLE IF NOT EXISTS alerts (
    seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, "index" TEXT NOT NULL, rule TEXT NOT NULL, key TEXT NOT NULL,
    severity TEXT NOT NULL, state TEXT NOT NULL, summary TEXT NOT NULL, labels TEXT NOT NULL,
    UNIQUE (ts, "index", rule, key));
CREATE TABLE IF NOT EXISTS cursors (
    reader TEXT PRIMARY KEY, snapshots INTEGER NOT NULL DEFAULT 0, alerts INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS dead_letters (
    reader TEXT NOT NULL, kind TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (reader, kind, seq));
PRAGMA user_version = {FORMAT};
"""
_INSERT = 'INSERT OR IGNORE INTO snapshots (ts, "index", source, facts, expiries, options) VALUES (?, ?, ?, ?, ?, ?)'
_SELECT = 'SELECT seq, ts, "index", source, facts, expiries, options FROM snapshots'
_SELECT_ALERTS = 'SELECT seq, ts, "index", rule, key, severity, state, summary, labels FROM alerts'

Entry = tuple[int, Snapshot]
"""A snapshot and its place (seq) in its day."""


def days(data_dir: Path) -> list[Path]:
    """The day files of a data directory, oldest first."""
    return sorted((data_dir / "journal").glob("????-??-??.db"))


def day_path(data_dir: Path, day: date) -> Path:
    return data_dir / "journal" / f"{day}.db"


def read_day(path: Path) -> Iterator[Entry]:
    """Every snapshot of a day file, in the order of recording; also of a copy, and while it is being written."""
    with closing(connect_read_only(path)) as db:
        for row in db.execute(f"{_SELECT} ORDER BY seq"):
            yield _entry(row)


def latest(data_dir: Path, index: str) -> Snapshot | None:
    """The newest snapshot of an index, or None."""
    for path in reversed(days(data_dir)):
        with closing(connect_read_only(path)) as db:
            row = db.execute(f'{_SELECT} WHERE "index" = ? ORDER BY ts DESC LIMIT 1', (index,)).fetchone()
        if row:
            return _entry(row)[1]
    return None


def indices_of(path: Path) -> list[str]:
    """The indices that a day holds, sorted."""
    with closing(connect_read_only(path)) as db:
        return [row[0] for row in db.execute('SELECT DISTINCT "index" FROM snapshots ORDER BY 1')]


def is_simulated(path: Path) -> bool | None:
    """Whether a day holds simulated snapshots; None when it holds none at all."""
    with closing(connect_read_only(path)) as db:
        row = db.execute("SELECT facts FROM snapshots LIMIT 1").fetchone()
    return bool(json.loads(row[0]).get("simulated")) if row else None


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot change the day. Raises DataError when the file is no journal of this format."""
    if not path.is_file():
        raise DataError(f"no such journal day: {path}", code="no-such-day", hint="`g6 journal` lists the days")
    uri = path.absolute().as_uri()
    try:
        # A reader may end in another thread than it began in: a provider is closed by the main one.
        db = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=10, check_same_thread=False)
        version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.OperationalError:
        # A copy in a directory that cannot be written to has no shared-memory file; nobody else writes it either.
        db = sqlite3.connect(f"{uri}?immutable=1", uri=True, check_same_thread=False)
        version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as e:
        raise DataError(f"{path} is not a journal day: {e}", code="bad-journal") from e
    if version != FORMAT:
        raise DataError(f"{path} has journal format {version}; this g6core reads {FORMAT}", code="bad-journal")
    return db


def micros(ts: datetime) -> int:
    return (ts - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def from_micros(value: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)


def _entry(row: tuple[int, int, str, str, str, bytes, bytes]) -> Entry:
    seq, ts, index, source, facts, expiries, options = row
    return seq, Snapshot(
        index, from_micros(ts), source, decode_frame(options), decode_frame(expiries), json.loads(facts)
    )


def _alert(row: tuple[int, int, str, str, str, str, str, str, str]) -> tuple[int, Alert]:
    seq, ts, index, rule, key, severity, state, summary, labels = row
    return seq, Alert(rule, index, from_micros(ts), summary, severity, state, key, json.loads(labels))


def _open_day(path: Path, synchronous: str) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"PRAGMA synchronous={synchronous}")
    return db


class Journal:
    """The writing side; used by one thread (the engine's).

    readers: names of the sinks that must get every snapshot from now on; a day remembers them from its first row, so
    that nothing recorded while a sink was down is forgotten.
    """

    def __init__(self, data_dir: Path, readers: Sequence[str], max_bytes: int | None = None) -> None:
        self.data_dir = data_dir
        self.readers = tuple(readers)
        self.max_bytes = max_bytes
        self.recent: dict[tuple[Path, int], Snapshot] = {}
        """The last snapshots, so that a sink that keeps up need not decode what was just encoded."""
        self._path: Path | None = None
        self._db: sqlite3.Connection | None = None

    def append(self, snapshots: Sequence[Snapshot]) -> dict[Path, list[Entry]]:
        """Commit the snapshots; returns those that are new, by day file.

        An index has one snapshot per instant: one that is already there is left out. Raises Unavailable (`disk-full`,
        `journal-full`) and commits nothing when there is no room.
        """
        by_day: dict[Path, list[Snapshot]] = {}
        for snapshot in snapshots:
            by_day.setdefault(day_path(self.data_dir, trading_date(snapshot.ts)), []).append(snapshot)
        return {path: self._append_day(path, group) for path, group in by_day.items()}

    def _append_day(self, path: Path, snapshots: Sequence[Snapshot]) -> list[Entry]:
        rows = [
            (micros(s.ts), s.index, s.source, encode_facts(s.facts), encode_frame(s.expiries), encode_frame(s.options))
            for s in snapshots
        ]
        self._check_room()
        try:
            with self._transaction(path) as db:
                results = [db.execute(_INSERT, row) for row in rows]
                entries = [(r.lastrowid or 0, s) for r, s in zip(results, snapshots, strict=True) if r.rowcount == 1]
        except sqlite3.OperationalError as e:
            raise _no_room(path, e) from e
        self._remember(path, entries)
        return entries

    def commit_alerts(self, path: Path, alerts: Sequence[Alert], upto: int) -> None:
        """Commit the alerts and the rules' own place in the day together, so that each is raised exactly once."""
        insert = (
            'INSERT OR IGNORE INTO alerts (ts, "index", rule, key, severity, state, summary, labels)'
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )
        try:
            with self._transaction(path) as db:
                for a in alerts:
                    labels = json.dumps(dict(a.labels))
                    db.execute(insert, (micros(a.ts), a.index, a.rule, a.key, a.severity, a.state, a.summary, labels))
                db.execute(
                    "INSERT INTO cursors (reader, snapshots) VALUES (?, ?)"
                    " ON CONFLICT (reader) DO UPDATE SET snapshots = excluded.snapshots",
                    (RULES, upto),
                )
        except sqlite3.OperationalError as e:
            raise _no_room(path, e) from e

    def close(self) -> None:
        """Fold the write-ahead log into the day's file, so that the file alone can be copied."""
        if self._db is not None:
            # On a full disk the log cannot be folded in; nothing is lost, the next opening does it.
            with suppress(sqlite3.OperationalError):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()
        self._db = self._path = None

    def _transaction(self, path: Path) -> sqlite3.Connection:
        if self._db is None or self._path != path:
            self.close()
            db = _open_day(path, "FULL")
            db.isolation_level = "IMMEDIATE"
            db.executescript(_SCHEMA)
            with db:
                db.executemany("INSERT OR IGNORE INTO cursors (reader) VALUES (?)", [(r,) for r in self.readers])
            self._db, self._path = db, path
        return self._db

    def _check_room(self) -> None:
        if self.max_bytes is None:
            return
        size = sum(f.stat().st_size for f in (self.data_dir / "journal").glob("*.db*"))
        if size >= self.max_bytes:
            raise Unavailable(
                f"the journal has reached its limit of {self.max_bytes:,} bytes; recording stands still",
                code="journal-full",
                where=str(self.data_dir / "journal"),
                hint="raise `journal.max_size`, or `g6 journal prune`",
            )

    def _remember(self, path: Path, entries: Sequence[Entry]) -> None:
        self.recent.update({(path, seq): snapshot for seq, snapshot in entries})
        for key in list(self.recent)[: max(0, len(self.recent) - 64)]:
            self.recent.pop(key, None)


RULES = "@rules"
"""The reader's name of the alert rules; no sink can have it."""


def _no_room(path: Path, e: sqlite3.OperationalError) -> Unavailable:
    full = getattr(e, "sqlite_errorname", "") in ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR")
    return Unavailable(
        f"the journal cannot be written: {e}",
        code="disk-full" if full or "full" in str(e) else "journal-unavailable",
        where=str(path),
        note="recording goes on by itself once there is room; what is not yet on disk is kept in memory",
        hint="free some space, or `g6 journal prune`",
    )


class Cursor:
    """A reader's side of the journal: what comes next, and how far it got. Used by one thread.

    A crash between `write` and `move` delivers again; that is why sinks must not mind.
    """

    def __init__(self, reader: str, recent: Mapping[tuple[Path, int], Snapshot]) -> None:
        self.reader = reader
        self._recent = recent
        self._path: Path | None = None
        self._db: sqlite3.Connection | None = None

    def place(self, path: Path) -> tuple[int, int]:
        """The last seq of snapshots and of alerts that are done; (0, 0) for a reader the day does not know yet."""
        sql = "SELECT snapshots, alerts FROM cursors WHERE reader = ?"
        row = self._on(path).execute(sql, (self.reader,)).fetchone()
        return (row[0], row[1]) if row else (0, 0)

    def knows(self, path: Path) -> bool:
        """Whether the day was recorded with this reader in mind."""
        return bool(self._on(path).execute("SELECT 1 FROM cursors WHERE reader = ?", (self.reader,)).fetchone())

    def end(self, path: Path) -> tuple[int, int]:
        """The last seq of snapshots and of alerts in the day."""
        sql = "SELECT (SELECT coalesce(max(seq), 0) FROM snapshots), (SELECT coalesce(max(seq), 0) FROM alerts)"
        row = self._on(path).execute(sql).fetchone()
        return row[0], row[1]

    def snapshots(self, path: Path, after: int, limit: int) -> list[Entry]:
        seqs = self._on(path).execute("SELECT seq FROM snapshots WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
        return [(seq, self._snapshot(path, seq)) for (seq,) in seqs.fetchall()]

    def last_of_each_index(self, path: Path, upto: int) -> list[Entry]:
        sql = 'SELECT max(seq) FROM snapshots WHERE seq <= ? GROUP BY "index"'
        return [(seq, self._snapshot(path, seq)) for (seq,) in self._on(path).execute(sql, (upto,)).fetchall()]

    def alerts(self, path: Path, after: int, limit: int) -> list[tuple[int, Alert]]:
        sql = f"{_SELECT_ALERTS} WHERE seq > ? ORDER BY seq LIMIT ?"
        return [_alert(row) for row in self._on(path).execute(sql, (after, limit))]

    def move(self, path: Path, snapshots: int, alerts: int) -> None:
        """Remember that everything up to these places is done."""
        self._on(path).execute(
            "INSERT INTO cursors (reader, snapshots, alerts) VALUES (?, ?, ?) ON CONFLICT (reader)"
            " DO UPDATE SET snapshots = excluded.snapshots, alerts = excluded.alerts",
            (self.reader, snapshots, alerts),
        )

    def set_aside(self, path: Path, kind: str, seqs: Sequence[int], at: datetime, reason: str) -> None:
        """Dead letters: the rows stay in the day, with the reason why this reader has not got them."""
        rows = [(self.reader, kind, seq, micros(at), reason) for seq in seqs]
        self._on(path).executemany("INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = self._path = None

    def _snapshot(self, path: Path, seq: int) -> Snapshot:
        known = self._recent.get((path, seq))
        return known or _entry(self._on(path).execute(f"{_SELECT} WHERE seq = ?", (seq,)).fetchone())[1]

    def _on(self, path: Path) -> sqlite3.Connection:
        if self._db is None or self._path != path:
            self.close()
            # NORMAL: a place lost with the power is only a repeat, and a reader must not cost the recorder an fsync.
            self._db, self._path = _open_day(path, "NORMAL"), path
        return self._db


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
    """Snapshots that each reader has still to get."""
    dead_letters: Mapping[str, int]


def summary(path: Path) -> DaySummary:
    with closing(connect_read_only(path)) as db:
        snapshots, last = db.execute("SELECT count(*), coalesce(max(seq), 0) FROM snapshots").fetchone()
        alerts = db.execute("SELECT count(*) FROM alerts").fetchone()[0]
        sources = tuple(r[0] for r in db.execute("SELECT DISTINCT source FROM snapshots ORDER BY source"))
        places = db.execute("SELECT reader, snapshots FROM cursors WHERE reader <> ?", (RULES,)).fetchall()
        dead = dict(db.execute("SELECT reader, count(*) FROM dead_letters GROUP BY reader").fetchall())
    size = sum(f.stat().st_size for f in path.parent.glob(f"{path.name}*"))
    return DaySummary(path, path.stem, snapshots, alerts, size, sources, {r: last - p for r, p in places}, dead)


def prune(data_dir: Path, before: date, readers: Sequence[str]) -> list[Path]:
    """Remove the days before a date that every enabled reader has got whole; returns the files removed."""
    removed = []
    for path in days(data_dir):
        if date.fromisoformat(path.stem) >= before:
            break
        if all(summary(path).lag.get(reader, 0) == 0 for reader in readers):
            for part in path.parent.glob(f"{path.name}*"):
                part.unlink()
            removed.append(path)
    return removed

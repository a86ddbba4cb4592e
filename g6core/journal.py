"""The journal, written: what was recorded is safe on disk before anything else happens to it.

One SQLite file per trading day (`days` reads it), in WAL mode with synchronous=FULL. A cycle is done when its snapshots
are committed here. Readers (one per sink, and the alert rules) keep their place in the same file (`cursor`), so that a
day copied elsewhere is whole.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from g6core.components import Alert
from g6core.days import FORMAT, RULES, Entry, check_format, day_path, micros
from g6core.errors import DataError, Unavailable
from g6core.exchange import trading_date
from g6core.measuring import JOURNAL_BYTES, JOURNAL_SNAPSHOTS
from g6core.snapshot import Snapshot, encode_facts, encode_frame

SCHEMA = f"""
CREATE TABLE snapshots (
    seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, "index" TEXT NOT NULL, source TEXT NOT NULL,
    facts TEXT NOT NULL, expiries BLOB NOT NULL, options BLOB NOT NULL, UNIQUE (ts, "index"));
CREATE TABLE alerts (
    seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, "index" TEXT NOT NULL, rule TEXT NOT NULL, key TEXT NOT NULL,
    severity TEXT NOT NULL, state TEXT NOT NULL, summary TEXT NOT NULL, labels TEXT NOT NULL,
    UNIQUE (ts, "index", rule, key));
CREATE TABLE cursors (
    reader TEXT PRIMARY KEY, snapshots INTEGER NOT NULL DEFAULT 0, alerts INTEGER NOT NULL DEFAULT 0);
CREATE TABLE dead_letters (
    reader TEXT NOT NULL, kind TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (reader, kind, seq));
PRAGMA user_version = {FORMAT};
"""
_RULE_STATES = "CREATE TABLE IF NOT EXISTS rule_states (rule TEXT PRIMARY KEY, state TEXT NOT NULL)"
"""Made when a day is opened to be written: one from before there was this table has none."""
_INSERT = 'INSERT OR IGNORE INTO snapshots (ts, "index", source, facts, expiries, options) VALUES (?, ?, ?, ?, ?, ?)'
_INSERT_ALERT = (
    'INSERT OR IGNORE INTO alerts (ts, "index", rule, key, severity, state, summary, labels)'
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_RECENT = 64

AlertRow = tuple[int, str, str, str, str, str, str, str]


@dataclass(frozen=True)
class Encoded:
    """A snapshot made ready for its day."""

    snapshot: Snapshot
    path: Path
    row: tuple[int, str, str, str, bytes, bytes]


class Journal:
    """The writing side; used by one thread (the engine's).

    readers: names of the sinks that must get every snapshot from now on (and RULES, where there are alert rules); a day
    remembers them from its first moment, so that nothing recorded while a sink was down is forgotten.
    """

    def __init__(self, data_dir: Path, readers: Sequence[str], max_bytes: int | None = None) -> None:
        self.data_dir = data_dir
        self.readers = tuple(readers)
        self.max_bytes = max_bytes
        self.recent: dict[tuple[Path, int], Snapshot] = {}
        """The last snapshots, so that a sink that keeps up need not decode what was just encoded."""
        self._path: Path | None = None
        self._db: sqlite3.Connection | None = None

    def encode(self, snapshot: Snapshot) -> Encoded:
        """Raises DataError when the snapshot holds what no journal can: a fact that is no finite number, say."""
        path = day_path(self.data_dir, trading_date(snapshot.ts))
        facts = encode_facts(snapshot.facts)
        frames = encode_frame(snapshot.expiries), encode_frame(snapshot.options)
        return Encoded(snapshot, path, (micros(snapshot.ts), snapshot.index, snapshot.source, facts, *frames))

    def append(self, path: Path, encoded: Sequence[Encoded]) -> list[Entry]:
        """Commit snapshots of one day in one transaction; returns those that are new, with their places.

        An index has one snapshot per instant: one that is already there is left out. Raises Unavailable (`disk-full`,
        `journal-full`, `journal-unavailable`) and commits nothing when it cannot be written.
        """
        self._check_room()
        try:
            with self._transaction(path) as db:
                results = [db.execute(_INSERT, e.row) for e in encoded]
        except (sqlite3.DatabaseError, OSError) as e:
            raise _unwritable(path, e) from e
        new = [(r.lastrowid or 0, e) for r, e in zip(results, encoded, strict=True) if r.rowcount == 1]
        entries = [(seq, e.snapshot) for seq, e in new]
        JOURNAL_SNAPSHOTS.inc(len(new))
        JOURNAL_BYTES.inc(sum(len(part) for _, e in new for part in e.row[3:]))
        self._remember(path, entries)
        return entries

    def commit_alerts(
        self, path: Path, alerts: Sequence[AlertRow], upto: int | None, states: Mapping[str, str]
    ) -> None:
        """Commit the alerts, what rules remember, and their place in the day together: so each is raised exactly once.

        upto: None where no snapshot was looked at. states: by rule, those that are new.
        """
        try:
            with self._transaction(path) as db:
                db.executemany(_INSERT_ALERT, alerts)
                db.executemany("INSERT OR REPLACE INTO rule_states VALUES (?, ?)", states.items())
                if upto is not None:
                    db.execute(
                        "INSERT INTO cursors (reader, snapshots) VALUES (?, ?)"
                        " ON CONFLICT (reader) DO UPDATE SET snapshots = excluded.snapshots",
                        (RULES, upto),
                    )
        except (sqlite3.DatabaseError, OSError) as e:
            raise _unwritable(path, e) from e

    def close(self) -> None:
        """Fold the write-ahead log into the day's file, so that the file alone can be copied."""
        if self._db is not None:
            # On a full disk, or while somebody reads, the log stays beside the file; the next opening folds it in.
            with suppress(sqlite3.DatabaseError):
                self._db.execute("PRAGMA busy_timeout = 0")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()
        self._db = self._path = None

    def _transaction(self, path: Path) -> sqlite3.Connection:
        if self._db is None or self._path != path:
            self.close()
            if not path.exists():
                _create(path)
            db = open_day(path, "FULL")
            db.isolation_level = "IMMEDIATE"
            with db:
                db.execute(_RULE_STATES)
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
        for key in list(self.recent)[: max(0, len(self.recent) - _RECENT)]:
            self.recent.pop(key, None)


def _create(path: Path) -> None:
    """A day appears whole or not at all: a process killed half way must not leave a file that nobody can open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.new")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as db:
        db.executescript(SCHEMA)
    put_in_place(partial, path)


def put_in_place(partial: Path, path: Path) -> None:
    """Give a file its name, so that it has it also after the power failed."""
    partial.replace(path)
    if os.name != "nt":
        directory = os.open(path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)


def open_day(path: Path, synchronous: str) -> sqlite3.Connection:
    """A writable connection to a day that exists; one that is gone is never made anew by opening it."""
    if not path.is_file():
        raise DataError(f"no such journal day: {path}", code="no-such-day")
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30, isolation_level=None)
    try:
        check_format(db, path)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={synchronous}")
    except BaseException:
        db.close()
        raise
    return db


def alert_row(alert: Alert) -> AlertRow:
    """The alert as the journal keeps it. Raises TypeError or ValueError when it is none, or not a proper one."""
    if not isinstance(alert, Alert):
        raise TypeError(f"{alert!r} is no Alert")
    if alert.ts.tzinfo is None:
        raise ValueError(f"the time of an alert must be aware, not {alert.ts!r}")
    words = (alert.index, alert.rule, alert.key, alert.severity, alert.state, alert.summary)
    if not all(isinstance(word, str) for word in words):
        raise TypeError(f"an alert consists of texts, not {words!r}")
    return (micros(alert.ts), *words, json.dumps(dict(alert.labels)))


def _unwritable(path: Path, e: sqlite3.DatabaseError | OSError) -> Unavailable:
    full = getattr(e, "sqlite_errorname", "") in ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR")
    return Unavailable(
        f"the journal cannot be written: {e}",
        code="disk-full" if full or "full" in str(e) or "No space" in str(e) else "journal-unavailable",
        where=str(path),
        note="recording goes on by itself once it can; what is not yet on disk is kept in memory",
        hint="free some space, or `g6 journal prune`",
    )

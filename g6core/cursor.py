"""A reader's side of the journal: what comes next, and how far it got."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from g6core.components import Alert
from g6core.days import SELECT, Entry, entry, from_micros, micros
from g6core.journal import open_day
from g6core.snapshot import Snapshot

SELECT_ALERTS = 'SELECT seq, ts, "index", rule, key, severity, state, summary, labels FROM alerts'


class Cursor:
    """The place of one reader in every day; a connection of its own, used by one thread.

    A crash between `write` and `move` delivers again; that is why sinks must not mind. Methods raise DataError
    (`no-such-day`, `bad-journal`) for a day that is gone or no journal.
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
        sql = f"{SELECT_ALERTS} WHERE seq > ? ORDER BY seq LIMIT ?"
        return [alert_of(row) for row in self._on(path).execute(sql, (after, limit)).fetchall()]

    def move(self, path: Path, snapshots: int, alerts: int) -> None:
        """Remember that everything up to these places is done."""
        self._on(path).execute(
            "INSERT INTO cursors (reader, snapshots, alerts) VALUES (?, ?, ?) ON CONFLICT (reader)"
            " DO UPDATE SET snapshots = excluded.snapshots, alerts = excluded.alerts",
            (self.reader, snapshots, alerts),
        )

    def set_aside(self, path: Path, kind: str, seq: int, at: datetime, reason: str) -> bool:
        """A dead letter: the row stays in the day, with the reason why this reader has not got it. True when new."""
        row = (self.reader, kind, seq, micros(at), reason)
        done = self._on(path).execute("INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?, ?, ?)", row)
        return done.rowcount == 1

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = self._path = None

    def _snapshot(self, path: Path, seq: int) -> Snapshot:
        known = self._recent.get((path, seq))
        if known:
            # Frames of its own: polars locks one while it hands what it writes to Python, and whoever asks the same
            # frame for anything meanwhile, holding the interpreter's lock, waits for ever, and with it everybody.
            return known.replace(options=known.options.clone(), expiries=known.expiries.clone())
        return entry(self._on(path).execute(f"{SELECT} WHERE seq = ?", (seq,)).fetchone())[1]

    def _on(self, path: Path) -> sqlite3.Connection:
        if self._db is None or self._path != path:
            self.close()
            # NORMAL: a place lost with the power is only a repeat, and a reader must not cost the recorder an fsync.
            self._db, self._path = open_day(path, "NORMAL"), path
        return self._db


class Follower(Cursor):
    """The place of a reader that keeps nothing: each day begins with the newest snapshot of each index.

    The day knows nothing of it; a new process begins anew.
    """

    def __init__(self, reader: str, recent: Mapping[tuple[Path, int], Snapshot]) -> None:
        super().__init__(reader, recent)
        self._places: dict[Path, tuple[int, int]] = {}

    def place(self, path: Path) -> tuple[int, int]:
        if path not in self._places:
            end, alerts = self.end(path)
            first = min((seq for seq, _ in self.last_of_each_index(path, end)), default=end + 1)
            self._places[path] = first - 1, alerts
        return self._places[path]

    def move(self, path: Path, snapshots: int, alerts: int) -> None:
        self._places[path] = snapshots, alerts

    def set_aside(self, path: Path, kind: str, seq: int, at: datetime, reason: str) -> bool:
        return True


def alert_of(row: tuple[int, int, str, str, str, str, str, str, str]) -> tuple[int, Alert]:
    seq, ts, index, rule, key, severity, state, summary, labels = row
    return seq, Alert(rule, index, from_micros(ts), summary, severity, state, key, json.loads(labels))

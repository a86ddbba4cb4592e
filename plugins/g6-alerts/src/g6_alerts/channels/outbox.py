"""A channel's outbox: what it was given, what waits, and what was sent, on disk before anything else happens.

A message is written down before it is sent and ticked off right after the answer. After a crash in between it is sent
again, word for word and under the same id, so that a receiver that looks at the id sees it once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from g6_alerts.channels.message import Message, alert_id
from g6_alerts.channels.policy import Waiting
from g6core import Alert, G6Error, Unavailable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT = timedelta(days=30)
"""How long it is known what was sent: much longer than a journal has still to deliver it."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, digest INTEGER NOT NULL, simulated INTEGER NOT NULL,
    state TEXT NOT NULL, sent INTEGER, reason TEXT);
CREATE TABLE IF NOT EXISTS alerts (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, ts INTEGER NOT NULL, alert TEXT NOT NULL,
    added INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0, dropped TEXT, message INTEGER);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
PRAGMA user_version = 1;
"""


class Outbox:
    """One SQLite file; used by one thread at a time. Methods raise Unavailable when it cannot be written."""

    def __init__(self, path: Path, now: datetime, since: datetime) -> None:
        """since: what a new outbox begins with; one that is there keeps its own."""
        self._path = path
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self._db.execute("INSERT OR IGNORE INTO facts VALUES ('since', ?)", (_micros(since),))
            old = _micros(now - _KEPT)
            self._db.execute(
                "DELETE FROM alerts WHERE added < ? AND (message IS NOT NULL OR dropped IS NOT NULL)", (old,)
            )
            self._db.execute("DELETE FROM messages WHERE state <> 'ready' AND sent < ?", (old,))

    def close(self) -> None:
        self._db.close()

    def add(self, alerts: Sequence[Alert], now: datetime) -> None:
        """Those that it does not know yet wait from now on."""
        rows = [(alert_id(a), _micros(a.ts), _text(a), _micros(now)) for a in alerts]
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO alerts (id, ts, alert, added) VALUES (?, ?, ?, ?)", rows)

    def waiting(self) -> list[Waiting]:
        """What is in no message yet, by time."""
        sql = "SELECT seq, alert, held FROM alerts WHERE message IS NULL AND dropped IS NULL ORDER BY ts, seq"
        with self._told():
            rows = self._db.execute(sql).fetchall()
        return [Waiting(seq, _alert(text), bool(held)) for seq, text, held in rows]

    def hold(self, seqs: Sequence[int]) -> None:
        """They come in a digest, whenever that is."""
        with self._transaction():
            self._db.executemany("UPDATE alerts SET held = 1 WHERE seq = ?", [(seq,) for seq in seqs])

    def drop(self, seqs: Sequence[int], reason: str) -> None:
        """They are never sent."""
        with self._transaction():
            self._db.executemany("UPDATE alerts SET dropped = ? WHERE seq = ?", [(reason, seq) for seq in seqs])

    def prepare(self, seqs: Sequence[int], message: Message) -> None:
        """Write a message down: from now on it is what is sent next, whatever happens."""
        with self._transaction():
            sql = "INSERT INTO messages (id, digest, simulated, state) VALUES (?, ?, ?, 'ready')"
            number = self._db.execute(sql, (message.id, message.digest, message.simulated)).lastrowid
            self._db.executemany("UPDATE alerts SET message = ? WHERE seq = ?", [(number, seq) for seq in seqs])

    def ready(self) -> tuple[int, Message] | None:
        """The message that was written down and not ticked off, with its number."""
        with self._told():
            sql = "SELECT seq, digest, simulated FROM messages WHERE state = 'ready' ORDER BY seq LIMIT 1"
            row = self._db.execute(sql).fetchone()
            if row is None:
                return None
            texts = self._db.execute(
                "SELECT alert FROM alerts WHERE message = ? ORDER BY ts, seq", (row[0],)
            ).fetchall()
        return row[0], Message([_alert(text) for (text,) in texts], bool(row[1]), bool(row[2]))

    def tick_off(self, number: int, now: datetime) -> None:
        self._end(number, "sent", now, None)

    def refuse(self, number: int, now: datetime, reason: str) -> None:
        """It will never be accepted."""
        self._end(number, "refused", now, reason)

    def sent_between(self, first: datetime, last: datetime) -> list[datetime]:
        """When messages went out after `first`, until `last`; ascending."""
        sql = "SELECT sent FROM messages WHERE state = 'sent' AND sent > ? AND sent <= ? ORDER BY sent"
        with self._told():
            return [_instant(at) for (at,) in self._db.execute(sql, (_micros(first), _micros(last))).fetchall()]

    def reason_of_refusal(self, alerts: Sequence[Alert]) -> str | None:
        """Why one of the alerts was refused for good; None when none was."""
        sql = (
            "SELECT m.reason FROM alerts a JOIN messages m ON a.message = m.seq WHERE m.state = 'refused' AND a.id = ?"
        )
        with self._told():
            rows = (self._db.execute(sql, (alert_id(alert),)).fetchone() for alert in alerts)
            return next((str(row[0]) for row in rows if row), None)

    @property
    def since(self) -> datetime:
        """What was raised before is of a time before the channel."""
        return _instant(self._fact("since"))

    @property
    def simulated(self) -> bool:
        """Whether the last snapshots that the channel saw had no market behind them."""
        return bool(self._fact("simulated"))

    @simulated.setter
    def simulated(self, value: bool) -> None:
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO facts VALUES ('simulated', ?)", (value,))

    def _fact(self, name: str) -> int:
        with self._told():
            row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def _end(self, number: int, state: str, now: datetime, reason: str | None) -> None:
        with self._transaction():
            sql = "UPDATE messages SET state = ?, sent = ?, reason = ? WHERE seq = ?"
            self._db.execute(sql, (state, _micros(now), reason, number))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except G6Error:
            raise
        except (sqlite3.DatabaseError, OSError) as e:
            raise Unavailable(
                f"what waits to be sent cannot be written down: {e}",
                where=str(self._path),
                hint="free some space, or move the file away if it is damaged; nothing is sent meanwhile",
            ) from e


def _text(alert: Alert) -> str:
    words = [alert.rule, alert.index, _micros(alert.ts), alert.summary, alert.severity, alert.state, alert.key]
    return json.dumps([*words, dict(alert.labels)])


def _alert(text: str) -> Alert:
    rule, index, ts, summary, severity, state, key, labels = json.loads(text)
    return Alert(rule, index, _instant(ts), summary, severity, state, key, labels)


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _micros(ts: datetime) -> int:
    return (ts - _EPOCH) // timedelta(microseconds=1)

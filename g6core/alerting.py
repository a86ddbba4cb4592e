"""Alert rules: a reader of the journal that puts its finds back into it.

The alerts of a snapshot and the rules' place in the day are committed together: each alert is raised exactly once, also
across a crash.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from g6core.components import Alert, AlertRule
from g6core.cursor import Cursor
from g6core.days import RULES, Entry
from g6core.errors import DataError
from g6core.faults import FAULTS, told
from g6core.journal import AlertRow, Journal, alert_row
from g6core.snapshot import Snapshot

log = logging.getLogger("g6.alerts")
MUTED_AFTER = 5


class Rules:
    """All enabled rules; used by the engine's thread."""

    def __init__(self, rules: Mapping[str, AlertRule], journal: Journal) -> None:
        self._rules = rules
        self._journal = journal
        self._before: dict[str, Snapshot] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._uncommitted: dict[Path, tuple[list[AlertRow], int]] = {}

    def replace(self, rules: Mapping[str, AlertRule]) -> None:
        """Go on with other rules; what was seen last stays known."""
        self._rules = rules
        self._failures.clear()

    def catch_up(self, paths: Sequence[Path]) -> None:
        """Look at what was recorded for the rules but not looked at before the last stop.

        A day that was recorded without any rules is not looked at afterwards.
        """
        if not self._rules:
            return
        cursor = Cursor(RULES, self._journal.recent)
        try:
            for path in paths:
                self._catch_up_day(cursor, path)
        finally:
            cursor.close()

    def _catch_up_day(self, cursor: Cursor, path: Path) -> None:
        try:
            place = cursor.place(path)[0] if cursor.knows(path) else cursor.end(path)[0]
            self._before |= {snapshot.index: snapshot for _, snapshot in cursor.last_of_each_index(path, place)}
            while entries := cursor.snapshots(path, place, 64):
                self.look(path, entries)
                place = entries[-1][0]
        except (DataError, sqlite3.DatabaseError) as e:
            log.error("the alert rules cannot look at %s: %s", path.name, told(e))

    def look(self, path: Path, entries: Sequence[Entry]) -> list[Alert]:
        """Check new snapshots of a day; the alerts are in the journal when this returns.

        Raises Unavailable when they cannot be written; they are kept, and go with the next ones.
        """
        if not self._rules or not entries:
            return []
        found = [pair for _, snapshot in entries for pair in self._check(snapshot)]
        rows = self._uncommitted.get(path, ([], 0))[0] + [row for row, _ in found]
        self._uncommitted[path] = (rows, entries[-1][0])
        for day in list(self._uncommitted):
            self._journal.commit_alerts(day, *self._uncommitted[day])
            del self._uncommitted[day]
        return [alert for _, alert in found]

    def _check(self, snapshot: Snapshot) -> list[tuple[AlertRow, Alert]]:
        found: list[tuple[AlertRow, Alert]] = []
        for name, rule in self._rules.items():
            key = (name, snapshot.index)
            if self._failures.get(key, 0) >= MUTED_AFTER:
                continue
            try:
                found += [(alert_row(a), a) for a in rule.check(snapshot, self._before.get(snapshot.index))]
                self._failures[key] = 0
            except FAULTS as e:
                self._failures[key] = self._failures.get(key, 0) + 1
                muted = "; muted from now on" if self._failures[key] == MUTED_AFTER else ""
                log.warning("alert rule %s on %s: %s%s", name, snapshot.index, told(e), muted)
        self._before[snapshot.index] = snapshot
        return found

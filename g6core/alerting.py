"""Alert rules: a reader of the journal that puts its finds back into it.

The alerts of a snapshot and the rules' place in the day are committed together: each alert is raised exactly once, also
across a crash.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from g6core.components import Alert, AlertRule
from g6core.journal import RULES, Cursor, Entry, Journal
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

    def catch_up(self, path: Path) -> None:
        """Look at what was recorded in a day but not looked at before the last stop."""
        if not self._rules:
            return
        cursor = Cursor(RULES, self._journal.recent)
        try:
            place = cursor.place(path)[0]
            self._before = {snapshot.index: snapshot for _, snapshot in cursor.last_of_each_index(path, place)}
            while entries := cursor.snapshots(path, place, 64):
                self.look(path, entries)
                place = entries[-1][0]
        finally:
            cursor.close()

    def look(self, path: Path, entries: Sequence[Entry]) -> list[Alert]:
        """Check new snapshots of a day; the alerts are in the journal when this returns."""
        if not self._rules or not entries:
            return []
        alerts = [alert for _, snapshot in entries for alert in self._check(snapshot)]
        self._journal.commit_alerts(path, alerts, entries[-1][0])
        return alerts

    def _check(self, snapshot: Snapshot) -> list[Alert]:
        found: list[Alert] = []
        for name, rule in self._rules.items():
            key = (name, snapshot.index)
            if self._failures.get(key, 0) >= MUTED_AFTER:
                continue
            try:
                found += rule.check(snapshot, self._before.get(snapshot.index))
                self._failures[key] = 0
            except Exception as e:
                self._failures[key] = self._failures.get(key, 0) + 1
                muted = "; muted from now on" if self._failures[key] == MUTED_AFTER else ""
                log.warning("alert rule %s on %s: %s: %s%s", name, snapshot.index, type(e).__name__, e, muted)
        self._before[snapshot.index] = snapshot
        return found

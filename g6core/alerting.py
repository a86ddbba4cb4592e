"""Alert rules: a reader of the journal that puts its finds back into it.

The alerts of a snapshot, what the rules remember, and their place in the day are committed together: each alert is
raised exactly once, also across a crash.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from g6core.components import Alert, AlertRule, RuleGroup
from g6core.cursor import Cursor
from g6core.days import RULES, Entry, rule_states
from g6core.errors import DataError
from g6core.faults import FAULTS, told
from g6core.journal import AlertRow, Journal, alert_row
from g6core.measuring import ALERTS, RULE_FAILURES
from g6core.reports import RunReport
from g6core.snapshot import Snapshot

log = logging.getLogger("g6.alerts")
MUTED_AFTER = 5


class Rules:
    """All enabled rules; used by the engine's thread."""

    def __init__(self, rules: Mapping[str, AlertRule], journal: Journal) -> None:
        self._rules = rules
        self._journal = journal
        self._groups: Groups | None = None
        """Made when the rules are open."""
        self._before: dict[str, Snapshot] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._uncommitted: dict[Path, tuple[list[AlertRow], int | None]] = {}
        self._states: dict[Path, dict[str, str]] = {}
        """What the day in use holds of the rules' states."""

    def replace(self, rules: Mapping[str, AlertRule]) -> None:
        """Go on with other rules, opened; what was seen last stays known, and one of the same name goes on.

        What a rule that is gone remembered ends without an alert: only the rule itself could say what was firing.
        """
        for name, rule in rules.items():
            if name in self._rules:
                rule.restore(self._rules[name].state())
        self._rules, self._groups = rules, None
        self._failures.clear()

    def catch_up(self, paths: Sequence[Path]) -> None:
        """Look at what was recorded for the rules but not looked at before the last stop.

        A day that was recorded without any rules is not looked at afterwards.
        """
        if not self._rules:
            return
        self._restore(paths)
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

    @property
    def counts(self) -> tuple[int, int]:
        """How many rules there are, and how many of them are muted for an index at least."""
        muted = {name for (name, _), failures in dict(self._failures).items() if failures >= MUTED_AFTER}
        return len(self._rules), len(muted)

    def look(self, path: Path, entries: Sequence[Entry]) -> list[Alert]:
        """Check new snapshots of a day; the alerts are in the journal when this returns.

        Raises Unavailable when they cannot be written; they are kept, and go with the next ones.
        """
        if not self._rules or not entries:
            return []
        found = [pair for _, snapshot in entries for pair in self._check(snapshot)]
        self._put(path, [row for row, _ in found], entries[-1][0])
        self._commit()
        return [alert for _, alert in found]

    def watch(self, path: Path, run: RunReport) -> list[Alert]:
        """Let the rules look at the recorder; their alerts go into that day, as with `look`."""
        found = [pair for name, rule in self._rules.items() for pair in self._guarded(name, "", rule.watch, run)]
        if found or self._changed(path):
            self._put(path, [row for row, _ in found], None)
        self._commit()
        return [alert for _, alert in found]

    def _put(self, path: Path, rows: Sequence[AlertRow], upto: int | None) -> None:
        before, reached = self._uncommitted.get(path, ([], None))
        self._uncommitted[path] = ([*before, *rows], reached if upto is None else upto)

    def _commit(self) -> None:
        for path in list(self._uncommitted):
            changed = self._changed(path)
            self._journal.commit_alerts(path, *self._uncommitted[path], changed)
            self._states = {path: self._states.get(path, {}) | changed}
            del self._uncommitted[path]

    def _changed(self, path: Path) -> dict[str, str]:
        """The states that the day does not hold as they are now; empty for a rule that was taken away."""
        held = self._states.get(path, {})
        states = dict.fromkeys(held, "") | {name: rule.state() for name, rule in self._rules.items()}
        return {name: state for name, state in states.items() if state != held.get(name, "")}

    def _restore(self, paths: Sequence[Path]) -> None:
        """Give the rules what the newest day that says anything remembers of them."""
        for path in reversed(paths):
            try:
                states = rule_states(path)
            except DataError as e:
                log.error("the alert rules cannot look at %s: %s", path.name, told(e))
                continue
            if states is not None:
                self._states = {path: states}
                for name, rule in self._rules.items():
                    rule.restore(states.get(name, ""))
                return

    def _check(self, snapshot: Snapshot) -> list[tuple[AlertRow, Alert]]:
        found: list[tuple[AlertRow, Alert]] = []
        before = self._before.get(snapshot.index)
        for name, rule in self._concerned(snapshot, before):
            found += self._guarded(name, snapshot.index, rule.check, snapshot, before)
        self._before[snapshot.index] = snapshot
        return found

    def _concerned(self, now: Snapshot, before: Snapshot | None) -> Iterable[tuple[str, AlertRule]]:
        if self._groups is None:
            self._groups = Groups(self._rules)
        concerned = self._groups.concerned(now, before)
        # Failures in a row are counted by asking, so nobody is passed over while there are any.
        return self._rules.items() if self._failures else concerned

    def _guarded(
        self, name: str, index: str, ask: Callable[..., Iterable[Alert]], *about: object
    ) -> list[tuple[AlertRow, Alert]]:
        # Hundreds of rules are asked in a cycle, and nearly all of them say nothing and fail at nothing.
        if self._failures and self._failures.get((name, index), 0) >= MUTED_AFTER:
            return []
        try:
            alerts = list(ask(*about))
            found = [(alert_row(alert), alert) for alert in alerts] if alerts else []
        except FAULTS as e:
            self._failed((name, index), e)
            return []
        if self._failures:
            self._failures.pop((name, index), None)
        for _, alert in found:
            ALERTS.labels(alert.rule, alert.severity, alert.state).inc()
        return found

    def _failed(self, key: tuple[str, str], e: Exception) -> None:
        name, index = key
        self._failures[key] = self._failures.get(key, 0) + 1
        RULE_FAILURES.labels(name).inc()
        muted = "; muted from now on" if self._failures[key] == MUTED_AFTER else ""
        log.warning("alert rule %s on %s: %s%s", name, index or "the recorder", told(e), muted)


class Groups:
    """The rules as they are asked: some by themselves, the others together."""

    def __init__(self, rules: Mapping[str, AlertRule]) -> None:
        # By identity: a rule is its author's class, and need not be hashable.
        self._rules = {id(rule): (name, rule) for name, rule in rules.items()}
        self._alone: set[int] = set()
        self._together: dict[int, tuple[RuleGroup, set[int]]] = {}
        for name, rule in rules.items():
            group = _group(name, rule)
            members = self._alone if group is None else self._together.setdefault(id(group), (group, set()))[1]
            members.add(id(rule))

    def concerned(self, now: Snapshot, before: Snapshot | None) -> list[tuple[str, AlertRule]]:
        """The rules that have to be asked about a snapshot, with their names."""
        found = set(self._alone)
        for group, members in self._together.values():
            try:
                found.update(map(id, group.concerned(now, before)))
            except FAULTS:
                # Each is asked, so that those to blame are told of and the others are heard.
                found |= members
        return [named for key, named in self._rules.items() if key in found]


def _group(name: str, rule: AlertRule) -> RuleGroup | None:
    try:
        return rule.group()
    except FAULTS as e:
        log.warning("alert rule %s is asked by itself: %s", name, told(e))
        return None

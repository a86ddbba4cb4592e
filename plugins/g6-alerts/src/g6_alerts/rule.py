"""The alert rule `rule`: an expression over each snapshot, and the states that it goes through."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from g6_alerts.grammar import parse
from g6_alerts.lookup import Find, looked_up, only_facts
from g6_alerts.machine import RESOLVED, Machine
from g6_alerts.past import Past
from g6_alerts.rows import row_closure
from g6_alerts.scalar import Compiler
from g6_alerts.settings import RuleSettings, Watch
from g6_alerts.template import filled, names_of, shown
from g6_alerts.tree import Comparison, Name, Node, Number, per_row
from g6_alerts.view import NEAREST, Rows, View, view_of
from g6core import Alert, AlertRule, ConfigError, Context, Finding, Known, Snapshot, trading_date

log = logging.getLogger("g6.alerts")
MOST_ROWS = 20
"""Options of one index that a rule is pending or firing for at the same time."""
GIVEN = ("index", "value", "key", "ts", "rule", "severity", "expr", "since", "contract")
"""Names of a sentence that are no columns."""


class Told(AlertRule):
    """What rules have in common: a name, labels, and what they remember."""

    def __init__(self, name: str, settings: Watch, signature: str) -> None:
        self.name = name
        self.settings = settings
        self.machine = Machine(signature, settings.hold, settings.keep_firing_for, settings.repeat)
        self._labels = dict(settings.labels)
        if settings.notify is not None:
            self._labels["notify"] = ",".join(settings.notify)

    def bind(self, known: Known) -> None:
        for sink in self.settings.notify or ():
            known.sink(sink)

    def open(self, context: Context) -> None:
        self.name = context.name or self.name

    def check(self, now: Snapshot, before: Snapshot | None) -> Iterable[Alert]:
        return ()

    def state(self) -> str:
        return self.machine.state()

    def restore(self, state: str) -> None:
        self.machine.restore(state)

    def alert(self, index: str, ts: Any, state: str, key: str, summary: str, value: Any) -> Alert:
        """One alert in this rule's name."""
        labels = self._labels if value is None else {**self._labels, "value": shown(value)}
        return Alert(self.name, index, ts, summary, self.settings.severity, state, key, labels)


class Rule(Told):
    """An expression per index; over columns of the options, one per option."""

    def __init__(self, settings: RuleSettings, name: str = "rule", *, optional: bool = False) -> None:
        """optional: it rests, told in the log, when no analytic gives what it needs; else that stops the start."""
        self.tree = parse(settings.expr)
        self.rule = settings
        super().__init__(name, settings, f"{' '.join(settings.expr.split())} @{settings.expiry or 'nearest'}")
        self._on = None if settings.on is None else frozenset(settings.on)
        self._optional = optional
        self.resting: str | None = None
        """Why it looks at nothing, or None."""
        self._context: Context | None = None
        self._bound: Bound | None = None
        self._newest: dict[str, float] = {}

    def bind(self, known: Known) -> None:
        super().bind(known)
        # One that rests needs no hint, and a hint may take a second.
        self._bind(Known(known.columns).column if self._optional else known.column)

    def _bind(self, find: Find) -> Bound | None:
        try:
            self._bound = Bound(self.rule, self.tree, find)
        except ConfigError as e:
            if not self._optional:
                raise
            self.resting = f"{e.message}, since no enabled analytic adds it"
        return self._bound

    def open(self, context: Context) -> None:
        super().open(context)
        self._context = context
        if self.resting:
            log.warning("alert rule %s rests: %s", self.name, self.resting)
        for index in self._unknown(context):
            log.warning("alert rule %s is on %s, which the exchange calendar does not know", self.name, index)

    def restore(self, state: str) -> None:
        super().restore(state)
        if self._on is not None:
            self.machine.keep_only(self._on)  # nothing of another index comes in any more, so it would fire for ever

    def diagnose(self, context: Context) -> Iterable[Finding]:
        if self.resting:
            yield Finding("warning", f"rests: {self.resting}", "select the plugin that adds it, or switch the rule off")
        for index in self._unknown(context):
            known = ", ".join(context.calendar.indices)
            yield Finding("warning", f"is on {index}, which the exchange calendar does not know", f"it knows {known}")

    def _unknown(self, context: Context) -> list[str]:
        return sorted((self._on or frozenset()) - set(context.calendar.indices))

    def check(self, now: Snapshot, before: Snapshot | None) -> Iterable[Alert]:
        if self.resting or (self._on is not None and now.index not in self._on):
            return ()
        bound = self._bound or self._bind(_names_in(now))
        if bound is None:
            return ()
        view = view_of(now)
        newest = self._newest.get(now.index)
        if bound.tracks:
            self._remember(bound, view, before, first=newest is None)
        if newest is not None and view.at < newest:
            return ()  # it came late: part of what was, and no news
        self._newest[now.index] = view.at
        if bound.by_row is not None:
            return self._rows(bound, view)
        answer = bound.answer(view)
        if not answer and self.machine.empty:
            return ()
        event = self.machine.see(now.index, "", now.ts, answer)
        return () if event is None else (self._told(bound, view, event, ""),)

    def _remember(self, bound: Bound, view: View, before: Snapshot | None, *, first: bool) -> None:
        if first:
            bound.past.fill(view, before, self._context)
        for track in bound.tracks:
            track.take(view)

    def values(self, now: Snapshot) -> Mapping[str, Any]:
        """What the names of the expression are in a snapshot, for a person who wants to see why."""
        bound = self._bound or Bound(self.rule, self.tree, _names_in(now))
        view = view_of(now)
        return {name: bound.named(view, name) for name in bound.names}

    def _told(self, bound: Bound, view: View, event: str, key: str) -> Alert:
        value = bound.value(view)
        return self.alert(view.index, view.ts, event, key, self._summary(bound, view, key, value, None), value)

    def _rows(self, bound: Bound, view: View) -> list[Alert]:
        rows = view.rows(bound.code)
        assert bound.by_row is not None
        answers, keys = bound.by_row(rows), self.machine.keys(view.index)
        true = answers == 1.0
        if not keys and not true.any():
            return []
        symbols = rows.symbols.to_list()
        held = set(keys)
        alerts = [alert for key in keys if key not in symbols for alert in self._gone(view, key)]
        wanted = [row for row in np.flatnonzero(true) if symbols[row] not in held]
        chosen = self._nearest(rows, wanted)[: max(0, MOST_ROWS - len(held))]
        left = len(wanted) - len(chosen)
        for row in sorted([*chosen, *(i for i, symbol in enumerate(symbols) if symbol in held)]):
            answer = None if answers[row] == 0.5 else bool(true[row])
            event = self.machine.see(view.index, symbols[row], view.ts, answer)
            if event is not None:
                alerts.append(self._told_of_row(bound, rows, event, int(row), left))
        return alerts

    def _gone(self, view: View, key: str) -> Iterator[Alert]:
        """A contract that is not watched any more: for the rest of its day nobody knows, the next day it is over."""
        if (
            trading_date(self.machine.since(view.index, key)) < view.day
            and self.machine.end(view.index, key) == RESOLVED
        ):
            yield self.alert(view.index, view.ts, RESOLVED, key, f"{self.name}: {key} is not watched any more", None)

    def _nearest(self, rows: Rows, wanted: Sequence[int]) -> list[int]:
        """The options nearest to the money first."""
        offsets = np.abs(rows.floats("offset"))
        return sorted(wanted, key=lambda row: (np.isnan(offsets[row]), offsets[row], row))

    def _told_of_row(self, bound: Bound, rows: Rows, event: str, row: int, left: int) -> Alert:
        view, key = rows.view, str(rows.cell("symbol", row))
        found = float(np.broadcast_to(bound.row_value(rows), rows.height)[row])
        value = None if np.isnan(found) else found
        more = f" (and {left} more options)" if left else ""
        summary = self._summary(bound, view, key, value, row) + more
        return self.alert(view.index, view.ts, event, key, summary, value)

    def _summary(self, bound: Bound, view: View, key: str, value: Any, row: int | None) -> str:
        rows = None if row is None else view.rows(bound.code)
        values: dict[str, Any] = {name: bound.named(view, name, row) for name in bound.told}
        values |= {"index": view.index, "value": value, "key": key, "ts": view.ts, "rule": self.name}
        values |= {"severity": self.settings.severity, "expr": self.rule.expr, "since": view.ts}
        if key in self.machine.keys(view.index):
            values["since"] = self.machine.since(view.index, key)
        if rows is not None and row is not None:
            values["contract"] = f"{shown(rows.cell('strike', row))} {rows.cell('right', row)}"
        try:
            return filled(bound.template, values)
        except (ValueError, TypeError, OverflowError):
            # The state has changed already: an alert that is not raised now never is.
            return filled(_default_summary(row is not None), values)


class Bound:
    """A rule's expression with its names looked up, compiled. code: the expiry that it looks at."""

    def __init__(self, settings: RuleSettings, tree: Node, find: Find) -> None:
        tree = looked_up(tree, find)
        self.code = settings.expiry or NEAREST
        compiler = Compiler(self.code)
        by_row = per_row(tree)
        self.template = settings.summary or _default_summary(by_row)
        self.by_row = row_closure(compiler, tree) if by_row else None
        self.answer = (lambda view: None) if by_row else compiler.scalar(tree)
        shown_part = _shown_part(tree)
        self.row_value = row_closure(compiler, shown_part) if by_row else (lambda rows: np.nan)
        self.value = compiler.scalar(shown_part) if not by_row else (lambda view: None)
        self.tracks = compiler.tracks
        self.past = Past(self.tracks, only_facts(tree))
        self.names = {part.name: part for part in tree.walk() if isinstance(part, Name)}
        self.told = {name: _column(name, find) for name in names_of(self.template) if name not in GIVEN}

    def named(self, view: View, name: str, row: int | None = None) -> Any:
        """What a column or fact is, as it stands there; None when it is not known."""
        part = self.told.get(name) or self.names[name]
        column = part.name.rpartition(".")[2]
        if part.table == "facts":
            return view.facts.get(column)
        if part.table == "expiries":
            return view.expiry(part.code or self.code).get(column)
        return None if row is None else view.rows(self.code).cell(column, row)


def _column(name: str, find: Find) -> Name:
    found = looked_up(Name(name), find)
    assert isinstance(found, Name)
    return found


def _default_summary(by_row: bool) -> str:
    return "{index} {contract}: {expr}, at {value}" if by_row else "{index}: {expr}, at {value}"


def _shown_part(tree: Node) -> Node:
    """What an alert gives as its value: the left side of the first comparison that is not a number."""
    for part in tree.walk():
        if isinstance(part, Comparison):
            return next((side for side in part.operands if not isinstance(side, Number)), part.operands[0])
    return tree


def _names_in(now: Snapshot) -> Find:
    """For a rule that nobody bound: the names of the first snapshot."""
    columns = [f"facts.{n}" for n in now.facts]
    columns += [f"expiries.{n}" for n in now.expiries.columns] + [f"options.{n}" for n in now.options.columns]
    return Known(columns).column

"""The alert rule `rule`: an expression over each snapshot, and the states that it goes through."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from g6_alerts.grammar import parse
from g6_alerts.look import Bound, Look, default_summary
from g6_alerts.lookup import Find
from g6_alerts.machine import RESOLVED, Machine
from g6_alerts.parts import Shared, shared_by
from g6_alerts.settings import RuleSettings, Watch
from g6_alerts.sweep import Seat, Sweep
from g6_alerts.template import filled, shown
from g6_alerts.view import Rows, View
from g6core import Alert, AlertRule, ConfigError, Context, Finding, Known, RuleGroup, Snapshot, trading_date

log = logging.getLogger("g6.alerts")
MOST_ROWS = 20
"""Options of one index that a rule is pending or firing for at the same time."""


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
        self._place: tuple[Sweep, Seat] | None = None

    def bind(self, known: Known) -> None:
        super().bind(known)
        # One that rests needs no hint, and a hint may take a second.
        self._bind(Known(known.columns).column if self._optional else known.column)

    def _bind(self, find: Find) -> None:
        try:
            self._bound = Bound(self.rule, self.tree, find)
        except ConfigError as e:
            if not self._optional:
                raise
            self.resting = f"{e.message}, since no enabled analytic adds it"

    def _joined(self, now: Snapshot | None = None) -> tuple[Sweep, Seat] | None:
        """None when it rests; now: the first snapshot, of which a rule that nobody bound takes the names."""
        if self._bound is None and now is not None and not self.resting:
            self._bind(_names_in(now))
        if self._bound is not None:
            shared = Shared() if self._context is None else shared_by(self._context)
            self._place = shared.sweep, shared.sweep.join(self, Look(self._bound, shared), self._on)
        return self._place

    def open(self, context: Context) -> None:
        super().open(context)
        self.close()
        self._context = context
        self._joined()
        if self.resting:
            log.warning("alert rule %s rests: %s", self.name, self.resting)
        for index in self._unknown(context):
            log.warning("alert rule %s is on %s, which the exchange calendar does not know", self.name, index)

    def close(self) -> None:
        if self._place is not None:
            sweep, seat = self._place
            sweep.leave(seat)
            self._place = None

    def group(self) -> RuleGroup | None:
        return None if self._place is None else self._place[0]

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
        place = self._place or self._joined(now)
        if place is None:
            return ()
        sweep, seat = place
        if sweep.now is not now:
            sweep.look(now, before)
        index, machine = now.index, self.machine
        true, marked = seat in sweep.stirred, index in machine.marks
        if not (true or marked):
            return ()
        if seat in sweep.alone:
            if sweep.late and seat in sweep.new:
                return ()  # its windows would end with what came after
            true = self._alone(sweep, seat, before)
        if sweep.late or not (true or marked):
            return ()  # what is late is part of what was, and no news
        settled = machine.settled(index, now.ts)
        try:
            return self._rows(seat.look, sweep.view) if seat.look.by_row else self._one(seat.look, sweep.view, true)
        finally:
            # Also when the alert cannot be told of: the rule has begun, or ended, to fire all the same.
            if (index in machine.marks, machine.settled(index, now.ts)) != (marked, settled):
                sweep.marks_changed(index)

    def _alone(self, sweep: Sweep, seat: Seat, before: Snapshot | None) -> bool:
        """Look without the others. A rule that does not know the index yet learns what came before."""
        look, view, new = seat.look, sweep.view, seat in sweep.new
        if new:
            look.past.fill(view, before, self._context)
        for series in look.series:
            series.take(view)
        if new:
            sweep.meet(seat)
        return not sweep.late and look.true(view)

    def values(self, now: Snapshot) -> Mapping[str, Any]:
        """What the names of the expression are in a snapshot, for a person who wants to see why."""
        bound = self._bound or Bound(self.rule, self.tree, _names_in(now))
        view = View(now.index, now.ts, now.facts, now)
        return {name: bound.named(view, name) for name in bound.names}

    def _one(self, look: Look, view: View, true: bool) -> Iterable[Alert]:
        event = self.machine.see(view.index, "", view.ts, true or look.untrue(view))
        return () if event is None else (self._told(view, event, "", look.value(view), None),)

    def _rows(self, look: Look, view: View) -> list[Alert]:
        rows, keys = view.rows(look.code), self.machine.keys(view.index)
        true, false = look.answers(view)
        if not keys and not true.any():
            return []
        symbols, held = [str(symbol) for symbol in rows.symbols], set(keys)
        alerts = [alert for key in keys if key not in symbols for alert in self._gone(view, key)]
        wanted = [int(row) for row in np.flatnonzero(true) if symbols[row] not in held]
        chosen = self._nearest(rows, wanted)[: max(0, MOST_ROWS - len(held))]
        left = len(wanted) - len(chosen)
        for row in sorted([*chosen, *(i for i, symbol in enumerate(symbols) if symbol in held)]):
            answer = True if true[row] else False if false[row] else None
            event = self.machine.see(view.index, symbols[row], view.ts, answer)
            if event is not None:
                more = f" (and {left} more options)" if left else ""
                alerts.append(self._told(view, event, symbols[row], look.value_of_row(view, row), row, more))
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

    def _told(self, view: View, event: str, key: str, value: Any, row: int | None, more: str = "") -> Alert:
        return self.alert(view.index, view.ts, event, key, self._summary(view, key, value, row) + more, value)

    def _summary(self, view: View, key: str, value: Any, row: int | None) -> str:
        bound = self._bound
        assert bound is not None
        values: dict[str, Any] = {name: bound.named(view, name, row) for name in bound.told}
        values |= {"index": view.index, "value": value, "key": key, "ts": view.ts, "rule": self.name}
        values |= {"severity": self.settings.severity, "expr": self.rule.expr, "since": view.ts}
        if key in self.machine.keys(view.index):
            values["since"] = self.machine.since(view.index, key)
        if row is not None:
            rows = view.rows(bound.code)
            values["contract"] = f"{shown(rows.cell('strike', row))} {rows.cell('right', row)}"
        try:
            return filled(bound.template, values)
        except (ValueError, TypeError, OverflowError):
            # The state has changed already: an alert that is not raised now never is.
            return filled(default_summary(row is not None), values)


def _names_in(now: Snapshot) -> Find:
    """For a rule that nobody bound: the names of the first snapshot."""
    columns = [f"facts.{n}" for n in now.facts]
    columns += [f"expiries.{n}" for n in now.expiries.columns] + [f"options.{n}" for n in now.options.columns]
    return Known(columns).column

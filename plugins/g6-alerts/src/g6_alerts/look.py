"""What a rule looks at: its expression with the names looked up, and compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from g6_alerts.compiler import Compiler
from g6_alerts.formula import Draft
from g6_alerts.lookup import Find, looked_up, only_facts
from g6_alerts.parts import Shared
from g6_alerts.past import Past
from g6_alerts.rows import Bools, spread
from g6_alerts.settings import RuleSettings
from g6_alerts.template import names_of
from g6_alerts.tree import Comparison, Name, Node, Number, Window, is_condition, per_row
from g6_alerts.truth import affirmed, denied
from g6_alerts.view import NEAREST, Part, View
from g6_alerts.windows import Series

GIVEN = ("index", "value", "key", "ts", "rule", "severity", "expr", "since", "contract")
"""Names of a sentence that are no columns."""


class Bound:
    """A rule's expression with its names looked up. code: the expiry that it looks at."""

    def __init__(self, settings: RuleSettings, tree: Node, find: Find) -> None:
        self.code = settings.expiry or NEAREST
        self.tree = looked_up(tree, find, self.code)
        self.by_row = per_row(self.tree)
        self.template = settings.summary or default_summary(self.by_row)
        self.names = {part.name: part for part in self.tree.walk() if isinstance(part, Name)}
        self.told = {name: self._column(name, find) for name in names_of(self.template) if name not in GIVEN}

    def _column(self, name: str, find: Find) -> Name:
        found = looked_up(Name(name), find, self.code)
        assert isinstance(found, Name)
        return found

    def named(self, view: View, name: str, row: int | None = None) -> Any:
        """What a column or fact is, as it stands there; None when it is not known."""
        part = self.told.get(name) or self.names[name]
        column = part.name.rpartition(".")[2]
        if part.table == "facts":
            return view.facts.get(column)
        if part.table == "expiries":
            return view.expiry(part.code).get(column)
        return None if row is None else view.rows(self.code).cell(column, row)


class Look:
    """A tree whose names were looked up, compiled for views. shared: what other rules look at, too.

    series: all that it remembers, and for how many seconds.
    """

    def __init__(self, bound: Bound, shared: Shared) -> None:
        self._tree, self.code = bound.tree, bound.code
        self._shown = _shown_part(bound.tree)
        self._compiler = compiler = Compiler(bound.code, shared)
        self.by_row = bound.by_row
        self.series: dict[Series, float] = {}
        for part in _windows(bound.tree):
            series = compiler.series(part)
            self.series[series] = max(self.series.get(series, 0.0), part.seconds)
        self.past = Past(self.series, only_facts(bound.tree))

    def possible(self, draft: Draft) -> str:
        """Whether it is true, as source of a function; of a tree for each option, False only when it is for none."""
        return self._compiler.possible(self._tree, draft)

    @cached_property
    def true(self) -> Callable[[View], bool]:
        """The same, as a function of its own."""
        draft = Draft()
        return draft.function(self.possible(draft))

    def answer(self, view: View) -> bool | None:
        """Of a tree with one answer per snapshot; None when it is not known."""
        return self.true(view) or self.untrue(view)

    def untrue(self, view: View) -> bool | None:
        """False when it is known to be false, else None: of a tree with one answer that is not true."""
        return False if self._false(view) else None

    def answers(self, view: View) -> tuple[Bools, Bools]:
        """Of a tree for each option: where it is true, and where it is known to be false."""
        return self._spread(self._each_true, view), self._spread(self._each_false, view)

    def value(self, view: View) -> float | bool | None:
        """What an alert gives as its value; None when it is not known."""
        if is_condition(self._shown):
            return self.answer(view)
        value = view[self._compiler.one(self._shown)]
        return None if math.isnan(value) else float(value)

    def value_of_row(self, view: View, row: int) -> float | None:
        """The same for one option."""
        if is_condition(self._shown):
            return 1.0 if self.answers(view)[0][row] else 0.0
        found = view[self._compiler.each(self._shown)]
        value = float(found[row] if isinstance(found, np.ndarray) else found)
        return None if math.isnan(value) else value

    def _spread(self, part: Part, view: View) -> Bools:
        return spread(view[part], view, self.code)

    @cached_property
    def _false(self) -> Callable[[View], bool]:
        return self._compiler.condition(denied(self._tree))

    @cached_property
    def _each_true(self) -> Part:
        return self._compiler.each(affirmed(self._tree))

    @cached_property
    def _each_false(self) -> Part:
        return self._compiler.each(denied(self._tree))


def default_summary(by_row: bool) -> str:
    return "{index} {contract}: {expr}, at {value}" if by_row else "{index}: {expr}, at {value}"


def _windows(tree: Node) -> list[Window]:
    return [part for part in tree.walk() if isinstance(part, Window)]


def _shown_part(tree: Node) -> Node:
    """What an alert gives as its value: the left side of the first comparison that is not a number."""
    for part in tree.walk():
        if isinstance(part, Comparison):
            return next((side for side in part.operands if not isinstance(side, Number)), part.operands[0])
    return tree

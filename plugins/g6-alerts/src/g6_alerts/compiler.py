"""From a tree to the parts that a view is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from g6_alerts import rows
from g6_alerts.formula import Draft, Writer, condition, number
from g6_alerts.parts import Seen, Shared, column, fact, word
from g6_alerts.tree import (
    Arithmetic,
    Comparison,
    Function,
    Is,
    Logic,
    Name,
    Negative,
    Node,
    Number,
    Over,
    Window,
    is_condition,
    per_row,
)
from g6_alerts.truth import affirmed, denied
from g6_alerts.view import Part, View
from g6_alerts.windows import FINDS, ROW_FINDS, Lookback, Series, row_track, track


class Compiler:
    """Compiles trees whose names were looked up. code: the expiry whose options are looked at."""

    def __init__(self, code: str, shared: Shared) -> None:
        self.code, self._shared = code, shared

    def condition(self, node: Node) -> Callable[[View], bool]:
        """Whether a condition with one answer per snapshot is true."""
        return condition(affirmed(node), self.one)

    def possible(self, node: Node, draft: Draft) -> str:
        """Whether a condition is true, as source of a function.

        Of one for each option, whether it may be for any: quick, from the greatest and least numbers alone.
        """
        return _Possible(self, draft).condition(affirmed(node))

    def one(self, node: Node) -> Part:
        """What has one value per snapshot: a number, NaN when it is not known, or whether a condition is true."""
        return self._shared.part(("one", node), lambda: self._one(node))

    def each(self, node: Node) -> Part:
        """The same for each option; a condition without `not`."""
        return self._shared.part(("each", node), lambda: self._each(node))

    def extreme(self, node: Node, apply: np.ufunc) -> Part:
        return self._shared.part((apply.__name__, node), lambda: rows.extreme(apply, self.each(node)))

    def outermost(self, node: Name, apply: np.ufunc) -> Part:
        name = node.name.rpartition(".")[2]
        return self._shared.part((apply.__name__, name), lambda: rows.outermost(apply, name))

    def series(self, node: Window) -> Series:
        """What the window looks into, for as far back as it does."""
        found = self._shared.part(("series", node.of), lambda: self._series(node.of))
        found.reach = max(found.reach, node.seconds)
        return found

    def _series(self, node: Node) -> Series:
        return row_track(self.each(node), self.code) if per_row(node) else track(number(node, self.one))

    def _one(self, node: Node) -> Part:
        if isinstance(node, Name):
            name = node.name.rpartition(".")[2]
            return fact(name) if node.table == "facts" else column(node.code, name)
        if isinstance(node, Is):
            return word(node.name.code, node.name.name.rpartition(".")[2], node.word, node.negated)
        if isinstance(node, Window):
            return Lookback(FINDS[node.name], node.seconds, self.series(node))
        if isinstance(node, Over):
            return self._over(node)
        return Seen(condition(node, self.one) if is_condition(node) else number(node, self.one))

    def _over(self, node: Over) -> Part:
        if node.name == "sum":
            return rows.total(self.each(node.of))
        if node.name == "count":
            return rows.count(self.each(affirmed(node.of)), self.each(denied(node.of)), self.code)
        return rows.any_or_all(node.name, self.each(affirmed(node.of)), self.code)

    def _each(self, node: Any) -> Part:
        if isinstance(node, Number):
            return rows.given(node.value)
        if not per_row(node):
            return self.one(node)
        if isinstance(node, Name):
            return rows.row_column(node.code, node.name.rpartition(".")[2])
        if isinstance(node, Is):
            return rows.row_word(node.name.code, node.name.name.rpartition(".")[2], node.word, node.negated)
        if isinstance(node, Window):
            return Lookback(ROW_FINDS[node.name], node.seconds, self.series(node))
        return self._together(node)

    def _together(self, node: Any) -> Part:
        if isinstance(node, Negative):
            return rows.applied(np.negative, self.each(node.of))
        if isinstance(node, Arithmetic):
            return rows.arithmetic(node.op, self.each(node.left), self.each(node.right))
        if isinstance(node, Comparison):
            return rows.applied(rows.OPERATORS[node.ops[0]], *map(self.each, node.operands))
        if isinstance(node, Function):
            parts = [self.each(part) for part in node.operands]
            return rows.applied(np.abs, *parts) if node.name == "abs" else rows.chosen(node.name, *parts)
        assert isinstance(node, Logic)
        same = [self.one(part) for part in node.operands if not per_row(part)]
        return rows.logic(node.op, same, [self.each(part) for part in node.operands if per_row(part)])


class _Possible(Writer):
    """Asks of each option's condition whether its bounds forbid it."""

    def __init__(self, compiler: Compiler, draft: Draft) -> None:
        super().__init__(compiler.one, draft)
        self._compiler = compiler

    def condition(self, node: Node) -> str:
        if isinstance(node, Logic) or not per_row(node):
            return super().condition(node)
        if not isinstance(node, Comparison) or node.ops[0] == "!=":
            return "True"
        tight = self._within(node, self._bound)
        if any(per_row(side) and not isinstance(side, Name) for side in node.operands):
            return tight
        return f"({self._within(node, self._outermost)} and {tight})"

    def _within(self, node: Comparison, bound: Callable[[Node, np.ufunc], str]) -> str:
        """Whether the bounds of two numbers let them compare so."""
        (a, b), op, found = node.operands, node.ops[0], []
        if op in ("<", "<=", "=="):
            found.append(self.compared("<=" if op == "==" else op, bound(a, np.fmin), bound(b, np.fmax)))
        if op in (">", ">=", "=="):
            found.append(self.compared(">=" if op == "==" else op, bound(a, np.fmax), bound(b, np.fmin)))
        return f"({' and '.join(found)})"

    def _bound(self, node: Node, apply: np.ufunc) -> str:
        return self._part(self._compiler.extreme(node, apply)) if per_row(node) else self.number(node)

    def _outermost(self, node: Node, apply: np.ufunc) -> str:
        if not isinstance(node, Name) or not per_row(node):
            return self.number(node)
        return self._part(self._compiler.outermost(node, apply))

    def _part(self, part: Part) -> str:
        return f"view[{self._draft.argument(part)}]"

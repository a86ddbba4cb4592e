"""A tree compiled to closures over a view: a number or None, a condition True, False or None.

None is what is not known: it goes through arithmetic and comparisons. `and` and `or` are three-valued: false and
unknown is false, true or unknown is true.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from g6_alerts.tree import (
    Arithmetic,
    Comparison,
    Function,
    Is,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Over,
    Window,
)
from g6_alerts.view import View
from g6_alerts.windows import RowTrack, Track

Closure = Callable[[View], Any]
FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Compiler:
    """Compiles the parts of one rule. code: the expiry of what is not asked of another. tracks: its windows."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.tracks: list[Track | RowTrack] = []
        self.row_tracks: dict[Node, RowTrack] = {}
        self._windows: dict[Node, Closure] = {}

    def scalar(self, node: Node) -> Closure:
        """The closure of a part that has one value per snapshot."""
        compile_part: Callable[[Any], Closure] = getattr(self, f"_{type(node).__name__.lower()}")
        return compile_part(node)

    def _number(self, node: Number) -> Closure:
        value = node.value
        return lambda view: value

    def _name(self, node: Name) -> Closure:
        name = node.name.rpartition(".")[2]
        if node.table == "facts":
            return lambda view: view.facts.get(name)
        code = node.code or self.code

        key = f"{code}.{name}"

        def look(view: View) -> float | None:
            numbers = view.numbers
            return numbers[key] if key in numbers else view.number(code, name)

        return look

    def _is(self, node: Is) -> Closure:
        name, code = node.name.name.rpartition(".")[2], node.name.code or self.code
        word, negated = node.word, node.negated

        def look(view: View) -> bool | None:
            found = view.expiry(code).get(name)
            return (found == word) is not negated if isinstance(found, str) else None

        return look if node.name.table == "expiries" else lambda view: None

    def _negative(self, node: Negative) -> Closure:
        of = self.scalar(node.of)

        def negative(view: View) -> float | None:
            value = of(view)
            return None if value is None else -value

        return negative

    def _arithmetic(self, node: Arithmetic) -> Closure:
        left, right, apply = self.scalar(node.left), self.scalar(node.right), OPERATORS[node.op]

        def arithmetic(view: View) -> float | None:
            a, b = left(view), right(view)
            if a is None or b is None:
                return None
            try:
                value = apply(a, b)
            except (ZeroDivisionError, OverflowError):
                return None
            return value if math.isfinite(value) else None

        return arithmetic

    def _comparison(self, node: Comparison) -> Closure:
        if len(node.ops) > 1:
            pairs = zip(node.ops, node.operands, node.operands[1:], strict=False)
            return self._logic(Logic("and", tuple(Comparison((op,), (a, b)) for op, a, b in pairs)))
        left, apply = self.scalar(node.operands[0]), OPERATORS[node.ops[0]]
        if isinstance(node.operands[1], Number):
            limit = node.operands[1].value

            def beside_number(view: View) -> bool | None:
                a = left(view)
                return None if a is None else apply(a, limit)

            return beside_number
        right = self.scalar(node.operands[1])

        def comparison(view: View) -> bool | None:
            a, b = left(view), right(view)
            return None if a is None or b is None else apply(a, b)

        return comparison

    def _logic(self, node: Logic) -> Closure:
        parts, decisive = tuple(self.scalar(part) for part in node.operands), node.op == "or"

        def logic(view: View) -> bool | None:
            answer: bool | None = not decisive
            for part in parts:
                value = part(view)
                if value is decisive:
                    return decisive
                if value is None:
                    answer = None
            return answer

        return logic

    def _not(self, node: Not) -> Closure:
        of = self.scalar(node.of)

        def negation(view: View) -> bool | None:
            value = of(view)
            return None if value is None else not value

        return negation

    def _function(self, node: Function) -> Closure:
        parts, apply = tuple(self.scalar(part) for part in node.operands), FUNCTIONS[node.name]

        def function(view: View) -> float | None:
            values = [part(view) for part in parts]
            return None if None in values else apply(*values)

        return function

    def _window(self, node: Window) -> Closure:
        found = self._windows.get(node)
        if found is None:
            track = Track(node.name, node.seconds, self.scalar(node.of))
            self.tracks.append(track)
            found = self._windows[node] = track.value
        return found

    def _over(self, node: Over) -> Closure:
        from g6_alerts.rows import row_closure

        of, code, name = row_closure(self, node.of), self.code, node.name

        def over(view: View) -> Any:
            rows = view.rows(code)
            return _over_rows(name, of(rows)) if rows.height else None

        return over


def _over_rows(name: str, values: Any) -> Any:
    if name == "sum":
        known = values[np.isfinite(values)]
        return float(known.sum()) if len(known) else None
    if name == "count":
        return float((values == 1.0).sum()) if (values != 0.5).any() else None
    most = values.max()
    return None if most == 0.5 else bool(most)

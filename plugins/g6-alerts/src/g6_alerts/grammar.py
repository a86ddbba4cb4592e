"""From the text of a rule to its tree: Python's own parser reads it, and an allow-list takes what it knows.

Nothing of the text is ever run, and no attribute of any object is looked up: `options.iv` is a name with a dot.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable

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
    is_condition,
)

LONGEST = 500
"""Characters of an expression."""
DEEPEST = 20
"""Levels of parts within parts."""
FURTHEST = 6 * 3600.0
"""Seconds that a window reaches back: about a session."""
SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
CODES = ("this_week", "next_week", "this_month", "next_month")
PREFIXES = ("facts", "expiries", "options", *CODES)
FUNCTIONS = ("abs", "min", "max", "prev", "change", "avg", "zscore", "sum", "count", "any")


class ExpressionError(ValueError):
    """An expression that is none; the text says what is wrong with it and what there is."""


def parse(text: str) -> Node:
    """The condition that a rule waits for. Raises ExpressionError."""
    node = parse_number_or_condition(text)
    if not is_condition(node):
        raise ExpressionError(f"`{text.strip()}` is a number, not a condition: compare it, as in `pcr_oi > 1.6`")
    return node


def parse_number_or_condition(text: str) -> Node:
    """The tree of any expression. Raises ExpressionError."""
    if not text.strip():
        raise ExpressionError("an expression is needed, such as `pcr_oi > 1.6`")
    if len(text) > LONGEST:
        raise ExpressionError(f"it has {len(text)} characters, and {LONGEST} is the limit")
    if not text.isascii() or "#" in text or "\\" in text:
        raise ExpressionError("letters outside of ASCII, `#` and `\\` have no meaning here")
    return _Reader().read(_syntax(text), 0)


def _syntax(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(" ".join(text.split()), mode="eval").body
    except SyntaxError as e:
        raise ExpressionError(f"it cannot be read: {e.msg}{_at(text, e.offset)}") from None
    except (ValueError, RecursionError, MemoryError, OverflowError):
        raise ExpressionError("it cannot be read") from None


def _at(text: str, offset: int | None) -> str:
    rest = " ".join(text.split())[max(0, (offset or 0) - 1) :][:20]
    return f" at `{rest}`" if offset and rest.strip() else ""


def _shown(node: ast.expr) -> str:
    try:
        words = ast.unparse(node)
    except RecursionError:
        return "a part of it"
    return f"`{words if len(words) <= 40 else words[:37] + '...'}`"


class _Reader:
    """One walk over Python's tree; what has no method here is refused."""

    def read(self, node: ast.expr, depth: int) -> Node:
        if depth > DEEPEST:
            raise ExpressionError(f"its parts lie more than {DEEPEST} deep")
        known: dict[type[ast.expr], Callable[..., Node]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._dotted,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._binary,
            ast.BoolOp: self._logic,
            ast.Compare: self._comparison,
            ast.Call: self._call,
        }
        reader = known.get(type(node))
        if reader is None:
            raise ExpressionError(f"{_shown(node)} is not allowed: an expression has {ALLOWED}")
        return reader(node, depth)

    def _number(self, node: ast.expr, depth: int) -> Node:
        found = self.read(node, depth + 1)
        if is_condition(found):
            raise ExpressionError(f"{_shown(node)} is a condition where a number belongs")
        return found

    def _condition(self, node: ast.expr, depth: int) -> Node:
        found = self.read(node, depth + 1)
        if not is_condition(found):
            raise ExpressionError(f"{_shown(node)} is a number where a condition belongs, such as `pcr_oi > 1.6`")
        return found

    def _constant(self, node: ast.Constant, depth: int) -> Node:
        if not isinstance(node.value, int | float) or isinstance(node.value, bool):
            raise ExpressionError(f"{_shown(node)} is no number")
        try:
            value = float(node.value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise ExpressionError(f"{_shown(node)} is too large")
        return Number(value)

    def _name(self, node: ast.Name, depth: int) -> Node:
        if node.id in FUNCTIONS:
            raise ExpressionError(f"`{node.id}` is a function: `{node.id}(…)`")
        return Name(node.id)

    def _dotted(self, node: ast.Attribute, depth: int) -> Node:
        prefix = node.value.id if isinstance(node.value, ast.Name) else ""
        if prefix not in PREFIXES:
            raise ExpressionError(f"{_shown(node)}: only {', '.join(PREFIXES)} stand before a dot")
        if prefix in CODES:
            return Name(f"expiries.{node.attr}", code=prefix)
        return Name(f"{prefix}.{node.attr}")

    def _unary(self, node: ast.UnaryOp, depth: int) -> Node:
        if isinstance(node.op, ast.Not):
            return Not(self._condition(node.operand, depth))
        if isinstance(node.op, ast.USub):
            return Negative(self._number(node.operand, depth))
        raise ExpressionError(f"{_shown(node)} is not allowed: an expression has {ALLOWED}")

    def _binary(self, node: ast.BinOp, depth: int) -> Node:
        op = _ARITHMETIC.get(type(node.op))
        if op is None:
            raise ExpressionError(f"{_shown(node)}: the operators are + - * /")
        return Arithmetic(op, self._number(node.left, depth), self._number(node.right, depth))

    def _logic(self, node: ast.BoolOp, depth: int) -> Node:
        op = "and" if isinstance(node.op, ast.And) else "or"
        return Logic(op, tuple(self._condition(value, depth) for value in node.values))

    def _comparison(self, node: ast.Compare, depth: int) -> Node:
        found = [_COMPARISONS.get(type(op), "") for op in node.ops]
        if "" in found:
            raise ExpressionError(f"{_shown(node)}: the comparisons are < <= > >= == !=")
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in sides):
            return self._word(node, found, sides, depth)
        return Comparison(tuple(found), tuple(self._number(side, depth) for side in sides))

    def _word(self, node: ast.Compare, ops: list[str], sides: list[ast.expr], depth: int) -> Node:
        names = [self.read(side, depth + 1) for side in sides if not isinstance(side, ast.Constant)]
        words = [side.value for side in sides if isinstance(side, ast.Constant) and isinstance(side.value, str)]
        if len(names) == len(words) == 1 and ops[0] in ("==", "!=") and isinstance(names[0], Name):
            return Is(names[0], words[0], ops[0] == "!=")
        raise ExpressionError(f'{_shown(node)}: a word is compared as in `right == "CE"`')

    def _call(self, node: ast.Call, depth: int) -> Node:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS:
            raise ExpressionError(f"{_shown(node)}: the functions are {', '.join(FUNCTIONS)}")
        if node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args):
            raise ExpressionError(f"{_shown(node)}: arguments are written in a row, without names and stars")
        if name in ("change", "avg", "zscore"):
            return self._window(name, node, depth)
        if name in ("min", "max"):
            if len(node.args) < 2:
                raise ExpressionError(f"{_shown(node)}: `{name}` takes two numbers or more")
            return Function(name, tuple(self._number(arg, depth) for arg in node.args))
        if len(node.args) != 1:
            raise ExpressionError(f"{_shown(node)}: `{name}` takes one argument")
        if name in ("sum", "count", "any"):
            return Over(name, (self._number if name == "sum" else self._condition)(node.args[0], depth))
        if name == "prev":
            return self._windowed(name, node, 0.0, depth)
        return Function(name, (self._number(node.args[0], depth),))

    def _window(self, name: str, node: ast.Call, depth: int) -> Node:
        word = node.args[1] if len(node.args) == 2 else None
        text = word.value if isinstance(word, ast.Constant) else None
        span = SPAN.fullmatch(text) if isinstance(text, str) and len(text) < 10 else None
        if span is None:
            raise ExpressionError(f'{_shown(node)}: it is written `{name}(x, "15m")`, in s, m or h')
        seconds = float(span[1]) * _UNITS[span[2]]
        if not 0 < seconds <= FURTHEST:
            raise ExpressionError(f"{_shown(node)}: a window is longer than nothing and at most 6h")
        return self._windowed(name, node, seconds, depth)

    def _windowed(self, name: str, node: ast.Call, seconds: float, depth: int) -> Node:
        inner = self._number(node.args[0], depth)
        if any(isinstance(part, Window) for part in inner.walk()):
            raise ExpressionError(f"{_shown(node)}: a window within a window is not allowed")
        return Window(name, inner, seconds)


ALLOWED = f"numbers, names, + - * /, comparisons, and, or, not, and the functions {', '.join(FUNCTIONS)}"

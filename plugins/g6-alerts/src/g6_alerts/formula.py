"""What has one value per snapshot, as a function: Python source written from a tree, compiled once.

The source has names of its own, operators and brackets, and nothing of a rule's text: what a rule names, and its
numbers, are handed over as arguments. So rules of one form have one code, whatever they name.

A number that is not known is NaN: it goes through arithmetic by itself, and no comparison with it is true.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from g6_alerts.tree import Arithmetic, Comparison, Function, Is, Logic, Name, Negative, Node, Number, Over, Window

NAMES = {"__builtins__": {}, "abs": abs, "NAN": math.nan}
"""All that the source can reach besides its arguments."""
Find = Callable[[Node], Any]
"""From a name, a window or a word of the tree to what stands for it in a view."""


def number(node: Node, find: Find) -> FunctionType:
    """A function of a view: a float, NaN when it is not known."""
    writer = Writer(find)
    return writer.function(writer.number(node))


def condition(node: Node, find: Find) -> FunctionType:
    """A function of a view: whether the condition, as `truth` has it, is true."""
    writer = Writer(find)
    return writer.function(writer.condition(node))


class Writer:
    """Writes the source of one function. arguments: what its arguments besides the view will be."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self.arguments: list[Any] = []
        self._names = 0

    def function(self, source: str) -> FunctionType:
        names = ", ".join(["view", *(f"a{i}" for i in range(len(self.arguments)))])
        return FunctionType(_code(f"lambda {names}: {source}"), NAMES, "formula", tuple(self.arguments))

    def number(self, node: Node) -> str:
        if isinstance(node, Number):
            return self.argument(node.value)
        if isinstance(node, Negative):
            return f"(-{self.number(node.of)})"
        if isinstance(node, Arithmetic):
            return self._arithmetic(node)
        if isinstance(node, Function):
            parts = [self.number(part) for part in node.operands]
            return (
                f"abs({parts[0]})" if node.name == "abs" else self._extreme(parts, ">" if node.name == "max" else "<")
            )
        assert isinstance(node, Name | Window | Over)
        return self.looked_up(node)

    def condition(self, node: Node) -> str:
        if isinstance(node, Logic):
            return f"({f' {node.op} '.join(self.condition(part) for part in node.operands)})"
        if isinstance(node, Comparison):
            a, b = (self.number(side) for side in node.operands)
            return self.compared(node.ops[0], a, b)
        assert isinstance(node, Is | Over)
        return self.looked_up(node)

    def compared(self, op: str, a: str, b: str) -> str:
        """Whether two numbers, as source, compare so; not when one of them is NaN."""
        if op != "!=":
            return f"({a} {op} {b})"
        left, right = self._name(), self._name()
        return f"(({left} := {a}) < ({right} := {b}) or {left} > {right})"

    def looked_up(self, node: Node) -> str:
        return f"view[{self.argument(self._find(node))}]"

    def argument(self, value: Any) -> str:
        self.arguments.append(value)
        return f"a{len(self.arguments) - 1}"

    def _arithmetic(self, node: Arithmetic) -> str:
        """NaN where it divides by zero, and where it grows beyond all numbers: only what is finite is 0 less itself."""
        found, a, b = self._name(), self.number(node.left), self.number(node.right)
        if node.op != "/":
            return f"(({found} := {a} {node.op} {b}) + ({found} - {found}))"
        by = self._name()
        return f"(({found} := {a} / {by}) + ({found} - {found}) if ({by} := {b}) else NAN)"

    def _extreme(self, parts: list[str], op: str) -> str:
        """The greatest or least, NaN when one of them is; by halves, since Python reads only so many brackets."""
        if len(parts) == 1:
            return parts[0]
        half, a, b = len(parts) // 2, self._name(), self._name()
        left, right = self._extreme(parts[:half], op), self._extreme(parts[half:], op)
        return f"({a} if ({a} := {left}) {op}= ({b} := {right}) else {b} if {b} {op} {a} else NAN)"

    def _name(self) -> str:
        self._names += 1
        return f"x{self._names}"


@lru_cache(maxsize=1024)
def _code(source: str) -> CodeType:
    return next(part for part in compile(source, "<rule>", "eval").co_consts if isinstance(part, CodeType))

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
"""From a name, a window or a word of the tree to the part that looks it up in a view."""


def number(node: Node, find: Find) -> FunctionType:
    """A function of a view: a float, NaN when it is not known."""
    draft = Draft()
    return draft.function(Writer(find, draft).number(node))


def condition(node: Node, find: Find) -> FunctionType:
    """A function of a view: whether the condition, as `truth` has it, is true."""
    draft = Draft()
    return draft.function(Writer(find, draft).condition(node))


class Draft:
    """What one function is written of: its arguments besides the view, and names of its own."""

    def __init__(self) -> None:
        self.arguments: list[Any] = []
        self._places: dict[int, str] = {}
        self._read: dict[str, str] = {}
        self._computed: dict[Node, tuple[str, str]] = {}
        self._names = 0

    def function(self, body: str) -> FunctionType:
        return FunctionType(_code(self.source(body)), NAMES, "formula", tuple(self.arguments))

    def source(self, body: str) -> str:
        arguments = ", ".join(["view", *(f"a{i}" for i in range(len(self.arguments)))])
        lines = [f"{name} = view[{argument}]" for argument, name in self._read.items()]
        lines += [f"{name} = {source}" for name, source in self._computed.values()]
        return "\n ".join([f"def formula({arguments}):", *lines, f"return {body}"])

    def argument(self, value: Any) -> str:
        """Its name; the same one whenever it is handed over again."""
        found = self._places.get(id(value))
        if found is None:
            found = self._places[id(value)] = f"a{len(self.arguments)}"
            self.arguments.append(value)
        return found

    def read(self, part: Any) -> str:
        """What a part is in the view, looked up before anything else."""
        argument = self.argument(part)
        return self._read.setdefault(argument, f"v{argument[1:]}")

    def computed(self, node: Node, write: Callable[[Node], str]) -> str:
        """What a number is, computed once before anything is compared with it. write: gives the source of the node."""
        if node not in self._computed:
            source = write(node)  # what it needs comes before it
            self._computed[node] = self.name(), source
        return self._computed[node][0]

    def name(self) -> str:
        """One that nobody has yet."""
        self._names += 1
        return f"x{self._names}"


class Writer:
    """Writes conditions and numbers as source. draft: of the function that they will be part of."""

    def __init__(self, find: Find, draft: Draft) -> None:
        self._find, self._draft = find, draft

    def number(self, node: Node) -> str:
        if isinstance(node, Number):
            return self._draft.argument(node.value)
        if isinstance(node, Name | Window | Over):
            return self.looked_up(node)
        # Rules of one measure with several limits compute it once; what takes time waits until it is needed.
        quick = not any(isinstance(part, Window | Over) for part in node.walk())
        return self._draft.computed(node, self._composed) if quick else self._composed(node)

    def _composed(self, node: Node) -> str:
        if isinstance(node, Negative):
            return f"(-{self.number(node.of)})"
        if isinstance(node, Arithmetic):
            return self._arithmetic(node)
        assert isinstance(node, Function)
        parts = [self.number(part) for part in node.operands]
        if node.name == "abs":
            return f"abs({parts[0]})"
        return self._extreme(parts, ">" if node.name == "max" else "<")

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
        left, right = self._draft.name(), self._draft.name()
        return f"(({left} := {a}) < ({right} := {b}) or {left} > {right})"

    def looked_up(self, node: Node) -> str:
        part = self._find(node)
        # What else than a column may take time, and is not needed where `and` and `or` end before it.
        return self._draft.read(part) if isinstance(node, Name) else f"view[{self._draft.argument(part)}]"

    def _arithmetic(self, node: Arithmetic) -> str:
        """NaN where it divides by zero, and where it grows beyond all numbers: only what is finite is 0 less itself."""
        found, a, b = self._draft.name(), self.number(node.left), self.number(node.right)
        if node.op != "/":
            return f"(({found} := {a} {node.op} {b}) + ({found} - {found}))"
        by = self._draft.name()
        return f"(({found} := {a} / {by}) + ({found} - {found}) if ({by} := {b}) else NAN)"

    def _extreme(self, parts: list[str], op: str) -> str:
        """The greatest or least, NaN when one of them is; by halves, since Python reads only so many brackets."""
        if len(parts) == 1:
            return parts[0]
        half, a, b = len(parts) // 2, self._draft.name(), self._draft.name()
        left, right = self._extreme(parts[:half], op), self._extreme(parts[half:], op)
        return f"({a} if ({a} := {left}) {op}= ({b} := {right}) else {b} if {b} {op} {a} else NAN)"


@lru_cache(maxsize=1024)
def _code(source: str) -> CodeType:
    return next(part for part in compile(source, "<rule>", "exec").co_consts if isinstance(part, CodeType))

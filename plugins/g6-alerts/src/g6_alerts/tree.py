"""What a rule's expression is once it was read: nothing of the text, and nothing of Python's syntax tree, is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Node:
    """A part of an expression."""

    def parts(self) -> Iterator[Node]:
        """The parts directly below it."""
        for field in fields(self):
            value = getattr(self, field.name)
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(one, Node):
                    yield one

    def walk(self) -> Iterator[Node]:
        """It and everything below it."""
        yield self
        for part in self.parts():
            yield from part.walk()


@dataclass(frozen=True)
class Number(Node):
    value: float


@dataclass(frozen=True)
class Name(Node):
    """A column or fact. name: as written. table: facts, expiries or options once it was looked up, empty before.

    code: the expiry code that it is asked of (`next_week.atm_iv`); empty for the nearest expiry, and for facts.
    """

    name: str
    table: str = ""
    code: str = ""


@dataclass(frozen=True)
class Is(Node):
    """A column of words compared with a word. negated: `!=`."""

    name: Name
    word: str
    negated: bool


@dataclass(frozen=True)
class Negative(Node):
    of: Node


@dataclass(frozen=True)
class Arithmetic(Node):
    """op: one of + - * /."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Comparison(Node):
    """`a < b <= c`: one more operand than ops, each one of < <= > >= == !=."""

    ops: tuple[str, ...]
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Logic(Node):
    """op: and, or."""

    op: str
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Not(Node):
    of: Node


@dataclass(frozen=True)
class Function(Node):
    """name: abs, min or max."""

    name: str
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Window(Node):
    """What an operand was before. name: prev, change, avg or zscore; seconds: how far back, 0 for prev."""

    name: str
    of: Node
    seconds: float


@dataclass(frozen=True)
class Over(Node):
    """One answer of all option rows. name: sum, count, any; and all, which nobody writes: the opposite of any."""

    name: str
    of: Node


CONDITIONS = (Comparison, Logic, Not, Is)


def is_condition(node: Node) -> bool:
    """Whether it says yes or no; else it is a number."""
    return isinstance(node, CONDITIONS) or (isinstance(node, Over) and node.name in ("any", "all"))


def per_row(node: Node) -> bool:
    """Whether it has a value for each option: it names a column of the options outside of sum, count and any."""
    if isinstance(node, Over):
        return False
    return (isinstance(node, Name) and node.table == "options") or any(per_row(part) for part in node.parts())

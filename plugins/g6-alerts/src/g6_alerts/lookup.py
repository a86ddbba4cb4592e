"""The names of a tree, looked up among the columns and facts that snapshots have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from g6_alerts.tree import Is, Name, Node, Over, Window, per_row
from g6_alerts.view import NEAREST
from g6core import ConfigError

Find = Callable[[str], str]
"""From a name as written to its dotted name; raises ConfigError."""


def looked_up(node: Node, find: Find, code: str = NEAREST) -> Node:
    """The same tree with each name in its table. Raises ConfigError for a name that no snapshot has.

    code: the expiry of the names that are not asked of another one.
    """
    if isinstance(node, Name):
        dotted = find(node.name)
        table = dotted.partition(".")[0]
        return replace(node, name=dotted, table=table, code="" if table == "facts" else node.code or code)
    found = replace(node, **{field.name: _found(getattr(node, field.name), find, code) for field in fields(node)})
    if isinstance(found, Over) and not per_row(found.of):
        raise ConfigError(
            f"`{found.name}(…)` goes over the options, and names none of their columns",
            code="alert-name",
            hint='such as `sum(options.oi)`, `count(options.iv > 0.3)`, `any(right == "PE" and bid > 100)`',
        )
    if isinstance(found, Is) and found.name.table == "facts":
        raise ConfigError(f"`{found.name.name}` is a number, and is compared with a word", code="alert-name")
    return found


def only_facts(node: Node) -> bool:
    """Whether the windows of a tree can be filled from facts alone."""
    windows = [part for part in node.walk() if isinstance(part, Window)]
    names = [part for window in windows for part in window.walk() if isinstance(part, Name)]
    return all(name.table == "facts" for name in names)


def _found(value: Any, find: Find, code: str) -> Any:
    if isinstance(value, tuple):
        return tuple(_found(one, find, code) for one in value)
    return looked_up(value, find, code) if isinstance(value, Node) else value

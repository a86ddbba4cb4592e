"""A tree compiled for option rows: a closure gives a number per option, NaN where it is not known.

A condition is 1 for true, 0 for false and 0.5 for unknown, so that `and` is the least of them and `or` the greatest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from g6_alerts.scalar import OPERATORS, Compiler
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
    Window,
    is_condition,
    per_row,
)
from g6_alerts.view import Floats, Rows
from g6_alerts.windows import RowTrack

RowClosure = Callable[[Rows], Any]
"""Gives an array (options,), or a float that holds for each of them."""
UNKNOWN = 0.5


def row_closure(compiler: Compiler, node: Node) -> RowClosure:
    """The closure of any part; one that has a single value per snapshot gives that."""
    if not per_row(node):
        return _single(compiler, node)
    return _MAKERS[type(node)](compiler, node)


def _single(compiler: Compiler, node: Node) -> RowClosure:
    scalar, unknown = compiler.scalar(node), UNKNOWN if is_condition(node) else np.nan

    if isinstance(node, Number):
        return lambda rows: node.value

    def single(rows: Rows) -> float:
        value = scalar(rows.view)
        return unknown if value is None else float(value)

    return single


def _name(compiler: Compiler, node: Name) -> RowClosure:
    name = node.name.rpartition(".")[2]
    return lambda rows: rows.floats(name)


def _is(compiler: Compiler, node: Is) -> RowClosure:
    name, word, negated = node.name.name.rpartition(".")[2], node.word, node.negated

    if negated:
        return lambda rows: 1.0 - rows.same(name, word)
    return lambda rows: rows.same(name, word)


def _negative(compiler: Compiler, node: Negative) -> RowClosure:
    of = row_closure(compiler, node.of)
    return lambda rows: -of(rows)


def _arithmetic(compiler: Compiler, node: Arithmetic) -> RowClosure:
    left, right = row_closure(compiler, node.left), row_closure(compiler, node.right)
    apply = OPERATORS[node.op]

    def arithmetic(rows: Rows) -> Floats:
        with np.errstate(all="ignore"):
            values = apply(left(rows), right(rows))
        return np.where(np.isfinite(values), values, np.nan)

    return arithmetic


def _comparison(compiler: Compiler, node: Comparison) -> RowClosure:
    if len(node.ops) > 1:
        pairs = zip(node.ops, node.operands, node.operands[1:], strict=False)
        return _logic(compiler, Logic("and", tuple(Comparison((op,), (a, b)) for op, a, b in pairs)))
    left, right = (row_closure(compiler, part) for part in node.operands)
    apply = OPERATORS[node.ops[0]]
    if isinstance(node.operands[1], Number):
        limit = node.operands[1].value

        def beside_number(rows: Rows) -> Floats:
            a = left(rows)
            return np.where(np.isnan(a), UNKNOWN, apply(a, limit))

        return beside_number

    def comparison(rows: Rows) -> Floats:
        a, b = left(rows), right(rows)
        return np.where(np.isnan(a) | np.isnan(b), UNKNOWN, apply(a, b))

    return comparison


def _logic(compiler: Compiler, node: Logic) -> RowClosure:
    parts = [row_closure(compiler, part) for part in node.operands]
    apply = np.minimum if node.op == "and" else np.maximum
    return lambda rows: functools.reduce(apply, [part(rows) for part in parts])


def _not(compiler: Compiler, node: Not) -> RowClosure:
    of = row_closure(compiler, node.of)
    return lambda rows: 1.0 - of(rows)


def _function(compiler: Compiler, node: Function) -> RowClosure:
    parts = [row_closure(compiler, part) for part in node.operands]
    if node.name == "abs":
        return lambda rows: np.abs(parts[0](rows))
    apply = np.minimum if node.name == "min" else np.maximum
    return lambda rows: functools.reduce(apply, [part(rows) for part in parts])


def _window(compiler: Compiler, node: Window) -> RowClosure:
    track = compiler.row_tracks.get(node)
    if track is None:
        track = RowTrack(node.name, node.seconds, row_closure(compiler, node.of), compiler.code)
        compiler.row_tracks[node] = track
        compiler.tracks.append(track)
    return lambda rows: track.value(rows.view)


_MAKERS: dict[type[Node], Callable[[Compiler, Any], RowClosure]] = {
    Name: _name,
    Is: _is,
    Negative: _negative,
    Arithmetic: _arithmetic,
    Comparison: _comparison,
    Logic: _logic,
    Not: _not,
    Function: _function,
    Window: _window,
}

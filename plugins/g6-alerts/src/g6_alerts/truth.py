"""Three values by two questions: is a condition true, and is it known to be false? Neither: nobody knows.

Both are asked of trees without `not`, in which each comparison has two sides. A comparison with a number that is not
known is not true, and nor is the opposite one; from there on `and` and `or` give what three-valued logic gives.
"""

from __future__ import annotations

from g6_alerts.tree import Comparison, Is, Logic, Node, Not, Over

OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "==", "and": "or", "or": "and"}


def affirmed(node: Node) -> Node:
    """The condition, true where it is true."""
    if isinstance(node, Not):
        return denied(node.of)
    if isinstance(node, Logic):
        return Logic(node.op, tuple(affirmed(part) for part in node.operands))
    if isinstance(node, Comparison) and len(node.ops) > 1:
        return Logic("and", _pairs(node))
    if isinstance(node, Over):
        return Over(node.name, affirmed(node.of))
    return node


def denied(node: Node) -> Node:
    """The condition that is true where this one is known to be false."""
    if isinstance(node, Not):
        return affirmed(node.of)
    if isinstance(node, Logic):
        return Logic(OPPOSITE[node.op], tuple(denied(part) for part in node.operands))
    if isinstance(node, Comparison):
        parts = tuple(Comparison((OPPOSITE[pair.ops[0]],), pair.operands) for pair in _pairs(node))
        return Logic("or", parts) if len(parts) > 1 else parts[0]
    if isinstance(node, Over):
        return Over("all", denied(node.of))
    assert isinstance(node, Is)
    return Is(node.name, node.word, not node.negated)


def _pairs(node: Comparison) -> tuple[Comparison, ...]:
    pairs = zip(node.ops, node.operands, node.operands[1:], strict=False)
    return tuple(Comparison((op,), (a, b)) for op, a, b in pairs)

"""What a rule answers, against a plain walk over its tree that knows nothing of how rules are compiled or shared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from statistics import fmean
from typing import Any

import polars as pl
from g6_alerts.grammar import parse
from g6_alerts.look import Bound, Look
from g6_alerts.parts import Shared
from g6_alerts.rule import Rule
from g6_alerts.settings import RuleSettings
from g6_alerts.sweep import Seat, Sweep
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
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import Known, Snapshot
from g6core.testing import snapshot

FIND = Known(["expiries.pcr_oi", "options.iv", "options.extra"]).column
PLAIN = snapshot(strikes=3, expiries=2)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


class Close(Exception):  # no error: two ways of rounding may answer differently
    """Two numbers that differ by less than rounding does."""


@dataclass(frozen=True)
class Moment:
    """One snapshot as the walk sees it. rows: of the nearest expiry, by symbol."""

    at: float
    facts: dict[str, float]
    expiries: list[dict[str, Any]]
    rows: dict[str, dict[str, Any]]


class Walk:
    """The meaning of a tree at the newest of some moments, for one option or, without a symbol, for all."""

    def __init__(self, moments: Sequence[Moment], symbol: str | None = None) -> None:
        self.moments, self.now, self.symbol = moments, moments[-1], symbol

    def of(self, node: Node) -> Any:
        return getattr(self, f"_{type(node).__name__.lower()}")(node)

    def _number(self, node: Number) -> float:
        return node.value

    def _name(self, node: Name) -> Any:
        name = node.name.rpartition(".")[2]
        if node.table == "facts":
            return self.now.facts.get(name)
        if node.table == "options":
            return self.now.rows.get(self.symbol or "", {}).get(name)
        chosen = [row for row in self.now.expiries if node.code in ("", *row["codes"])]
        return chosen[0].get(name) if chosen else None

    def _is(self, node: Is) -> bool | None:
        word = self._name(node.name)
        return (word == node.word) is not node.negated if isinstance(word, str) else None

    def _negative(self, node: Negative) -> float | None:
        value = self.of(node.of)
        return None if value is None else -value

    def _arithmetic(self, node: Arithmetic) -> float | None:
        a, b = self.of(node.left), self.of(node.right)
        if a is None or b is None or (node.op == "/" and b == 0):
            return None
        return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[node.op]()

    def _function(self, node: Function) -> float | None:
        values = [self.of(part) for part in node.operands]
        return (
            None
            if None in values
            else abs(values[0])
            if node.name == "abs"
            else {"min": min, "max": max}[node.name](values)
        )

    def _comparison(self, node: Comparison) -> bool | None:
        pairs = zip(node.ops, node.operands, node.operands[1:], strict=False)
        return all_of([self._compared(op, self.of(a), self.of(b)) for op, a, b in pairs])

    def _compared(self, op: str, a: float | None, b: float | None) -> bool | None:
        if a is None or b is None:
            return None
        if a != b and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9):
            raise Close
        return COMPARE[op](a, b)

    def _logic(self, node: Logic) -> bool | None:
        values = [self.of(part) for part in node.operands]
        return all_of(values) if node.op == "and" else opposite(all_of([opposite(value) for value in values]))

    def _not(self, node: Not) -> bool | None:
        return opposite(self.of(node.of))

    def _over(self, node: Over) -> Any:
        values = [Walk(self.moments, symbol).of(node.of) for symbol in self.now.rows]
        known = [value for value in values if value is not None]
        if node.name == "any":
            return None if not values else opposite(all_of([opposite(value) for value in values]))
        return float(sum(known)) if known else None

    def _window(self, node: Window) -> float | None:
        values = [Walk(self.moments[: i + 1], self.symbol).of(node.of) for i in range(len(self.moments))]
        if node.name == "prev":
            return values[-2] if len(values) > 1 else None
        begins = [i for i, moment in enumerate(self.moments) if moment.at <= self.now.at - node.seconds]
        if not begins:
            return None
        first = begins[-1]
        if node.name == "change":
            old = self.now.at - self.moments[first].at > 1.5 * node.seconds
            return None if old or values[first] is None or values[-1] is None else values[-1] - values[first]
        inside = values[first + 1 :] if node.name == "avg" else values[first + 1 : -1]
        return average(inside) if node.name == "avg" else score(values[-1], inside)


def all_of(values: Sequence[bool | None]) -> bool | None:
    return False if False in values else None if None in values else True


def opposite(value: bool | None) -> bool | None:
    return None if value is None else not value


def average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and 2 * len(known) >= len(values) else None


def score(now: float | None, values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if now is None or len(known) < 3 or 2 * len(known) < len(values) or len(set(known)) == 1:
        return None
    mean = fmean(known)
    return (now - mean) / math.sqrt(fmean([(value - mean) ** 2 for value in known]))


SMALL = st.none() | st.integers(0, 4).map(float)
ROWS = PLAIN.options.filter(pl.col("expiry") == PLAIN.expiries["expiry"][0]).height


@st.composite
def snapshots(draw: st.DrawFn) -> list[Snapshot]:
    """A few on one day, seldom a minute apart; options come and go, and the rows change places."""
    made, at = [], 0
    for _ in range(draw(st.integers(1, 6))):
        at += draw(st.sampled_from([1, 1, 1, 2, 4]))
        columns = {name: draw(st.lists(SMALL, min_size=ROWS, max_size=ROWS)) for name in ("iv", "extra")}
        first = [
            pl.Series(name, values + [0.0] * (PLAIN.options.height - ROWS), pl.Float64)
            for name, values in columns.items()
        ]
        options = PLAIN.options.with_columns(first)
        kept = draw(st.permutations(range(ROWS)))[: draw(st.integers(1, ROWS))]
        options = pl.concat([options[kept], options[ROWS:]])
        pcr = pl.Series("pcr_oi", draw(st.lists(SMALL, min_size=2, max_size=2)), pl.Float64)
        facts = {name: value for name in ("spot", "vix") if (value := draw(SMALL)) is not None}
        ts = PLAIN.ts + timedelta(minutes=at)
        made.append(PLAIN.replace(ts=ts, options=options, expiries=PLAIN.expiries.with_columns(pcr), facts=facts))
    return made


def moment(one: Snapshot) -> Moment:
    nearest = one.options.filter(pl.col("expiry") == one.expiries["expiry"][0])
    rows = {row["symbol"]: row for row in nearest.to_dicts()}
    return Moment(one.ts.timestamp(), dict(one.facts), one.expiries.to_dicts(), rows)


def numbers(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
            inner.map(lambda x: f"(-{x})"),
            inner.map(lambda x: f"abs({x})"),
            st.tuples(st.sampled_from(["min", "max"]), st.lists(inner, min_size=2, max_size=3)).map(
                lambda p: f"{p[0]}({', '.join(p[1])})"
            ),
        ),
        max_leaves=3,
    )


def conditions(number: st.SearchStrategy[str], leaves: Sequence[str] = ()) -> st.SearchStrategy[str]:
    op = st.sampled_from(list(COMPARE))
    compared = st.tuples(number, op, number).map(" ".join) | st.tuples(number, op, number, op, number).map(" ".join)
    return st.recursive(
        compared | st.sampled_from(leaves) if leaves else compared,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(lambda p: f"({p[0]}{p[1]}{p[2]})"),
            inner.map(lambda x: f"(not ({x}))"),
        ),
        max_leaves=4,
    )


def windowed(number: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    spans = st.tuples(st.sampled_from(["change", "avg", "zscore"]), number, st.sampled_from(["1m", "2m", "4m"]))
    return number.map(lambda x: f"prev({x})") | spans.map(lambda p: f'{p[0]}({p[1]}, "{p[2]}")')


SINGLE = numbers(st.sampled_from(["spot", "vix", "pcr_oi", "next_week.pcr_oi", "1", "2"]))
EACH = numbers(st.sampled_from(["options.iv", "options.extra", "spot", "1", "2"]))
WORDS = ['right == "CE"', 'right != "CE"', 'options.symbol == "x"']
OVER = st.one_of(
    EACH.map(lambda x: f"sum(options.iv * 0 + {x})"),
    conditions(EACH).map(lambda x: f"count(options.iv >= 0 or {x})"),
)
ANY = conditions(EACH, WORDS).map(lambda x: f"any(options.iv > 2 and ({x}))")
BY_SNAPSHOT = conditions(SINGLE | windowed(SINGLE) | OVER, ['code == "this_week"', 'code != "x"']) | ANY
BY_OPTION = conditions(EACH | windowed(EACH) | SINGLE, WORDS)


@settings(max_examples=60, deadline=None)
@given(snapshots(), st.lists(BY_SNAPSHOT | BY_OPTION, min_size=1, max_size=4))
def test_every_rule_means_what_a_plain_walk_over_its_tree_finds(days: list[Snapshot], texts: list[str]) -> None:
    texts = [text for text in texts if len(text) <= 500]
    rules = [RuleSettings(expr=text) for text in texts]
    bounds = [Bound(rule, parse(rule.expr), FIND) for rule in rules]
    shared = Shared()
    seats = [
        shared.sweep.join(Rule(rule), Look(bound, shared), None) for rule, bound in zip(rules, bounds, strict=True)
    ]
    moments: list[Moment] = []
    before = None
    for now in days:
        moments.append(moment(now))
        shared.sweep.look(now, before)
        for bound, seat in zip(bounds, seats, strict=True):
            for series in seat.look.series:
                series.take(shared.sweep.view)
            with suppress(Close):
                check(bound, seat, shared.sweep, moments)
            shared.sweep.meet(seat)
        before = now


def check(bound: Bound, seat: Seat, sweep: Sweep, moments: Sequence[Moment]) -> None:
    look, view, asked = seat.look, sweep.view, seat not in sweep.new
    if not look.by_row:
        expected = Walk(moments).of(bound.tree)
        assert look.answer(view) is expected
        assert not asked or (seat in sweep.stirred) is (expected is True)
        return
    each = [Walk(moments, symbol).of(bound.tree) for symbol in moments[-1].rows]
    true, false = look.answers(view)
    assert [True if t else False if f else None for t, f in zip(true, false, strict=True)] == each
    assert seat in sweep.stirred or True not in each

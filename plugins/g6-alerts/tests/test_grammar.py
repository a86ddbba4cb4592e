"""What an expression may say, what it means, and that nothing of it is ever run."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from g6_alerts.compiler import Compiler
from g6_alerts.formula import NAMES, Draft, Writer
from g6_alerts.grammar import ExpressionError, parse, parse_number_or_condition
from g6_alerts.lookup import looked_up
from g6_alerts.parts import Shared
from g6_alerts.rows import spread
from g6_alerts.tree import Node, is_condition, per_row
from g6_alerts.truth import affirmed, denied
from g6_alerts.view import NEAREST, View
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import ConfigError, Known, Snapshot
from g6core.testing import snapshot

FACTS = {"spot": 100.0, "open": 90.0, "high": 110.0, "low": 80.0}
FIND = Known(["expiries.pcr_oi", "options.iv"]).column


def value(text: str, **facts: float) -> Any:
    """An expression over facts; a name without a value there is not known."""
    view = View("NIFTY", snapshot().ts, {**FACTS, **facts}, None)
    tree, compiler = looked_up(parse_number_or_condition(text), FIND), Compiler(NEAREST, Shared())
    if not is_condition(tree):
        number = view[compiler.one(tree)]
        return None if math.isnan(number) else number
    true, false = view[compiler.one(affirmed(tree))], view[compiler.one(denied(tree))]
    assert not (true and false)
    return True if true else False if false else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 8 / 4", 5.0),
        ("-spot + 1.5", -98.5),
        ("spot > open", True),
        ("low < open < spot <= 100 != high", True),
        ("low < open > spot", False),
        ("not spot > open or spot == 100", True),
        ("spot > 200 or open > 200 and low > 0", False),
        ("abs(open - spot)", 10.0),
        ("max(spot, high, low) - min(spot, 3)", 107.0),
        ("facts.spot / 4", 25.0),
        ("1e2 == spot", True),
    ],
)
def test_arithmetic_and_conditions(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("text", ["vix", "-vix", "vix + 1", "spot / 0", "0 / 0", "1e308 * 1e308", "max(spot, vix)"])
def test_a_number_that_is_not_known_or_does_not_exist_is_null(text: str) -> None:
    assert value(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vix > 1", None),
        ("not vix > 1", None),
        ("vix > 1 and spot < 0", False),
        ("spot < 0 and vix > 1", False),
        ("vix > 1 and spot > 0", None),
        ("vix > 1 or spot > 0", True),
        ("spot > 0 or vix > 1", True),
        ("vix > 1 or spot < 0", None),
        ("0 < vix < spot", None),
        ("spot < vix < open < 0", False),
    ],
)
def test_unknown_goes_through_logic_by_three_values(text: str, expected: bool | None) -> None:
    assert value(text) is expected


VOCABULARY = """
spot open high iv strike right oi pcr_oi facts expiries options this_week __class__ __globals__ __import__ abs min max
prev change avg zscore sum count any and or not if else for in is lambda yield await import eval exec getattr ( ) [ ]
{ } . , : := = == != < <= > >= + - * / ** % // @ & | ^ ~ ; # \\ ' " '15m' "CE" 1 0 2.5 1e9 9999 f r b _
"""
WORDS = st.sampled_from(sorted(VOCABULARY.split()))


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=25).map(" ".join) | st.text(max_size=60))
def test_any_text_is_refused_or_is_a_condition(text: str) -> None:
    try:
        tree = looked_up(parse(text), FIND)
    except (ExpressionError, ConfigError):
        return
    assert is_condition(tree)
    assert all(type(part).__module__ == "g6_alerts.tree" for part in tree.walk())


BODY = r"(view\[a\d+\]|[avx]\d+|abs|NAN|if|else|and|or|:=|[<>=!]=|[-+*/<>() ])*"
WRITTEN = re.compile(rf"def formula\(view(, a\d+)*\):(\n [vx]\d+ = {BODY})*\n return {BODY}")


@settings(max_examples=120, deadline=None)
@given(st.lists(WORDS, max_size=25).map(" ".join) | st.deferred(lambda: CONDITIONS))
def test_what_is_compiled_has_nothing_of_the_text(text: str) -> None:
    try:
        tree = looked_up(parse(text), FIND)
    except (ExpressionError, ConfigError):
        return
    compiler = Compiler(NEAREST, Shared())
    for way in (affirmed, denied):
        if not per_row(tree):
            draft = Draft()
            assert WRITTEN.fullmatch(draft.source(Writer(compiler.one, draft).condition(way(tree))))
            assert all(type(one) is float or hasattr(one, "look") for one in draft.arguments)


def test_a_compiled_expression_reaches_nothing_of_python() -> None:
    compiled = Compiler(NEAREST, Shared()).condition(looked_up(parse("abs(spot) > 1 / open"), FIND))
    assert compiled.__globals__ is NAMES and NAMES.keys() == {"__builtins__", "abs", "NAN"}
    assert NAMES["__builtins__"] == {} and compiled.__closure__ is None


@pytest.mark.parametrize("text", ["max({}) > 0", "{} > 0"])
def test_the_longest_expression_is_compiled(text: str) -> None:
    many = ",".join(["spot"] * 98) if "max" in text else " > ".join(["spot"] * 60)
    assert value(text.format(many)) is ("max" in text)


NUMBERS = st.recursive(
    st.sampled_from(["spot", "vix", "low", "strike", "bid", "iv", "atm_strike"]) | st.integers(0, 30).map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        inner.map(lambda x: f"(-{x})"),
        inner.map(lambda x: f"abs({x})"),
        st.tuples(inner, inner).map(lambda p: f"max({p[0]}, {p[1]})"),
    ),
    max_leaves=5,
)
CONDITIONS = st.recursive(
    st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS).map(" ".join),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(lambda p: f"({p[0]}{p[1]}{p[2]})"),
        inner.map(lambda x: f"(not {x})"),
    ),
    max_leaves=3,
)


def by_python(text: str, names: dict[str, float | None]) -> bool | None:
    """The meaning as Python has it, of an expression without unknowns; None where it has none."""
    try:
        return bool(eval(text, {"abs": abs, "max": max}, names))
    except (TypeError, ZeroDivisionError, OverflowError):
        return None


@settings(max_examples=80, deadline=None)
@given(CONDITIONS)
def test_rows_and_scalars_and_python_agree(text: str) -> None:
    now: Snapshot = snapshot(strikes=3, expiries=1)
    now = now.add(options=[now.options["bid"].alias("iv")])
    view = View("NIFTY", now.ts, now.facts, now)
    node: Node = looked_up(parse(text), FIND)
    true, false = by_row(node, view)
    for row, one in enumerate(now.options.to_dicts()):
        names = {**now.facts, "strike": one["strike"], "bid": one["bid"], "iv": one["bid"]}
        names["atm_strike"] = now.expiries["atm_strike"][0]
        if None not in names.values() and "/" not in text:
            assert (true[row], false[row]) == (by_python(text, names), not by_python(text, names))


def by_row(node: Node, view: View) -> tuple[Any, Any]:
    """For each option whether a condition is true, and whether it is known to be false."""
    compiler = Compiler(NEAREST, Shared())
    part = compiler.each if per_row(node) else compiler.one
    true, false = (spread(view[part(way(node))], view, NEAREST) for way in (affirmed, denied))
    assert not (true & false).any()
    return true, false


def test_a_name_is_looked_up_in_facts_then_expiries_then_options() -> None:
    find = Known(["facts.gex", "expiries.gex", "expiries.iv", "options.iv"]).column
    assert [find(name) for name in ("gex", "iv", "options.iv", "strike")] == [
        "facts.gex",
        "expiries.iv",
        "options.iv",
        "options.strike",
    ]


def test_infinity_is_never_a_value() -> None:
    assert value("spot * 1e308 * 10 > 1") is None
    assert not math.isinf(value("1e308 - 1"))

"""What an expression may say, what it means, and that nothing of it is ever run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from g6_alerts.grammar import ExpressionError, parse, parse_number_or_condition
from g6_alerts.lookup import looked_up
from g6_alerts.rows import row_closure
from g6_alerts.scalar import Compiler
from g6_alerts.tree import Node, is_condition
from g6_alerts.view import View
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import ConfigError, Known, Snapshot
from g6core.testing import snapshot

FACTS = {"spot": 100.0, "open": 90.0, "high": 110.0, "low": 80.0}
FIND = Known(["expiries.pcr_oi", "options.iv"]).column


def value(text: str, **facts: float) -> Any:
    """An expression over facts; a name without a value there is not known."""
    now = snapshot()
    tree = looked_up(parse_number_or_condition(text), FIND)
    return Compiler("").scalar(tree)(View("NIFTY", now.ts, {**FACTS, **facts}, None))


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
    answers = np.broadcast_to(row_closure(Compiler(""), node)(view.rows("")), now.options.height)
    assert set(np.unique(answers)) <= {0.0, 0.5, 1.0}
    for row, answer in zip(now.options.to_dicts(), answers, strict=True):
        names = {**now.facts, "strike": row["strike"], "bid": row["bid"], "iv": row["bid"]}
        names["atm_strike"] = now.expiries["atm_strike"][0]
        if None not in names.values() and "/" not in text:
            assert answer == by_python(text, names)


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

"""Rules of one recorder share what they look at: none of them answers otherwise than it would alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from g6_alerts.rule import Rule

from g6core import Alert, Context, Snapshot, make_context
from g6core.testing import ManualClock

At = Callable[..., Snapshot]
Make = Callable[..., Rule]
Told = Callable[[Rule, Sequence[Snapshot]], list[Alert]]
WINDOWS = ['change(spot, "2m") > 3', 'avg(spot, "3m") > 4', "prev(spot) > 6", 'zscore(spot, "4m") > 1']
ASKED = [*WINDOWS, "spot > 0", 'spot > 6 and avg(spot, "5m") < 6']
"""The last window is not asked for in each snapshot."""
SPOTS = [1, 2, 9, 3, 8, 7, 1, 9, 9, 2]


class Recorded:
    """A history of what was recorded, which counts how often it is asked for facts."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.asked = 0

    def facts(self, index: str, day: date, before: datetime) -> list[tuple[datetime, Mapping[str, float]]]:
        self.asked += 1
        return [(s.ts, s.facts) for s in self.snapshots if s.index == index and s.ts < before]


@pytest.fixture
def context(tmp_path: Path) -> Context:
    recorded: Any = Recorded()
    return replace(make_context(tmp_path, ManualClock()), history=recorded)


@pytest.fixture
def opened(rule: Make, context: Context) -> Make:
    """A rule of the recorder that `context` is of."""

    def make(expr: str, **settings: Any) -> Rule:
        one = rule(expr, **settings)
        one.open(context)
        return one

    return make


def looked(rules: Sequence[Rule], days: Sequence[Snapshot]) -> list[list[tuple]]:
    """What each rule raises when all of them are asked about each snapshot in turn."""
    raised: list[list[tuple]] = [[] for _ in rules]
    before: dict[str, Snapshot] = {}
    for now in days:
        for one, own in zip(rules, raised, strict=True):
            own += [(a.index, a.ts, a.state, a.labels["value"]) for a in one.check(now, before.get(now.index))]
        before[now.index] = now
    return raised


def of_two(at: At) -> list[Snapshot]:
    return [
        at(i, index, spot=spot + (index == "SENSEX")) for i, spot in enumerate(SPOTS) for index in ("NIFTY", "SENSEX")
    ]


def test_together_they_raise_what_each_raises_alone(rule: Make, opened: Make, at: At) -> None:
    days = of_two(at)
    together = looked([opened(expr) for expr in ASKED * 3], days)
    alone = [looked([rule(expr)], days)[0] for expr in ASKED * 3]
    assert together == alone and all(alone)


def test_a_late_snapshot_is_counted_once_for_all(rule: Make, opened: Make, at: At) -> None:
    days = [at(i, spot=spot) for i, spot in zip([0, 1, 3, 2, 4, 5], [1, 9, 2, 9, 8, 1], strict=True)]
    exprs = ['avg(spot, "2m") > 5', 'change(spot, "2m") < 0']
    assert looked([opened(expr) for expr in exprs * 2], days) == [looked([rule(expr)], days)[0] for expr in exprs * 2]


def test_two_recorders_share_nothing(rule: Make, opened: Make, at: At, tmp_path: Path) -> None:
    other = rule("spot > prev(spot) + 5")
    other.open(make_context(tmp_path / "other", ManualClock()))
    own = opened("spot > prev(spot) + 5")
    for i, spot in enumerate([1, 2, 3]):
        assert list(other.check(at(i, spot=spot * 100), None)) == [] or i
        assert list(own.check(at(i, spot=spot), None)) == []


def test_what_another_rule_of_the_process_asks_between_counts_nothing_twice(opened: Make, rule: Make, at: At) -> None:
    first, second, other = opened('avg(spot, "2m") == 4'), opened('avg(spot, "2m") == 4'), rule("spot > 0")
    raised = []
    for i, spot in enumerate([0, 0, 3, 5]):
        now = at(i, spot=spot)
        for one in (first, second):
            raised += [(i, a.state) for a in one.check(now, None)]
            list(other.check(at(i, "SENSEX", spot=1), None))
    assert raised == [(3, "firing")] * 2


def test_a_rule_that_comes_later_knows_what_was(opened: Make, context: Context, at: At) -> None:
    """As after the settings changed: the windows that are there go on, and nothing is read again."""
    days = [at(i, spot=spot) for i, spot in enumerate([1, 2, 9])]
    first = opened('change(spot, "2m") > 7')
    assert looked([first], days[:2]) == [[]]
    asked = context.history.asked  # type: ignore[attr-defined]
    later = opened('change(spot, "2m") > 6')
    assert [a.state for a in later.check(days[2], days[1])] == ["firing"]
    assert context.history.asked == asked  # type: ignore[attr-defined]


def test_a_rule_that_begins_with_a_late_snapshot_knows_what_was(opened: Make, context: Context, at: At) -> None:
    days = [at(minute, spot=spot) for minute, spot in [(0, 1), (1, 1), (2, 9), (2.5, 1)]]
    late, now = at(1.5, spot=1), at(3, spot=1)
    first = opened('avg(spot, "3m") > 5')
    assert looked([first], days) == [[]]
    later = opened('avg(spot, "2m") > 2')
    context.history.snapshots = [*days[:2], late, *days[2:]]  # type: ignore[attr-defined]
    assert [list(one.check(late, days[3])) for one in (first, later)] == [[], []]
    assert [a.labels["value"] for a in later.check(now, late)] == ["3"]


def test_a_window_that_nobody_looked_through_for_a_while_begins_anew(opened: Make, context: Context, at: At) -> None:
    days = [at(i, "SENSEX", spot=spot) for i, spot in enumerate([1, 5, 2, 9])]
    first = opened("spot > prev(spot) + 5", on=["NIFTY", "SENSEX"])
    looked([first], days[:1])
    context.history.snapshots = days[:3]  # type: ignore[attr-defined]
    later = opened("spot > prev(spot) + 5")
    assert [a.labels["value"] for a in later.check(days[3], days[2])] == ["9"]
    again = opened("spot > prev(spot) + 7")
    assert list(again.check(at(4, "SENSEX", spot=16), days[3])) == []


def test_a_word_and_a_number_of_other_expiries_are_kept_apart(opened: Make, at: At) -> None:
    now = at(0, spot=1)
    codes = now.expiries["code"].to_list()
    strikes = now.expiries.with_columns(atm_strike=now.expiries["atm_strike"] + pl.Series([0.0, 1.0]))
    first = strikes["atm_strike"][0]
    rules = [opened(f"atm_strike == {first + i}", expiry=code) for i, code in enumerate(codes)]
    rules += [opened(f'code == "{code}"', expiry=code) for code in codes]
    assert [len(list(one.check(now.replace(expiries=strikes), None))) for one in rules] == [1] * len(rules)


def test_a_rule_that_cannot_look_at_a_snapshot_keeps_no_other_from_it(opened: Make, at: At) -> None:
    odd: Any = "much"
    days = [at(0, spot=1, vix=1), at(1, spot=odd, vix=20), at(2, spot=odd, vix=1), at(3, spot=9, vix=1)]
    fails, others = opened("spot > 5"), [opened("vix > 10"), opened("vix > prev(vix) + 10")]
    before, raised = None, []
    for now in days:
        if now is days[1]:
            others.append(opened("vix > 11"))
        if now.facts["spot"] is odd:
            with pytest.raises(ValueError, match="much"):
                list(fails.check(now, before))
        else:
            raised += [a.state for a in fails.check(now, before)]
        raised += [f"{a.ts:%M}{a.state}" for one in others for a in one.check(now, before)]
        before = now
    first, then = days[1].ts, days[2].ts
    assert raised == [*[f"{first:%M}firing"] * 3, *[f"{then:%M}resolved"] * 3, "firing"]


def test_a_late_snapshot_that_one_rule_cannot_look_at_counts_in_the_windows_of_the_others(opened: Make, at: At) -> None:
    odd: Any = "much"
    days = [at(0, spot=1, vix=9), at(2, spot=1, vix=9), at(1, spot=odd, vix=1), at(3, spot=1, vix=9)]
    fails, window = opened("prev(spot) > 5"), opened('avg(vix, "3m") < 7')
    raised, before = [], None
    for now in days:
        if now.facts["spot"] is odd:
            with pytest.raises(ValueError, match="much"):
                list(fails.check(now, before))
        else:
            assert list(fails.check(now, before)) == []
        raised += [(a.ts, a.labels["value"]) for a in window.check(now, before)]
        before = now
    assert raised == [(days[3].ts, "6.333")]


def test_rules_may_look_at_a_day_one_after_the_other(rule: Make, opened: Make, at: At) -> None:
    """As in a notebook: what one has seen is not the past of the next one."""
    days = of_two(at)
    rules = [opened(expr) for expr in ASKED]
    for one in rules:
        assert looked([one], days) == looked([rule(one.rule.expr)], days) != [[]], one.rule.expr
        one.close()


class Noted(dict[str, float]):
    """Facts that know which of them were asked for."""

    def __init__(self, facts: Mapping[str, float]) -> None:
        super().__init__(facts)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def test_a_closed_rule_is_not_asked_with_the_others_any_more(opened: Make, context: Context, at: At) -> None:
    gone, other = opened("vix > 5"), opened("spot > 10")
    days = [at(i).replace(facts=Noted({"spot": 20.0, "vix": 1.0})) for i in range(4)]
    assert [len(alerts) for alerts in looked([gone, other], days[:2])] == [0, 1]
    gone.open(context)  # a second time, which counts once
    gone.close()
    looked([other], days[2:])
    assert [one.facts.asked for one in days[1:]] == [{"spot", "vix"}, {"spot"}, {"spot"}]  # type: ignore[attr-defined]

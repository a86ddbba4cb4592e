"""Rules that are asked together: only those that their group names are asked for alerts, and none is lost by it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from g6core.assembly import Assembly, Plan
from g6core.components import Alert, AlertRule, RuleGroup
from g6core.engine import Engine
from g6core.settings import Settings
from g6core.snapshot import Snapshot
from g6core.strategies import AtmWindow, AtmWindowSettings
from g6core.testing import START, FakeMarket, ManualClock

MINUTE = timedelta(minutes=1)


class Choice:
    """A group that names whom a test says; `fails` as well."""

    def __init__(self) -> None:
        self.chosen: list[AlertRule] = []
        self.fails = False
        self.asked = 0

    def concerned(self, now: Snapshot, before: Snapshot | None) -> Collection[AlertRule]:
        self.asked += 1
        if self.fails:
            raise RuntimeError("cannot say")
        return self.chosen


@dataclass
class Member(AlertRule):  # a dataclass that compares by value, so nobody can put it into a set
    choice: Choice | None
    broken: bool = False
    seen: list[str] = field(default_factory=list)

    def group(self) -> RuleGroup | None:
        if self.broken:
            raise RuntimeError("knows no group")
        return self.choice

    def check(self, now: Snapshot, before: Snapshot | None) -> Iterable[Alert]:
        self.seen.append(now.index)
        return [Alert("member", now.index, now.ts, "seen")]


Run = Callable[..., Engine]


def parts(place: Path, market: FakeMarket, rules: dict[str, AlertRule]) -> Assembly:
    near = AtmWindow(AtmWindowSettings(below=2, above=2))
    plans = {"fake": [Plan(index, near, ("this_month",)) for index in market.indices()]}
    return Assembly(Settings(data_dir=place), {"fake": market}, plans, [], {}, rules, ())


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    engines: list[Engine] = []

    def start(**rules: AlertRule) -> Engine:
        engines.append(Engine(parts(tmp_path, FakeMarket(), rules), ManualClock()))
        engines[-1].start()
        return engines[-1]

    yield start
    for engine in engines:
        engine.stop()


def test_a_group_is_asked_once_a_snapshot_and_those_it_names_are_checked(run: Run) -> None:
    choice = Choice()
    rules = {name: Member(choice if name != "alone" else None) for name in ("first", "alone", "last")}
    engine = run(**rules)
    choice.chosen = [rules["last"]]
    report = engine.cycle(START)
    assert choice.asked == 2
    assert {name: len(rule.seen) for name, rule in rules.items()} == {"first": 0, "alone": 2, "last": 2}
    assert len(report.alerts) == 4


def test_of_a_group_that_fails_everybody_is_asked(run: Run) -> None:
    choice = Choice()
    rules = {name: Member(choice) for name in ("first", "last")}
    choice.fails = True
    assert len(run(**rules).cycle(START).alerts) == 4


def test_a_rule_that_cannot_tell_its_group_is_asked_by_itself(run: Run) -> None:
    choice = Choice()
    rules = {"broken": Member(choice, broken=True), "quiet": Member(choice)}
    run(**rules).cycle(START)
    assert {name: len(rule.seen) for name, rule in rules.items()} == {"broken": 2, "quiet": 0}


def test_whoever_a_group_names_that_is_no_rule_of_the_run_is_not_asked(run: Run) -> None:
    choice, stranger = Choice(), Member(None)
    choice.chosen = [stranger]
    assert run(only=Member(choice)).cycle(START).alerts == []
    assert stranger.seen == []


def test_failures_in_a_row_are_those_of_snapshots_not_of_questions(run: Run) -> None:
    """A rule that failed, and has nothing to say for a while, begins to count anew."""

    class Failing(Member):
        def check(self, now: Snapshot, before: Snapshot | None) -> Iterable[Alert]:
            found = super().check(now, before)
            if self in choice.chosen:
                raise RuntimeError("cannot look")
            return found

    choice = Choice()
    rule = Failing(choice)
    engine = run(only=rule)
    for minute in range(12):
        choice.chosen = [] if minute == 4 else [rule]
        engine.cycle(START + minute * MINUTE)
        # Four failures, one snapshot without; five more, and it is muted.
        assert engine.rule_counts == (1, 1 if minute >= 9 else 0)


def test_rules_that_came_with_other_settings_are_grouped_anew(run: Run, tmp_path: Path) -> None:
    old, new = Choice(), Choice()
    engine = run(rule=Member(old))
    engine.cycle(START)
    later = Member(new)
    new.chosen = [later]
    engine.replan(parts(tmp_path, FakeMarket(), {"rule": later}))
    assert len(engine.cycle(START + MINUTE).alerts) == 2
    assert (old.asked, new.asked) == (2, 2)

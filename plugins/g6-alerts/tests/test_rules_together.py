"""Rules of one recorder are asked together: who is passed over would have said nothing, and remembers the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from g6_alerts.rule import Rule
from g6_alerts.settings import RuleSettings
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import Alert, Context, Known, Snapshot, make_context
from g6core.testing import ManualClock, snapshot

PLAIN = snapshot(strikes=2, expiries=1)
KNOWN = Known(["options.iv"])
NUMBER = st.none() | st.integers(0, 4).map(float)
EXPRESSIONS = [
    "spot > 2",
    "spot > vix or vix > 3",
    "spot > prev(spot)",
    'change(spot, "2m") > 1',
    'avg(spot, "4m") > 2',
    "options.iv > 3",
    "options.iv == 2 and spot > 1",
    'change(options.iv, "2m") > 1',
    "count(options.iv > 2) > 1",
]
MINUTES = st.sampled_from(["1m", "2m", "3m"])


class Recorded:
    """A history of what a test has shown."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []

    def _of(self, index: str, before: datetime) -> list[Snapshot]:
        return sorted((s for s in self.snapshots if s.index == index and s.ts < before), key=lambda s: s.ts)

    def facts(self, index: str, day: date, before: datetime) -> list[tuple[datetime, Mapping[str, float]]]:
        return [(s.ts, s.facts) for s in self._of(index, before)]

    def last(self, index: str, day: date, before: datetime) -> Snapshot | None:
        return next(reversed(self._of(index, before)), None)

    def stretch(self, index: str, day: date, begin: datetime, before: datetime) -> list[Snapshot]:
        return [s for s in self._of(index, before) if s.ts >= begin]


class Recorder:
    """Rules of one recorder. together: only those are asked that their group names."""

    def __init__(self, rules: Sequence[RuleSettings], together: bool) -> None:
        self.together, self._settings = together, rules
        self.history: Any = Recorded()
        self.rules: list[Rule] = []
        self._before: dict[str, Snapshot] = {}
        self.start()

    def start(self) -> None:
        """Also a second time, as after a restart; what another process read is not shared."""
        self.history = copy(self.history)
        states = [rule.state() for rule in self.rules]
        for rule in self.rules:
            rule.close()
        context = replace(make_context(Path("nowhere"), ManualClock()), history=self.history)
        self.rules = [Rule(one) for one in self._settings]
        for rule in self.rules:
            rule.bind(KNOWN)
            rule.open(context)
        for rule, state in zip(self.rules, states, strict=False):
            rule.restore(state)

    def look(self, now: Snapshot) -> list[list[Alert]]:
        before = self._before.get(now.index)
        group: Any = self.rules[0].group()
        asked = group.concerned(now, before) if self.together else self.rules
        told = [list(rule.check(now, before)) if rule in asked else [] for rule in self.rules]
        self._before[now.index] = now
        self.history.snapshots.append(now)
        return told


@st.composite
def rules(draw: st.DrawFn) -> RuleSettings:
    given_: dict[str, Any] = {"expr": draw(st.sampled_from(EXPRESSIONS))}
    for name in ("for", "keep_firing_for", "repeat"):
        if draw(st.integers(0, 3)) == 0:
            given_[name] = draw(MINUTES)
    if draw(st.integers(0, 3)) == 0:
        given_["on"] = ["NIFTY"]
    return RuleSettings(**given_)


@st.composite
def snapshots(draw: st.DrawFn) -> list[Snapshot | None]:
    """Two indices in turn; now and then one comes late, or the clock is put back. None: a restart."""
    made: list[Snapshot | None] = []
    at = 60.0
    for n in range(draw(st.integers(2, 14))):
        at += draw(st.sampled_from([1, 1, 1, 1, 4, -0.5, -30]))
        facts = {name: value for name in ("spot", "vix") if (value := draw(NUMBER)) is not None}
        iv = pl.Series("iv", draw(st.lists(NUMBER, min_size=4, max_size=4)), pl.Float64)
        index = ("NIFTY", "SENSEX")[n % 5 == 4]
        ts, options = PLAIN.ts + timedelta(minutes=at), PLAIN.options.with_columns(iv)
        made.append(PLAIN.replace(index=index, ts=ts, facts=facts, options=options))
        if draw(st.integers(0, 9)) == 0:
            made.append(None)
    return made


@settings(max_examples=80, deadline=None)
@given(st.lists(rules(), min_size=1, max_size=5), snapshots())
def test_who_is_passed_over_has_nothing_to_say(given_: list[RuleSettings], days: list[Snapshot | None]) -> None:
    together, each = Recorder(given_, True), Recorder(given_, False)
    for now in days:
        if now is None:
            together.start()
            each.start()
        else:
            assert together.look(now) == each.look(now)
            assert [rule.state() for rule in together.rules] == [rule.state() for rule in each.rules]


def at(minute: float, **facts: float) -> Snapshot:
    return PLAIN.replace(ts=PLAIN.ts + timedelta(minutes=minute), facts=facts)


def test_a_rule_that_fires_anyway_is_not_asked_again() -> None:
    recorder = Recorder([RuleSettings(expr="spot > 2"), RuleSettings(expr="spot > 2", repeat="2m")], True)
    group: Any = recorder.rules[0].group()
    recorder.look(at(0, spot=3))
    asked = [group.concerned(at(minute, spot=spot), None) for minute, spot in [(1, 3), (2, 1)]]
    assert [[rule in named for rule in recorder.rules] for named in asked] == [[False, True], [True, True]]


@pytest.mark.parametrize(
    ("given_", "spots", "raised"),
    [
        # false for a moment, so true must be heard of: else it were resolved at the second false
        ({"keep_firing_for": "2m"}, [(0, 3), (1, 1), (2, 3), (3, 1), (4, 3), (5, 1), (6, 1), (7, 1)], "0f 7r"),
        # the clock went back while nobody knew; it fires since the time that is counted now
        ({"keep_firing_for": "2m"}, [(60, 3), (1, None), (2, None), (3, 3), (4, 1), (5, 1), (6, 1)], "60f 6r"),
    ],
)
def test_a_rule_that_fires_hears_of_what_matters_to_it(given_: dict, spots: list, raised: str) -> None:
    recorder, told = Recorder([RuleSettings(expr="spot > 2", **given_)], True), []
    for minute, spot in spots:
        (alerts,) = recorder.look(at(minute) if spot is None else at(minute, spot=spot))
        told += [f"{minute}{alert.state[0]}" for alert in alerts]
        if minute == 3:
            assert '"quiet":null' not in recorder.rules[0].state() or spot == 3
            assert at(60).ts.isoformat() not in recorder.rules[0].state()
    assert " ".join(told) == raised


GAP = ['avg({}, "2m") == 7.25', 'zscore({}, "2m") > 0.5', "prev({}) == 6.5", 'change({}, "2m") == 1.5']
"""True at the last snapshot alone."""


@pytest.mark.parametrize("number", ["spot", "(spot + 0 * atm_strike)"])
@pytest.mark.parametrize("expr", GAP)
def test_a_restart_after_a_gap_changes_no_answer(expr: str, number: str) -> None:
    """The newest sample that is as old as the window is part of it, however old."""
    spots = {0: 1, 1: 2, 8: 6, 9: 7, 9.5: 8, 10: 6.5, 10.5: 7.5}
    if "change" not in expr:
        del spots[8]
    recorder = Recorder([RuleSettings(expr=expr.format(number))], True)
    for minute, spot in spots.items():
        if minute == 10.5:
            recorder.start()
        (told,) = recorder.look(at(minute, spot=spot))
        assert [alert.state for alert in told] == ["firing"] * (minute == 10.5), minute


def test_a_rule_that_takes_the_place_of_another_hears_that_it_is_over(tmp_path: Path) -> None:
    """As after the settings were read anew: it is opened and given the state while the others go on."""
    recorder = Recorder([RuleSettings(expr="spot > 2"), RuleSettings(expr="vix > 2")], True)
    recorder.look(at(0, spot=3))
    recorder.look(at(1, spot=3))
    old, stays = recorder.rules
    new = Rule(RuleSettings(expr="spot > 2"))
    new.bind(KNOWN)
    new.open(replace(make_context(tmp_path, ManualClock()), history=recorder.history))
    new.restore(old.state())
    recorder.look(at(2, spot=3))
    old.close()
    recorder.rules = [new, stays]
    recorder.look(at(3, spot=3))
    assert [[alert.state for alert in told] for told in recorder.look(at(4, spot=1))] == [["resolved"], []]


def test_prev_after_a_restart_is_not_what_came_late() -> None:
    recorder = Recorder([RuleSettings(expr="prev(spot) == 5")], True)
    recorder.look(at(2, spot=5))
    recorder.look(at(1, spot=1))
    recorder.start()
    assert [alert.state for (alert,) in recorder.look(at(3, spot=2))] == ["firing"]


def test_a_longer_window_of_a_later_rule_takes_nothing_from_the_others(tmp_path: Path) -> None:
    """What it reads again is what the others have; when that fails, they keep what they have."""

    class Failing(Recorded):
        broken = False

        def facts(self, index: str, day: date, before: datetime) -> list[tuple[datetime, Mapping[str, float]]]:
            if self.broken:
                raise ValueError("cannot be read")
            return super().facts(index, day, before)

    recorder = Recorder([RuleSettings(expr='change(spot, "2m") == 2')], True)
    recorder.history = Failing()
    recorder.start()
    for minute in range(4):
        recorder.look(at(minute, spot=0 if minute < 3 else 1))
    context: Context = replace(make_context(tmp_path, ManualClock()), history=recorder.history)
    longer = Rule(RuleSettings(expr='change(spot, "5m") == 2'))
    longer.bind(KNOWN)
    longer.open(context)
    recorder.history.broken = True
    now = at(4, spot=2)
    with pytest.raises(ValueError, match="cannot be read"):
        list(longer.check(now, None))
    assert [alert.state for (alert,) in recorder.look(now)] == ["firing"]
    recorder.history.broken = False
    assert [alert.state for alert in longer.check(at(5, spot=2), now)] == ["firing"]

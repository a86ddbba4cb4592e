"""Rules of one recorder are asked together: who is passed over would have said nothing, and remembers the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
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


def test_true_again_is_heard_of_while_the_end_is_waited_for() -> None:
    """Else the first false would be counted on, and it were resolved too early."""
    recorder, told = Recorder([RuleSettings(expr="spot > 2", keep_firing_for="2m")], True), []
    for minute, spot in enumerate([3, 1, 3, 1, 3, 1, 1, 1]):
        told += [f"{minute}{alert.state[0]}" for alert in recorder.look(at(minute, spot=spot))[0]]
    assert told == ["0f", "7r"]


def test_what_fires_while_the_clock_goes_back_fires_since_a_time_that_was() -> None:
    recorder = Recorder([RuleSettings(expr="spot > 2")], True)
    for minute, spot in [(59, 3), (60, 3), (1, None), (2, None), (3, 3)]:
        recorder.look(at(minute) if spot is None else at(minute, spot=spot))
    assert f'"since":"{at(3).ts.isoformat()}"' in recorder.rules[0].state()


def test_a_rule_that_failed_as_it_began_to_fire_hears_of_the_end() -> None:
    """Its sentence wants a column of an expiry, which is not to be found without the codes."""
    rule = RuleSettings(expr="spot > 3", expiry="this_week", summary="{index} {atm_strike}")
    recorder = Recorder([rule], True)
    recorder.look(at(0, spot=1))
    odd = at(1, spot=5)
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        recorder.look(odd.replace(expiries=odd.expiries.drop("codes")))
    told = [[alert.state for alert in recorder.look(at(minute, spot=spot))[0]] for minute, spot in [(2, 5), (3, 1)]]
    assert told == [[], ["resolved"]]


def test_a_name_that_became_one_of_the_options_is_asked_of_each(tmp_path: Path) -> None:
    """What fired under that name before is no answer of an option."""

    def opened(known: str) -> Rule:
        rule = Rule(RuleSettings(expr="heat > 3"))
        rule.bind(Known([known]))
        rule.open(replace(make_context(tmp_path, ManualClock()), history=history))
        return rule

    history: Any = Recorded()
    before = at(0, heat=5)
    old = opened("facts.heat")
    assert [alert.key for alert in old.check(before, None)] == [""]
    new = opened("options.heat")
    new.restore(old.state())
    old.close()
    heat = pl.Series("heat", [0.0] * (PLAIN.options.height - 1) + [9.0])
    told = []
    for now in (at(1), at(2).replace(options=PLAIN.options.with_columns(heat))):
        group: Any = new.group()
        told += [alert.key for rule in group.concerned(now, before) for alert in rule.check(now, before)]
        before = now
    assert told == [PLAIN.options["symbol"][-1]]


def test_rules_that_nobody_closed_are_not_kept() -> None:
    recorder = Recorder([RuleSettings(expr="spot > prev(spot)")], True)
    recorder.look(at(0, spot=1))
    left = weakref.ref(recorder.rules[0]), weakref.ref(recorder.history)
    del recorder
    gc.collect()
    assert [one() for one in left] == [None, None]


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


@pytest.mark.parametrize("trouble", ["raises", "says nothing", "has one that cannot be looked at"])
def test_a_longer_window_of_a_later_rule_takes_nothing_from_the_others(tmp_path: Path, trouble: str) -> None:
    """What it reads again is what the others have; when that fails, they keep what they have."""

    class Troubled(Recorded):
        trouble = ""

        def facts(self, index: str, day: date, before: datetime) -> list[tuple[datetime, Mapping[str, float]]]:
            found, odd = super().facts(index, day, before), {"spot": "much"}
            if self.trouble == "raises":
                raise ValueError("much trouble")
            if self.trouble == "says nothing":  # as for a day that cannot be read
                return []
            return [(found[0][0], odd), *found[1:]] if self.trouble else found  # type: ignore[list-item]

    recorder = Recorder([RuleSettings(expr='change(spot, "2m") == 2')], True)
    recorder.history = Troubled()
    recorder.start()
    for minute in range(4):
        recorder.look(at(minute, spot=0 if minute < 3 else 1))
    context: Context = replace(make_context(tmp_path, ManualClock()), history=recorder.history)
    longer = Rule(RuleSettings(expr='change(spot, "5m") == 2'))
    longer.bind(KNOWN)
    longer.open(context)
    recorder.history.trouble = trouble
    now = at(4, spot=2)
    with nullcontext() if trouble == "says nothing" else pytest.raises(ValueError, match="much"):
        assert list(longer.check(now, at(3, spot=1))) == []
    assert [alert.state for (alert,) in recorder.look(now)] == ["firing"]
    recorder.history.trouble = ""
    # A day that cannot be read is not asked again; its windows fill as time goes on.
    assert [alert.state for alert in longer.check(at(5, spot=2), now)] == ["firing"] * (trouble != "says nothing")

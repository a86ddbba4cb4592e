"""Alert rules that remember, and that look at the recorder itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from g6core import days
from g6core.assembly import Assembly
from g6core.collector import Plan
from g6core.components import Alert, AlertRule, Sink
from g6core.cursor import Cursor
from g6core.engine import Engine
from g6core.errors import AuthExpired, ConfigError, Unavailable
from g6core.reports import RunReport
from g6core.settings import Settings
from g6core.snapshot import Snapshot
from g6core.strategies import AtmWindow, AtmWindowSettings
from g6core.testing import START, FakeMarket, ManualClock, MemorySink

MINUTE = timedelta(minutes=1)
SUNDAY = datetime.fromisoformat("2026-08-23T05:00:00+00:00")


class Counting(AlertRule):
    """Alerts with the number of snapshots it has seen in all its lives, and of what ails the recorder."""

    def __init__(self) -> None:
        self.seen = 0
        self.runs: list[RunReport] = []

    def check(self, now: Snapshot, before: Snapshot | None) -> Sequence[Alert]:
        self.seen += 1
        return [Alert("counting", now.index, now.ts, str(self.seen))]

    def watch(self, run: RunReport) -> Sequence[Alert]:
        self.runs.append(run)
        errors = [p.error for p in run.providers.values() if p.error]
        return [Alert("ails", "", run.ts, error) for error in errors]

    def state(self) -> str:
        return str(self.seen) if self.seen else ""

    def restore(self, state: str) -> None:
        self.seen = int(state or 0)


def engine_of(
    place: Path,
    rule: AlertRule,
    market: FakeMarket | None = None,
    sink: Sink | None = None,
    retention: str | None = None,
) -> Engine:
    provider = market or FakeMarket()
    near, codes = AtmWindow(AtmWindowSettings(below=2, above=2)), ("this_week", "this_month")
    plans = {"fake": [Plan(index, near, codes) for index in provider.indices()]}
    sinks = {"it": sink} if sink else {}
    core = Settings.model_validate({"data_dir": place, "journal": {"retention": retention}})
    parts = Assembly(core, {"fake": provider}, plans, [], sinks, {"counting": rule}, ())
    engine = Engine(parts, ManualClock())
    engine.start()
    return engine


def told(place: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for path in days.days(place):
        with closing(Cursor("nobody", {})) as cursor:
            found += [(alert.rule, alert.summary) for _, alert in cursor.alerts(path, 0, 1000)]
    return found


def test_what_a_rule_remembers_outlives_the_process_and_the_day(tmp_path: Path) -> None:
    for n, ts in enumerate([START, START + MINUTE, START + timedelta(days=1)]):
        rule = Counting()
        engine = engine_of(tmp_path, rule)
        engine.cycle(ts)
        engine.stop()
        assert rule.seen == 2 * (n + 1)
    assert [summary for _, summary in told(tmp_path)] == ["1", "2", "3", "4", "5", "6"]


def test_it_remembers_nothing_of_a_cycle_whose_alerts_were_not_kept(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, Counting())
    engine.cycle(START)
    engine.stop()
    # Another snapshot is in the journal, and the process ends before a rule has looked at it.
    other = engine_of(tmp_path / "other", Counting())
    other.cycle(START + MINUTE)
    other.stop()
    (path,) = days.days(tmp_path)
    (added,) = days.days(tmp_path / "other")
    with closing(Cursor("x", {})) as cursor:
        db = cursor._on(path)
        db.execute("ATTACH ? AS other", (str(added),))
        columns = 'ts, "index", source, facts, expiries, options'
        db.execute(f"INSERT INTO snapshots ({columns}) SELECT {columns} FROM other.snapshots")
    rule = Counting()
    engine_of(tmp_path, rule).stop()
    assert rule.seen == 4
    assert [summary for _, summary in told(tmp_path)] == ["1", "2", "3", "4"]


def test_a_rule_of_the_same_name_goes_on_after_the_settings_changed(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, Counting())
    engine.cycle(START)
    changed = Counting()
    parts = engine.assembly
    engine.replan(Assembly(parts.settings, parts.providers, parts.plans, [], parts.sinks, {"counting": changed}, ()))
    engine.cycle(START + MINUTE)
    assert changed.seen == 4
    engine.stop()


def test_rules_are_told_the_interval_of_the_settings_as_they_changed(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, Counting())
    parts = engine.assembly
    longer = parts.settings.model_copy(update={"interval": 7 * MINUTE})
    engine.replan(Assembly(longer, parts.providers, parts.plans, [], parts.sinks, parts.rules, ()))
    engine.watch(START, engine.cycle(START))
    assert engine.run is not None and engine.run.interval == 7 * MINUTE
    engine.stop()


def test_a_rule_that_is_taken_away_leaves_nothing_behind(tmp_path: Path) -> None:
    def remembered() -> dict[str, str]:
        return {name: state for name, state in (days.rule_states(days.days(tmp_path)[-1]) or {}).items() if state}

    engine = engine_of(tmp_path, Counting())
    engine.cycle(START)
    assert remembered() == {"counting": "2"}
    parts = engine.assembly
    engine.replan(Assembly(parts.settings, parts.providers, parts.plans, [], parts.sinks, {"other": Counting()}, ()))
    engine.watch(START, engine.cycle(START + MINUTE))
    assert remembered() == {"other": "2"}
    engine.stop()
    # The same while the recorder is not running; and one that comes back begins anew.
    back = Counting()
    again = engine_of(tmp_path, back)
    again.cycle(START + 2 * MINUTE)
    assert remembered() == {"counting": str(back.seen)} and back.seen == 2
    again.stop()


def test_what_ails_the_recorder_is_an_alert_like_any_other(tmp_path: Path) -> None:
    sink, rule, market = MemorySink(), Counting(), FakeMarket()
    engine = engine_of(tmp_path, rule, market, sink)
    market.fail("quotes", AuthExpired("the session ended"))
    for minute in range(2):
        engine.watch(START + minute * MINUTE, engine.cycle(START + minute * MINUTE))
    assert rule.runs[-1].missed == {"NIFTY": 2, "BANKNIFTY": 2}
    assert rule.runs[-1].providers["fake"].code == "auth-expired"
    market.heal()
    engine.watch(START + 2 * MINUTE, engine.cycle(START + 2 * MINUTE))
    assert rule.runs[-1].missed == {} and rule.runs[-1].providers["fake"].error is None
    assert engine.drain(10)
    engine.stop()
    assert [a.summary for a in sink.alerts if a.rule == "ails"] == ["the session ended"] * 2


def test_on_a_day_without_trading_they_go_into_the_newest_day(tmp_path: Path) -> None:
    sink, market = MemorySink(), FakeMarket()
    engine = engine_of(tmp_path, Counting(), market, sink)
    engine.cycle(START)
    market.fail("quotes", Unavailable("away"))
    engine.cycle(START + MINUTE)
    engine.watch(SUNDAY, None, SUNDAY + timedelta(days=1))
    assert engine.drain(10)
    engine.stop()
    assert [path.stem for path in days.days(tmp_path)] == [f"{START:%Y-%m-%d}"]
    assert [(a.rule, a.ts) for a in sink.alerts if a.rule == "ails"] == [("ails", SUNDAY)]


def test_a_recorder_with_nothing_to_say_makes_no_day(tmp_path: Path) -> None:
    rule = Counting()
    engine = engine_of(tmp_path, rule)
    engine.watch(SUNDAY, None, SUNDAY + timedelta(days=1))
    engine.stop()
    assert len(rule.runs) == 1
    assert days.days(tmp_path) == []


def test_a_recorder_that_runs_for_days_removes_old_ones(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, Counting(), sink=MemorySink(), retention="1d")
    for day in range(4):
        ts = START + timedelta(days=day)
        engine.watch(ts, engine.cycle(ts))
        assert engine.drain(20)
    engine.stop()
    assert [path.stem for path in days.days(tmp_path)] == [f"{START + timedelta(days=d):%Y-%m-%d}" for d in (2, 3)]


def test_a_watching_rule_that_fails_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Counting):
        def watch(self, run: RunReport) -> Sequence[Alert]:
            self.runs.append(run)
            raise ZeroDivisionError("no good")

    rule = Failing()
    engine = engine_of(tmp_path, rule)
    for minute in range(8):
        engine.watch(START + minute * MINUTE, engine.cycle(START + minute * MINUTE))
    engine.stop()
    assert len(rule.runs) == 5
    assert rule.seen == 16


def test_simulated_and_real_are_told_apart_behind_a_day_of_alerts_alone(tmp_path: Path) -> None:
    market = FakeMarket()
    engine = engine_of(tmp_path, Counting(), market)
    engine.cycle(START)
    market.fail("quotes", Unavailable("away"))
    engine.cycle(START + MINUTE)
    engine.watch(START + timedelta(days=1), None, START + timedelta(days=1, hours=1))
    engine.stop()
    assert len(days.days(tmp_path)) == 2
    real = FakeMarket()
    real.simulated = False
    with pytest.raises(ConfigError, match="holds simulated records"):
        engine_of(tmp_path, Counting(), real)

"""The ready-made rules over the recorder itself: what each fires on, and what resolves it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from g6_alerts import g6_alerts

from g6core import Alert, AlertRule, CycleReport, IndexReport, ProviderReport, RunReport, Session, SinkReport

SPECS = {spec.name: spec for spec in g6_alerts()}
MINUTE = timedelta(minutes=1)


def made(name: str, **settings: Any) -> AlertRule:
    return SPECS[name].build(SPECS[name].settings(**settings))


NOW = datetime(2026, 8, 17, 5, 0, tzinfo=UTC)
OPEN = CycleReport(NOW, 0.1, {"NIFTY": IndexReport("recorded")})
FAILED = CycleReport(NOW, 0.1, {"NIFTY": IndexReport("skipped", "kite does not answer")})


def run(minutes: float = 0, **changes: Any) -> RunReport:
    report = RunReport(NOW, OPEN, None, timedelta(seconds=15), {}, {}, {}, free=10**12)
    return replace(report, ts=NOW + timedelta(minutes=minutes), **changes)


def closed(minutes: float, opens_in: float, **changes: Any) -> RunReport:
    opens = NOW + timedelta(minutes=minutes + opens_in)
    return run(minutes, cycle=None, opens=opens, **changes)


def kite(**changes: Any) -> dict[str, ProviderReport]:
    return {"kite": ProviderReport(**changes)}


def csv(**changes: Any) -> dict[str, SinkReport]:
    return {"csv": SinkReport(**changes)}


REFUSED = kite(error="the session ended", code="auth-expired")
OUT = Session(valid=False)

# The rule, its settings, reports one after the other, and what is raised: place and state.
WATCHED = [
    ("session_ended", {}, [run(providers=kite()), run(1, providers=REFUSED), run(2, providers=kite())], "1f 2r"),
    (
        "session_ended",
        {},
        [run(providers=REFUSED), run(1, providers=kite(error="no answer", code="unavailable"))],
        "0f",
    ),
    (
        "session_ended",
        {},
        [run(providers=REFUSED), closed(1, 900, providers=kite(error="x", code="auth-expired", session=Session(True)))],
        "0f 1r",
    ),
    ("session_ended", {}, [run(providers=kite(error="no answer", code="unavailable"))], ""),
    (
        "no_data",
        {},
        [run(cycle=FAILED, missed={"NIFTY": 1}), run(1, cycle=FAILED, missed={"NIFTY": 2}), run(2)],
        "1f 2r",
    ),
    ("no_data", {"cycles": 1}, [run(cycle=FAILED, missed={"NIFTY": 1})], "0f"),
    ("no_data", {}, [closed(0, 60, missed={"NIFTY": 9})], ""),
    (
        "silent_feed",
        {},
        [run(providers=kite(age=59.0)), run(1, providers=kite(age=61.0)), run(2, providers=kite(age=1.0))],
        "1f 2r",
    ),
    (
        "silent_feed",
        {},
        [run(providers=kite(age=150.0), interval=MINUTE), run(1, providers=kite(age=181.0), interval=MINUTE)],
        "1f",
    ),
    ("silent_feed", {}, [run(providers=kite())], ""),
    ("silent_feed", {}, [closed(0, 60, providers=kite(age=9999.0))], ""),
    ("sink_behind", {}, [run(sinks=csv(behind=299.0)), run(1, sinks=csv(behind=301.0)), run(2, sinks=csv())], "1f 2r"),
    ("sink_behind", {"behind": "1m"}, [closed(0, 60, sinks=csv(behind=61.0, error="refused"))], "0f"),
    (
        "dead_letters",
        {},
        [
            run(sinks=csv()),
            run(1, sinks=csv(rejected=2)),
            run(2, sinks=csv(rejected=2)),
            run(20, sinks=csv(rejected=2)),
        ],
        "1f 3r",
    ),
    ("dead_letters", {}, [run(minute, sinks=csv(rejected=n)) for minute, n in enumerate([1, 1, 2])], "2f"),
    (
        "disk_low",
        {},
        [run(), run(1, free=10**9), run(2, free=None), run(3, free=3 * 10**9), run(9, free=3 * 10**9)],
        "1f 4r",
    ),
    ("disk_low", {"free": 0.5}, [run(free=10**9)], ""),
    (
        "login_reminder",
        {},
        [
            closed(0, 90, providers=kite(session=OUT)),
            closed(35, 55, providers=kite(session=OUT)),
            closed(40, 50, providers=kite(session=Session(True))),
        ],
        "1f 2r",
    ),
    (
        "login_reminder",
        {},
        [
            closed(0, 59, providers=kite(session=OUT)),
            closed(14, 45, providers=kite(session=OUT)),
            closed(15, 44, providers=kite(session=OUT)),
        ],
        "0f 2f",
    ),
    ("login_reminder", {}, [closed(0, 59, providers=kite())], ""),
    ("login_reminder", {"before": "30m"}, [closed(0, 59, providers=kite(session=OUT))], ""),
    (
        "login_reminder",
        {},
        [closed(0, 5, providers=kite(session=OUT)), run(5, providers=REFUSED), run(6, providers=kite())],
        "0f 2r",
    ),
]


@pytest.mark.parametrize(("name", "settings", "reports", "expected"), WATCHED)
def test_the_rules_over_the_recorder(name: str, settings: dict, reports: list[RunReport], expected: str) -> None:
    state, raised = "", []
    rule = made(name, **settings)
    for place, report in enumerate(reports):
        if name != "dead_letters":  # it counts within a run
            rule = made(name, **settings)
            rule.restore(state)
        raised += [(place, alert) for alert in rule.watch(report)]
        state = rule.state()
    assert " ".join(f"{place}{alert.state[0]}" for place, alert in raised) == expected
    assert all(alert.ts == reports[place].ts and alert.rule == name and alert.summary for place, alert in raised)


def test_dead_letters_are_told_once_over_a_change_of_the_settings() -> None:
    rule = made("dead_letters")
    for minute, rejected in enumerate([0, 2]):
        raised = list(rule.watch(run(minute, sinks=csv(rejected=rejected))))
    assert [alert.state for alert in raised] == ["firing"]
    anew = made("dead_letters", severity="critical")
    anew.restore(rule.state())
    later = [anew.watch(run(minute, sinks=csv(rejected=n))) for minute, n in [(2, 2), (17, 2), (18, 2), (19, 3)]]
    assert [[alert.state for alert in alerts] for alerts in later] == [[], ["resolved"], [], ["firing"]]


class Refusing:
    """Two channels that refuse every alert, some looks later, and one that takes them."""

    def __init__(self, late: int) -> None:
        self.late, self.refused, self.waiting = late, 1, list[int]()

    def report(self) -> dict[str, SinkReport]:
        if len(self.waiting) > self.late:
            self.refused += self.waiting.pop(0)
        behind = 1.0 if any(self.waiting) else 0.0
        refusing = SinkReport(rejected=self.refused, behind=behind)
        return {"hook": refusing, "mail": refusing, "csv": SinkReport()}


@pytest.mark.parametrize("late", [0, 1, 20])
def test_dead_letters_do_not_feed_on_their_own_alerts(late: int) -> None:
    rule, channels, raised = made("dead_letters"), Refusing(late), list[tuple[str, str]]()
    rule.watch(run(sinks={name: SinkReport() for name in ("hook", "mail", "csv")}))
    for minute in range(1, 120):
        alerts = list(rule.watch(run(minute, sinks=channels.report())))
        channels.waiting.append(len(alerts))
        raised += [(alert.key, alert.state) for alert in alerts]
    assert raised == [("hook", "firing"), ("mail", "firing"), ("hook", "resolved"), ("mail", "resolved")]
    channels.refused += 1
    again = list(rule.watch(run(120, sinks=channels.report())))
    assert [(alert.key, alert.state) for alert in again] == [("hook", "firing"), ("mail", "firing")]
    assert "rejected 1 more, 6 in this run" in again[0].summary


def test_what_a_person_is_told_to_do() -> None:
    def first(name: str, report: RunReport) -> Alert:
        return next(iter(made(name).watch(report)))

    reminder = first("login_reminder", closed(0, 55, providers=kite(session=OUT)))
    assert reminder.summary == "log in to kite before 11:25, when the market opens: `g6 login kite`"
    assert (reminder.index, reminder.key, reminder.severity) == ("", "kite", "critical")
    assert first("session_ended", run(providers=REFUSED)).summary == "kite wants a login: `g6 login kite`"
    missing = first("no_data", run(cycle=FAILED, missed={"NIFTY": 2}))
    assert (missing.index, missing.summary) == ("NIFTY", "nothing was recorded in 2 cycles: kite does not answer")
    behind = first("sink_behind", run(sinks=csv(behind=400.0, lag=7, error="no room")))
    assert behind.summary == "sink csv is 400 s behind, 7 snapshots wait: no room"

"""The states of a rule: when an alert is raised, again, and resolved, and that nothing else changes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from g6_alerts.rule import Rule
from g6_alerts.settings import RuleSettings
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from g6core import Alert, ConfigError, Known, Snapshot, make_context
from g6core.testing import ManualClock, snapshot

At = Callable[..., Snapshot]
Make = Callable[..., Rule]
Told = Callable[[Rule, Sequence[Snapshot]], list[Alert]]

HIGH, LOW, GONE = 200.0, 50.0, None

# Settings, the spot of each minute, and what is raised: minute and f(iring) or r(esolved).
WAYS = [
    ("at once", {}, "LHHL", "1f 3r"),
    ("never true", {}, "LLLL", ""),
    ("never known", {}, "....", ""),
    ("known again", {}, "H..L", "0f 3r"),
    ("waits", {"for": "2m"}, "LHHHL", "3f 4r"),
    ("waits in vain", {"for": "2m"}, "LHHLHHL", ""),
    ("waits anew", {"for": "2m"}, "HHLHHH", "5f"),
    ("waits over what is not known", {"for": "2m"}, "H.H", "2f"),
    ("does not fire on what is not known", {"for": "2m"}, "H..L", ""),
    ("fires when known again", {"for": "2m"}, "H....H", "5f"),
    ("kept", {"keep_firing_for": "2m"}, "HLLL", "0f 3r"),
    ("kept and true again", {"keep_firing_for": "2m"}, "HLLHLLL", "0f 6r"),
    ("kept over what is not known", {"keep_firing_for": "2m"}, "HL..L", "0f 4r"),
    ("again", {"repeat": "2m"}, "HHHHHHL", "0f 2f 4f 6r"),
    ("again only while true", {"repeat": "2m", "keep_firing_for": "9m"}, "HLLLLL", "0f"),
    ("again after what is not known", {"repeat": "2m"}, "H..H", "0f 3f"),
    ("no second alert while it fires", {}, "HHHHH", "0f"),
    ("fires anew after it was resolved", {}, "HLHL", "0f 1r 2f 3r"),
    ("all of it", {"for": "1m", "keep_firing_for": "1m", "repeat": "2m"}, "HHHHLHLL", "1f 3f 5f 7r"),
]


@pytest.mark.parametrize(
    ("given_settings", "spots", "expected"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS]
)
def test_every_way_through_the_states(
    given_settings: dict, spots: str, expected: str, rule: Make, at: At, told: Told
) -> None:
    minutes = [at(i, spot={"H": HIGH, "L": LOW, ".": GONE}[c]) for i, c in enumerate(spots)]
    raised = [
        (minutes.index(next(m for m in minutes if m.ts == a.ts)), a.state)
        for a in told(rule("spot > 100", **given_settings), minutes)
    ]
    assert " ".join(f"{minute}{state[0]}" for minute, state in raised) == expected


@pytest.mark.parametrize(
    ("given_settings", "spots", "expected"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS]
)
def test_a_restart_after_each_snapshot_changes_nothing(
    given_settings: dict, spots: str, expected: str, rule: Make, at: At
) -> None:
    state, raised = "", []
    for minute, c in enumerate(spots):
        one = rule("spot > 100", **given_settings)
        one.restore(state)
        raised += [
            f"{minute}{a.state[0]}" for a in one.check(at(minute, spot={"H": HIGH, "L": LOW, ".": GONE}[c]), None)
        ]
        state = one.state()
    assert " ".join(raised) == expected


def test_indices_have_states_of_their_own(rule: Make, at: At, told: Told) -> None:
    days = [at(0, "NIFTY", spot=HIGH), at(0, "SENSEX", spot=LOW), at(1, "NIFTY", spot=LOW), at(1, "SENSEX", spot=HIGH)]
    raised = told(rule("spot > 100"), days)
    assert [(a.index, a.state) for a in raised] == [("NIFTY", "firing"), ("NIFTY", "resolved"), ("SENSEX", "firing")]


def test_only_the_indices_that_it_is_on(rule: Make, at: At, told: Told) -> None:
    one = rule("spot > 100", on=["sensex"])
    assert [a.index for a in told(one, [at(0, "NIFTY", spot=HIGH), at(0, "SENSEX", spot=HIGH)])] == ["SENSEX"]


def test_waiting_ends_with_the_day_and_firing_does_not(rule: Make, at: At, told: Told) -> None:
    night = 24 * 60
    waiting = told(
        rule("spot > 100", **{"for": "2m"}), [at(0, spot=HIGH), at(night, spot=HIGH), at(night + 2, spot=HIGH)]
    )
    assert [(a.state, a.ts) for a in waiting] == [("firing", at(night + 2).ts)]
    firing = told(rule("spot > 100"), [at(0, spot=HIGH), at(night, spot=HIGH), at(night + 1, spot=LOW)])
    assert [(a.state, a.ts) for a in firing] == [("firing", at(0).ts), ("resolved", at(night + 1).ts)]


def test_a_snapshot_that_comes_late_moves_no_state(rule: Make, at: At, told: Told) -> None:
    assert [a.state for a in told(rule("spot > 100"), [at(2, spot=HIGH), at(1, spot=LOW), at(3, spot=HIGH)])] == [
        "firing"
    ]


@pytest.mark.parametrize("expr", ['change(options.oi, "2m") > 3', 'zscore(options.oi, "2m") > 3'])
def test_a_snapshot_that_comes_late_may_have_other_contracts(expr: str, rule: Make, at: At, told: Told) -> None:
    wide = snapshot(strikes=7, expiries=2).options
    assert told(rule(expr), [at(0), at(1), at(2), at(4), at(3).replace(options=wide), at(5)]) == []


@pytest.mark.parametrize("expr", ['change(spot, "1m") > 100', 'avg(spot, "1m") > 100'])
def test_a_rule_that_begins_with_a_late_snapshot_takes_nothing_newer_for_it(expr: str, rule: Make, at: At) -> None:
    assert list(rule(expr).check(at(3, spot=LOW), at(4, spot=HIGH))) == []


def test_what_a_rule_remembers_is_of_its_expression(rule: Make, at: At, told: Told) -> None:
    one = rule("spot > 100")
    told(one, [at(0, spot=HIGH)])
    other, same = rule("spot > 101"), rule("spot  >  100", severity="critical")
    for restored in (other, same):
        restored.restore(one.state())
    assert told(other, [at(1, spot=LOW)]) == []
    assert [a.state for a in told(same, [at(1, spot=LOW)])] == ["resolved"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '{"of":1}',
        '{"of":"spot > 100 @nearest","marks":7}',
        '{"of":"spot > 100 @nearest","marks":[7,{},null]}',
        '{"of":"spot > 100 @nearest","marks":[{"index":"NIFTY","key":"","state":"odd","since":"2026-08-17"}]}',
    ],
)
def test_what_cannot_be_used_of_a_state_is_left_out(text: str, rule: Make, at: At, told: Told) -> None:
    one = rule("spot > 100")
    one.restore(text)
    assert told(one, [at(0, spot=LOW)]) == [] and one.state() == ""


TREES = st.recursive(
    st.none() | st.sampled_from(["NIFTY", "firing", "spot > 100 @nearest", "2026-08-17T04:00:00"]),
    lambda x: (
        st.lists(x, max_size=2) | st.dictionaries(st.sampled_from(["of", "marks", "state", "since"]), x, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=20) | TREES.map(json.dumps))
def test_any_text_is_a_state_that_can_be_given(text: str) -> None:
    one = Rule(RuleSettings(expr="spot > 100"))
    one.restore(text)
    assert one.state() == ""


def test_the_state_is_the_same_text_until_something_changes(rule: Make, at: At, told: Told) -> None:
    one = rule("spot > 100")
    assert one.state() == ""
    told(one, [at(0, spot=HIGH)])
    state = one.state()
    told(one, [at(1, spot=HIGH + 1)])
    assert one.state() is state
    assert json.loads(state)["marks"] == [
        {
            "index": "NIFTY",
            "key": "",
            "state": "firing",
            "since": at(0).ts.isoformat(),
            "told": at(0).ts.isoformat(),
            "quiet": None,
        }
    ]


def test_the_sentence_of_an_alert(rule: Make, at: At, told: Told) -> None:
    summary = "{rule} {index} {value:.1f} {value:+,.0f} {spot} {vix} {ts} {severity} {expr} {atm_strike:.0f}"
    one = rule("spot > 100", summary=summary, severity="critical", labels={"desk": "a"}, notify=["telegram", "mail"])
    (alert,) = told(one, [at(0, spot=1234.56)])
    assert alert.summary == "rule NIFTY 1234.6 +1,235 1234.56 unknown 2026-08-17 09:30:00 IST critical spot > 100 24700"
    assert alert.labels == {"desk": "a", "notify": "telegram,mail", "value": "1234.56"}
    assert alert.severity == "critical"


@pytest.mark.parametrize(
    "summary",
    [
        "{",
        "}",
        "{}",
        "{value",
        "{value.real.imag}",
        "{0}",
        "{value!r}",
        "{value:>{width}}",
        "{value:99999d}",
        "{a[0]}",
        "{__class__.x.y}",
        "{value:++}",
        "{value:++.2f}",
        "{value:,+.2f}",
        "{value:,,f}",
        "{value:.2d}",
        "{value:D}",
        "{value:.2}",
    ],
)
def test_a_sentence_that_cannot_be_read_is_refused(summary: str) -> None:
    with pytest.raises(ValidationError):
        RuleSettings(expr="spot > 1", summary=summary)


FORMS = [
    f"{sign}{group}{rest}" for sign in ("", "+") for group in ("", ",") for rest in ("d", "f", ".0f", ".9g", ".2%")
]


@pytest.mark.parametrize("form", FORMS)
def test_a_number_format_that_is_taken_fits_every_number(form: str, rule: Make, at: At, told: Told) -> None:
    one = rule("spot > 100", summary=f"{{value:{form}}} {{vix:{form}}}")
    spots = [HIGH, LOW, 1234.5678, LOW, 7e300, LOW, float("inf")]
    raised = told(one, [at(i, spot=spot) for i, spot in enumerate(spots)])
    assert [a.state for a in raised] == ["firing", "resolved"] * 3 + ["firing"]
    assert raised[-1].summary == "inf unknown" and raised[-1].labels["value"] == "inf"


def test_no_alert_is_lost_for_its_sentence(at: At, told: Told) -> None:
    unread = RuleSettings(expr="spot > 100").model_copy(update={"summary": "{value:++}"})
    raised = told(Rule(unread), [at(0, spot=HIGH), at(1, spot=LOW)])
    assert [(a.state, a.summary) for a in raised] == [
        ("firing", "NIFTY: spot > 100, at 200"),
        ("resolved", "NIFTY: spot > 100, at 50"),
    ]


@pytest.mark.parametrize(
    ("labels", "why"), [({"notify": "mail"}, "the setting `notify`"), ({"desk": "a", "value": "1"}, "gives its value")]
)
def test_a_label_that_the_rule_sets_is_refused(labels: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        RuleSettings(expr="spot > 1", labels=labels)


def test_an_index_taken_out_of_on_is_forgotten(rule: Make, at: At, told: Told) -> None:
    both = rule("spot > 100", on=["NIFTY", "SENSEX"])
    told(both, [at(0, "NIFTY", spot=HIGH), at(0, "SENSEX", spot=HIGH)])
    one = rule("spot > 100", on=["NIFTY"])
    one.restore(both.state())
    assert [mark["index"] for mark in json.loads(one.state())["marks"]] == ["NIFTY"]
    raised = told(one, [at(1, "NIFTY", spot=LOW), at(1, "SENSEX", spot=LOW)])
    assert [(a.index, a.state) for a in raised] == [("NIFTY", "resolved")]


@pytest.mark.parametrize(
    ("given_settings", "message", "hint"),
    [
        ({"expr": "pcr_io > 1"}, "no snapshot has `pcr_io`", "did you mean `pcr_oi`?"),
        ({"expr": "options.bids > 1"}, "no snapshot has `options.bids`", "did you mean `options.bid`?"),
        ({"expr": "spot > 1", "summary": "{spott}"}, "no snapshot has `spott`", "did you mean `spot`?"),
        ({"expr": "spot > 1", "notify": ["telegarm"]}, "there is no sink `telegarm`", "did you mean `telegram`?"),
        ({"expr": "count(spot > 1) > 1"}, "names none of their columns", "sum(options.oi)"),
        ({"expr": 'spot == "CE"'}, "is a number, and is compared with a word", None),
    ],
)
def test_wrong_names_stop_the_start(given_settings: dict, message: str, hint: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        Rule(RuleSettings(**given_settings)).bind(Known(["expiries.pcr_oi"], ["telegram"]))
    assert message in caught.value.message
    assert hint is None or hint in str(caught.value.hint)


def test_a_rule_cannot_be_told_again_all_the_time() -> None:
    with pytest.raises(ValidationError, match="leave it out for never"):
        RuleSettings(expr="spot > 1", repeat="0s")


@pytest.mark.parametrize(
    "given_settings", [{"expiry": "this_wek"}, {"notify": []}, {"severity": "bad"}, {"for": "2 m"}]
)
def test_a_setting_that_would_silence_a_rule_is_refused(given_settings: dict) -> None:
    with pytest.raises(ValidationError):
        RuleSettings(expr="spot > 1", **given_settings)


def test_an_index_that_nobody_knows_is_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    one = Rule(RuleSettings(expr="spot > 1", on=["NIFTY", "NIFTTY"]))
    context = make_context(tmp_path, ManualClock())
    one.open(context)
    assert [r.getMessage() for r in caplog.records] == [
        "alert rule rule is on NIFTTY, which the exchange calendar does not know"
    ]
    assert [f.level for f in one.diagnose(context)] == ["warning"]

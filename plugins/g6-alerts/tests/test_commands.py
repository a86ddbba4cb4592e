"""What `g6 alerts …` shows and does, over a recorded directory, as a person types it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from g6_alerts.channels.settings import ChannelSettings
from g6_alerts.commands import alerts
from g6_alerts.plot import picture
from g6_alerts.silences import Silences

from g6core import Alert, ConfigError, DataError, G6Error, Unavailable
from g6core.journal import Journal
from g6core.testing import START, snapshots
from tests.receivers import Hook

SETTINGS = """
plugins = ["alerts"]
[alerts.high]
use = "rule"
expr = "spot > 1"
for = "5m"
severity = "critical"
summary = "spot of {{index}} is high"
[alerts.never]
use = "rule"
expr = "spot < 0"
[alerts.off]
use = "rule"
expr = "spot < 0"
enabled = false
[sinks.hook]
use = "webhook"
url = "{url}/alerts"
[sinks.desk]
use = "telegram"
chat = "7"
api = "{url}"
"""
Run = Callable[..., Result]


@pytest.fixture
def place(tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with settings and a recorded day: five snapshots of two indices, and four alerts."""
    (tmp_path / "g6.toml").write_text(SETTINGS.format(url=hook.url))
    journal = Journal(tmp_path / "data", [])
    encoded = [journal.encode(s) for index in ("NIFTY", "SENSEX") for s in snapshots(5, index)]
    path = encoded[0].path
    journal.append(path, encoded)
    minute = timedelta(minutes=1)
    raised = [
        Alert("high", "NIFTY", START, "spot of NIFTY is high", "critical"),
        Alert("high", "NIFTY", START + 2 * minute, "it is over", "critical", "resolved"),
        Alert("high", "SENSEX", START + 3 * minute, "<b>high</b>", "critical"),
        Alert("disk_low", "", START + 4 * minute, "little room"),
    ]
    from g6core.journal import alert_row

    state = {"of": "x", "marks": [{"index": "NIFTY", "key": "", "state": "firing", "since": START.isoformat()}]}
    journal.commit_alerts(path, [alert_row(a) for a in raised], None, {"high": json.dumps(state), "never": "odd"})
    journal.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "42:token-of-the-bot")
    return tmp_path


@pytest.fixture
def run(place: Path) -> Run:
    def run(*words: str) -> Result:
        result = CliRunner().invoke(alerts, words, standalone_mode=False, env={"COLUMNS": "200"})
        if result.exception is not None:
            raise result.exception
        return result

    return run


def document(result: Result) -> Any:
    return json.loads(result.stdout)


def test_list_shows_each_rule_and_what_it_is_doing(run: Run) -> None:
    rules = {row["name"]: row for row in document(run("list", "--json"))["rules"]}
    assert rules["high"]["expr"] == "spot > 1"
    assert rules["high"]["states"] == [
        {"index": "NIFTY", "key": "", "state": "firing", "since": "2026-08-17T04:00:00+00:00"}
    ]
    assert rules["never"]["states"] == []
    assert "off" not in rules
    assert "NIFTY firing" in run("list").stdout


def test_history_lists_alerts_by_time_and_takes_those_wanted(run: Run) -> None:
    everything = document(run("history", "--json"))["alerts"]
    assert [(a["rule"], a["index"], a["state"]) for a in everything] == [
        ("high", "NIFTY", "firing"),
        ("high", "NIFTY", "resolved"),
        ("high", "SENSEX", "firing"),
        ("disk_low", "", "firing"),
    ]
    assert everything[0]["ts"] == "2026-08-17T04:00:00+00:00"
    assert len({a["id"] for a in everything}) == 4

    def found(*words: str) -> list[str]:
        return [a["ts"][11:16] for a in document(run("history", "--json", *words))["alerts"]]

    assert found("--rule", "high", "--index", "nifty") == ["04:00", "04:02"]
    assert found("--limit", "1") == ["04:04"]
    assert found("--from", "2026-08-18") == found("--to", "2026-08-16") == []
    assert len(found("--from", "2026-08-17", "--to", "2026-08-17")) == 4
    assert "2026-08-17 09:30:00" in run("history").stdout


def test_history_draws_the_value_with_a_mark_at_each_alert(run: Run, place: Path) -> None:
    run("history", "--plot", "alerts.svg")
    svg = "{http://www.w3.org/2000/svg}"
    drawn = ET.parse(place / "alerts.svg").getroot()
    assert [t.text for t in drawn.iter(f"{svg}text") if t.get("font-size")] == ["NIFTY: spot", "SENSEX: spot"]
    marks = [c.get("class") for c in drawn.iter(f"{svg}circle")]
    # Each in the panel of its index, and what is of no index in both.
    assert marks == ["firing", "resolved", "firing", "firing", "firing"]
    assert any("<b>high</b>" in (t.text or "") for t in drawn.iter(f"{svg}title"))
    with pytest.raises(ConfigError):
        run("history", "--plot", "alerts.png")
    with pytest.raises(DataError):
        run("history", "--plot", "alerts.svg", "--fact", "no_such_fact")


def test_a_picture_has_a_gap_where_nothing_is_known() -> None:
    points = [(START + timedelta(minutes=n), None if n == 2 else float(n)) for n in range(5)]
    assert picture([("NIFTY", points)], [], "vix").count("<polyline") == 2
    assert "nothing is recorded" in picture([("NIFTY", [])], [], "vix")


def test_silence_for_a_while_then_heard_again(run: Run, place: Path) -> None:
    before = datetime.now(UTC)
    told = document(run("silence", "high", "--for", "30m", "--index", "nifty", "--json"))["silence"]
    assert (told["rule"], told["index"]) == ("high", "NIFTY")
    until = datetime.fromisoformat(told["until"])
    assert timedelta(minutes=30) <= until - before < timedelta(minutes=40)
    run("silence", "never", "--until", "23:59")
    assert [s["rule"] for s in document(run("silence", "--list", "--json"))["silences"]] != []
    assert {s.rule for s in Silences(place / "data").all()} == {"high", "never"}
    assert "silenced until" in run("list").stdout
    assert document(run("silence", "high", "--remove", "--json"))["removed"] == 1
    assert [s["rule"] for s in document(run("silence", "--list", "--json"))["silences"]] == ["never"]


def test_what_cannot_be_silenced_is_refused_with_a_word_of_help(run: Run, place: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        run("silence", "hihg", "--for", "30m")
    assert caught.value.code == "unknown-alert" and "high" in (caught.value.hint or "")
    for words in (["--for", "soon"], ["--for", "0s"], ["--until", "25:00"], ["--until", "2020-01-01T10:00"]):
        with pytest.raises(ConfigError):
            run("silence", "high", *words)
    assert not (place / "data" / "alerts" / "silences.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--until", "0001-01-01T00:00"],
        ["--until", "9999-12-31T23:59-05:00"],
        ["--until", "9999-12-31T23:59+00:00"],
        ["--for", "9999999d"],
    ],
)
def test_a_time_beyond_the_calendar_is_refused(run: Run, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        run("silence", "high", *words)
    assert caught.value.where and words[0] in caught.value.where


def test_an_index_that_nobody_knows_is_taken_with_a_warning(run: Run) -> None:
    result = run("silence", "high", "--for", "30m", "--index", "nifti", "--json")
    assert set(document(result)) == {"v", "silence", "told"}
    assert "warning: neither the calendar" in result.stderr and "did you mean NIFTY?" in result.stderr
    assert run("silence", "high", "--for", "30m", "--index", "sensex").stderr == ""


def test_a_damaged_file_of_silences_is_named(run: Run, place: Path) -> None:
    run("silence", "high", "--for", "30m")
    (place / "data" / "alerts" / "silences.json").write_text('{"silences": [{}]}')
    with pytest.raises(DataError) as caught:
        run("silence", "--list")
    assert caught.value.code == "bad-silences"


def test_a_channel_is_tried_with_an_alert_that_says_so(run: Run, hook: Hook) -> None:
    assert "was taken" in run("test", "hook").stdout
    (body,) = hook.bodies
    assert body["test"] and "TEST" in body["text"]
    run("test", "desk")
    assert "[TEST]" in hook.bodies[1]["text"]
    hook.answers = [(401, {}, {"description": "Unauthorized"})]
    with pytest.raises(Unavailable) as caught:
        run("test", "desk")
    assert "token-of-the-bot" not in caught.value.render()


def test_a_rule_is_tried_on_the_newest_snapshots_without_waiting(run: Run) -> None:
    rows = document(run("test", "high", "--json"))["results"]
    assert [(row["index"], row["fires"], row["result"]) for row in rows] == [
        ("NIFTY", True, "spot of NIFTY is high"),
        ("SENSEX", True, "spot of SENSEX is high"),
    ]
    assert all(value > 1 for row in rows for value in row["values"].values())
    assert [row["fires"] for row in document(run("test", "never", "--json"))["results"]] == [False, False]
    for name in ("off", "nobody"):
        with pytest.raises(G6Error):
            run("test", name)


@pytest.mark.parametrize(
    "wrong", [{"quiet": "22-8"}, {"rate": "0/min"}, {"rate": "20"}, {"timeout": "0s"}, {"min_severity": "bad"}]
)
def test_settings_of_a_channel_that_make_no_sense(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        ChannelSettings(**wrong)

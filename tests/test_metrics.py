"""`/metrics` says what the recorder does: documented, bounded, absent where nothing is known, read by Prometheus."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from docs.tools import dashboards
from g6core import metric
from g6core.analysis import Step
from g6core.assembly import Assembly
from g6core.collector import Plan
from g6core.components import Alert, AlertRule, Analytic
from g6core.engine import Engine
from g6core.errors import Unavailable
from g6core.metrics import FAMILIES
from g6core.scrape import Measured, shown, text
from g6core.settings import JournalSettings, Settings
from g6core.snapshot import Snapshot
from g6core.strategies import AtmWindow, AtmWindowSettings
from g6core.testing import START, FakeMarket, ManualClock, MemorySink
from tests.conftest import KEPT, REPO
from tests.launch import Launcher
from tests.recorder import Recorder, Samples, recording, samples
from tests.servers import Prometheus, promtool

STEP = timedelta(seconds=15)
PAGE = (REPO / "docs" / "metrics.md").read_text("utf-8")
DOCUMENTED = {
    name: (kind, set(re.findall(r"\w+", labels)), help)
    for name, kind, labels, help in re.findall(r"^\| `(g6_\w+)` \| (\w+) \| ([\w, –]+) \| (.+) \|$", PAGE, re.M)
}
RULES = REPO / "deploy" / "prometheus"
BOARDS = sorted((REPO / "deploy" / "grafana").glob("*.json"))
LABELS = {"le", "index", "provider", "sink", "analytic", "rule", "reason", "code", "result", "stage", "state", "kind"}
LABELS |= {"severity", "call", "page", "status", "source", "table", "version", "python", "generation"}
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds", "up"}


@pytest.fixture(scope="module")
def recorder(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """`g6 demo`, for all tests of this file."""
    place = tmp_path_factory.mktemp("recorder")
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    env = {**kept, "HOME": str(place), "PYTHONPATH": str(REPO), "PYTHONUTF8": "1"}
    with recording(launcher, place, "demo", "--forever", env=env) as running:
        running.metrics(cycles=2)
        yield running


def families(page: str) -> dict[str, tuple[str, str]]:
    """Kind and help of each family of a page that has a line, by the name that its lines begin with."""
    help = dict(re.findall(r"^# HELP (\S+) (.*)$", page, re.M))
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.M))
    there = {name for name, _ in samples(page)}
    return {n: (kind, help[n]) for n, kind in kinds.items() if there & {n, f"{n}_count"}}


def test_the_demo_has_sixty_metrics_and_more_all_of_them_documented(recorder: Recorder) -> None:
    found = {name: of for name, of in families(recorder.metrics()).items() if name.startswith("g6_")}
    assert len(found) >= 60
    assert {name: DOCUMENTED[name][0] for name in found} == {name: kind for name, (kind, _) in found.items()}
    assert {name: DOCUMENTED[name][2] for name in found} == {name: help for name, (_, help) in found.items()}


def test_the_numbers_are_those_of_the_recording(recorder: Recorder) -> None:
    found = samples(recorder.metrics())
    cycles = value(found, "g6_cycles_total", result="all")
    assert cycles >= 2
    assert value(found, "g6_index_snapshots_total", index="NIFTY") in (cycles, cycles + 1)
    assert value(found, "g6_index_coverage_ratio", index="NIFTY") == 1
    assert 10_000 < value(found, "g6_market_spot", index="NIFTY") < 50_000
    assert 0 < value(found, "g6_market_atm_iv_ratio", index="NIFTY") < 1
    assert value(found, "g6_journal_size_bytes") > value(found, "g6_journal_bytes_total") > 0
    assert value(found, "g6_recorder_state", state="recording") == value(found, "g6_market_open") == 1
    assert value(found, "g6_simulated") == value(found, "g6_sink_up", sink="csv") == 1


def test_labels_have_few_values(recorder: Recorder) -> None:
    found = samples(recorder.metrics())
    assert {name for _, labels in found for name, _ in labels} <= LABELS
    values = {value for _, labels in found for name, value in labels if name not in ("le", "version", "python")}
    assert not {v for v in values if re.search(r"\d{4}|CE$|PE$", v)}
    assert len(found) < 1500


def test_promtool_finds_nothing_to_say_about_the_page(recorder: Recorder) -> None:
    done = promtool("check", "metrics", stdin=recorder.metrics().encode())
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_real_prometheus_reads_the_recorder_and_the_rules(recorder: Recorder, prometheus: Prometheus) -> None:
    prometheus.scrape(recorder.port, RULES / "rules.yml")
    prometheus.start()
    spots = wait_for(lambda: prometheus.ask("g6_market_spot > 0"))
    assert {series["metric"]["index"] for series in spots} >= {"NIFTY", "SENSEX"}
    assert wait_for(lambda: prometheus.ask("sum(rate(g6_cycle_seconds_count[10s])) > 0"))
    # Each question of a dashboard has an answer here, but for what only happens to others.
    for expression in expressions():
        prometheus.ask(expression)
    silent = {e for e in expressions() if not prometheus.ask(e)}
    absent = re.compile(
        r"kite|g6_web|g6_alerts|limit_bytes|not_recorded|failures|refused_total|alerts_total|quote_age|rv_intraday|vix_30d|histogram"
    )
    assert {e for e in silent if not absent.search(e)} == set()
    groups = json.loads(prometheus.get("/api/v1/rules"))["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 15
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []


def test_the_port_is_served_and_one_that_cannot_have_it_records_without(
    recorder: Recorder, launcher: Launcher, tmp_path: Path, clean_env: Callable[..., dict[str, str]]
) -> None:
    status, body = recorder.get("/healthz")
    assert (status, json.loads(body)["state"]) == (200, "recording")
    assert recorder.get("/readyz")[0] == recorder.get("/livez")[0] == 200
    taken = clean_env(G6_PLUGINS="sim", G6_HTTP__ENABLED="true", G6_HTTP__PORT=str(recorder.port))
    beside = launcher.run("g6core", "run", "--once", cwd=tmp_path, env=taken)
    assert beside.returncode == 0, beside.stderr
    assert "cannot be listened on" in beside.stderr
    assert list((tmp_path / "data" / "journal").glob("*.db"))


def wait_for(ask: Callable[[], list[Any]]) -> list[Any]:
    end = time.monotonic() + 60
    while not (found := ask()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


def test_the_page_of_the_metrics_is_that_of_the_code(
    launcher: Launcher, clean_env: Callable[..., dict[str, str]]
) -> None:
    done = launcher.run("docs.tools.metrics_page", cwd=REPO, env=clean_env())
    assert done.returncode == 0, done.stderr
    assert done.stdout == PAGE, "python -m docs.tools.metrics_page > docs/metrics.md"


def test_the_dashboards_are_those_of_the_code() -> None:
    assert {path.stem for path in BOARDS} == set(dashboards.BOARDS)
    for path in BOARDS:
        assert path.read_text("utf-8") == dashboards.text(path.stem), "python -m docs.tools.dashboards"


def expressions() -> list[str]:
    """Every question of the dashboards, as Grafana asks it."""
    panels = [panel for path in BOARDS for panel in json.loads(path.read_text("utf-8"))["panels"]]
    found = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [e.replace("$__rate_interval", "10s").replace("$index", ".*") for e in found]


def named(text: str) -> set[str]:
    """The metrics that an expression asks for."""
    without_values = re.sub(r'"[^"]*"|\b(?:by|ignoring|on)\s*\([^)]*\)', "", text)
    return set(re.findall(r"\b(?:(?:g6|process)_\w+|up)\b", without_values))


def test_every_metric_of_a_dashboard_or_a_rule_is_there() -> None:
    known = set(DOCUMENTED) | PROCESS
    known |= {
        f"{n}_{part}" for n, (kind, _, _) in DOCUMENTED.items() if kind == "histogram" for part in ("bucket", "count")
    }
    rules = re.findall(r"expr:(.*?)(?=\n +(?:-|for:|labels:|annotations:)|\Z)", (RULES / "rules.yml").read_text(), re.S)
    assert len(rules) > 15
    for expression in [*expressions(), *rules]:
        assert named(expression), expression
        assert named(expression) <= known, expression


def test_promtool_can_read_every_expression_and_proves_the_rules(tmp_path: Path) -> None:
    assert expressions()
    rules = [{"record": f"g6:panel:{n}", "expr": e} for n, e in enumerate(expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    for words in (("rules", file), ("config", RULES / "prometheus.yml")):
        done = promtool("check", *words)
        assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("test", "rules", RULES / "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_says_what_to_do_and_how_bad_it_is() -> None:
    alerts = re.findall(r"- alert: (\w+)\n(.*?)(?=\n      - |\n\n|\Z)", (RULES / "rules.yml").read_text(), re.S)
    assert len(alerts) > 10
    for name, rest in alerts:
        assert "summary:" in rest, name
        assert re.search(r"severity: (warning|critical)", rest), name


Watch = Callable[..., tuple[Engine, Measured]]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """An engine over a fake market, started, and what counts it; `/metrics` shows the newest."""
    engines: list[Engine] = []

    def make(market: FakeMarket | None = None, **parts: Any) -> tuple[Engine, Measured]:
        provider = market or FakeMarket()
        plans = [
            Plan(i, AtmWindow(AtmWindowSettings(below=2, above=2)), ("this_week", "this_month"))
            for i in provider.indices()
        ]
        journal = JournalSettings(max_size=parts.pop("max_size", None))
        settings = Settings(data_dir=tmp_path / str(len(engines)), journal=journal)
        lists = {"steps": (), "sinks": {}, "rules": {}, "observers": ()} | parts
        engine = Engine(Assembly(settings, {"fake": provider}, {"fake": plans}, **lists), ManualClock())
        engines.append(engine)
        engine.start()
        return engine, Measured(engine)

    yield make
    for engine in engines:
        engine.stop()


def turn(engine: Engine, measured: Measured, n: int = 0, deadline: float | None = None) -> Samples:
    """One cycle, and what `/metrics` says behind it."""
    report = engine.cycle(START + n * STEP, deadline)
    engine.watch(report.ts, report)
    measured.cycle(engine, report)
    return page_of(measured)


def page_of(measured: Measured) -> Samples:
    with shown(measured):
        return samples(text().decode())


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def gain(after: Samples, before: Samples, name: str, **labels: str) -> float:
    """How far a counter, which is the whole process's, went up."""
    return after[name, frozenset(labels.items())] - before.get((name, frozenset(labels.items())), 0.0)


def about(found: Samples, index: str) -> set[str]:
    """The gauges that say something of an index."""
    return {name for name, labels in found if ("index", index) in labels and not name.endswith("_total")}


def test_what_is_not_known_has_no_line(watch: Watch) -> None:
    market = FakeMarket()
    engine, measured = watch(market)
    first = turn(engine, measured)
    assert {"g6_market_spot", "g6_index_options"} <= about(first, "NIFTY")
    market.unknown_spots = {"NIFTY"}
    second = turn(engine, measured, 1)
    assert "g6_market_spot" not in about(second, "NIFTY")
    assert value(second, "g6_market_spot", index="BANKNIFTY") > 0
    market.fail("spots", Unavailable("the source is silent"))
    third = turn(engine, measured, 2)
    assert about(third, "NIFTY") == {
        "g6_index_recorded",
        "g6_index_missed_cycles",
        "g6_index_last_recorded_timestamp_seconds",
    }
    assert value(third, "g6_index_missed_cycles", index="NIFTY") == 1
    assert value(third, "g6_index_last_recorded_timestamp_seconds", index="NIFTY") == (START + STEP).timestamp()


def test_cycles_and_failures_are_counted_by_reason(watch: Watch) -> None:
    market = FakeMarket()
    engine, measured = watch(market)
    before = turn(engine, measured)
    assert value(before, "g6_provider_up", provider="fake") == 1
    market.fail("quotes", Unavailable("no answer", code="unavailable"), times=1)
    after = turn(engine, measured, 1)
    for index in market.indices():
        assert gain(after, before, "g6_index_not_recorded_total", index=index, reason="unavailable") == 1
    assert gain(after, before, "g6_cycles_total", result="none") == 1
    assert gain(after, before, "g6_provider_failures_total", provider="fake", code="unavailable") == 1
    assert gain(after, before, "g6_provider_call_failures_total", provider="fake", call="quotes") == 1
    assert value(after, "g6_provider_up", provider="fake") == 0
    again = turn(engine, measured, 1)
    assert value(again, "g6_provider_up", provider="fake") == 1
    assert gain(again, after, "g6_cycles_total", result="all") == 1
    assert gain(again, after, "g6_index_snapshots_total", index="NIFTY") == 1
    same = turn(engine, measured, 1)
    assert gain(same, again, "g6_index_not_recorded_total", index="NIFTY", reason="duplicate") == 1


def test_a_late_answer_is_a_missed_deadline_and_then_a_late_snapshot(watch: Watch) -> None:
    market = FakeMarket(["NIFTY"])
    engine, measured = watch(market)
    before = turn(engine, measured)
    market.delays["quotes"] = 0.2
    missed = turn(engine, measured, 1, deadline=0.01)
    assert gain(missed, before, "g6_provider_deadline_misses_total", provider="fake") == 1
    assert gain(missed, before, "g6_index_not_recorded_total", index="NIFTY", reason="deadline") == 1
    market.delays.clear()
    late = turn(engine, measured, 2, deadline=0.0)
    assert gain(late, missed, "g6_index_not_recorded_total", index="NIFTY", reason="late") == 1
    time.sleep(0.5)
    found = turn(engine, measured, 3)
    assert gain(found, late, "g6_provider_late_snapshots_total", provider="fake") == 1
    assert gain(found, late, "g6_journal_snapshots_total") == 2


class Broken(Analytic):
    def compute(self, snapshot: Snapshot) -> Snapshot:
        raise ZeroDivisionError("no good")


def test_analytics_are_counted_with_those_that_were_skipped_for_them(watch: Watch) -> None:
    steps = [Step("broken", Broken(), (), ("facts.x",)), Step("needy", Broken(), ("facts.x",), ())]
    engine, measured = watch(FakeMarket(["NIFTY"]), steps=steps)
    found = turn(engine, measured)
    again = turn(engine, measured, 1)
    assert gain(again, found, "g6_analytic_failures_total", analytic="broken", reason="failed") == 1
    assert gain(again, found, "g6_analytic_failures_total", analytic="needy", reason="skipped") == 1
    assert gain(again, found, "g6_index_notes_total", index="NIFTY") == 2


def test_a_journal_that_cannot_be_written_shows(watch: Watch) -> None:
    engine, measured = watch(FakeMarket(["NIFTY"]), max_size=1)
    # The first day is made while there is nothing yet.
    turn(engine, measured)
    before = page_of(measured)
    found = turn(engine, measured, 1)
    assert gain(found, before, "g6_journal_errors_total", code="journal-full") == 1
    assert value(found, "g6_journal_writable") == 0
    assert value(found, "g6_journal_unsaved_snapshots") == 1
    assert value(found, "g6_journal_limit_bytes") == 1
    assert value(found, "g6_recorder_state", state="paused") == 1


def test_a_closed_market_says_when_it_opens_and_nothing_of_its_indices(watch: Watch) -> None:
    engine, measured = watch(FakeMarket(["NIFTY"]))
    turn(engine, measured)
    opens = START + timedelta(hours=3)
    measured.idle(engine, opens)
    found = page_of(measured)
    assert about(found, "NIFTY") == set()
    assert value(found, "g6_market_open") == 0
    assert value(found, "g6_market_opens_timestamp_seconds") == opens.timestamp()
    assert value(found, "g6_recorder_state", state="waiting") == 1


def test_sinks_are_shown_each_with_its_own_trouble(watch: Watch) -> None:
    class Down(MemorySink):
        def write(self, snapshots: Any) -> None:
            raise Unavailable("it is down")

    engine, measured = watch(FakeMarket(["NIFTY"]), sinks={"good": MemorySink(), "down": Down()})
    turn(engine, measured)
    runners = engine.runners
    end = time.monotonic() + 30
    while not (runners["good"].state.written and runners["down"].state.retried):
        assert time.monotonic() < end
        time.sleep(0.01)
    found = page_of(measured)
    assert value(found, "g6_sink_snapshots_total", sink="good") == value(found, "g6_sink_up", sink="good") == 1
    assert value(found, "g6_sink_up", sink="down") == value(found, "g6_sink_snapshots_total", sink="down") == 0
    assert value(found, "g6_sink_lag_snapshots", sink="down") == 1
    assert value(found, "g6_sink_retries_total", sink="down") >= 1
    assert gain(found, {}, "g6_sink_write_seconds_count", sink="down") >= 1


def test_alerts_and_rules_that_are_muted(watch: Watch) -> None:
    class Loud(AlertRule):
        def check(self, now: Snapshot, before: Snapshot | None) -> list[Alert]:
            return [Alert("loud", now.index, now.ts, "hello", "critical")]

    class Bad(AlertRule):
        def check(self, now: Snapshot, before: Snapshot | None) -> list[Alert]:
            raise RuntimeError("cannot look")

    engine, measured = watch(FakeMarket(["NIFTY"]), rules={"loud": Loud(), "bad": Bad()})
    before = page_of(measured)
    for n in range(5):
        found = turn(engine, measured, n)
    assert gain(found, before, "g6_alerts_total", rule="loud", severity="critical", state="firing") == 5
    assert gain(found, before, "g6_alert_rule_failures_total", rule="bad") == 5
    assert value(found, "g6_alert_rules") == 2
    assert value(found, "g6_alert_rules_muted") == 1


def test_two_recorders_in_one_process_are_shown_one_after_the_other(watch: Watch) -> None:
    (one, of_one), (two, of_two) = watch(FakeMarket(["NIFTY"])), watch(FakeMarket(["BANKNIFTY"]))
    for engine, measured in ((one, of_one), (two, of_two)):
        report = engine.cycle(START)
        measured.cycle(engine, report)
    with shown(of_one):
        with shown(of_two):
            assert not about(samples(text().decode()), "NIFTY")
        assert "g6_market_spot" in about(samples(text().decode()), "NIFTY")
    assert not about(samples(text().decode()), "NIFTY")


def test_a_metric_is_made_once_and_keeps_the_conventions() -> None:
    made = metric("counter", "g6_toy_events_total", "Events.", ["kind"])
    assert metric("counter", "g6_toy_events_total", "Events.", ["kind"]) is made
    with pytest.raises(ValueError, match="of another kind or with other labels"):
        metric("counter", "g6_toy_events_total", "Events.")
    with pytest.raises(ValueError, match="there is a metric"):
        metric("gauge", "g6_uptime_seconds", "How long.")


@pytest.mark.parametrize(
    ("kind", "name", "labels", "why"),
    [
        ("gauge", "toy_seconds", [], "begins with g6_"),
        ("counter", "g6_toy_events", [], "ends in _total"),
        ("gauge", "g6_toy_things_total", [], "ends in _total"),
        ("histogram", "g6_toy_bytes", [], "one of seconds"),
        ("summary", "g6_toy_seconds", [], "not a summary"),
        ("gauge", "g6_toy_price", ["strike"], "too many values"),
        ("gauge", "g6_toy_price", ["index", "expiry"], "too many values"),
    ],
)
def test_a_metric_against_the_conventions_is_refused(kind: Any, name: str, labels: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        metric(kind, name, "No.", labels)
    assert name not in FAMILIES or FAMILIES[name].kind != kind


def test_what_is_quick_does_not_wait_for_the_client_library() -> None:
    code = (
        "import sys; from g6core.cli import main\n"
        "for words in (['--version'], ['--help'], ['chain', '--help']):\n"
        "    sys.argv = ['g6', *words]\n"
        "    try: main()\n"
        "    except SystemExit: pass\n"
        "assert 'prometheus_client' not in sys.modules, 'imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO)
    assert done.returncode == 0, done.stderr

"""Alert rules over a recorded day: by the recorded time, each transition where the recording has it, and the same after
any restart."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import polars as pl
import pytest
from g6_alerts.rule import Rule
from g6_alerts.settings import RuleSettings

from g6core import Snapshot, make_context, read_day
from g6core.testing import ManualClock

Run = Callable[..., CompletedProcess[str]]
MINUTES = 80
SPAN = timedelta(minutes=15)


@dataclass(frozen=True)
class Case:
    """A rule, and when it is true: of the spot and the put-call ratio of this snapshot and of those before it."""

    expr: str
    true: Callable[[Sequence[Snapshot]], bool | None]
    hold: int = 0
    keep: int = 0
    repeat: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = {"expr": self.expr, "for": f"{self.hold}m", "keep_firing_for": f"{self.keep}m"}
        return found | ({"repeat": f"{self.repeat}m"} if self.repeat else {})


def spot(now: Snapshot) -> float:
    return now.facts["spot"]


def nearest(now: Snapshot, name: str) -> Any:
    return now.expiries[name][0]


def earlier(past: Sequence[Snapshot]) -> Snapshot | None:
    """The newest snapshot a quarter of an hour ago or before, when there is one of about then."""
    old = [s for s in past if s.ts <= past[-1].ts - SPAN]
    return old[-1] if old and past[-1].ts - old[-1].ts <= 1.5 * SPAN else None


def moved(past: Sequence[Snapshot]) -> bool | None:
    before = earlier(past)
    return None if before is None else spot(past[-1]) - spot(before) > 5


def crossed(past: Sequence[Snapshot]) -> bool | None:
    return None if len(past) < 2 else spot(past[-1]) >= 24200 > spot(past[-2])


def above_average(past: Sequence[Snapshot]) -> bool | None:
    if earlier(past) is None and past[0].ts > past[-1].ts - SPAN:
        return None
    recent = [spot(s) for s in past if s.ts > past[-1].ts - SPAN]
    return spot(past[-1]) > sum(recent) / len(recent)


CASES = {
    "above": Case("spot > 24200", lambda past: spot(past[-1]) > 24200),
    "above_for": Case("spot > 24200", lambda past: spot(past[-1]) > 24200, hold=3),
    "above_kept": Case("spot > 24200", lambda past: spot(past[-1]) > 24200, keep=4),
    "above_again": Case("spot > 24200", lambda past: spot(past[-1]) > 24200, repeat=5),
    "above_all": Case("spot > 24200", lambda past: spot(past[-1]) > 24200, hold=2, keep=3, repeat=4),
    "pcr": Case("pcr_oi < 0.69", lambda past: nearest(past[-1], "pcr_oi") < 0.69, hold=1),
    "vix": Case("vix > 1 or vix <= 1", lambda past: None),
    "moved": Case('change(spot, "15m") > 5', moved),
    "crossed": Case("spot >= 24200 and prev(spot) < 24200", crossed, keep=2),
    "average": Case('spot > avg(spot, "15m")', above_average, hold=2),
}


def expected(case: Case, day: Sequence[Snapshot]) -> Iterator[tuple[datetime, str]]:
    """What a person would raise who reads the day with Prometheus's words in hand."""
    since = told = quiet = None
    minute = timedelta(minutes=1)
    for place, now in enumerate(day):
        true = case.true(day[: place + 1])
        if true:
            since, quiet = since or now.ts, None
            due = now.ts - since >= case.hold * minute if told is None else bool(case.repeat)
            if due and (told is None or now.ts - told >= (case.repeat or 0) * minute):
                told = now.ts
                yield now.ts, "firing"
        elif true is False and told is None:
            since = None
        elif true is False:
            quiet = quiet or now.ts
            if now.ts - quiet >= case.keep * minute:
                since = told = quiet = None
                yield now.ts, "resolved"


def toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    text = 'expiries = ["this_week", "next_week"]\nstrategy = { use = "atm_window", below = 5, above = 5 }\n'
    for name, table in tables.items():
        text += f'[alerts.{name}]\nuse = "rule"\n' + "".join(f"{k} = {json.dumps(v)}\n" for k, v in table.items())
    return text


def raised(path: Path) -> list[tuple[str, datetime, str, str]]:
    """Rule, time, state and key of each alert of a day."""
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT rule, ts, state, key FROM alerts ORDER BY seq").fetchall()
    return [(rule, datetime.fromtimestamp(ts / 1e6, UTC), state, key) for rule, ts, state, key in rows]


@pytest.fixture
def day(g6: Run, shared_data: Path, tmp_path: Path) -> Path:
    """Two hours of an expiry day with all rules of CASES, one at a strike and one on what nobody adds."""
    rules = {name: case.settings for name, case in CASES.items()}
    rules["strike"] = {"expr": 'change(options.oi, "15m") / sum(options.oi) > 0.02'}
    (tmp_path / "g6.toml").write_text(toml(rules))
    recording = shared_data / "minute_option_chain" / "NIFTY_2026-08-18.csv.gz"
    result = g6(
        "replay", recording, "--plugins", "greeks,alerts", "--data-dir", "D", "--quiet", "--cycles", str(MINUTES)
    )
    assert result.returncode == 0, result.stderr
    return tmp_path / "D" / "journal" / "2026-08-18.db"


def test_a_replay_raises_what_was_to_be_raised_and_a_restart_changes_nothing(day: Path, tmp_path: Path) -> None:
    snapshots = [snapshot for _, snapshot in read_day(day)]
    assert len(snapshots) == MINUTES
    alerts = raised(day)
    for name, case in CASES.items():
        found = [(ts, state) for rule, ts, state, _ in alerts if rule == name]
        assert found == list(expected(case, snapshots)), name
        assert len(found) > 1 or name == "vix", name
    at_strikes = [alert for alert in alerts if alert[0] == "strike"]
    assert at_strikes == built_up(snapshots) != []
    for name in ("moved", "crossed", "average", "above_all", "strike"):
        settings = RuleSettings(**CASES[name].settings) if name in CASES else STRIKE
        whole = [(ts, state, key) for rule, ts, state, key in alerts if rule == name]
        assert list(restarted(settings, snapshots, tmp_path / "D")) == whole, name


STRIKE = RuleSettings(expr='change(options.oi, "15m") / sum(options.oi) > 0.02')


def built_up(day: Sequence[Snapshot]) -> list[tuple[str, datetime, str, str]]:
    """The alerts of the rule at a strike, from whole tables."""
    firing: set[str] = set()
    alerts = []
    for place, now in enumerate(day):
        before = earlier(day[: place + 1])
        if before is None:
            continue
        rows = now.options.filter(pl.col("expiry") == nearest(now, "expiry")).select("symbol", "oi")
        both = rows.join(before.options.select("symbol", was="oi"), on="symbol", how="left", maintain_order="left")
        share = (pl.col("oi") - pl.col("was")) / pl.col("oi").sum()
        for symbol, true in both.select("symbol", share > 0.02).iter_rows():
            if true is not None and true is not (symbol in firing):
                alerts.append(("strike", now.ts, "firing" if true else "resolved", symbol))
                firing ^= {symbol}
    return alerts


def restarted(settings: RuleSettings, day: Sequence[Snapshot], data_dir: Path) -> Iterator[tuple[datetime, str, str]]:
    """The alerts of a rule that is made anew every seven snapshots, with what it remembered and the records."""
    state, rule, before = "", Rule(settings), None
    context = make_context(data_dir, ManualClock())
    for place, now in enumerate(day):
        if place % 7 == 0:
            rule = Rule(settings)
            rule.open(context)
            rule.restore(state)
        yield from ((alert.ts, alert.state, alert.key) for alert in rule.check(now, before))
        state, before = rule.state(), now

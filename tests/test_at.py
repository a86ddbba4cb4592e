"""`g6 chain --at`: the chain as it stood at an instant."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

from g6core import IST, days
from g6core.testing import START, snapshots
from tests.test_fill import record

Run = Callable[..., CompletedProcess[str]]


def test_the_newest_at_or_before_equals_a_search_through_everything(tmp_path: Path) -> None:
    taken = [s for n in range(3) for s in snapshots(40, ts=START + timedelta(days=n, hours=n), strikes=3)]
    record(tmp_path, *taken, *snapshots(40, "BANKNIFTY", strikes=3))
    dice = random.Random(1)
    begin = START - timedelta(hours=1)
    for _ in range(300):
        at = begin + timedelta(seconds=dice.uniform(0, 3 * 86_400))
        day = at.astimezone(IST).date()
        before = [s for s in taken if s.ts <= at and s.ts.astimezone(IST).date() == day]
        found = days.at(tmp_path, "NIFTY", at)
        assert (found and found.ts) == (before[-1].ts if before else None)
    assert days.at(tmp_path, "NIFTY", taken[5].ts).options.equals(taken[5].options)


def test_each_contract_has_its_age(g6: Run, tmp_path: Path) -> None:
    first, second = snapshots(2, strikes=3)
    stamped = first.options.with_columns(exchange_ts=first.ts - timedelta(seconds=90))
    record(tmp_path / "data", first.replace(options=stamped), second)
    at = (first.ts + timedelta(seconds=30)).astimezone(IST)
    document = json.loads(g6("chain", "NIFTY", "--at", f"{at:%Y-%m-%d %H:%M:%S}", "--json").stdout)
    assert datetime.fromisoformat(document["ts"]) == first.ts
    assert {row["age"] for row in document["options"]} == {120.0}
    ladder = g6("chain", "NIFTY", "--at", at.astimezone(UTC).isoformat()).stdout
    assert "2 min" in ladder and "30 s old at" in ladder
    assert "age" not in json.loads(g6("chain", "NIFTY", "--json").stdout)["options"][0]


def test_an_instant_without_records_says_which_and_what_to_do(g6: Run, tmp_path: Path) -> None:
    record(tmp_path / "data", *snapshots(1, strikes=3))
    early = g6("chain", "NIFTY", "--at", "2026-08-17 09:00")
    assert early.returncode == 1
    assert "17 Aug 2026 up to 09:00:00 IST" in early.stderr
    assert g6("chain", "NIFTY", "--at", "yesterday").returncode == 2

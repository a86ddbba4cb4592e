"""Rules tried on a recorded day: what would have fired is told at the end, and nobody is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytest.importorskip("g6_alerts")

from tests.receivers import Hook

SETTINGS = """
plugins = ["market"]
interval = "1s"
deadline = "60s"
strategy = {{ use = "atm_window", below = 1, above = 1 }}
[indices.NIFTY]
[alerts.always]
use = "rule"
expr = "spot > 0"
[sinks.desk]
use = "webhook"
url = "{url}"
"""
Run = Callable[..., CompletedProcess[str]]


def test_a_replay_tells_what_rules_would_have_raised_and_calls_nobody(
    g6: Run, installed: Callable[..., list[str]], tmp_path: Path
) -> None:
    hook = Hook()
    (tmp_path / "g6.toml").write_text(SETTINGS.format(url=hook.url))
    paths = installed("market_plugin")
    recorded = g6("run", "--once", paths=paths)
    assert recorded.returncode == 0, recorded.stderr
    (day,) = [path.stem for path in (tmp_path / "data" / "journal").glob("*.db")]
    replayed = g6("replay", day, "--plugins", "alerts,replay", "--quiet", paths=paths)
    assert replayed.returncode == 0, replayed.stderr
    (row,) = [line for line in replayed.stdout.splitlines() if "always" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")][:3] == ["always", "1", "0"]
    listed = g6("alerts", "history", "--data-dir", "data/replay", "--rule", "always", "--json", paths=paths)
    (alert,) = json.loads(listed.stdout)["alerts"]
    assert (alert["rule"], alert["index"], alert["state"]) == ("always", "NIFTY", "firing")
    assert hook.requests == []
    hook.close()

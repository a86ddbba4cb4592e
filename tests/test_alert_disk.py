"""A full disk while alerts fire: told, and each alert of the journal reaches the server, once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("g6_alerts")

from g6_alerts.channels.message import alert_id

from g6core import Records, days
from tests.receivers import Hook
from tests.test_alert_kills import by_web
from tests.test_disk_full import small_disk, until

__all__ = ["small_disk"]

SETTINGS = """
plugins = ["sim", "alerts"]
interval = "100ms"
strategy = {{ use = "atm_window", below = 5, above = 5 }}
[indices.NIFTY]
[indices.SENSEX]
[alerts.always]
use = "rule"
expr = "spot > prev(spot) or spot <= prev(spot)"
repeat = "10ms"
[alerts.disk_low]
enabled = false
[sinks.hook]
use = "webhook"
url = "{hook}/alerts"
rate = "9999/s"
"""


def test_on_a_full_disk_no_alert_is_lost_and_none_comes_twice(
    tmp_path: Path, small_disk: Path, clean_env: Callable[..., dict[str, str]], hook: Hook
) -> None:
    (tmp_path / "g6.toml").write_text(SETTINGS.format(hook=hook.url))
    ballast, log = small_disk / "ballast", tmp_path / "log"
    ballast.write_bytes(bytes(3_000_000))
    command = [sys.executable, "-m", "g6core", "run", "--data-dir", str(small_disk)]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=clean_env(), stdout=output, stderr=subprocess.STDOUT)
        try:
            assert until(lambda: "error[disk-full]" in log.read_text(), 60), log.read_text()[-2000:]
            time.sleep(1)
            assert process.poll() is None
            stood = len(hook.requests)
            ballast.unlink()
            assert until(lambda: "can be written again" in log.read_text()), log.read_text()[-2000:]
            assert until(lambda: len(hook.requests) > stood + 5), log.read_text()[-2000:]
            process.terminate()
            assert process.wait(30) == 0, log.read_text()[-2000:]
        finally:
            process.kill()
    alerts = Records(small_disk).alerts(limit=10**9)
    expected = Counter(alert_id(alert) for alert in alerts)
    assert max(expected.values()) == 1 and by_web(hook) == expected
    # Each snapshot but the first of its index was looked at, and raised its alert.
    snapshots = [(one.index, one.ts) for path in days.days(small_disk) for _, one in days.read_day(path)]
    first = [min(one for one in snapshots if one[0] == index) for index in ("NIFTY", "SENSEX")]
    fired = [(alert.index, alert.ts) for alert in alerts if alert.rule == "always"]
    assert sorted([*first, *fired]) == sorted(snapshots)
    assert log.read_text().count("error[disk-full]") <= 6
    told = [(alert.rule, alert.state) for alert in alerts if alert.rule != "always"]
    assert told == [("no_data", "firing")] * 2 + [("no_data", "resolved")] * 2

"""`g6 run` with the sink `redis`, with and without a Redis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from g6_redis import read

from g6core import days
from tests.servers import free_port

Run = Callable[..., CompletedProcess[str]]
WORDS = (
    *("run", "--plugins", "sim,csv,redis", "--cycles", "2", "--interval", "1s", "--data-dir", "D"),
    *("--set", "drain_timeout=3s"),
)


def test_without_redis_everything_else_is_as_ever_and_redis_gets_the_newest_later(
    g6: Run, own_redis_server: Any, tmp_path: Path
) -> None:
    absent = g6(*WORDS, "--set", f"sinks.redis.url=redis://127.0.0.1:{free_port()}/0")
    assert "sink redis" in absent.stderr and "does not answer" in absent.stderr
    (day,) = days.days(tmp_path / "D")
    recorded = [s for _, s in days.read_day(day)]
    indices = {s.index for s in recorded}
    assert len(recorded) == 2 * len(indices)
    overviews = sorted((tmp_path / "D" / "g6_data" / "overview").rglob("*.csv"))
    assert [p.read_text().count("\n") for p in overviews] == [3] * len(indices)

    present = g6(*WORDS, "--set", f"sinks.redis.url={own_redis_server.url}")
    assert present.returncode == 0, present.stderr
    newest = {s.index: s for path in days.days(tmp_path / "D") for _, s in days.read_day(path)}
    for index in indices:
        found = read.latest(own_redis_server.url, index)
        assert found and found["ts"] == newest[index].ts
        assert found["options"].equals(newest[index].options)


def test_doctor_says_whether_redis_answers(g6: Run, own_redis_server: Any) -> None:
    words = ("doctor", "--plugins", "sim,redis", "--data-dir", "D", "--set")
    assert "answers at" in g6(*words, f"sinks.redis.url={own_redis_server.url}").stdout
    absent = g6(*words, f"sinks.redis.url=redis://127.0.0.1:{free_port()}/0")
    assert absent.returncode == 1 and "does not answer" in absent.stdout


def test_a_password_in_the_address_is_refused_without_being_shown(g6: Run) -> None:
    done = g6("config", "check", "--plugins", "sim,redis", "--set", "sinks.redis.url=redis://:a-secret-word@h:1/0")
    assert done.returncode == 2
    assert "set `username`" in done.stderr and "a-secret-word" not in done.stdout + done.stderr

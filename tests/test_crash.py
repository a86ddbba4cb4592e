"""A recorder killed at any instant: every snapshot that the journal holds is in the CSV tree exactly once."""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

from g6core import days
from g6core.exchange import IST
from tests.launch import Launcher, Started

KILLS, RECORDERS = int(os.environ.get("G6_KILLS", "25")), 5
"""G6_KILLS=100 and more for a long run."""
SETTINGS = """
plugins = ["market", "csv"]
interval = "40ms"
strategy = { use = "atm_window", below = 2, above = 2 }
[indices.NIFTY]
[indices.SENSEX]
"""
Env = Callable[..., dict[str, str]]
Installed = Callable[..., list[str]]


def start(launcher: Launcher, place: Path, env: dict[str, str]) -> tuple[Started, TextIO]:
    """A recorder, and what it says."""
    ours, theirs = os.pipe()
    with open(theirs, "wb") as output, open(os.devnull, "rb") as nothing:
        process = launcher.start("g6core", "run", cwd=place, env=env, stdio=(nothing, output, output))
    return process, open(ours, encoding="utf-8")


def kill(process: Started) -> None:
    process.kill()
    assert process.wait() == -signal.SIGKILL


def kill_after_the_first_cycle(
    launcher: Launcher,
    place: Path,
    env: dict[str, str],
    dice: random.Random,
    seconds: tuple[float, float] = (0.0, 0.25),
) -> None:
    process, output = start(launcher, place, env)
    with output:
        seen = ""
        for line in output:
            seen += line
            if "NIFTY" in line:
                break
        assert "NIFTY" in seen, seen
        time.sleep(dice.uniform(*seconds))
        kill(process)


def recorded(data_dir: Path) -> Counter[tuple[str, str, str, str]]:
    """(index, timestamp, expiry, strike) of everything in the journal."""
    rows: Counter[tuple[str, str, str, str]] = Counter()
    for path in days.days(data_dir):
        for _, s in days.read_day(path):
            strikes = s.options.select("expiry", "strike").unique()
            ts = s.ts.astimezone(IST).isoformat()
            rows.update((s.index, ts, str(expiry), str(strike)) for expiry, strike in strikes.iter_rows())
    return rows


def written(data_dir: Path) -> Counter[tuple[str, str, str, str]]:
    """The same of everything in the CSV tree."""
    rows: Counter[tuple[str, str, str, str]] = Counter()
    for path in (data_dir / "g6_data" / "options").rglob("*.csv"):
        with path.open(newline="") as f:
            rows.update((r["index"], r["timestamp"], r["expiry"], str(float(r["strike"]))) for r in csv.DictReader(f))
    return rows


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not known on Windows")
@pytest.mark.parametrize("seed", range(RECORDERS))
def test_killed_at_random_instants_nothing_is_lost_and_nothing_doubled(
    tmp_path: Path, clean_env: Env, installed: Installed, launcher: Launcher, seed: int
) -> None:
    (tmp_path / "g6.toml").write_text(SETTINGS)
    env = clean_env(installed("market_plugin"))
    dice = random.Random(seed)
    for _ in range(KILLS // RECORDERS):
        kill_after_the_first_cycle(launcher, tmp_path, env, dice)
    last = launcher.run("g6core", "run", "--once", cwd=tmp_path, env=env)
    assert last.returncode == 0, last.stderr
    expected = recorded(tmp_path / "data")
    assert len({ts for _, ts, _, _ in expected}) > KILLS // RECORDERS
    assert written(tmp_path / "data") == expected
    overview = tmp_path / "data" / "g6_data" / "overview" / "NIFTY"
    times = [row["timestamp"] for path in overview.glob("*.csv") for row in csv.DictReader(path.open(newline=""))]
    assert Counter(times) == Counter({ts for index, ts, _, _ in expected if index == "NIFTY"})


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not known on Windows")
def test_killed_while_the_day_is_made_the_next_start_goes_on(
    tmp_path: Path, clean_env: Env, installed: Installed, launcher: Launcher
) -> None:
    """The moment when the journal's file appears; a start that finds half a file would be the end of recording."""
    (tmp_path / "g6.toml").write_text(SETTINGS)
    env = clean_env(installed("market_plugin"))
    journal = tmp_path / "data" / "journal"
    dice = random.Random(1)
    for _ in range(6):
        process, output = start(launcher, tmp_path, env)
        end = time.monotonic() + 60
        while not (journal.is_dir() and any(journal.iterdir())) and time.monotonic() < end:
            time.sleep(0.0005)
        time.sleep(dice.uniform(0.0, 0.015))
        kill(process)
        output.close()
        last = launcher.run("g6core", "run", "--once", cwd=tmp_path, env=env)
        assert last.returncode == 0, last.stderr
        assert written(tmp_path / "data") == recorded(tmp_path / "data")
        shutil.rmtree(tmp_path / "data")

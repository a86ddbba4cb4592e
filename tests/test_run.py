"""`g6 run` and `g6 replay` as a user types them: what is on disk afterwards, and is it right?"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import pytest

from g6core import days
from g6core.snapshot import Snapshot
from tests.launch import Launcher

Run = Callable[..., CompletedProcess[str]]
Env = Callable[..., dict[str, str]]

GREEKS = ("iv", "delta", "gamma", "theta", "vega", "rho")
LEG = ("symbol", "last_price", "average_price", "bid", "ask", "volume", "oi", *GREEKS)
OPTIONS_HEADER = [
    *["timestamp", "index", "expiry_code", "expiry", "offset", "strike", "atm_strike", "spot", "forward", "dte"],
    *(f"call_{name}" for name in LEG),
    *(f"put_{name}" for name in LEG),
    "straddle_price",
]
OVERVIEW_HEADER = [
    *("timestamp", "index", "spot", "open", "high", "low", "close", "day_width", "vix"),
    *("pcr_this_week", "pcr_next_week", "pcr_this_month", "pcr_next_month"),
    *("expiries_expected", "expiries_collected", "expected_mask", "collected_mask", "missing_mask"),
]


def stored(data_dir: Path) -> list[Snapshot]:
    return [s for path in days.days(data_dir) for _, s in days.read_day(path)]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


@pytest.fixture
def three_cycles(once: Callable[..., Path], clean_env: Env, launcher: Launcher, tmp_path: Path) -> Path:
    """A copy of a directory that was recorded once."""
    words = ("run", "--plugins", "sim,greeks,csv", "--cycles", "3", "--interval", "1s", "--data-dir", "D")

    def record(place: Path) -> None:
        result = launcher.run("g6core", *words, cwd=place, env=clean_env())
        assert result.returncode == 0, result.stderr
        assert all("SIMULATED" in line for line in result.stdout.splitlines())

    return Path(shutil.copytree(once("three-cycles", record) / "D", tmp_path / "D"))


def test_three_cycles_are_three_timestamps_in_the_tree(three_cycles: Path) -> None:
    tree = three_cycles / "g6_data"
    (atm,) = (tree / "options" / "NIFTY" / "this_week" / "0").glob("*.csv")
    rows = rows_of(atm)
    assert list(rows[0]) == OPTIONS_HEADER
    assert len({row["timestamp"] for row in rows}) == 3
    assert all(row["timestamp"].endswith("+05:30") for row in rows)
    (overview,) = (tree / "overview" / "BANKNIFTY").glob("*.csv")
    rows = rows_of(overview)
    assert list(rows[0]) == OVERVIEW_HEADER
    assert len({row["timestamp"] for row in rows}) == 3
    # BANKNIFTY lists no weeklies: two monthlies are expected and there.
    assert {(row["expected_mask"], row["collected_mask"], row["missing_mask"]) for row in rows} == {("12", "12", "0")}
    assert {row["pcr_this_week"] for row in rows} == {""}
    assert all(float(row["pcr_this_month"]) > 0 for row in rows)
    offsets = {place.name for place in (tree / "options" / "NIFTY" / "this_week").iterdir()}
    assert offsets == {str(n) for n in range(-10, 11)}


def test_a_contract_of_two_codes_stands_in_the_tree_once(three_cycles: Path) -> None:
    seen = [
        (row["index"], row["timestamp"], row["expiry"], row["strike"])
        for path in (three_cycles / "g6_data" / "options").rglob("*.csv")
        for row in rows_of(path)
    ]
    assert len(seen) == len(set(seen))


def test_the_recorded_volatility_is_the_simulators(tmp_path: Path, clean_env: Env) -> None:
    """Without tick rounding, a vega away from nothing: 1e-6, at a fixed instant with every index."""
    from g6_sim import Settings as SimSettings
    from g6_sim.provider import Sim

    from g6core.assembly import assemble
    from g6core.components import Context
    from g6core.config import resolve
    from g6core.engine import Engine
    from g6core.history import History
    from g6core.layers import read
    from g6core.registry import Registry
    from g6core.testing import ManualClock

    instant = datetime.fromisoformat("2026-11-20T05:00:00+00:00")
    overrides = {
        "plugins": ["sim", "greeks"],
        "data_dir": str(tmp_path),
        "providers": {"sim": {"tick_rounding": False}},
    }
    layers = read(None, overrides, {})
    registry = Registry.load(layers.plugins)
    engine = Engine(assemble(resolve(layers, registry), registry), ManualClock(instant))
    engine.start()
    engine.cycle(instant)
    engine.stop()
    twin = Sim(SimSettings(tick_rounding=False))
    twin.open(Context(tmp_path, ManualClock(instant), engine.calendar, History(tmp_path)))
    compared = 0
    for s in stored(tmp_path):
        twin.contracts(s.index)
        truth = twin.truth(s.options)
        both = s.options.select("iv", "delta").with_columns(true_iv=truth["iv"])
        liquid = both.filter(pl.col("iv").is_not_null() & pl.col("delta").abs().is_between(0.02, 0.98))
        assert liquid.select((pl.col("iv") - pl.col("true_iv")).abs().max()).item() < 1e-6
        compared += liquid.height
    assert compared > 300


def test_a_recorded_expiry_day_is_replayed_and_agrees_with_the_exchange(
    g6: Run, shared_data: Path, tmp_path: Path
) -> None:
    recording = shared_data / "minute_option_chain" / "NIFTY_2026-08-18.csv.gz"
    result = g6(
        "replay", recording, "--plugins", "greeks,csv", "--speed", "max", "--data-dir", "D", "--quiet",
        "--set", "analytics.greeks.convention=nse",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    snapshots = stored(tmp_path / "D")
    assert len(snapshots) == 288
    monthly = pl.concat(
        s.options.filter((pl.col("expiry") == date(2026, 8, 25)) & pl.col("offset").is_between(-5, 5)).select(
            "iv", "exchange_iv"
        )
        for s in snapshots
    ).drop_nulls()
    assert monthly.height > 6000
    points = monthly.select(((pl.col("iv") - pl.col("exchange_iv")).abs() * 100).median()).item()
    assert points <= 0.25
    (atm,) = (tmp_path / "D" / "g6_data" / "options" / "NIFTY" / "this_week" / "0").glob("*.csv")
    assert len({row["timestamp"] for row in rows_of(atm)}) == 288
    # Open interest is in contracts in that file and in units here: multiples of the lot of 65.
    assert all(int(row["call_oi"]) % 65 == 0 for row in rows_of(atm) if row["call_oi"])


def test_a_replayed_day_of_the_own_journal_is_the_same_day(g6: Run, three_cycles: Path) -> None:
    (day,) = days.days(three_cycles)
    result = g6("replay", day.stem, "--plugins", "greeks", "--data-dir", "D")
    assert result.returncode == 0, result.stderr
    before, after = (sorted(stored(p), key=lambda s: (s.ts, s.index)) for p in (three_cycles, three_cycles / "replay"))
    assert [(s.index, s.ts) for s in after] == [(s.index, s.ts) for s in before]
    for was, now in zip(before, after, strict=True):
        assert now.simulated
        columns = ["symbol", "last_price", "oi", "iv", "delta"]
        assert now.options.select(columns).equals(was.options.select(columns))
    again = g6("replay", day.stem, "--plugins", "greeks", "--data-dir", "D", "--quiet")
    assert again.returncode == 1
    assert "already in the journal" in again.stderr
    assert "--out" in again.stderr


def test_a_signal_ends_the_run_after_its_cycle_with_everything_delivered(
    g6: Run, tmp_path: Path, clean_env: Env, launcher: Launcher
) -> None:
    command = ["g6core", "run", "--plugins", "sim,csv", "--interval", "200ms"]
    with launcher.piped(*command, cwd=tmp_path, env=clean_env()) as process:
        for _ in range(3):
            process.stdout.readline()
        status = g6("status", "--json")
        assert status.returncode == 0, status.stderr
        document = json.loads(status.stdout)
        assert document["simulated"] is True
        assert document["pid"] == process.pid
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0
    (day,) = days.days(tmp_path / "data")
    assert days.summary(day).lag == {"csv": 0}


def test_nothing_runs_is_exit_3(g6: Run) -> None:
    result = g6("status", "--json")
    assert result.returncode == 3
    assert json.loads(result.stdout)["error"]["code"] == "not-running"


def test_a_second_recorder_on_the_directory_is_refused_and_the_first_one_goes_on(
    g6: Run, tmp_path: Path, clean_env: Env, launcher: Launcher
) -> None:
    command = ["g6core", "run", "--plugins", "sim", "--interval", "200ms", "--data-dir", "D"]
    with launcher.piped(*command, cwd=tmp_path, env=clean_env()) as first:
        first.stdout.readline()
        second = g6("run", "--plugins", "sim", "--once", "--data-dir", "D")
        assert second.returncode == 3
        told = f"error[busy]: another g6 process (pid {first.pid}) records into this directory"
        assert second.stderr.startswith(told)
        assert first.poll() is None
        first.kill()
    # The lock died with its owner.
    assert g6("run", "--plugins", "sim", "--once", "--data-dir", "D").returncode == 0


def test_a_day_without_plugins_is_refused_with_what_to_type(g6: Run) -> None:
    result = g6("run", "--once")
    assert result.returncode == 2
    assert "--plugins" in result.stderr


def test_the_demo_shows_a_ladder_and_says_simulated(g6: Run, tmp_path: Path) -> None:
    began = time.monotonic()
    result = g6("demo", "--for", "3s")
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - began < 60
    assert "NIFTY" in result.stdout and "BANKNIFTY" in result.stdout
    assert "strike" in result.stdout
    assert result.stdout.count("SIMULATED") >= 2
    ladder = g6("chain", "NIFTY")
    assert ladder.returncode == 0
    assert "SIMULATED" in ladder.stdout
    as_json = json.loads(g6("chain", "BANKNIFTY", "--json", "--around", "2").stdout)
    assert as_json["v"] == 1 and as_json["simulated"] is True
    assert len(as_json["options"]) == 10
    assert g6("chain", "NIFTY", "--csv").stdout.startswith("index,exchange,symbol")


def test_two_sinks_in_one_place_are_refused(g6: Run, tmp_path: Path) -> None:
    (tmp_path / "g6.toml").write_text('plugins = ["sim", "csv"]\n[sinks.csv]\n[sinks.archive]\nuse = "csv"\n')
    result = g6("run", "--once")
    assert result.returncode == 2
    assert result.stderr.startswith("error[shared-place]: the sinks `archive` and `csv` write into the same place")
    (tmp_path / "g6.toml").write_text('plugins = ["sim", "csv"]\n[sinks.archive]\nuse = "csv"\ndir = "archive"\n')
    assert g6("run", "--once").returncode == 0
    here = sorted(p.relative_to(tmp_path / "archive") for p in (tmp_path / "archive").rglob("*.csv"))
    there = sorted(p.relative_to(tmp_path / "data/g6_data") for p in (tmp_path / "data/g6_data").rglob("*.csv"))
    assert here == there != []


def test_pruning_waits_for_sinks_and_for_a_running_recorder(
    g6: Run, tmp_path: Path, clean_env: Env, launcher: Launcher
) -> None:
    (tmp_path / "blocked").write_text("a file where the tree should be")
    assert (
        g6(
            "run", "--plugins", "sim,csv", "--once", "--set", "sinks.csv.dir=blocked/tree", "--set", "drain_timeout=1s"
        ).returncode
        == 1
    )
    result = g6("journal", "prune", "--before", "2099-01-01")
    assert result.stdout == "removed 0 days\n"
    assert "csv has still to get it" in result.stderr
    assert len(days.days(tmp_path / "data")) == 1
    command = ["g6core", "run", "--plugins", "sim,csv", "--interval", "200ms"]
    with launcher.piped(*command, cwd=tmp_path, env=clean_env()) as process:
        process.stdout.readline()
        assert g6("journal", "prune", "--before", "2099-01-01").returncode == 3
        process.terminate()
        assert process.wait(30) == 0
    assert g6("journal", "prune", "--before", "2099-01-01").stdout.startswith("removed 1 days")


def test_a_lost_output_does_not_end_the_recording(tmp_path: Path, clean_env: Env) -> None:
    command = [sys.executable, "-m", "g6core", "run", "--plugins", "sim", "--cycles", "4", "--interval", "1s"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=clean_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(60) == 0, errors
    process.stderr.close()
    assert "recording goes on" in errors
    assert len(stored(tmp_path / "data")) == 6 * 4


def test_an_interrupted_run_of_so_many_cycles_is_no_success(tmp_path: Path, clean_env: Env, launcher: Launcher) -> None:
    command = ["g6core", "run", "--plugins", "sim", "--cycles", "500", "--interval", "200ms"]
    with launcher.piped(*command, cwd=tmp_path, env=clean_env()) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_a_run_for_no_time_ends_after_its_first_cycle(g6: Run, tmp_path: Path) -> None:
    assert g6("run", "--plugins", "sim", "--for", "0s", timeout=60).returncode == 0
    assert len(stored(tmp_path / "data")) == 6


def test_a_directory_that_cannot_be_written_is_an_error_with_a_remedy(g6: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = g6("run", "--plugins", "sim", "--once", "--data-dir", "file/data")
    assert result.returncode == 3
    assert result.stderr.startswith("error[not-writable]")


def test_a_corrupt_day_is_named_and_hides_no_other(g6: Run, tmp_path: Path) -> None:
    assert g6("run", "--plugins", "sim,csv", "--once").returncode == 0
    (tmp_path / "data" / "journal" / "2026-01-01.db").write_bytes(os.urandom(5000))
    result = g6("journal", "--json")
    assert result.returncode == 1
    document = json.loads(result.stdout.splitlines()[0])
    assert len(document["days"]) == 1
    assert document["unreadable"][0]["code"] == "bad-journal"
    assert g6("run", "--plugins", "sim,csv", "--once").returncode == 0
    assert g6("chain", "NIFTY").returncode == 0

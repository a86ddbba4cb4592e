"""`g6 sinks fill`: a sink gets what was recorded, whole, once, and goes on where it was interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import pytest
from filelock import FileLock

from g6core import Snapshot, days
from g6core.journal import Journal
from g6core.lock import DirectoryLock
from g6core.testing import START, snapshots
from tests.launch import Launcher
from tests.test_crash import recorded, written

Run = Callable[..., CompletedProcess[str]]
Env = Callable[..., dict[str, str]]


def record(data_dir: Path, *taken: Snapshot, readers: tuple[str, ...] = ()) -> None:
    journal = Journal(data_dir, readers)
    for snapshot in taken:
        encoded = journal.encode(snapshot)
        journal.append(encoded.path, [encoded])
    journal.close()


@pytest.fixture
def three_days(tmp_path: Path, once: Callable[..., Path]) -> Path:
    """A data directory with three days of two indices, of which the sink csv was told to have everything."""

    def make(place: Path) -> None:
        for n in range(3):
            for index in ("NIFTY", "BANKNIFTY"):
                record(place, *snapshots(40, index, START + timedelta(days=n), strikes=3), readers=("csv",))
        for path in days.days(place):
            with days.reading(path):
                pass

    return Path(shutil.copytree(once("three-days", make), tmp_path / "data"))


def test_a_store_that_lost_everything_is_filled(g6: Run, three_days: Path) -> None:
    done = g6("sinks", "fill", "csv", "--plugins", "csv")
    assert done.returncode == 0, done.stderr
    assert "240 snapshots of 3 days" in done.stdout
    assert written(three_days) == recorded(three_days)
    assert set(written(three_days).values()) == {1}
    shutil.rmtree(three_days / "g6_data" / "options" / "NIFTY")
    document = json.loads(g6("sinks", "fill", "csv", "--plugins", "csv", "--json").stdout)
    assert document["written"] == 240 and document["whole"] and document["rejected"] == []
    assert written(three_days) == recorded(three_days)


def test_a_range_of_days(g6: Run, three_days: Path) -> None:
    first, second, third = (path.stem for path in days.days(three_days))
    assert g6("sinks", "fill", "csv", "--plugins", "csv", "--from", second, "--to", second).returncode == 0
    assert {ts[:10] for _, ts, _, _ in written(three_days)} == {second}
    nothing = g6("sinks", "fill", "csv", "--plugins", "csv", "--from", "2030-01-01")
    assert nothing.returncode == 1
    assert f"{first} to {third}" in nothing.stderr


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not known on Windows")
def test_killed_it_goes_on_and_nothing_is_lost_or_doubled(
    g6: Run, tmp_path: Path, three_days: Path, clean_env: Env, launcher: Launcher
) -> None:
    with (tmp_path / "out").open("w+b") as output, open(os.devnull, "rb") as nothing:
        command = ("g6core", "sinks", "fill", "csv", "--plugins", "csv")
        process = launcher.start(*command, cwd=tmp_path, env=clean_env(), stdio=(nothing, output, output))
        end = time.monotonic() + 60
        while not (three_days / "g6_data").exists() and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.05)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    rest = g6("sinks", "fill", "csv", "--plugins", "csv")
    assert rest.returncode == 0, rest.stderr
    assert written(three_days) == recorded(three_days)
    assert not list((three_days / "fills").glob("*.db*"))


def test_an_interrupted_fill_goes_on_behind_what_was_confirmed(g6: Run, three_days: Path) -> None:
    """A day that cannot be written stops it; what came before is not written again."""
    second = days.days(three_days)[1].stem
    tree = three_days / "g6_data" / "options" / "BANKNIFTY"
    tree.mkdir(parents=True)
    (three_days / "g6_data" / "overview" / "NIFTY" / f"{second}.csv").mkdir(parents=True)
    stopped = g6("sinks", "fill", "csv", "--plugins", "csv", "--set", "drain_timeout=1s")
    assert stopped.returncode == 1
    assert "goes on where it stopped" in stopped.stderr
    (three_days / "g6_data" / "overview" / "NIFTY" / f"{second}.csv").rmdir()
    rest = g6("sinks", "fill", "csv", "--plugins", "csv")
    assert rest.returncode == 0, rest.stderr
    assert "going on in" in rest.stdout
    assert int(rest.stdout.split(" snapshots")[0].split()[-1]) < 240
    assert written(three_days) == recorded(three_days)


def test_an_interrupted_fill_does_not_go_on_in_another_place(g6: Run, three_days: Path) -> None:
    second = days.days(three_days)[1].stem
    (three_days / "g6_data" / "overview" / "NIFTY" / f"{second}.csv").mkdir(parents=True)
    stopped = g6("sinks", "fill", "csv", "--plugins", "csv", "--set", "drain_timeout=1s")
    assert stopped.returncode == 1
    other = g6("sinks", "fill", "csv", "--plugins", "csv", "--set", "sinks.csv.dir=elsewhere")
    assert other.returncode == 0, other.stderr
    assert "going on in" not in other.stdout
    assert "240 snapshots" in other.stdout


def test_a_directory_of_csv_files_has_one_writer(g6: Run, three_days: Path) -> None:
    (three_days / "g6_data").mkdir(exist_ok=True)
    with FileLock(three_days / "g6_data" / ".g6.lock"):
        kept_out = g6("sinks", "fill", "csv", "--plugins", "csv", "--set", "drain_timeout=1s")
    assert kept_out.returncode == 1
    assert "another g6 process writes into this directory" in kept_out.stderr
    assert g6("sinks", "fill", "csv", "--plugins", "csv").returncode == 0
    assert written(three_days) == recorded(three_days)


def test_what_the_sink_refuses_is_told_and_the_rest_arrives(g6: Run, tmp_path: Path) -> None:
    first, second, third = snapshots(3, strikes=3)
    torn = second.replace(options=second.options.with_columns(symbol=pl.lit("two\nlines")))
    record(tmp_path / "data", first, torn, third)
    done = g6("sinks", "fill", "csv", "--plugins", "csv")
    assert done.returncode == 1
    assert "line break" in done.stderr
    wanted = Counter({key: n for key, n in recorded(tmp_path / "data").items() if key[1] != _ist(second)})
    assert written(tmp_path / "data") == wanted


def test_a_day_that_cannot_be_read_is_told_and_the_others_arrive(g6: Run, three_days: Path) -> None:
    bad = days.days(three_days)[1]
    expected = Counter({key: n for key, n in recorded(three_days).items() if key[1][:10] != bad.stem})
    bad.write_bytes(b"no database")
    done = g6("sinks", "fill", "csv", "--plugins", "csv")
    assert done.returncode == 1
    assert "error[bad-journal]" in done.stderr and bad.name in done.stderr
    assert written(three_days) == expected


def test_a_name_that_no_sink_has(g6: Run, three_days: Path) -> None:
    done = g6("sinks", "fill", "cvs", "--plugins", "csv")
    assert done.returncode == 2
    assert "did you mean `csv`?" in done.stderr


def test_where_one_process_may_write_a_recorder_keeps_it_out(g6: Run, three_days: Path) -> None:
    lock = DirectoryLock(three_days)
    lock.acquire()
    try:
        done = g6("sinks", "fill", "csv", "--plugins", "csv")
    finally:
        lock.release()
    assert done.returncode == 3
    assert "error[busy]" in done.stderr


def test_the_list_says_what_each_sink_has_still_to_get(g6: Run, three_days: Path) -> None:
    (row,) = json.loads(g6("sinks", "--plugins", "csv", "--json").stdout)["sinks"]
    assert row == {"name": "csv", "place": str(three_days / "g6_data"), "archive": False, "lag": 240, "dead_letters": 0}
    assert "240" in g6("sinks", "--plugins", "csv").stdout


def _ist(s: Snapshot) -> str:
    from g6core.exchange import IST

    return s.ts.astimezone(IST).isoformat()

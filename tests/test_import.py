"""`g6 import` as a user types it: what is on disk afterwards, is it what the files said, and is it there once?"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from g6core import days
from g6core.exchange import IST
from g6core.snapshot import Snapshot
from tests.launch import Launcher

G6 = Callable[..., subprocess.CompletedProcess[str]]
Leg = tuple[str, str, str, float, str]
"""Index, time as the old files write it, expiry, strike, right."""

HEADER = (
    "timestamp,index,expiry_tag,expiry_date,offset,index_price,atm,strike,ce,pe,tp,avg_ce,avg_pe,avg_tp,"
    "ce_vol,pe_vol,ce_oi,pe_oi,ce_iv,pe_iv"
)
START = datetime(2025, 9, 26, 9, 15, tzinfo=IST)


def tree(root: Path, instants: int = 3, days: int = 1, indices: tuple[str, ...] = ("NIFTY",)) -> Path:
    """Three strikes a day and index, a row a minute; nothing in it is odd."""
    for day in (START + timedelta(days=3 * n) for n in range(days)):
        for index in indices:
            for offset in (-50, 0, 50):
                lines = [
                    f"{day + timedelta(minutes=minute):%d-%m-%Y %H:%M:%S},{index},this_month,2025-10-28,{offset},"
                    f"24650.5,24650,{24650 + offset},{300 + minute},{290 - offset},590,0,0,0,{75 * minute},75,750,1500,"
                    "0.1,0.1"
                    for minute in range(instants)
                ]
                path = root / index / "this_month" / f"{offset:+d}".replace("+0", "0") / f"{day:%Y-%m-%d}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("\n".join([HEADER, *lines]) + "\n")
    return root


def snapshots(data_dir: Path) -> list[Snapshot]:
    return [snapshot for path in days.days(data_dir) for _, snapshot in days.read_day(path)]


def instants(data_dir: Path) -> list[tuple[datetime, str]]:
    return [(s.ts, s.index) for s in snapshots(data_dir)]


def done(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)


def old_rows(root: Path) -> Iterator[dict[str, str]]:
    for path in sorted(root.rglob("????-??-??.csv")):
        if "overview" not in path.parts:
            with path.open(newline="") as file:
                yield from csv.DictReader(file)


def quotes(row: dict[str, str], side: str) -> tuple[float | None, int | None, int | None]:
    """Price, volume and open interest of a leg as it should arrive."""
    price, average, volume, oi = (float(row[name]) for name in (side, f"avg_{side}", f"{side}_vol", f"{side}_oi"))
    nothing = not any((price, average, volume, oi))
    return price or None, None if nothing else int(volume), None if nothing else int(oi)


def expected(root: Path) -> dict[Leg, tuple[float | None, int | None, int | None]]:
    """Every leg of the files, read plainly; of copies the one with the higher volume, and of equal ones the last."""
    found: dict[Leg, tuple[float | None, int | None, int | None]] = {}
    for row in old_rows(root):
        for side in ("ce", "pe"):
            leg = (row["index"], row["timestamp"], row["expiry_date"], float(row["strike"]), side.upper())
            new = quotes(row, side)
            known = found.setdefault(leg, new)
            if (new[0] is not None, new[1] or -1) >= (known[0] is not None, known[1] or -1):
                found[leg] = new
    return found


def test_the_recorded_tree_is_what_its_files_say(g6: G6, shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "g6_native_csv"
    command = ("import", "g6-csv", root, "--plugins", "greeks,csv", "--data-dir", "D", "--json")
    report = done(g6(*command))
    want = expected(root)
    legs = {}
    for s in snapshots(tmp_path / "D"):
        assert s.source == "replay" and s.facts["spot"] in (24648.95, 24648.4, 25921.25, 25924.1)
        for row in s.options.iter_rows(named=True):
            at = f"{s.ts.astimezone(IST):%d-%m-%Y %H:%M:%S}"
            legs[s.index, at, str(row["expiry"]), row["strike"], row["right"]] = (
                row["last_price"],
                row["volume"],
                row["oi"],
            )
    assert legs == want
    assert report["read"]["files of options"] == 116
    assert report["read"]["distinct legs"] == report["rows"] == len(want) == 316
    merged = sum(r["count"] for r in report["remarks"] if "comes again" in r["reason"])
    assert merged == 2 * len(list(old_rows(root))) - len(want)
    assert report["indices"] == {"FINNIFTY": 2, "NIFTY": 2}
    assert report["sinks"]["csv"]["written"] == 4
    frame = pl.concat([s.options.select("iv", "last_price", "right", "delta") for s in snapshots(tmp_path / "D")])
    ivs = frame["iv"].drop_nulls()
    assert ivs.len() > 200 and not ivs.is_in([0.0, 0.25, 0.01, 3.0, 5.0]).any()
    assert (frame.filter(pl.col("delta").is_not_null())["right"] == "PE").any()


def test_the_sink_has_the_values_of_the_source(g6: G6, shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "g6_native_csv"
    done(g6("import", "g6-csv", root, "--plugins", "csv", "--data-dir", "D", "--json"))
    want = expected(root)
    seen = set()
    for path in (tmp_path / "D" / "g6_data" / "options").rglob("*.csv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                at = f"{datetime.fromisoformat(row['timestamp']):%d-%m-%Y %H:%M:%S}"
                for side, right in (("call", "CE"), ("put", "PE")):
                    leg = (row["index"], at, row["expiry"], float(row["strike"]), right)
                    price = row[f"{side}_last_price"]
                    assert (float(price) if price else None) == want[leg][0], leg
                    assert leg not in seen
                    seen.add(leg)
    assert seen == want.keys()


def test_a_repeated_import_adds_nothing(g6: G6, tmp_path: Path) -> None:
    tree(tmp_path / "old", days=2)
    command = ("import", "g6-csv", "old", "--plugins", "csv", "--data-dir", "D", "--json")
    assert done(g6(*command))["snapshots"] == 6
    files = {p: p.read_bytes() for p in (tmp_path / "D" / "g6_data").rglob("*.csv")}
    before = instants(tmp_path / "D")
    again = done(g6(*command))
    assert (again["snapshots"], again["there"], again["sinks"]["csv"]["written"]) == (0, {"replay": 6}, 0)
    assert instants(tmp_path / "D") == before
    assert {p: p.read_bytes() for p in (tmp_path / "D" / "g6_data").rglob("*.csv")} == files


def test_what_was_recorded_stays_and_what_is_missing_is_added(g6: G6, tmp_path: Path) -> None:
    """One instant of the day is there with another price: it keeps it."""
    tree(tmp_path / "some", instants=2)
    changed = [p for p in (tmp_path / "some").rglob("*.csv")]
    for path in changed:
        path.write_text(path.read_text().replace(",300,", ",1.5,"))
    done(g6("import", "g6-csv", "some", "--data-dir", "D", "--json"))
    tree(tmp_path / "all", instants=4)
    report = done(g6("import", "g6-csv", "all", "--data-dir", "D", "--json"))
    assert (report["snapshots"], report["there"]) == (2, {"replay": 2})
    calls = [s.options.filter(pl.col("right") == "CE")["last_price"].to_list() for s in snapshots(tmp_path / "D")]
    assert calls == [[1.5] * 3, [301.0] * 3, [302.0] * 3, [303.0] * 3]


def test_a_killed_import_is_completed_by_repeating_it(
    g6: G6, tmp_path: Path, launcher: Launcher, clean_env: Callable[..., dict[str, str]]
) -> None:
    tree(tmp_path / "old", instants=60, days=2, indices=("NIFTY", "BANKNIFTY"))
    command = ("import", "g6-csv", "old", "--plugins", "csv", "--data-dir", "D", "--json")
    with open(os.devnull, "r+b") as nothing:
        process = launcher.start("g6core", *command, cwd=tmp_path, env=clean_env(), stdio=(nothing,) * 3)
        until = time.monotonic() + 60
        while not instants(tmp_path / "D") and time.monotonic() < until:
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    left = instants(tmp_path / "D")
    assert 0 < len(left) < 240
    report = done(g6(*command))
    assert (report["snapshots"], report["there"]) == (240 - len(left), {"replay": len(left)})
    done(g6("import", "g6-csv", "old", "--plugins", "csv", "--data-dir", "whole", "--json"))
    assert instants(tmp_path / "D") == instants(tmp_path / "whole")
    trees = [
        {p.relative_to(root): sorted(p.read_text().splitlines()) for p in root.rglob("*.csv")}
        for root in (tmp_path / "D" / "g6_data", tmp_path / "whole" / "g6_data")
    ]
    assert trees[0] == trees[1]


def test_an_interrupted_import_says_how_to_go_on(
    tmp_path: Path, launcher: Launcher, clean_env: Callable[..., dict[str, str]]
) -> None:
    tree(tmp_path / "old", instants=100, days=4, indices=("NIFTY", "BANKNIFTY"))
    read, write = os.pipe()
    with open(os.devnull, "r+b") as nothing, open(write, "wb") as output:
        command = ("import", "g6-csv", "old", "--data-dir", "D")
        process = launcher.start("g6core", *command, cwd=tmp_path, env=clean_env(), stdio=(nothing, output, output))
    with open(read, encoding="utf-8") as told:
        first = told.readline()
        os.kill(process.pid, signal.SIGINT)
        rest = told.read()
    assert "2025-09-26  200 snapshots" in first
    assert process.wait() == 130, rest
    assert "the same command goes on where it stopped" in rest


def test_a_dry_run_reports_and_writes_nothing(g6: G6, tmp_path: Path) -> None:
    tree(tmp_path / "old", days=2)
    before = sorted(tmp_path.rglob("*"))
    report = done(g6("import", "g6-csv", "old", "--plugins", "csv", "--data-dir", "D", "--dry-run", "--json"))
    assert sorted(tmp_path.rglob("*")) == before
    assert (report["dry_run"], report["snapshots"], [day["new"] for day in report["days"]]) == (True, 6, [3, 3])
    whole = done(g6("import", "g6-csv", "old", "--plugins", "csv", "--data-dir", "D", "--json"))
    assert {key: whole[key] for key in ("snapshots", "rows", "quoted", "days", "read", "remarks", "skipped")} == {
        key: report[key] for key in ("snapshots", "rows", "quoted", "days", "read", "remarks", "skipped")
    }


def test_the_invented_sample_imports_nothing_and_says_why(g6: G6, shared_data: Path, tmp_path: Path) -> None:
    result = g6("import", "g6-csv", shared_data / "g6_native_sample_overlay", "--data-dir", "D", "--report", "r.json")
    assert result.returncode == 1
    assert "error[replay-garbage]" in result.stderr
    assert "8  file of an overlay" in result.stdout and "8  file that has no column `strike`" in result.stdout
    assert snapshots(tmp_path / "D") == []
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["problem"]["code"], sum(r["count"] for r in report["remarks"])) == ("replay-garbage", 16)


def test_the_report_names_place_count_and_reason(g6: G6, tmp_path: Path) -> None:
    path = tree(tmp_path / "old") / "NIFTY" / "this_month" / "0" / "2025-09-26.csv"
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace("301,290", "1000.0,1000.0")
    path.write_text("\n".join(lines) + "\ntorn,li")
    told = g6("import", "g6-csv", "old", "--data-dir", "D")
    assert told.returncode == 0, told.stderr
    assert "set aside" in told.stdout
    first = "first: NIFTY/this_month/0/2025-09-26.csv:3"
    assert f"1  fabricated row (every leg is 1000.0)\n{'':14}{first}" in told.stdout
    assert "1  torn line" in told.stdout and "first: NIFTY/this_month/0/2025-09-26.csv:5" in told.stdout
    assert "3 snapshots recorded into" in told.stdout
    assert "WARNING" not in told.stderr


def test_the_overview_gives_vix_and_the_index_price(g6: G6, tmp_path: Path) -> None:
    root = tree(tmp_path / "old")
    for path in root.rglob("*.csv"):
        path.write_text(path.read_text().replace(",24650.5,", ",,"))
    seen = root / "overview" / "NIFTY" / "2025-09-26.csv"
    seen.parent.mkdir(parents=True)
    head = "timestamp,index,pcr_this_week,pcr_next_week,pcr_this_month,pcr_next_month,day_width"
    rows = [
        "26-09-2025 09:15:00,NIFTY,1,1,1,1,9",
        "26-09-2025 09:16:00,NIFTY,1,1,1,1,9,24655.5,1,1,11.4",
        "26-09-2025 09:17:00,NIFTY,1,1,1,1,9,24656.5,1,1,11.5,4,3,15,12,3",
    ]
    seen.write_text("\n".join([head, *rows]) + "\n")
    report = done(g6("import", "g6-csv", "old", "--data-dir", "D", "--json"))
    facts = [(s.facts.get("spot"), s.facts.get("vix")) for s in snapshots(tmp_path / "D")]
    assert facts == [(None, None), (24655.5, 11.4), (24656.5, 11.5)]
    noticed = {r["reason"]: r["count"] for r in report["remarks"] if r["action"] == "noticed"}
    assert len(noticed) == 3 and set(noticed.values()) == {1}
    assert any("counts `next_month` as collected" in reason for reason in noticed)


def test_everything_is_taken_whatever_a_settings_file_records(g6: G6, tmp_path: Path) -> None:
    tree(tmp_path / "old", indices=("NIFTY", "SENSEX"))
    (tmp_path / "g6.toml").write_text(
        'plugins = ["sim"]\nstrategy = { use = "atm_window", below = 0, above = 0 }\n'
        '[indices.NIFTY]\nprovider = "sim"\n'
    )
    report = done(g6("import", "g6-csv", "old", "--data-dir", "D", "--json"))
    assert (report["indices"], report["rows"]) == ({"NIFTY": 3, "SENSEX": 3}, 36)


def test_a_sink_never_writes_into_the_tree_that_is_read(g6: G6, tmp_path: Path) -> None:
    tree(tmp_path / "D" / "g6_data")
    before = {p: p.read_bytes() for p in (tmp_path / "D").rglob("*.csv")}
    result = g6("import", "g6-csv", "D/g6_data", "--plugins", "csv", "--data-dir", "D")
    assert (result.returncode, "error[shared-place]" in result.stderr) == (2, True)
    assert {p: p.read_bytes() for p in (tmp_path / "D").rglob("*.csv")} == before


def test_simulated_and_real_are_not_mixed(g6: G6, tmp_path: Path) -> None:
    assert g6("run", "--plugins", "sim", "--once", "--data-dir", "D").returncode == 0
    result = g6("import", "g6-csv", tree(tmp_path / "old"), "--data-dir", "D")
    assert (result.returncode, "error[mixed-sources]" in result.stderr) == (2, True)


def test_a_recorder_on_the_directory_is_left_alone(
    g6: G6, tmp_path: Path, launcher: Launcher, clean_env: Callable[..., dict[str, str]]
) -> None:
    from g6core.lock import DirectoryLock

    lock = DirectoryLock(tmp_path / "D")
    lock.acquire()
    try:
        result = g6("import", "g6-csv", tree(tmp_path / "old"), "--data-dir", "D")
    finally:
        lock.release()
    assert (result.returncode, "error[busy]" in result.stderr) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("g6-csv", "nowhere"), 2, "there is no recording"),
        (("g7-csv", "old"), 2, "format"),
        (("g6-csv", "empty"), 1, "holds no recorded file"),
    ],
)
def test_what_cannot_be_imported_is_an_error(
    g6: G6, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    tree(tmp_path / "old")
    (tmp_path / "empty").mkdir()
    result = g6("import", *arguments, "--data-dir", "D")
    assert result.returncode == code, result.stderr
    assert words in result.stderr
    assert not days.days(tmp_path / "D")


def test_another_format_of_the_provider(g6: G6, tmp_path: Path) -> None:
    chain = "ts,index,expiry,strike,right,last_price\n2025-09-26 09:15:00,NIFTY,2025-09-30,24650,CE,101.5\n"
    (tmp_path / "chain.csv").write_text(chain + "2025-09-26 09:15:00,NIFTY,2025-09-30,24650,XX,1\n")
    report = done(g6("import", "csv", "chain.csv", "--data-dir", "D", "--json"))
    assert report["snapshots"] == 1
    assert [(r["action"], r["count"]) for r in report["remarks"]] == [("set aside", 1)]
    journal = tmp_path / "D" / "journal" / "2025-09-26.db"
    assert done(g6("import", "journal", journal, "--data-dir", "E", "--json"))["read"] == {"snapshots": 1}

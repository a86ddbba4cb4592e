"""Days that only an archive still has: asked at an instant, filled from, and brought back into the journal."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import pytest
from g6_parquet.archive import ParquetArchive
from g6_parquet.compaction import compact
from g6_parquet.segments import places
from g6_parquet.settings import Settings

from g6core import IST, Snapshot, days, make_context, read_day
from g6core.testing import START, ManualClock, snapshot, snapshots
from g6core.testing.archive_contract import same
from tests.test_crash import recorded, written
from tests.test_fill import record

Run = Callable[..., CompletedProcess[str]]

INDICES = ("NIFTY", "BANKNIFTY", "SENSEX")
SECOND = START + timedelta(days=1)


@pytest.fixture(scope="module")
def taken() -> list[Snapshot]:
    """A day of 100 instants at odd times, which are not the same for the three indices; by time."""
    dice = random.Random(4)
    found = []
    for index in INDICES:
        first = snapshot(index, strikes=3, expiries=1)
        for n in range(100):
            moved = first.options.with_columns(pl.col("last_price") + n, pl.col("oi") - n)
            ts = START + timedelta(microseconds=dice.randrange(6 * 3600 * 10**6))
            found.append(first.replace(ts=ts, options=moved, facts={**first.facts, "spot": 100.0 + n}))
    return sorted(found, key=lambda s: s.ts)


@pytest.fixture(scope="module")
def archived(taken: list[Snapshot], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with that day, which was written in batches of several sizes, some of them late."""
    dice = random.Random(5)
    place = tmp_path_factory.mktemp("archived")
    archive = ParquetArchive(Settings(merge_files=3))
    archive.open(make_context(place, ManualClock()))
    batches, rest = [], taken
    while rest:
        n = dice.randint(5, 40)
        batches.append(rest[:n])
        rest = rest[n:]
    for batch in sorted(batches, key=lambda batch: batch[0].ts + dice.random() * timedelta(hours=1)):
        archive.write(batch)
    archive.close()
    return place


def instants(taken: list[Snapshot], n: int, seed: int) -> list[tuple[str, datetime]]:
    """Before the first, between, at the very instant and next to it, after the last, and on the days around."""
    dice = random.Random(seed)
    begin, moment = START - timedelta(hours=1), timedelta(microseconds=1)
    anywhere = [begin + timedelta(hours=8) * dice.random() for _ in range(n // 2)]
    exactly = [dice.choice(taken).ts + dice.choice((-1, 0, 1)) * moment for _ in range(n // 4)]
    around = [begin + timedelta(days=dice.uniform(-2, 3)) for _ in range(n - n // 2 - n // 4)]
    return [(dice.choice(INDICES), ts) for ts in (*anywhere, *exactly, *around)]


def newest(taken: list[Snapshot], index: str, at: datetime) -> Snapshot | None:
    """By a look at every one."""
    day = at.astimezone(IST).date()
    before = [s for s in taken if s.index == index and s.ts <= at and s.ts.astimezone(IST).date() == day]
    return max(before, key=lambda s: s.ts, default=None)


@pytest.mark.parametrize("compacted", [False, True])
def test_the_newest_at_an_instant_equals_a_search_through_everything(
    archived: Path, tmp_path: Path, taken: list[Snapshot], compacted: bool
) -> None:
    shutil.copytree(archived, tmp_path / "data")
    there = places(tmp_path / "data" / "parquet")
    if compacted:
        for place in there:
            compact(place, Settings())
    assert [len(place.segments()) == 1 for place in there] == [compacted] * len(INDICES)
    archive = ParquetArchive(Settings())
    archive.open(make_context(tmp_path / "data", ManualClock()))
    none, seen = 0, set()
    for index, at in instants(taken, 700 if compacted else 300, seed=int(compacted)):
        found, wanted = archive.at(index, at), newest(taken, index, at)
        if found is None or wanted is None:
            assert found is wanted, (index, at)
            none += 1
        elif wanted.ts in seen:
            assert (found.index, found.ts, found.facts["spot"]) == (index, wanted.ts, wanted.facts["spot"])
        else:
            same(found, wanted)
            seen.add(wanted.ts)
    assert none > 50
    assert len(seen) > 100


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[date, list[Snapshot]]]:
    """A data directory with two days, in the journal and in the archive; and what was recorded."""
    place = tmp_path_factory.mktemp("both")
    opened = ParquetArchive(Settings())
    opened.open(make_context(place, ManualClock()))
    by_day = {}
    for ts in (START, SECOND):
        taken = [s for index in INDICES for s in snapshots(8, index, ts, strikes=3)]
        by_day[ts.date()] = taken
        record(place, *taken, readers=("parquet",))
        opened.write(taken)
    opened.close()
    return place, by_day


@pytest.fixture
def two_days(both: tuple[Path, dict[date, list[Snapshot]]], tmp_path: Path) -> dict[date, list[Snapshot]]:
    """What was recorded on two days, which the test has in its data directory."""
    shutil.copytree(both[0], tmp_path / "data")
    return both[1]


def lose(tmp_path: Path, day: date) -> None:
    for path in (tmp_path / "data" / "journal").glob(f"{day}.db*"):
        path.unlink()


def test_a_chain_of_a_lost_day_is_shown_from_the_archive(
    g6: Run, tmp_path: Path, two_days: dict[date, list[Snapshot]]
) -> None:
    words = ("chain", "NIFTY", "--at", f"{START.astimezone(IST) + timedelta(minutes=5, seconds=20):%Y-%m-%d %H:%M:%S}")
    before = json.loads(g6(*words, "--json").stdout)
    lose(tmp_path, START.date())
    gone = g6(*words, "--json")
    assert gone.returncode == 1 and "--plugins parquet" in gone.stderr
    shown = g6(*words, "--json", "--plugins", "parquet")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout) == before
    assert datetime.fromisoformat(before["ts"]) == START + timedelta(minutes=5)
    assert "20 s old at" in g6(*words, "--plugins", "parquet").stdout


def test_a_sink_gets_lost_days_from_the_archive(g6: Run, tmp_path: Path, two_days: dict[date, list[Snapshot]]) -> None:
    everything = recorded(tmp_path / "data")
    lose(tmp_path, START.date())
    alone = g6("sinks", "fill", "csv", "--plugins", "csv")
    assert alone.returncode == 0 and {key[1][:10] for key in written(tmp_path / "data")} == {str(SECOND.date())}
    done = g6("sinks", "fill", "csv", "--plugins", "csv,parquet")
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "data") == everything
    shutil.rmtree(tmp_path / "data" / "g6_data")
    lose(tmp_path, SECOND.date())
    assert g6("sinks", "fill", "csv", "--plugins", "csv,parquet").returncode == 0
    assert written(tmp_path / "data") == everything


def test_of_a_day_that_was_lost_in_part_both_parts_count(
    g6: Run, tmp_path: Path, two_days: dict[date, list[Snapshot]]
) -> None:
    everything, path = recorded(tmp_path / "data"), days.day_path(tmp_path / "data", START.date())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM snapshots WHERE seq <= (SELECT max(seq) - 2 FROM snapshots)")
    done = g6("sinks", "fill", "csv", "--plugins", "csv,parquet")
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "data") == everything
    back = g6("journal", "restore", "--plugins", "parquet")
    assert back.returncode == 1
    assert "part-of-a-day" in back.stderr and path.stem in back.stderr
    assert days.count(path) == 2


def test_a_lost_day_comes_back_and_is_as_good_as_before(
    g6: Run, tmp_path: Path, two_days: dict[date, list[Snapshot]]
) -> None:
    data_dir, day = tmp_path / "data", START.date()
    lose(tmp_path, day)
    back = g6("journal", "restore", "--plugins", "parquet")
    assert back.returncode == 0, back.stderr
    assert "restored 1 days" in back.stdout
    assert equal(days.day_path(data_dir, day), two_days[day])
    assert equal(days.day_path(data_dir, SECOND.date()), two_days[SECOND.date()])

    replayed = g6("replay", str(day), "--out", "again")
    assert replayed.returncode == 0, replayed.stderr
    assert quotes(days.day_path(tmp_path / "again", day)) == quotes(days.day_path(data_dir, day))

    words = ("recompute", "--plugins", "greeks", "--workers", "1", "--to", str(day), "--out", "anew")
    recomputed = g6(*words, "--json")
    assert recomputed.returncode == 0, recomputed.stderr
    anew = days.day_path(tmp_path / "anew", day)
    assert quotes(anew) == quotes(days.day_path(data_dir, day))
    assert all(s.options["iv"].count() for _, s in days.read_day(anew))


def equal(path: Path, wanted: list[Snapshot]) -> bool:
    """Asserts that the day holds these snapshots, each once."""
    found = {(s.ts, s.index): s for _, s in days.read_day(path)}
    assert len(found) == sum(1 for _ in read_day(path)) == len(wanted)
    for s in wanted:
        same(found[s.ts, s.index], s)
    return True


def quotes(path: Path) -> list[tuple[object, ...]]:
    columns = ("symbol", "expiry", "strike", "last_price", "bid", "ask", "oi", "volume")
    frames = [s.options.select(pl.lit(s.index), pl.lit(s.ts).alias("ts"), *columns) for _, s in days.read_day(path)]
    return sorted(pl.concat(frames).rows(), key=str)

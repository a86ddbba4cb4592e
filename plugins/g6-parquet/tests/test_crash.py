"""Killed at every step, read while written, delivered in any order: each snapshot is there once and whole."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from g6_parquet.archive import ParquetArchive
from g6_parquet.compaction import compact
from g6_parquet.dataset import Dataset
from g6_parquet.query import ask
from g6_parquet.segments import TABLES, Place, places
from g6_parquet.settings import Settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from g6core import Alert, Snapshot, make_context, trading_date
from g6core.testing import START, ManualClock, snapshot, snapshots
from g6core.testing.archive_contract import same
from tests.launch import Launcher

DAY = trading_date(START)
CONTEXT = make_context(Path("unused"), ManualClock())
BATCH = snapshots(9, strikes=3, expiries=1)


class Killed(BaseException):
    """What ends a process without a word: nothing that it would still do happens."""


@contextmanager
def killed_at(step: int) -> Iterator[list[int]]:
    """The `step`-th call that changes the disk and all after it do not happen; gives the number of calls."""
    calls = [0]

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] >= step:
                raise Killed
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "unlink", "fsync", "mkdir"):
            patch.setattr(os, name, dying(getattr(os, name)))
        with suppress(Killed):
            yield calls


def fresh(root: Path, merge_files: int) -> ParquetArchive:
    archive = ParquetArchive(Settings(dir=root, merge_files=merge_files))
    archive.open(CONTEXT)
    return archive


def holds(
    root: Path, at_least: Sequence[Snapshot], at_most: Sequence[Snapshot], *, exactly: bool = True
) -> list[Snapshot]:
    """Asserts that each snapshot that is there is whole and one of those; gives them."""
    found = list(Dataset(root).read(DAY))
    given = {(s.index, s.ts): s for s in at_most}
    keys = [(s.index, s.ts) for s in found]
    assert len(set(keys)) == len(keys)
    assert {(s.index, s.ts) for s in at_least} <= set(keys) <= set(given)
    for s in found:
        wanted = given[s.index, s.ts]
        assert (s.options.height, s.expiries.height) == (wanted.options.height, wanted.expiries.height)
        if exactly:
            same(s, wanted)
    return found


def write(root: Path, archive: ParquetArchive) -> None:
    archive.write(BATCH[3:4])


def compact_all(root: Path, archive: ParquetArchive) -> None:
    for place in places(root):
        compact(place, Settings())


def compact_write_compact(root: Path, archive: ParquetArchive) -> None:
    compact_all(root, archive)
    archive.write(BATCH[3:4])
    compact_all(root, archive)


@pytest.mark.parametrize(("act", "merge_files"), [(write, 2), (compact_write_compact, 10)])
def test_killed_at_any_step_it_leaves_whole_snapshots_once(
    tmp_path: Path, act: Callable[[Path, ParquetArchive], None], merge_files: int
) -> None:
    """With two files to merge, the fourth write merges twice over."""
    before = tmp_path / "before"
    archive = fresh(before, merge_files)
    for s in BATCH[:3]:
        archive.write([s])
    everything = BATCH[:4]
    for step in itertools.count(1):
        root = tmp_path / f"{step}"
        shutil.copytree(before, root)
        archive = fresh(root, merge_files)
        with killed_at(step) as calls:
            act(root, archive)
        left = holds(root, BATCH[:3], everything, exactly=False)
        again = fresh(root, merge_files)
        again.write(everything[2:])
        assert count(root) == len(everything), step
        if step % 8 == 1:
            compact_all(root, again)
            holds(root, everything, everything)
            assert len(list(root.glob("*/*/*/*"))) == 3
        if calls[0] < step:
            break
    assert step > 20
    assert len(left) == 4


def test_any_superseded_files_may_still_be_there(tmp_path: Path) -> None:
    root = tmp_path / "whole"
    archive = fresh(root, 3)
    for s in BATCH[:3]:
        archive.write([s])
    (place,) = places(root)
    (merged,) = place.segments()
    old = [segment for segment in place.every_segment() if segment != merged][:2]
    assert len(old) == 2
    leftovers = [(table, segment) for table in TABLES for segment in old]
    for n in range(2 ** len(leftovers)):
        with TemporaryDirectory() as other:
            copy = Path(shutil.copytree(root, Path(other) / "copy"))
            there = Place(copy, place.index, place.day)
            for bit, (table, segment) in enumerate(leftovers):
                if n >> bit & 1:
                    there.file(table, segment).unlink()
            assert there.segments() == [merged]
            if n % 21 == 0:
                assert [s.ts for s in Dataset(copy).read(DAY)] == [s.ts for s in BATCH[:3]]
                fresh(copy, 3).write(BATCH)
                holds(copy, BATCH, BATCH)


def test_files_without_the_deciding_one_are_not_there(tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    archive = fresh(root, 10)
    archive.write(BATCH[:2])
    archive.write(BATCH[2:3])
    (place,) = places(root)
    last = place.segments()[-1]
    place.file("snapshots", last).unlink()
    holds(root, BATCH[:2], BATCH[:2])
    assert ask(root, "SELECT count(DISTINCT ts) FROM options")[0][0].as_py() == 2
    bare = BATCH[3].replace(options=BATCH[3].options.clear(), expiries=BATCH[3].expiries.clear())
    fresh(root, 10).write([bare])
    holds(root, [*BATCH[:2], bare], [*BATCH[:2], bare])


def test_what_one_process_writes_another_does_not_write_again(tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    one, two = fresh(root, 2), fresh(root, 2)
    for n, s in enumerate(BATCH):
        (one, two)[n % 2].write([s])
        (two, one)[n % 2].write(BATCH[max(0, n - 2) : n + 1])
    holds(root, BATCH, BATCH)


DELIVERY = st.tuples(
    st.lists(st.integers(0, 11), min_size=1, max_size=5), st.sampled_from(["on", "restart", "compact"])
)
MARKET = [*BATCH, *snapshots(3, "BANKNIFTY", strikes=3, expiries=1)]


@hypothesis_settings(max_examples=10, deadline=None)
@given(deliveries=st.lists(DELIVERY, min_size=1, max_size=7), merge_files=st.sampled_from([2, 3, 10]))
def test_any_deliveries_and_compactions_leave_one_of_each(
    deliveries: list[tuple[list[int], str]], merge_files: int
) -> None:
    wanted = [MARKET[n] for n in {n for numbers, _ in deliveries for n in numbers}]
    with TemporaryDirectory() as directory:
        root = Path(directory) / "dataset"
        archive = fresh(root, merge_files)
        for numbers, then in deliveries:
            archive.write([MARKET[n] for n in numbers])
            if then == "restart":
                archive = fresh(root, merge_files)
            if then == "compact":
                compact_all(root, archive)
        holds(root, wanted, wanted)
        compact_all(root, archive)
        holds(root, wanted, wanted)
        assert all(len(place.every_segment()) == 1 for place in places(root))


def test_an_alert_is_stored_once(tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    alerts = [Alert("pcr", "NIFTY", START + timedelta(minutes=n // 2), "high", key=f"k{n % 2}") for n in range(6)]
    archive = fresh(root, 2)
    archive.write_alerts(alerts[:3])
    archive.write_alerts([*alerts[1:5], alerts[4]])
    fresh(root, 2).write_alerts(alerts)
    found = ask(root, "SELECT ts, rule, key FROM alerts ORDER BY ts, key").to_pylist()
    assert [(row["ts"], row["key"]) for row in found] == [(a.ts, a.key) for a in alerts]


WRITERS = """
# One process imports everything and is then copied for each writer.
import os, sys
from datetime import timedelta
from pathlib import Path
from g6_parquet.archive import ParquetArchive
from g6_parquet.compaction import compact
from g6_parquet.segments import places
from g6_parquet.settings import Settings
from g6core import make_context
from g6core.testing import ManualClock, snapshot
import pyarrow.parquet

root, context = Path(sys.argv[1]), make_context(Path("unused"), ManualClock())

def write(n, once):
    one = snapshot(strikes=5, expiries=2)
    batch = [one.replace(ts=one.ts + timedelta(minutes=i)) for i in range(n)]
    while True:
        archive = ParquetArchive(Settings(dir=root, merge_files=2))
        archive.open(context)
        for n, s in enumerate(batch):
            archive.write([s])
            if n % 20 == 15:
                for place in places(root):
                    compact(place, Settings())
        if once:
            return

for line in sys.stdin:
    n, how = line.split()
    child = os.fork()
    if not child:
        write(int(n), how == "once")
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and POSIX signals")


class Writers:
    """`start` lets a process write snapshots one by one; `end` waits for it and gives its exit code."""

    def __init__(self, launcher: Launcher, place: Path, root: Path) -> None:
        (place / "writers.py").write_text(WRITERS)
        self._process = launcher.piped("writers", root, cwd=place, env=dict(os.environ))

    def start(self, n: int, how: str) -> int:
        self._process.stdin.write(f"{n} {how}\n")
        self._process.stdin.flush()
        return self.end()

    def end(self) -> int:
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def writers(tmp_path: Path, launcher: Launcher) -> Iterator[Writers]:
    made = Writers(launcher, tmp_path, tmp_path / "dataset")
    yield made
    made.close()


def count(root: Path) -> int:
    """The snapshots that are there."""
    return len(list(Dataset(root).read(DAY)))


def writes(root: Path) -> int:
    """How often something was written."""
    return sum(segment.writes for place in places(root) for segment in place.segments())


@posix
def test_a_reader_sees_whole_snapshots_while_a_recorder_writes(tmp_path: Path, writers: Writers) -> None:
    root = tmp_path / "dataset"
    writers.start(24, "once")
    codes: list[int] = []
    waiting = threading.Thread(target=lambda: codes.append(writers.end()))
    waiting.start()
    seen = [0]
    sql = """SELECT count(*) AS rows, count(DISTINCT (ts, symbol)) AS different, count(DISTINCT ts) AS times,
        min(n) AS least, max(n) AS most FROM (SELECT *, count(*) OVER (PARTITION BY ts) AS n FROM options)"""
    while waiting.is_alive():
        if not any(place.segments() for place in places(root)):
            time.sleep(0.001)
            continue
        (row,) = ask(root, sql).to_pylist()
        assert row["rows"] == row["different"] == 20 * row["times"]
        assert row["least"] == row["most"] == 20
        times = [s.ts for s in Dataset(root).read(DAY)]
        assert times == sorted(set(times))
        seen += [row["times"], len(times)]
    assert codes == [0]
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert count(root) == 24


@posix
def test_killed_ten_times_nothing_is_lost_or_doubled(tmp_path: Path, writers: Writers) -> None:
    root = tmp_path / "dataset"
    chance = random.Random(5)
    one = snapshot(strikes=5, expiries=2)
    batch = [one.replace(ts=one.ts + timedelta(minutes=n)) for n in range(100)]
    counts: list[int] = []
    for _ in range(10):
        pid = writers.start(100, "forever")
        while writes(root) <= 2 * len(counts):
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.05))
        os.kill(pid, signal.SIGKILL)
        assert writers.end() == -signal.SIGKILL
        counts.append(len(holds(root, [], batch, exactly=False)))
    assert counts == sorted(counts)
    assert counts[-1] > 0
    fresh(root, 2).write(batch)
    holds(root, batch, batch)
    kinds = Counter(p.suffix for p in root.rglob("*") if p.is_file())
    assert set(kinds) == {".parquet", ".lock"}

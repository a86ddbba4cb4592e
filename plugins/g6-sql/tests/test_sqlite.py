"""The file: killed writers, readers meanwhile, other writers, a file that goes away."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from g6_sql.settings import Settings
from g6_sql.sink import SqlSink

from g6core import Context, Unavailable
from g6core.testing import START, snapshot, snapshots
from tests.launch import Launcher, Piped

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and limits")
PER_SNAPSHOT = "SELECT ts, count(*) FROM options GROUP BY ts"

PREAMBLE = """
import sys
from pathlib import Path
from g6_sql.settings import Settings
from g6_sql.sink import SqlSink
from g6core import Unavailable
from g6core.testing import snapshots
from g6core.testing.component_contract import lent_context
sink = SqlSink(Settings())
sink.open(lent_context(Path(sys.argv[1])))
"""
ENDLESS = """
batch = snapshots(60, strikes=21)
print('ready', flush=True)
for n in range(0, 60, 2):
    sink.write(batch[n : n + 2])
    print(n + 2, flush=True)
"""
FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
batch = snapshots(12, strikes=101)
sink.write(batch[:1])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, hard))
try:
    sink.write(batch)
    raise SystemExit("nothing was refused")
except Unavailable as e:
    assert e.code == "disk-full", e.render()
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
sink.write(batch)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where it is unless `url` says otherwise."""
    return tmp_path / "g6.sqlite"


@pytest.fixture
def sink(context: Context) -> Iterator[SqlSink]:
    made = SqlSink(Settings(timeout=timedelta(milliseconds=300)))
    made.open(context)
    yield made
    made.close()


def started(launcher: Launcher, script: str, place: Path) -> Piped:
    (place / "script.py").write_text(PREAMBLE + script)
    return launcher.piped("script", place, cwd=place, env=dict(os.environ))


@posix
@pytest.mark.parametrize("seed", range(2))
def test_what_was_written_survives_a_killed_process(tmp_path: Path, file: Path, launcher: Launcher, seed: int) -> None:
    writer = started(launcher, ENDLESS, tmp_path)
    assert writer.stdout.readline() == "ready\n"
    promised = [int(writer.stdout.readline())]
    time.sleep(random.Random(seed).uniform(0, 0.2))
    writer.send_signal(signal.SIGKILL)
    promised += [int(line) for line in writer.communicate()[0].split()]
    height = snapshot(strikes=21).options.height
    with closing(sqlite3.connect(file)) as db:
        counts = dict(db.execute(PER_SNAPSHOT).fetchall())
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert set(counts.values()) == {height}
    assert len(counts) >= promised[-1] and len(counts) % 2 == 0


@posix
def test_a_full_disk_stores_nothing_and_goes_on(tmp_path: Path, file: Path, launcher: Launcher) -> None:
    writer = started(launcher, FULL, tmp_path)
    _, errors = writer.communicate(timeout=60)
    assert writer.returncode == 0, errors
    with closing(sqlite3.connect(file)) as db:
        assert len(db.execute(PER_SNAPSHOT).fetchall()) == 12


def test_readers_see_whole_snapshots_while_it_writes(sink: SqlSink, file: Path) -> None:
    batch = snapshots(30)
    height = batch[0].options.height
    sink.write(batch[:1])
    over, seen, wrong = Event(), [], []

    def read() -> None:
        with closing(sqlite3.connect(file)) as db:
            while not over.is_set():
                counts = [n for _, n in db.execute(PER_SNAPSHOT)]
                seen.append(len(counts))
                wrong.extend(n for n in counts if n != height)

    reader = Thread(target=read)
    reader.start()
    for s in batch[1:]:
        sink.write([s])
    over.set()
    reader.join()
    assert wrong == []
    assert seen == sorted(seen) and len(set(seen)) > 2


def test_a_reader_in_a_transaction_keeps_what_it_saw_and_hinders_nobody(sink: SqlSink, file: Path) -> None:
    first, second = snapshots(2)
    sink.write([first])
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN")
        assert len(db.execute(PER_SNAPSHOT).fetchall()) == 1
        sink.write([second])
        assert len(db.execute(PER_SNAPSHOT).fetchall()) == 1
        db.execute("COMMIT")
        assert len(db.execute(PER_SNAPSHOT).fetchall()) == 2


def test_another_writer_is_waited_for_as_long_as_was_said(sink: SqlSink, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(Unavailable, match="locked") as caught:
            sink.write(snapshots(1))
        assert time.monotonic() - began >= 0.3
        assert caught.value.hint
        db.execute("ROLLBACK")
    sink.write(snapshots(1))


def test_a_file_that_was_moved_away_is_made_anew(sink: SqlSink, file: Path) -> None:
    first, second = snapshots(2)
    sink.write([first])
    file.rename(file.with_name("kept.sqlite"))
    for rest in ("-wal", "-shm"):
        file.with_name(file.name + rest).rename(file.with_name(f"kept.sqlite{rest}"))
    sink.write([second])
    for name in ("kept.sqlite", "g6.sqlite"):
        with closing(sqlite3.connect(file.with_name(name))) as db:
            assert len(db.execute(PER_SNAPSHOT).fetchall()) == 1


def test_a_file_that_is_no_database(context: Context, file: Path) -> None:
    file.write_bytes(b"no database at all" * 100)
    sink = SqlSink(Settings())
    with pytest.raises(Unavailable, match="not a database") as caught:
        sink.open(context)
    assert str(file) in caught.value.where
    (finding,) = sink.diagnose(context)
    assert finding.level == "error"
    assert file.read_bytes() == b"no database at all" * 100


def test_a_directory_that_cannot_be_made(context: Context, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with pytest.raises(Unavailable) as caught:
        SqlSink(Settings(url=f"sqlite:///{tmp_path}/plain/g6.sqlite")).open(context)
    assert caught.value.code == "not-writable"


def test_the_doctor_changes_nothing(context: Context, file: Path) -> None:
    sink = SqlSink(Settings())
    (finding,) = sink.diagnose(context)
    assert finding.level == "ok" and "will be made" in finding.message
    assert not file.exists()
    sink.open(context)
    sink.close()
    (finding,) = sink.diagnose(context)
    assert finding.level == "ok" and "revision 0001" in finding.message


def test_one_writes_a_file(tmp_path: Path) -> None:
    default, named = SqlSink(Settings()), SqlSink(Settings(url=f"sqlite:///{tmp_path}/g6.sqlite"))
    assert not default.shared
    assert default.place(tmp_path) == named.place(tmp_path) == str(tmp_path / "g6.sqlite")
    assert default.place(tmp_path / "other") != named.place(tmp_path / "other")


def test_the_first_write_makes_wal_and_keeps_the_disk_in_step(sink: SqlSink, file: Path) -> None:
    sink.write([snapshot(ts=START)])
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)

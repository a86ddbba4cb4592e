"""A full disk and a killed process, for real."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from g6_csv.settings import Settings
from g6_csv.sink import CsvSink

from g6core import Context, Unavailable
from g6core.clock import CycleClock
from g6core.exchange import Calendar
from g6core.history import History
from g6core.testing import START, snapshots
from tests.launch import Launcher, Piped

Open = Callable[..., CsvSink]
Tree = Callable[[], dict[str, bytes]]
Run = Callable[[str, Path], Piped]

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX resource limits and signals")

PREAMBLE = """
import sys
from pathlib import Path
from g6_csv.settings import Settings
from g6_csv.sink import CsvSink
from g6core import Context, Unavailable
from g6core.clock import CycleClock
from g6core.exchange import Calendar
from g6core.history import History
from g6core.testing import START, snapshots
sink = CsvSink(Settings(dir=Path(sys.argv[1])))
sink.open(Context(Path(sys.argv[1]), CycleClock(START), Calendar.load(), History(Path(sys.argv[1]))))
"""

LIMITED = """
import resource
batch = snapshots(6, strikes=3, expiries=1)
sink.write(batch[:2])
before = {p: p.read_bytes() for p in Path(sys.argv[1]).rglob("*.csv")}
largest = max(map(len, before.values()))
for room in range(1, 800, 61):
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + room, hard))
    try:
        sink.write(batch[2:])
        raise SystemExit(f"nothing was refused with {room} bytes of room")
    except Unavailable as e:
        assert e.code == "disk-full", e.render()
        assert e.where[0].endswith("2026-08-17.csv"), e.render()
    for path, data in before.items():
        now = path.read_bytes()
        assert now.startswith(data) and now.endswith(b"\\n"), (room, path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
sink.write(batch[2:])
"""

ENDLESS = """
batch = snapshots(40, strikes=21, expiries=2)
print("ready", flush=True)
while True:
    for at in range(0, 40, 4):
        sink.write(batch[at : at + 4])
"""


@pytest.fixture
def run(tmp_path: Path, launcher: Launcher) -> Run:
    def start(script: str, root: Path) -> Piped:
        (tmp_path / "script.py").write_text(PREAMBLE + script)
        return launcher.piped("script", root, cwd=tmp_path, env=dict(os.environ))

    return start


@posix
def test_a_write_cut_short_leaves_the_file_as_it_was(opened: Open, tree: Tree, tmp_path: Path, run: Run) -> None:
    """RLIMIT_FSIZE makes the kernel take a part of a write and refuse the rest, as a full disk does."""
    process = run(LIMITED, tmp_path / "limited")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    opened().write(snapshots(6, strikes=3, expiries=1))
    root = tmp_path / "limited"
    assert {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.csv")} == tree()


@posix
def test_a_process_killed_at_any_instant_leaves_each_row_once(
    opened: Open, tree: Tree, tmp_path: Path, run: Run
) -> None:
    root = tmp_path / "killed"
    chance = random.Random(11)
    for _ in range(4):
        process = run(ENDLESS, root)
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    batch = snapshots(40, strikes=21, expiries=2)
    sink = CsvSink(Settings(dir=root))
    sink.open(Context(root, CycleClock(START), Calendar.load(), History(root)))
    sink.write(batch)
    sink.close()
    opened().write(batch)
    assert {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.csv")} == tree()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a small file system here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_said_and_writing_goes_on_when_there_is_space(
    small_disk: Path, opened: Open, tree: Tree
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    sink = CsvSink(Settings(dir=small_disk / "tree"))
    sink.open(Context(small_disk, CycleClock(START), Calendar.load(), History(small_disk)))
    batch = snapshots(20, strikes=3, expiries=1)
    with pytest.raises(Unavailable) as caught:
        for n in range(1000):
            sink.write([s.replace(ts=s.ts.replace(microsecond=n)) for s in batch])
    assert caught.value.code == "disk-full"
    for path in (small_disk / "tree").rglob("*.csv"):
        assert not path.read_bytes() or path.read_bytes().endswith(b"\n")
    ballast.unlink()
    sink.write(batch)
    sink.close()
    stored = {p.relative_to(small_disk / "tree").as_posix(): p.read_bytes() for p in small_disk.rglob("*.csv")}
    opened().write(batch)
    for path, data in tree().items():
        assert set(data.splitlines()) <= set(stored[path].splitlines())

"""The raw tape: what was written comes back, and what a crash tore costs no more than itself."""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from g6_kite.board import Board
from g6_kite.tape import BLOCK, PENDING, Recorded, TapeReader, TapeWriter, tape_path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g6core import IST
from tests.launch import Launcher

sys.path.append(str(Path(__file__).parent))

from kite_frames import frame, token, tradable

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=IST)


def micros(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def record(data_dir: Path, frames: list[Recorded]) -> None:
    writer = TapeWriter(data_dir)
    for recorded in frames:
        writer.write(*recorded)
    writer.close()
    assert (writer.dropped, writer.trouble) == (0, None)


def some(count: int, start: int = 0, size: int = 100) -> list[Recorded]:
    return [Recorded(micros(NOON) + n, n % 3, bytes([n % 251]) * size) for n in range(start, start + count)]


def path(data_dir: Path) -> Path:
    return tape_path(data_dir, NOON.date())


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    frames = [*some(100), *some(5, 100, 0), *some(30, 105, 200_000), *some(1, 135, 3 * BLOCK)]
    record(tmp_path, frames)
    reader = TapeReader(path(tmp_path))
    assert list(reader) == frames and (reader.torn, reader.torn_bytes) == (0, 0)
    assert list(reader) == frames
    assert path(tmp_path) == tmp_path / "journal" / "2026-11-20.tape"


def test_a_second_run_appends(tmp_path: Path) -> None:
    record(tmp_path, some(10))
    record(tmp_path, some(10, 10))
    assert list(TapeReader(path(tmp_path))) == some(20)


def test_nothing_written_makes_no_file(tmp_path: Path) -> None:
    record(tmp_path, [])
    assert not path(tmp_path).exists()
    with pytest.raises(FileNotFoundError):
        list(TapeReader(path(tmp_path)))


def test_it_is_on_disk_within_a_second(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path)
    try:
        writer.write(*some(1)[0])
        end = time.monotonic() + 5
        while not path(tmp_path).exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert 5 - (end - time.monotonic()) < 1
        time.sleep(0.1)
        assert list(TapeReader(path(tmp_path))) == some(1)
    finally:
        writer.close()


def test_a_frame_goes_to_the_tape_of_its_day_in_india(tmp_path: Path) -> None:
    midnight = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
    frames = [Recorded(micros(midnight + timedelta(seconds=s)), 0, b"x") for s in (-2, -1, 0, 1)]
    record(tmp_path, frames)
    assert list(TapeReader(tmp_path / "journal" / "2026-11-20.tape")) == frames[:2]
    assert list(TapeReader(tmp_path / "journal" / "2026-11-21.tape")) == frames[2:]


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, list[Recorded]]]:
    """Four blocks, each with what is in it."""
    made = []
    for n in range(4):
        place = tmp_path_factory.mktemp("block")
        frames = some(7, 7 * n, 50)
        record(place, frames)
        made.append((path(place).read_bytes(), frames))
    return made


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_torn_end_costs_only_itself(blocks: list, tmp_path: Path, data: st.DataObject) -> None:
    """Killed at any byte; then appended to, torn again, and appended to."""
    content, expected, torn = b"", [], 0
    for whole, frames in blocks:
        cut = data.draw(st.integers(0, len(whole)))
        content += whole[:cut]
        expected += frames if cut == len(whole) else []
        torn += 0 < cut < len(whole)
    file = tmp_path / "torn.tape"
    file.write_bytes(content)
    reader = TapeReader(file)
    assert list(reader) == expected
    assert (torn > 0) == (reader.torn > 0) and reader.torn <= torn
    assert (reader.torn_bytes > 0) == (reader.torn > 0)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_byte_costs_its_block(blocks: list, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(b"".join(whole for whole, _ in blocks))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    file = tmp_path / "changed.tape"
    file.write_bytes(content)
    reader, start, expected = TapeReader(file), 0, []
    for whole, frames in blocks:
        expected += [] if start <= place < start + len(whole) else frames
        start += len(whole)
    assert list(reader) == expected
    assert reader.torn == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_what_is_no_tape_has_no_frames(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.tape").write_bytes(content)
    reader = TapeReader(tmp_path / "other.tape")
    assert list(reader) == [] and reader.torn_bytes == len(content)


KILLED = """
import os, sys, time
from pathlib import Path
from g6_kite.tape import TapeWriter

writer, n = TapeWriter(Path(sys.argv[1])), int(sys.argv[3])
print("ready", flush=True)
while True:
    writer.write(int(sys.argv[2]) + n, n % 3, n.to_bytes(4, "big") * 20_000)
    n += 1
    time.sleep(0.001)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_again_and_again(tmp_path: Path, launcher: Launcher) -> None:
    """What is there after each kill is a run of frames without a gap, but for the last half second."""
    runs = []
    (tmp_path / "killed.py").write_text(KILLED)
    for run in range(3):
        words = [tmp_path, str(micros(NOON)), str(run * 1_000_000)]
        process = launcher.piped("killed", *words, cwd=tmp_path, env=dict(os.environ))
        assert process.stdout.readline()
        time.sleep(0.9 + 0.07 * run)
        process.kill()
        process.communicate()
        frames = list(TapeReader(path(tmp_path)))
        numbers = [int.from_bytes(f.frame[:4], "big") for f in frames]
        own = [n for n in numbers if n // 1_000_000 == run]
        assert own == list(range(run * 1_000_000, run * 1_000_000 + len(own))) and len(own) > 20
        assert all(f.frame == n.to_bytes(4, "big") * 20_000 for f, n in zip(frames, numbers, strict=True))
        assert numbers[: len(runs)] == runs
        runs = numbers


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_disk_that_hangs_costs_frames_and_not_memory(tmp_path: Path) -> None:
    path(tmp_path).parent.mkdir()
    os.mkfifo(path(tmp_path))
    writer, large = TapeWriter(tmp_path), bytes(BLOCK)
    began = time.monotonic()
    for n in range(2 * PENDING // BLOCK):
        writer.write(micros(NOON) + n, 0, large)
    assert time.monotonic() - began < 1
    assert writer.dropped >= PENDING // BLOCK - 1
    with path(tmp_path).open("rb") as pipe:
        drained = threading.Thread(target=pipe.read)
        drained.start()
        writer.close()
    drained.join()


def test_a_disk_that_refuses_is_told_and_the_next_block_tried(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")
    writer = TapeWriter(tmp_path)
    writer.write(*some(1)[0])
    end = time.monotonic() + 5
    while writer.trouble is None and time.monotonic() < end:
        time.sleep(0.01)
    assert isinstance(writer.trouble, OSError) and writer.dropped == 1
    (tmp_path / "journal").unlink()
    for recorded in some(3, 1):
        writer.write(*recorded)
    writer.close()
    assert writer.trouble is None and writer.dropped == 1
    assert list(TapeReader(path(tmp_path))) == some(3, 1)


def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path)
    writer.close()
    writer.write(*some(1)[0])
    assert writer.dropped == 1


def test_a_tape_makes_the_same_board(tmp_path: Path) -> None:
    tokens = [token(n) for n in range(50)]
    live, again = Board(), Board()
    live.watch(tokens)
    again.watch(tokens)
    frames = [
        Recorded(micros(NOON) + n, n % 3, frame([tradable(t, last_price=n + 1, oi=n) for t in tokens[n::7]]))
        for n in range(60)
    ]
    for recorded in frames:
        live.take(recorded.frame, recorded.received_us, recorded.connection)
    record(tmp_path, frames)
    for recorded in TapeReader(path(tmp_path)):
        again.take(recorded.frame, recorded.received_us, recorded.connection)
    for one, other in zip(live.packets(tokens), again.packets(tokens), strict=True):
        assert (one == other).all()

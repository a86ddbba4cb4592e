"""A full disk, for real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from g6_parquet.archive import ParquetArchive
from g6_parquet.compaction import compact
from g6_parquet.segments import places
from g6_parquet.settings import Settings

from g6core import Unavailable, trading_date
from g6core.testing import START, snapshots

Open = Callable[..., ParquetArchive]


def fill(disk: Path, free: int) -> Path:
    """A file that leaves so many bytes."""
    ballast = disk / "ballast"
    there = os.statvfs(disk)
    ballast.write_bytes(bytes(max(0, there.f_bavail * there.f_frsize - free)))
    return ballast


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 700 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a small file system here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs mount")
def test_a_full_disk_is_said_and_writing_goes_on_when_there_is_space(small_disk: Path, opened: Open) -> None:
    ballast = fill(small_disk, 200_000)
    batch = snapshots(20, strikes=21)
    archive = opened(dir=small_disk / "tree", merge_files=4)
    written = []
    with pytest.raises(Unavailable) as caught:
        for s in batch:
            archive.write([s])
            written.append(s.ts)
    assert caught.value.code == "disk-full"
    assert 0 < len(written) < len(batch)
    assert [s.ts for s in archive.read(trading_date(START))] == written
    assert not list(small_disk.glob("tree/*/*/*/.*"))
    ballast.unlink()
    archive.write(batch)
    assert [s.ts for s in archive.read(trading_date(START))] == [s.ts for s in batch]


@pytest.mark.skipif(sys.platform == "win32", reason="needs mount")
def test_a_compaction_without_space_leaves_the_day_as_it_was(small_disk: Path, opened: Open) -> None:
    archive = opened(dir=small_disk / "tree")
    batch = snapshots(3, strikes=21)
    archive.write(batch[:2])
    archive.write(batch[2:])
    (place,) = places(small_disk / "tree")
    before = place.segments()
    ballast = fill(small_disk, 8_192)
    with pytest.raises(Unavailable) as caught:
        compact(place, Settings())
    assert caught.value.code == "disk-full"
    assert place.segments() == before
    assert not list(small_disk.glob("tree/*/*/*/.*"))
    ballast.unlink()
    assert compact(place, Settings())
    assert [s.ts for s in archive.read(trading_date(START))] == [s.ts for s in batch]

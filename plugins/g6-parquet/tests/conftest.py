from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from g6_parquet.archive import ParquetArchive
from g6_parquet.segments import Place
from g6_parquet.settings import Settings

from g6core import Context, Snapshot, trading_date
from g6core.testing import ManualClock

Open = Callable[..., ParquetArchive]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "parquet"


@pytest.fixture
def opened(g6_context: Context) -> Iterator[Open]:
    """A further archive over the same dataset, as after a start; nothing was told to the ones before."""
    archives = []

    def open_one(**settings: Any) -> ParquetArchive:
        archive = ParquetArchive(Settings(**settings))
        archive.open(g6_context)
        archives.append(archive)
        return archive

    yield open_one
    for archive in archives:
        archive.close()


@pytest.fixture
def place(root: Path) -> Callable[[Snapshot], Place]:
    return lambda s: Place(root, s.index, trading_date(s.ts))


@pytest.fixture
def files(root: Path) -> Callable[..., list[str]]:
    """The files that are there, by their paths in the dataset."""
    return lambda pattern="*/*/*/*.parquet": sorted(p.relative_to(root).as_posix() for p in root.glob(pattern))


@pytest.fixture
def clock(g6_clock: ManualClock) -> ManualClock:
    return g6_clock

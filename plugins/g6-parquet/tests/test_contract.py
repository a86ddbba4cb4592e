from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from g6_parquet.archive import ParquetArchive
from g6_parquet.segments import Place, places
from g6_parquet.settings import Settings

from g6core.testing import ArchiveContract
from g6core.testing.delivery_contract import Spoil, Trouble


class TestArchive(ArchiveContract):
    merge_files = 10

    @pytest.fixture
    def build(self, tmp_path: Path) -> Callable[[], ParquetArchive]:
        return lambda: ParquetArchive(Settings(dir=tmp_path / "dataset", merge_files=self.merge_files))

    @pytest.fixture
    def stored(self, tmp_path: Path) -> Callable[[], list[tuple[str, datetime, str]]]:
        """Read by the files that count, without the plugin's readers."""

        def rows(place: Place) -> Iterator[tuple[str, datetime, str]]:
            for segment in place.segments():
                frame = pl.read_parquet(place.file("options", segment), hive_partitioning=False)
                assert place.file("snapshots", segment).is_file()
                yield from frame.select("index", "ts", "symbol").iter_rows()

        return lambda: [row for place in places(tmp_path / "dataset") for row in rows(place)]

    @pytest.fixture
    def trouble(self, tmp_path: Path) -> Trouble:
        dataset, away = tmp_path / "dataset", tmp_path / "away"

        @contextmanager
        def trouble(kind: str) -> Iterator[Spoil]:
            if kind == "permanent":
                yield lambda s: s.replace(options=s.options.with_columns(strike=pl.lit("two")))
                return
            if dataset.exists():
                dataset.rename(away)
            dataset.write_text("no directory")
            yield lambda s: s
            dataset.unlink()
            if away.exists():
                away.rename(dataset)

        return trouble


class TestArchiveThatMergesAllTheTime(TestArchive):
    merge_files = 2

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from g6_csv.settings import Settings
from g6_csv.sink import CsvSink

from g6core.testing import SinkContract


class TestWideLayout(SinkContract):
    settings: dict[str, Any] = {}  # noqa: RUF012
    symbols: tuple[str, ...] = ("call_symbol", "put_symbol")

    @pytest.fixture
    def build(self, tmp_path: Path) -> Callable[[], CsvSink]:
        return lambda: CsvSink(Settings(dir=tmp_path / "tree", **self.settings))

    @pytest.fixture
    def stored(self, tmp_path: Path) -> Callable[[], list[tuple[str, datetime, str]]]:
        def read() -> Iterator[tuple[str, datetime, str]]:
            for path in (tmp_path / "tree" / "options").rglob("*.csv"):
                with path.open(newline="", encoding="utf-8") as f:
                    for row in csv.DictReader(f):
                        ts = datetime.fromisoformat(row["timestamp"]).astimezone(UTC)
                        yield from ((row["index"], ts, row[leg]) for leg in self.symbols if row[leg])

        return lambda: list(read())


class TestWideLayoutWithFewDescriptors(TestWideLayout):
    @pytest.fixture
    def build(self, tmp_path: Path) -> Callable[[], CsvSink]:
        return lambda: CsvSink(Settings(dir=tmp_path / "tree"), descriptors=3)


class TestWideLayoutWithExtraColumns(TestWideLayout):
    settings = {"bid_ask": False, "extra": ["x_text", "x_number"]}  # noqa: RUF012


class TestDayLayout(TestWideLayout):
    settings = {"layout": "day"}  # noqa: RUF012
    symbols = ("symbol",)


class TestDayLayoutWithExtraColumns(TestDayLayout):
    settings = {"layout": "day", "extra": ["x_text", "x_time", "x_flag"]}  # noqa: RUF012

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from g6_csv.settings import Settings
from g6_csv.sink import CsvSink

from g6core.testing import DeliveryContract, SinkContract
from g6core.testing.delivery_contract import Spoil, Trouble


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


class TestDeliveryWithFewDescriptors(TestWideLayout, DeliveryContract):
    """Files are opened anew all the time, so that a directory that goes away is noticed at once."""

    @pytest.fixture
    def build(self, tmp_path: Path) -> Callable[[], CsvSink]:
        return lambda: CsvSink(Settings(dir=tmp_path / "tree"), descriptors=3)

    @pytest.fixture
    def trouble(self, tmp_path: Path) -> Trouble:
        tree, away = tmp_path / "tree", tmp_path / "away"

        @contextmanager
        def trouble(kind: str) -> Iterator[Spoil]:
            if kind == "permanent":
                yield lambda s: s.replace(options=s.options.with_columns(symbol=pl.lit("two\nlines")))
                return
            if tree.exists():
                tree.rename(away)
            tree.write_text("no directory")
            yield lambda s: s
            tree.unlink()
            if away.exists():
                away.rename(tree)

        return trouble


class TestWideLayoutWithExtraColumns(TestWideLayout):
    settings = {"bid_ask": False, "extra": ["x_text", "x_number"]}  # noqa: RUF012


class TestDayLayout(TestWideLayout):
    settings = {"layout": "day"}  # noqa: RUF012
    symbols = ("symbol",)


class TestDayLayoutWithExtraColumns(TestDayLayout):
    settings = {"layout": "day", "extra": ["x_text", "x_time", "x_flag"]}  # noqa: RUF012

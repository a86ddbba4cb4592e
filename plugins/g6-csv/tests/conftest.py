from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from g6_csv.settings import Settings
from g6_csv.sink import CsvSink

from g6core import Context, Snapshot
from g6core.clock import CycleClock
from g6core.exchange import Calendar
from g6core.history import History
from g6core.testing import START, snapshot

Open = Callable[..., CsvSink]
Tree = Callable[[], dict[str, bytes]]


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(tmp_path, CycleClock(START), Calendar.load(), History(tmp_path))


@pytest.fixture
def opened(context: Context) -> Iterator[Open]:
    """A further sink over the same tree, as after a start; nothing was told to the ones before."""
    sinks = []

    def open_one(descriptors: int | None = None, **settings: Any) -> CsvSink:
        sink = CsvSink(Settings(**settings), descriptors)
        sink.open(context)
        sinks.append(sink)
        return sink

    yield open_one
    for sink in sinks:
        sink.close()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """What is on disk: the bytes of each file by its path in the tree."""
    root = tmp_path / "g6_data"
    return lambda: {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*.csv"))}


@pytest.fixture
def cells(tmp_path: Path) -> Callable[[str], list[dict[str, str]]]:
    """The rows of one file of the tree."""

    def read(path: str) -> list[dict[str, str]]:
        with (tmp_path / "g6_data" / path).open(newline="", encoding="utf-8") as f:
            return list(csv.DictReader(f))

    return read


@pytest.fixture
def minutes() -> Callable[..., list[Snapshot]]:
    """Snapshots of two strikes, a minute apart, with Greeks and what g6-greeks says of an expiry."""

    def make(n: int, index: str = "NIFTY", offsets: Sequence[int] = (0, 1)) -> list[Snapshot]:
        return [_small(snapshot(index, START + timedelta(minutes=i), expiries=1), offsets) for i in range(n)]

    return make


def _small(s: Snapshot, offsets: Sequence[int]) -> Snapshot:
    greeks = [pl.lit(0.125 + n).alias(name) for n, name in enumerate(("iv", "delta", "gamma", "theta", "vega", "rho"))]
    return s.replace(
        options=s.options.filter(pl.col("offset").is_in(list(offsets))).with_columns(*greeks, iv_source=pl.lit("mid")),
        expiries=s.expiries.with_columns(forward=24_690.5, dte=1.25, pcr_oi=1.125),
    )

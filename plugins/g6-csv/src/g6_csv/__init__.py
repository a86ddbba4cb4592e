"""Sink `csv`: snapshots as a tree of CSV files that any spreadsheet, pandas or awk reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g6_csv.settings import Settings
from g6core import SinkSpec, hookimpl

if TYPE_CHECKING:
    from g6_csv.sink import CsvSink


def _build(settings: Settings) -> CsvSink:
    from g6_csv.sink import CsvSink

    return CsvSink(settings)


@hookimpl
def g6_sinks() -> list[SinkSpec]:
    return [SinkSpec("csv", _build, Settings, "a tree of CSV files, a file per index, expiry code, offset and day")]

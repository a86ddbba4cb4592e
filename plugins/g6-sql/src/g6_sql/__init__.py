"""Sink `sql`: snapshots as tables of SQLite or PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g6_sql.settings import Settings
from g6core import SinkSpec, hookimpl

if TYPE_CHECKING:
    from g6_sql.sink import SqlSink


def _build(settings: Settings) -> SqlSink:
    from g6_sql.sink import SqlSink

    return SqlSink(settings)


@hookimpl
def g6_sinks() -> list[SinkSpec]:
    return [SinkSpec("sql", _build, Settings, "tables of SQLite (a file) or PostgreSQL (by URL)")]

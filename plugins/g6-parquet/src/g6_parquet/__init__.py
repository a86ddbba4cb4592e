"""Sink `parquet`: a Parquet dataset, and questions to it by SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g6_parquet.settings import Settings
from g6core import SinkSpec, hookimpl

if TYPE_CHECKING:
    import click

    from g6_parquet.archive import ParquetArchive


def _build(settings: Settings) -> ParquetArchive:
    from g6_parquet.archive import ParquetArchive

    return ParquetArchive(settings)


@hookimpl
def g6_sinks() -> list[SinkSpec]:
    return [SinkSpec("parquet", _build, Settings, "a Parquet dataset, to be asked by `g6 query`")]


@hookimpl
def g6_commands(cli: click.Group) -> None:
    from g6_parquet.commands import compact, export, query

    for command in (query, export, compact):
        cli.add_command(command)

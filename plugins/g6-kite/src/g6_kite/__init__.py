"""Provider `kite`: the option chains of Zerodha's Kite Connect, by request and by stream. It never places an order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g6_kite.settings import KiteSettings
from g6core import ProviderSpec, hookimpl

if TYPE_CHECKING:
    import click

    from g6_kite.provider import Kite


def _build(settings: KiteSettings) -> Kite:
    from g6_kite.provider import Kite

    return Kite(settings)


@hookimpl
def g6_providers() -> list[ProviderSpec]:
    return [ProviderSpec("kite", _build, KiteSettings, "Zerodha's Kite Connect, by stream and by request")]


@hookimpl
def g6_commands(cli: click.Group) -> None:
    from g6_kite.commands import backfill, coverage

    cli.add_command(backfill)
    cli.add_command(coverage)

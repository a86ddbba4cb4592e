"""Alert rules over the market and the recorder, and the channels that tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g6core import AlertSpec, SinkSpec, hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def g6_alerts() -> list[AlertSpec]:
    from g6_alerts.specs import SPECS

    return SPECS


@hookimpl
def g6_sinks() -> list[SinkSpec]:
    from g6_alerts import channels

    return channels.g6_sinks()


@hookimpl
def g6_commands(cli: click.Group) -> None:
    from g6_alerts import commands

    commands.g6_commands(cli)

"""Commands that plugins bring through `g6_commands`."""

from __future__ import annotations

import click

from g6core.errors import G6Error


def commands_of_plugins(wanted: str | None) -> dict[str, click.Command]:
    """The commands of the selected plugins; a wanted name that is a plugin's selects that plugin as well.

    A broken plugin never stops the help; when one of its commands was asked for, the reason is raised.
    """
    from g6core.cli.options import settings_layers
    from g6core.discovery import installed

    try:
        names = list(settings_layers().plugins)
        if wanted and wanted in {p.name for p in installed()}:
            names.append(wanted)
        return _ask(names) if names else {}
    except G6Error:
        if wanted:
            raise
        return {}


def _ask(names: list[str]) -> dict[str, click.Command]:
    from g6core.registry import Registry

    group = click.Group()
    Registry.load(names).hook.g6_commands(cli=group)
    return dict(group.commands)

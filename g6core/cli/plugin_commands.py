"""Commands that plugins bring through `g6_commands`."""

from __future__ import annotations

import click

from g6core.errors import G6Error, PluginError


def commands_of_plugins(wanted: str | None) -> dict[str, click.Command]:
    """The commands of the selected plugins; a wanted name selects the plugin of that name, or that brings it, as well.

    A broken plugin never stops the help; when one of its commands was asked for, the reason is raised.
    """
    from g6core.cli.options import settings_layers
    from g6core.discovery import installed

    try:
        names = list(settings_layers().plugins)
        if wanted and wanted in {p.name for p in installed()}:
            names.append(wanted)
        found = _ask(names, wanted) if names else {}
        if wanted and wanted not in found:
            found |= _of_the_others(names, wanted)
        return found
    except G6Error:
        if wanted:
            raise
        return {}


def _of_the_others(names: list[str], wanted: str) -> dict[str, click.Command]:
    """Whoever asks for a command has chosen its plugin, without having to know which one that is."""
    from g6core.discovery import installed
    from g6core.inspection import inspect

    others = [plugin for plugin in installed() if plugin.name not in names]
    return next((_ask([info.name], wanted) for info in inspect(others) if wanted in info.commands), {})


def _ask(names: list[str], wanted: str | None) -> dict[str, click.Command]:
    from g6core.registry import Registry

    found: dict[str, click.Command] = {}
    failed: PluginError | None = None
    for impl in Registry.load(names).hook.g6_commands.get_hookimpls():
        # One plugin at a time: in a joint call the first exception would silence the others.
        group = click.Group()
        try:
            impl.function(group)
            found.update(group.commands)
        except Exception as e:
            cause = f"{type(e).__name__}: {e}"
            failed = PluginError(f"plugin `{impl.plugin_name}` fails in g6_commands: {cause}", code="plugin-broken")
    if failed and wanted and wanted not in found:
        raise failed
    return found

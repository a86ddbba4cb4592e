"""`g6 plugins`: what is installed."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from g6core.cli.options import json_option, settings_layers
from g6core.discovery import installed, select
from g6core.inspection import PluginInfo, inspect
from g6core.specs import singular


@click.command()
@click.argument("name", required=False)
@json_option
def plugins(name: str | None, as_json: bool) -> None:
    """List installed plugins and their components; with NAME, one of them in full.

    Nothing of a plugin is imported into this process: a broken one is listed with its fault.
    """
    selected = set(settings_layers().plugins)
    infos = inspect([p for p in installed() if name in (None, p.name)])
    if name and not infos:
        select([name])
    if as_json:
        rows = [{**asdict(info), "selected": info.name in selected} for info in infos]
        click.echo(json.dumps({"v": 1, "plugins": rows}))
    elif name:
        for info in infos:
            _show(info)
    else:
        _list(infos, selected)


def _list(infos: list[PluginInfo], selected: set[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not infos:
        click.echo("no plugin is installed; `pip install g6-sim g6-csv g6-greeks` for a start")
        return
    table = Table("plugin", "distribution", "state", "components")
    for info in infos:
        state = "broken" if info.problem else "selected" if info.name in selected else "installed"
        components = ", ".join(f"{singular(kind)} {name}" for kind, name, _ in info.components)
        table.add_row(info.name, f"{info.distribution} {info.version}", state, info.problem or components)
    Console().print(table)


def _show(info: PluginInfo) -> None:
    click.echo(f"{info.name}  ({info.distribution} {info.version})")
    if info.problem:
        click.echo(f"broken: {info.problem}")
    for kind, name, help in info.components:
        click.echo(f"  {kind}.{name}" + (f": {help}" if help else ""))
    if info.adds:
        click.echo(f"  adds {', '.join(info.adds)}")
    if info.commands:
        click.echo(f"  commands: {', '.join(f'g6 {command}' for command in info.commands)}")
    click.echo(f"settings: `g6 config sample {info.name}`")

"""`g6 config`: the settings shown, checked and explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from g6core.cli.options import config_options, json_option, load, settings_layers


@click.group()
def config() -> None:
    """Show, check and explain the settings."""


@config.command()
@config_options
@json_option
def show(as_json: bool, **options: Any) -> None:
    """Every setting that holds, and where it comes from; secrets masked."""
    from g6core.effective import effective

    configuration, _ = load(**options)
    rows = effective(configuration)
    if as_json:
        settings = [{"path": row.path, "value": row.shown, "source": row.source} for row in rows]
        click.echo(json.dumps({"v": 1, "settings": settings, "warnings": list(configuration.warnings)}))
        return
    texts = [(row.path, json.dumps(row.shown, ensure_ascii=False), row.source) for row in rows]
    widths = [max(len(text[column]) for text in texts) for column in (0, 1)]
    for path, value, source in texts:
        click.echo(f"{path:<{widths[0]}}  {value:<{min(widths[1], 60)}}  {source}")
    _warn(configuration.warnings)


@config.command()
@config_options
@json_option
def check(as_json: bool, **options: Any) -> None:
    """Check every setting of every table at once; exits with 2 when something is wrong."""
    from g6core.assembly import rules_of

    configuration, _ = load(**options)
    rules_of(configuration)
    plugins = configuration.settings.plugins
    if as_json:
        click.echo(json.dumps({"v": 1, "valid": True, "plugins": plugins, "warnings": list(configuration.warnings)}))
        return
    file: Path | None = configuration.layers.file
    click.echo(f"{file or 'the defaults'}: the settings are valid; plugins: {', '.join(plugins) or 'none'}")
    _warn(configuration.warnings)


@config.command()
@click.argument("name", default="")
@config_options
def sample(name: str, **options: Any) -> None:
    """A commented sample of the whole file, or of the component NAME (`csv`, `sinks.csv`)."""
    from g6core.registry import Registry
    from g6core.samples import component_sample, settings_sample

    plugins = settings_layers(**options).plugins
    registry = Registry.load(plugins)
    active = {"plugins": plugins} if plugins else {}
    click.echo(component_sample(registry, name) if name else settings_sample(registry, active), nl=False)


@config.command()
@click.argument("section", default="")
@config_options
def schema(section: str, **options: Any) -> None:
    """The JSON Schema of the whole, or of SECTION: `indices`, `sinks`, `sinks.csv`."""
    from g6core import samples
    from g6core.registry import Registry

    registry = Registry.load(settings_layers(**options).plugins)
    click.echo(json.dumps(samples.schema(registry, section), indent=2, ensure_ascii=False))


def _warn(warnings: Any) -> None:
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)

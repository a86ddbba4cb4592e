"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from g6core.config import Configuration
    from g6core.layers import Layers
    from g6core.registry import Registry

_RECORDING = ("providers", "alerts", "strategies", "strategy", "indices")
"""Tables that say how to record: to other commands it does not matter what they lack or name wrongly."""
F = TypeVar("F", bound=Callable[..., Any])

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where everything is recorded; `data` if nothing else is set.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
_config_option = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="The settings file; ./g6.toml or ./g6.json."
)
_plugins_option = click.option("--plugins", help="Plugins to use, by name: kite,greeks,csv. Replaces `plugins`.")
_set_option = click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one setting: --set sinks.csv.dir=archive"
)


def config_options(command: F) -> F:
    """--config, --plugins, --data-dir and --set, as parameters `config`, `plugins`, `data_dir` and `changes`."""
    return _config_option(_plugins_option(data_dir_option(_set_option(command))))


def settings_layers(
    config: Path | None = None,
    plugins: str | None = None,
    data_dir: Path | None = None,
    changes: tuple[str, ...] = (),
    defaults: dict[str, Any] | None = None,
) -> Layers:
    """The settings of every source, merged but not yet checked. defaults: weaker than every other source."""
    from g6core.layers import read

    overrides: dict[str, Any] = {}
    for change in changes:
        put_change(overrides, change)
    if plugins is not None:
        overrides["plugins"] = [name.strip() for name in plugins.split(",") if name.strip()]
    if data_dir is not None:
        overrides["data_dir"] = str(data_dir)
    return read(config, overrides, os.environ, defaults=defaults or {})


def load(
    config: Path | None = None,
    plugins: str | None = None,
    data_dir: Path | None = None,
    changes: tuple[str, ...] = (),
    defaults: dict[str, Any] | None = None,
) -> tuple[Configuration, Registry]:
    """The checked settings, and the registry of the plugins that they select."""
    from g6core.config import resolve
    from g6core.registry import Registry

    layers = settings_layers(config, plugins, data_dir, changes, defaults)
    registry = Registry.load(layers.plugins)
    return resolve(layers, registry), registry


def load_recorded(
    config: Path | None = None,
    plugins: str | None = None,
    data_dir: Path | None = None,
    changes: tuple[str, ...] = (),
    kept: Collection[str] = (),
) -> tuple[Configuration, Registry]:
    """The settings without those that only concern recording, so that no provider need be there or be complete.

    kept: tables of these that are wanted all the same.
    """
    from g6core.config import resolve
    from g6core.layers import Leaf, Origin, Strength
    from g6core.registry import Registry

    layers = settings_layers(config, plugins, data_dir, changes)
    registry = Registry.load(layers.plugins)
    left_out = [table for table in _RECORDING if table not in kept]
    off = Leaf(False, Origin(Strength.COMMAND_DEFAULT, "default of this command"))
    leaves = {key: leaf for key, leaf in layers.leaves.items() if key[0] not in left_out}
    kinds = [kind for kind in ("providers", "alerts") if kind in left_out]
    leaves |= {(kind, name, "enabled"): off for kind in kinds for name in registry.of(kind)}
    return resolve(replace(layers, leaves=leaves), registry), registry


def day_of(ctx: click.Context, parameter: click.Parameter, value: str | None) -> date | None:
    """The callback of an option that takes a trading date."""
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date like 2026-11-20") from None


def data_dir_of(data_dir: Path | None) -> Path:
    """The data directory of a command that needs nothing else of the settings."""
    return data_dir or Path(settings_layers().data_dir)


def put_change(overrides: dict[str, Any], change: str) -> None:
    """Put KEY=VALUE of `--set` into nested settings."""
    path, sign, value = change.partition("=")
    if not sign:
        raise click.UsageError(f"--set takes KEY=VALUE, not {change!r}")
    *tables, key = path.strip().split(".")
    table = overrides
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise click.UsageError(f"--set {change} goes into `{name}`, which another --set made a value")
    if isinstance(table.get(key), dict):
        raise click.UsageError(f"--set {change} sets a table that another --set goes into")
    table[key] = value  # as text: what it should be, the setting's own type says

"""What a plugin may borrow of the engine for a command of its own: another plugin's provider, and a context."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from g6core.components import Clock, Context, Provider
from g6core.errors import ConfigError, PluginError
from g6core.exchange import Calendar
from g6core.history import History
from g6core.registry import Registry


def build_provider(plugin: str, settings: Mapping[str, object]) -> Provider:
    """The provider called as the installed plugin, built with these settings and not opened.

    Raises PluginError when it is not installed or brings no such provider, ConfigError when a setting is wrong.
    """
    registered = Registry.load([plugin]).of("providers").get(plugin)
    if registered is None:
        raise PluginError(f"plugin `{plugin}` brings no provider of that name", code="plugin")
    spec = registered.spec
    try:
        checked = spec.settings.model_validate(settings)
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        where = f"[providers.{plugin}] {'.'.join(str(part) for part in first['loc'])}"
        raise ConfigError(f"provider `{plugin}`: {first['msg']}", where=where) from e
    provider: Provider = spec.build(checked)
    return provider


def make_context(data_dir: Path, clock: Clock) -> Context:
    """What `Provider.open` takes, on that clock; the history is that of the data directory."""
    return Context(data_dir, clock, Calendar.load(data_dir / "exchange.toml"), History(data_dir))

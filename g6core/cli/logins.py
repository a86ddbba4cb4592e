"""The provider that `g6 login` is about, built and asked for its login; the rest of the settings may be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from g6core.borrow import make_context
from g6core.cli.options import settings_layers
from g6core.clock import SystemClock
from g6core.components import Context, Provider
from g6core.config import one_component
from g6core.discovery import installed
from g6core.errors import ConfigError, G6Error, raise_all
from g6core.layers import Layers
from g6core.login import Login
from g6core.registry import Registry


def find(wanted: str, options: Mapping[str, Any]) -> tuple[str, Login]:
    """The login of the provider `wanted`, or of the one selected provider that has any, and its name.

    wanted: a provider of the settings, or an installed plugin, which need not be selected. Raises ConfigError.
    """
    layers = settings_layers(**options)
    plugins = list(layers.plugins)
    if wanted in {plugin.name for plugin in installed()} and wanted not in plugins:
        plugins.append(wanted)
    registry = Registry.load(plugins)
    context = make_context(layers.data_dir, SystemClock())
    if wanted:
        return wanted, _login_of(wanted, layers, registry, context)
    return _only(layers, registry, context)


def _login_of(name: str, layers: Layers, registry: Registry, context: Context) -> Login:
    provider = _built(name, layers, registry)
    found = provider.login(context) if provider else None
    if found is None:
        reason = "has no login" if provider else "is switched off"
        raise ConfigError(f"provider `{name}` {reason}", hint="`g6 plugins` lists what is installed")
    return found


def _only(layers: Layers, registry: Registry, context: Context) -> tuple[str, Login]:
    found: dict[str, Login] = {}
    problems: list[G6Error] = []
    known, tables = registry.of("providers"), layers.table("providers")
    named = {name for name, table in tables.items() if isinstance(table, dict) and table.get("use") in known}
    for name in sorted({*known, *named}):
        try:
            provider = _built(name, layers, registry)
            login = provider.login(context) if provider else None
        except G6Error as e:
            problems.append(e)
            continue
        if login is not None:
            found[name] = login
    if len(found) == 1:
        return found.popitem()
    if found:
        names = " or ".join(f"`g6 login {name}`" for name in found)
        raise ConfigError(f"several providers have a login: {', '.join(found)}", hint=names)
    raise_all(problems)
    raise ConfigError("no selected provider has a login", hint="name one: `g6 login kite`")


def _built(name: str, layers: Layers, registry: Registry) -> Provider | None:
    """None when it is switched off."""
    component = one_component(layers, registry, "providers", name)
    provider: Provider | None = component.spec.build(component.settings) if component.enabled else None
    return provider

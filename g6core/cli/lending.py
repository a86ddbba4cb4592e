"""What the command of a plugin is lent: the settings of its component, checked as for `g6 run`, and a context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from g6core.borrow import make_context
from g6core.cli.options import load, load_recorded, settings_layers
from g6core.clock import SystemClock
from g6core.components import Context
from g6core.discovery import installed
from g6core.errors import ConfigError
from g6core.specs import singular

if TYPE_CHECKING:
    from g6core.config import Configured


def configured(kind: str, component: str, **options: Any) -> tuple[Any, Context]:
    """The settings of the one enabled component, and a context over the data directory with the machine's clock.

    kind: `providers`, `analytics`, `sinks` or `alerts`. component: its name in the plugin's spec; the table of the
    settings may be called otherwise (`use`). options: what `config_options` gives a command. An installed plugin of
    the component's name counts as selected: whoever gives its command has chosen it. What the settings say of recording
    matters to a provider alone. Nothing is built, opened or locked. Raises ConfigError when the settings are wrong, or
    when none or several are enabled.
    """
    options = {**options, "plugins": _with(component, **options)}
    configuration, _ = load(**options) if kind == "providers" else load_recorded(**options)
    found = [one for one in configuration.components[kind].values() if one.enabled and one.spec.name == component]
    if len(found) != 1:
        names = " and ".join(f"`{one.name}`" for one in found)
        raise ConfigError(
            f"several tables use {singular(kind)} `{component}`: {names}"
            if found
            else f"{singular(kind)} `{component}` is switched off, or its plugin not selected",
            hint=f"`--set {kind}.{found[-1].name}.enabled=false` leaves one out"
            if found
            else f"`--plugins {component}`",
        )
    return found[0].settings, make_context(configuration.settings.data_dir, SystemClock())


def configured_all(kind: str, *, plugin: str, **options: Any) -> tuple[Mapping[str, Configured], Context]:
    """Every instance of a kind by the name that the settings give it, and a context as `configured` gives it.

    Each has `name`, `spec`, `settings` (None where it is switched off) and `enabled`; `spec.build(settings)` makes it.
    kind: `sinks` or `alerts`. plugin: the installed plugin that counts as selected. Raises ConfigError when the
    settings are wrong.
    """
    options = {**options, "plugins": _with(plugin, **options)}
    configuration, _ = load_recorded(**options, kept=(kind,))
    return configuration.components[kind], make_context(configuration.settings.data_dir, SystemClock())


def _with(component: str, **options: Any) -> str:
    """The selected plugins, and the installed one of that name."""
    names = list(settings_layers(**options).plugins)
    if component not in names and component in {plugin.name for plugin in installed()}:
        names.append(component)
    return ",".join(names)

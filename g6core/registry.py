"""The selected plugins, imported, and the components that they register."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isroutine
from typing import Any

import pluggy

from g6core import discovery, hookspecs, specs, strategies
from g6core.errors import G6Error, PluginError, raise_all

KINDS: Mapping[str, type[specs.Spec]] = {
    "providers": specs.ProviderSpec,
    "strategies": specs.StrategySpec,
    "analytics": specs.AnalyticSpec,
    "sinks": specs.SinkSpec,
    "alerts": specs.AlertSpec,
}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Registered:
    """A spec and who brought it."""

    spec: Any
    plugin: str
    distribution: str


class Registry:
    """Components by kind and name. Only the selected plugins were imported to make it."""

    def __init__(self, manager: pluggy.PluginManager, components: Mapping[str, Mapping[str, Registered]]) -> None:
        self.hook = manager.hook
        self.manager = manager
        self._components = components

    @classmethod
    def load(cls, plugins: Sequence[str]) -> Registry:
        """Import the named plugins and ask them what they have. Raises PluginError, every problem at once."""
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        owners = {"core": "g6core"}
        manager.register(strategies, "core")
        problems: list[G6Error] = []
        for plugin in discovery.select(plugins):
            try:
                _register(manager, plugin)
                owners[plugin.name] = f"{plugin.distribution} {plugin.version}"
            except PluginError as e:
                problems.append(e)
        raise_all(problems)
        return cls(manager, _collect(manager, owners))

    def of(self, kind: str) -> Mapping[str, Registered]:
        """The components of one kind (a key of KINDS), sorted by name."""
        return self._components[kind]


def _register(manager: pluggy.PluginManager, plugin: discovery.Installed) -> None:
    try:
        module = plugin.entry_point.load()
    except Exception as e:
        raise _broken(plugin, f"cannot be imported: {_cause(e)}") from e
    unmarked = [name for name in dir(module) if name.startswith("g6_") and _is_unmarked_hook(getattr(module, name))]
    if unmarked:
        raise _broken(plugin, f"defines `{unmarked[0]}` without @hookimpl")
    manager.register(module, plugin.name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as e:
        hook = re.search(r"g6_\w+", str(e))
        raise _broken(plugin, f"has a hook that g6core does not know: `{hook[0] if hook else e}`") from e


def _is_unmarked_hook(value: Any) -> bool:
    return isroutine(value) and not hasattr(value, f"{hookspecs.PROJECT}_impl")


def _broken(plugin: discovery.Installed, cause: str) -> PluginError:
    return PluginError(
        f"plugin `{plugin.name}` ({plugin.distribution} {plugin.version}) {cause}",
        code="plugin-broken",
        hint=f"`pip install --force-reinstall {plugin.distribution}`, or leave `{plugin.name}` out of `plugins`; "
        "-v shows the traceback",
    )


def _cause(e: BaseException) -> str:
    return f"{type(e).__name__}: {e}" if str(e) else type(e).__name__


def _collect(manager: pluggy.PluginManager, owners: Mapping[str, str]) -> Mapping[str, Mapping[str, Registered]]:
    components: dict[str, dict[str, Registered]] = {kind: {} for kind in KINDS}
    problems: list[G6Error] = []
    for kind, wanted in KINDS.items():
        for impl in getattr(manager.hook, f"g6_{kind}").get_hookimpls():
            owner = Registered(None, impl.plugin_name, owners[impl.plugin_name])
            for spec in _ask(impl, owner, problems):
                problem = _spec_problem(spec, wanted, kind, owner, components[kind])
                if problem:
                    problems.append(problem)
                else:
                    components[kind][spec.name] = Registered(spec, owner.plugin, owner.distribution)
    raise_all(problems)
    return {kind: dict(sorted(found.items())) for kind, found in components.items()}


def _ask(impl: pluggy.HookImpl, owner: Registered, problems: list[G6Error]) -> Iterable[Any]:
    # One hook implementation at a time: in a joint call the first exception would silence the others.
    try:
        specs_given: Any = impl.function()
        return list(specs_given or ())
    except Exception as e:
        problems.append(
            PluginError(
                f"plugin `{owner.plugin}` ({owner.distribution}) fails in a hook: {_cause(e)}", code="plugin-broken"
            )
        )
        return ()


def _spec_problem(
    spec: Any, wanted: type[specs.Spec], kind: str, owner: Registered, taken: Mapping[str, Registered]
) -> PluginError | None:
    who = f"plugin `{owner.plugin}` ({owner.distribution})"
    if not isinstance(spec, wanted):
        return PluginError(f"{who} gave {spec!r} in g6_{kind}, where a {wanted.__name__} belongs", code="plugin-broken")
    if not _NAME.fullmatch(spec.name):
        return PluginError(
            f"{who} names a component `{spec.name}`", code="plugin-broken", hint="names look like `[a-z][a-z0-9_]*`"
        )
    if spec.name in taken:
        return PluginError(
            f"two plugins bring {kind} called `{spec.name}`: {taken[spec.name].distribution} and {owner.distribution}",
            code="plugin-duplicate",
            hint=f"leave `{owner.plugin}` or `{taken[spec.name].plugin}` out of `plugins`",
        )
    return None

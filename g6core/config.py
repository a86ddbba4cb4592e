"""The settings, checked: what the core runs with, and what each component is built from."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from g6core.discovery import installed
from g6core.errors import ConfigError, G6Error, raise_all
from g6core.layers import Layers
from g6core.lines import Key
from g6core.settings import Settings
from g6core.specs import NoSettings, singular
from g6core.validation import Table, add_aliases, validated

if TYPE_CHECKING:
    from g6core.registry import Registered, Registry

__all__ = ["KINDS", "Configuration", "Configured", "IndexSettings", "Settings", "resolve"]

KINDS = ("providers", "strategies", "analytics", "sinks", "alerts")
DEFAULT_STRATEGY = "atm_window"


@dataclass(frozen=True)
class Configured:
    """One instance of a component: `spec.build(settings)` makes it.

    name: the instance's; the spec's own unless the table says `use`. settings: an instance of `spec.settings`; None
    when the instance is switched off, since nothing then asks whether its table is complete. sources: where each
    field that was set came from.
    """

    name: str
    spec: Any
    settings: Any
    enabled: bool = True
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class IndexSettings:
    """What is recorded of one index. provider: an instance of `components["providers"]`; empty when not enabled."""

    name: str
    provider: str
    strategy: Configured
    expiries: Sequence[str]
    enabled: bool = True


@dataclass(frozen=True)
class Configuration:
    """settings: the core's. components: by kind (KINDS) and instance name. indices: those that the settings name.

    strategy: for indices that name none. warnings: sentences for a person, nothing that stops a start.
    """

    settings: Settings
    components: Mapping[str, Mapping[str, Configured]]
    indices: Mapping[str, IndexSettings]
    strategy: Configured
    warnings: Sequence[str]
    layers: Layers

    def index(self, name: str) -> IndexSettings:
        """The settings of an index, named or not. Raises ConfigError when its provider is not certain."""
        if name in self.indices:
            return self.indices[name]
        enabled = _enabled(self.components["providers"])
        if len(enabled) != 1:
            raise _uncertain([name], enabled, self.layers)
        return IndexSettings(name, enabled[0], self.strategy, self.settings.expiries)


def resolve(layers: Layers, registry: Registry) -> Configuration:
    """Check everything that was set. Raises ConfigError, or every problem of every table at once as Problems."""
    return _Resolution(layers, registry).configuration()


def one_component(layers: Layers, registry: Registry, kind: str, name: str) -> Configured:
    """One instance, with its own table checked and nothing else. Raises ConfigError or Problems."""
    resolution = _Resolution(layers, registry)
    component = resolution.component(kind, name)
    raise_all(resolution.problems)
    if component is None:
        raise ConfigError(
            f"no selected plugin brings {singular(kind)} `{name}`", hint="`g6 plugins` lists what there is"
        )
    return component


class _Resolution:
    """One look at all tables; problems are collected on the way."""

    def __init__(self, layers: Layers, registry: Registry) -> None:
        self._layers = layers
        self._registry = registry
        self.problems: list[G6Error] = []
        self._warnings: list[str] = list(_misspelt_variables(layers))

    def configuration(self) -> Configuration:
        settings = self._validated(Settings, Table.at(self._layers, ()))
        components = {kind: self._components(kind) for kind in KINDS}
        strategy = self._strategy(("strategy",))
        indices = self._indices(settings, components["providers"], strategy)
        raise_all(_distinct(self.problems))
        assert isinstance(settings, Settings) and strategy is not None  # or there were problems
        return Configuration(settings, components, indices, strategy, self._warnings, self._layers)

    def _validated(self, model: type[BaseModel], table: Table) -> BaseModel | None:
        settings, problems = validated(model, table)
        self.problems += problems
        return settings

    def _components(self, kind: str) -> dict[str, Configured]:
        known = self._registry.of(kind)
        named = {name for name, table in self._layers.table(kind).items() if isinstance(table, dict)}
        if kind == "strategies":
            return self._named_strategies(named)
        found = (self.component(kind, name) for name in sorted({*known, *named}))
        return {component.name: component for component in found if component}

    def component(self, kind: str, name: str) -> Configured | None:
        registered = self._registered(kind, name)
        table = Table.at(self._layers, (kind, name), without=("use", "enabled"))
        if registered is None:
            # Nobody knows its fields, but a secret in the file is one all the same.
            self.problems += [e for e in validated(NoSettings, table)[1] if e.code == "secret-in-file"]
            return None
        table.schema = f"{kind}.{registered.spec.name}"
        named = registered.spec.by_default or bool(self._layers.table(kind).get(name))
        if not self._is_enabled((kind, name, "enabled"), named):
            return Configured(name, registered.spec, None, enabled=False, sources=table.sources)
        return self._configured(name, registered.spec, table)

    def _configured(self, name: str, spec: Any, table: Table) -> Configured:
        add_aliases(table, spec.settings, by_own_name=name == spec.name)
        settings = self._validated(spec.settings, table)
        return Configured(name, spec, settings, sources=table.sources)

    def _registered(self, kind: str, name: str) -> Registered | None:
        """The component that an instance uses; None, and a problem or a warning, when no selected plugin brings it."""
        known = self._registry.of(kind)
        use = self._use((kind, name)) or name
        if name in known and use != name:
            where = self._layers.where((kind, name, "use"))
            self.problems.append(
                ConfigError(
                    f"`{name}` is a component of its own and cannot use `{use}`",
                    where=where,
                    hint="name the table otherwise",
                )
            )
            return None
        if use in known:
            return known[use]
        close = difflib.get_close_matches(use, known, n=1)
        where = self._layers.where((kind, name))
        # A table may be there for a plugin that `--plugins` left out this time, and its name may be near to another's.
        if close and use not in {plugin.name for plugin in installed()}:
            message = f"no selected plugin brings {singular(kind)} `{use}`"
            self.problems.append(ConfigError(message, where=where, hint=f"did you mean `{close[0]}`?"))
        else:
            self._warnings.append(f"no selected plugin brings {singular(kind)} `{use}`: {where} is left aside")
        return None

    def _use(self, table: Key) -> str | None:
        """What a table says in `use`."""
        use = self._layers.table(*table).get("use")
        if use is None or isinstance(use, str):
            return use
        where = self._layers.where((*table, "use"))
        self.problems.append(ConfigError("`use` should be the name of a component", where=where))
        return None

    def _is_enabled(self, path: Key, otherwise: bool = True) -> bool:
        leaf = self._layers.leaves.get(path)
        if leaf is None:
            return otherwise
        try:
            return TypeAdapter(bool).validate_python(leaf.value)
        except ValidationError:
            where = self._layers.where(path)
        self.problems.append(ConfigError(f"`enabled` should be true or false, not `{leaf.value}`", where=where))
        return True

    def _named_strategies(self, named: set[str]) -> dict[str, Configured]:
        """Each table under `strategies` on its own: what is wrong in it is wrong wherever it is used."""
        found: dict[str, Configured] = {}
        for name in sorted(named):
            registered = self._registered("strategies", name)
            if registered:
                table = Table.at(self._layers, ("strategies", name), without=("use",))
                table.schema = f"strategies.{registered.spec.name}"
                found[name] = self._configured(name, registered.spec, table)
        return found

    def _strategy(self, path: Key, general: Key | None = None) -> Configured | None:
        """The strategy of the table at `path`: the keys beside `use`, over those of the table that it names."""
        inline = Table.at(self._layers, path, without=("use",))
        use = self._use(path)
        if use is None and general:
            inline = inline.over(Table.at(self._layers, general, without=("use",)))
            use = self._use(general)
        use = use or DEFAULT_STRATEGY
        named = self._layers.table("strategies", use)
        component = self._use(("strategies", use)) or use
        registered = self._registry.of("strategies").get(component)
        if registered is None:
            if not named:
                self.problems.append(self._unknown_strategy(use, (*path, "use"), general))
            return None
        table = inline.over(Table.at(self._layers, ("strategies", use), without=("use",)))
        table.schema = f"strategies.{component}"
        return self._configured(use, registered.spec, table)

    def _unknown_strategy(self, use: str, path: Key, general: Key | None) -> ConfigError:
        names = sorted({*self._registry.of("strategies"), *self._layers.table("strategies")})
        close = difflib.get_close_matches(use, names, n=1)
        where = self._layers.where(path) or (self._layers.where((*general, "use")) if general else "")
        listed = f"there are {', '.join(names)}; the plugin of another one goes into `plugins`"
        hint = f"did you mean `{close[0]}`?" if close else listed
        return ConfigError(f"no selected plugin brings strategy `{use}`", where=where, hint=hint)

    def _indices(
        self, core: BaseModel | None, providers: Mapping[str, Configured], general: Configured | None
    ) -> dict[str, IndexSettings]:
        found: dict[str, IndexSettings] = {}
        uncertain: list[str] = []
        for name, table in self._layers.table("indices").items():
            if not isinstance(table, dict):
                continue
            strategy = self._strategy(("indices", name, "strategy"), ("strategy",)) if "strategy" in table else general
            enabled = self._is_enabled(("indices", name, "enabled"))
            provider = self._provider(name, table.get("provider"), providers) if enabled else ""
            if provider is None:
                uncertain.append(name)
            elif isinstance(core, Settings) and strategy:
                expiries = core.indices[name].expiries or core.expiries
                found[name] = IndexSettings(name, provider, strategy, expiries, enabled)
        if uncertain:
            self.problems.append(_uncertain(uncertain, _enabled(providers), self._layers))
        return found

    def _provider(self, index: str, named: Any, providers: Mapping[str, Configured]) -> str | None:
        """The index's provider; None when it names none and there is not exactly one."""
        enabled = _enabled(providers)
        if not isinstance(named, str):
            return enabled[0] if len(enabled) == 1 else None
        if named not in enabled:
            self.problems.append(self._not_there(named, index, providers))
        return named

    def _not_there(self, named: str, index: str, providers: Mapping[str, Configured]) -> ConfigError:
        where = self._layers.where(("indices", index, "provider"))
        if named in providers:
            return ConfigError(
                f"provider `{named}` is switched off", where=where, hint=f"`enabled = true` in [providers.{named}]"
            )
        close = difflib.get_close_matches(named, providers, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"add the plugin that brings `{named}` to `plugins`"
        return ConfigError(f"no selected plugin brings provider `{named}`", where=where, hint=hint)


def _enabled(components: Mapping[str, Configured]) -> list[str]:
    return [name for name, component in components.items() if component.enabled]


def _uncertain(indices: Sequence[str], enabled: Sequence[str], layers: Layers) -> ConfigError:
    where = [place for name in indices if (place := layers.where(("indices", name)))]
    if not enabled:
        return ConfigError(
            f"no provider is on for {', '.join(indices)}", where=where, hint="select one: `--plugins sim,greeks,csv`"
        )
    names = " or ".join(f"`{name}`" for name in enabled)
    return ConfigError(
        f"{', '.join(indices)} may come from {names}",
        where=where,
        hint=f'`provider = "{enabled[0]}"` in [indices.{indices[0]}], or `enabled = false` in [providers.{enabled[1]}]',
    )


def _misspelt_variables(layers: Layers) -> Iterator[str]:
    """`G6_INTRVAL` sets nothing; say so when it is near to a variable that does."""
    names = {f"G6_{name.upper()}" for name in Settings.model_fields}
    for name, variable in layers.variables.items():
        head = name.split("__")[0]
        close = difflib.get_close_matches(head, names, n=1, cutoff=0.8)
        if name.startswith("G6_") and head not in names and close:
            yield f"{variable.origin.text} sets nothing; did you mean `{close[0]}`?"


def _distinct(problems: Sequence[G6Error]) -> list[G6Error]:
    """Without repetitions: a table that six indices share is wrong once."""
    seen = {(e.code, e.message, tuple(e.where)): e for e in reversed(problems)}
    return list(reversed(seen.values()))

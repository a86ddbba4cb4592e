"""From checked settings to built components, ready for the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from g6core.analysis import Step, in_order
from g6core.collector import Plan
from g6core.components import AlertRule, Provider, Sink, Strategy
from g6core.config import Configuration, Settings
from g6core.errors import ConfigError, G6Error, raise_all
from g6core.known import Known
from g6core.registry import Registry


@dataclass(frozen=True)
class Assembly:
    """Everything that one run is made of. plans: what each provider collects."""

    settings: Settings
    providers: Mapping[str, Provider]
    plans: Mapping[str, Sequence[Plan]]
    steps: Sequence[Step]
    sinks: Mapping[str, Sink]
    rules: Mapping[str, AlertRule]
    observers: Sequence[Any]
    """Hook implementations of `g6_cycle_finished`."""

    @property
    def keepers(self) -> list[str]:
        """The sinks that must get every snapshot."""
        return [name for name, sink in self.sinks.items() if sink.keeps]

    @property
    def simulated(self) -> bool:
        return any(provider.simulated for provider in self.providers.values())


def assemble(configuration: Configuration, registry: Registry) -> Assembly:
    """Build every enabled component. Raises ConfigError when there is nothing to collect."""
    providers = built(configuration, "providers")
    sinks = built(configuration, "sinks")
    refuse_shared(sinks, configuration.settings.data_dir)
    plans = plan(configuration, providers)
    used = {name: provider for name, provider in providers.items() if plans[name]}
    return Assembly(
        settings=configuration.settings,
        providers=used,
        plans={name: plans[name] for name in used},
        steps=_steps(configuration),
        sinks=sinks,
        rules=rules_of(configuration),
        observers=registry.hook.g6_cycle_finished.get_hookimpls(),
    )


def reassemble(configuration: Configuration, before: Assembly) -> Assembly:
    """The same providers, analytics and sinks with other indices, strategies, rules and times."""
    return Assembly(
        settings=configuration.settings,
        providers=before.providers,
        plans={n: p for n, p in plan(configuration, before.providers).items() if n in before.providers},
        steps=before.steps,
        sinks=before.sinks,
        rules=rules_of(configuration),
        observers=before.observers,
    )


def plan(configuration: Configuration, providers: Mapping[str, Provider]) -> dict[str, list[Plan]]:
    """What each provider collects: the indices of the settings, else every index that it serves."""
    plans: dict[str, list[Plan]] = {name: [] for name in providers}
    for index in configuration.indices or _served(providers):
        chosen = configuration.index(index)
        if chosen.enabled:
            strategy: Strategy = chosen.strategy.spec.build(chosen.strategy.settings)
            plans[chosen.provider].append(Plan(index, strategy, tuple(chosen.expiries)))
    if not any(plans.values()):
        raise ConfigError(
            "there is no index to record",
            hint="name one in the settings: [indices.NIFTY]" if providers else "select a provider: `--plugins sim,csv`",
        )
    return plans


def refuse_shared(sinks: Mapping[str, Sink], data_dir: Path) -> None:
    """Two sinks in one place would each take the rows of the other for its own, and rows would come twice."""
    owners: dict[str, str] = {}
    for name, sink in sinks.items():
        place = sink.place(data_dir)
        if place is not None and place in owners:
            raise ConfigError(
                f"the sinks `{owners[place]}` and `{name}` write into the same place",
                code="shared-place",
                where=place,
                hint=f"give one of them another place in [sinks.{name}]",
            )
        if place is not None:
            owners[place] = name


def _served(providers: Mapping[str, Provider]) -> list[str]:
    return list(dict.fromkeys(index for provider in providers.values() for index in provider.indices()))


def built(configuration: Configuration, kind: str) -> dict[str, Any]:
    """Every enabled component of a kind by its name, not yet opened."""
    return {
        name: component.spec.build(component.settings)
        for name, component in configuration.components[kind].items()
        if component.enabled
    }


def _steps(configuration: Configuration) -> list[Step]:
    return in_order(
        Step(name, component.spec.build(component.settings), component.spec.needs, component.spec.adds)
        for name, component in configuration.components["analytics"].items()
        if component.enabled
    )


def rules_of(configuration: Configuration) -> dict[str, AlertRule]:
    """Every enabled rule, bound to what it names. Raises ConfigError, or every wrong name at once as Problems."""
    rules: dict[str, AlertRule] = built(configuration, "alerts")
    components = configuration.components
    adds = [column for c in components["analytics"].values() if c.enabled for column in c.spec.adds]
    problems: list[G6Error] = []
    for name, rule in rules.items():
        where = configuration.layers.where(("alerts", name))
        try:
            rule.bind(Known(adds, components["sinks"], plugins=configuration.settings.plugins, where=where))
        except G6Error as e:
            problems.append(e)
    raise_all(problems)
    return rules

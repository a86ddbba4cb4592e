"""The settings that hold, one by one, each with its source: what `g6 config show` prints and a reload compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from g6core.config import KINDS, Configuration, Configured
from g6core.settings import SECTIONS
from g6core.validation import is_secret

DEFAULT = "default"
MASK = "********"


@dataclass(frozen=True)
class Effective:
    """path: `sinks.csv.dir`. value: as the component has it. shown: as JSON may show it, a secret masked."""

    path: str
    value: Any
    shown: Any
    source: str


def effective(configuration: Configuration) -> list[Effective]:
    """Every setting of the core, of each index and of each component."""
    rows = [*_core(configuration), *_strategy("strategy", configuration.strategy), *_indices(configuration)]
    for kind in KINDS:
        for name, component in configuration.components[kind].items():
            rows += _component(f"{kind}.{name}", component, switch=kind != "strategies")
    return rows


def _core(configuration: Configuration) -> Iterator[Effective]:
    apart = {*KINDS, "indices", "strategy", *SECTIONS}
    settings, layers = configuration.settings, configuration.layers
    for prefix, model in (("", settings), *((name, getattr(settings, name)) for name in SECTIONS)):
        dumped = model.model_dump(mode="json", exclude=apart)
        for name, shown in dumped.items():
            path = (prefix, name) if prefix else (name,)
            leaf = layers.leaves.get(path)
            yield Effective(".".join(path), getattr(model, name), shown, leaf.origin.text if leaf else DEFAULT)


def _indices(configuration: Configuration) -> Iterator[Effective]:
    layers = configuration.layers
    for name, index in configuration.indices.items():
        for key in ("enabled", "provider", "expiries"):
            value = getattr(index, key)
            origin = layers.origin(("indices", name, key))
            if origin or key != "expiries":
                yield Effective(f"indices.{name}.{key}", value, value, origin.text if origin else DEFAULT)
        if layers.origin(("indices", name, "strategy")):
            yield from _strategy(f"indices.{name}.strategy", index.strategy)


def _strategy(path: str, strategy: Configured) -> Iterator[Effective]:
    yield Effective(f"{path}.use", strategy.name, strategy.name, strategy.sources.get("use", DEFAULT))
    yield from _fields(path, strategy)


def _component(path: str, component: Configured, *, switch: bool) -> Iterator[Effective]:
    if component.name != component.spec.name:
        yield Effective(f"{path}.use", component.spec.name, component.spec.name, component.sources["use"])
    if switch:
        yield Effective(
            f"{path}.enabled", component.enabled, component.enabled, component.sources.get("enabled", DEFAULT)
        )
    yield from _fields(path, component)


def _fields(path: str, component: Configured) -> Iterator[Effective]:
    settings: BaseModel | None = component.settings
    if settings is None:
        return
    dumped = settings.model_dump(mode="json", fallback=str)
    for name, info in type(settings).model_fields.items():
        value, shown = getattr(settings, name), dumped.get(name)
        if is_secret(name, info.annotation):
            shown = MASK if value else None
        yield Effective(f"{path}.{name}", value, _masked(shown), component.sources.get(name, DEFAULT))


def _masked(value: Any) -> Any:
    """Secrets further down, by name; those that are SecretStr have masked themselves."""
    if not isinstance(value, Mapping):
        return value
    return {k: MASK if is_secret(k, None) and isinstance(v, str) and v else _masked(v) for k, v in value.items()}

"""What a plugin's hooks return: a name, a way to build the component, and its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from g6core.components import AlertRule, Analytic, Provider, Sink, Strategy


def singular(kind: str) -> str:
    """One component of a kind, in words: `sinks` are each a sink."""
    return {"strategies": "strategy", "alerts": "alert rule"}.get(kind, kind.removesuffix("s"))


class NoSettings(BaseModel):
    """For components with nothing to set."""

    model_config = ConfigDict(extra="forbid")


class Public:
    """`key: Annotated[str, Public]` is a setting that is called like a secret and is none: it may stand in a file."""


@dataclass(frozen=True)
class Spec:
    """name: lower case, `[a-z][a-z0-9_]*`. build: called with an instance of `settings`; does no I/O.

    settings: a pydantic model with `extra="forbid"` and a description on every field. A secret is a SecretStr. A field
    that is also known by a fixed environment variable says `json_schema_extra={"env": "NAME"}`. help: one line for
    `g6 plugins`. by_default: False when it is on only where something sets it up, as what cannot do without an address.
    """

    name: str
    build: Callable[[Any], Any]
    settings: type[BaseModel] = NoSettings
    help: str = ""
    by_default: bool = True


@dataclass(frozen=True)
class ProviderSpec(Spec):
    build: Callable[[Any], Provider]


@dataclass(frozen=True)
class StrategySpec(Spec):
    build: Callable[[Any], Strategy]


@dataclass(frozen=True)
class AnalyticSpec(Spec):
    """needs, adds: dotted names of columns and facts: `options.iv`, `expiries.pcr_oi`, `facts.vix`."""

    build: Callable[[Any], Analytic]
    needs: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()


@dataclass(frozen=True)
class SinkSpec(Spec):
    """in_replay: False when `g6 replay` leaves it out, as what tells people of something that happens now."""

    build: Callable[[Any], Sink]
    in_replay: bool = True


@dataclass(frozen=True)
class AlertSpec(Spec):
    build: Callable[[Any], AlertRule]

"""A registry of small components with every kind of field, and a way to write settings and see what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pluggy
import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from g6core import AnalyticSpec, ProviderSpec, SinkSpec, redact, strategies
from g6core.config import Configuration, resolve
from g6core.errors import G6Error, Problems
from g6core.layers import read
from g6core.registry import Registered, Registry


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: str = Field("guest", description="who")
    token: SecretStr | None = Field(None, description="the proof")


class LinesSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str = Field("lines.txt", description="file to append to", json_schema_extra={"env": "LINES_PATH"})
    size: int = Field(3, description="lines a page")
    layout: Literal["wide", "long"] = Field("wide", description="the form")
    extra: list[str] = Field(default_factory=list, description="further columns")
    columns: dict[str, str] = Field(default_factory=dict, description="names of columns")
    token: SecretStr | None = Field(None, description="proof", json_schema_extra={"env": ["LINES_TOKEN", "OLD_TOKEN"]})
    login: Login = Field(default_factory=Login, description="an account")

    @field_validator("token")
    @classmethod
    def _talks_too_much(cls, token: SecretStr | None) -> SecretStr | None:
        if token and token.get_secret_value().startswith("bad"):
            raise ValueError(f"no good: {token.get_secret_value()}")
        return token


class TapeSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: Path = Field(description="what to play")


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _build(settings: Any) -> Any:
    raise AssertionError("settings are checked without building anything")


LINES = SinkSpec("lines", _build, LinesSettings, "lines of text")
LIVE = ProviderSpec("live", _build, Nothing)
TAPE = ProviderSpec("tape", _build, TapeSettings)
SMILE = AnalyticSpec("smile", _build, Nothing)


@pytest.fixture
def registry() -> Callable[..., Registry]:
    """`registry(LIVE, TAPE)`: a registry with these providers, the sink `lines`, `smile` and the core's strategies."""

    def build(*providers: ProviderSpec) -> Registry:
        specs = {
            "providers": providers or (LIVE,),
            "strategies": strategies.g6_strategies(),
            "analytics": (SMILE,),
            "sinks": (LINES,),
            "alerts": (),
        }
        found = {kind: {s.name: Registered(s, "toy", "toy 1.0") for s in of} for kind, of in specs.items()}
        return Registry(pluggy.PluginManager("g6"), found)

    return build


@pytest.fixture
def live() -> ProviderSpec:
    return LIVE


@pytest.fixture
def tape() -> ProviderSpec:
    """A provider that must be told a file."""
    return TAPE


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What is a secret in these tests, as ordinary words are, is none in the next ones of the process."""
    before = redact._secrets.copy()
    yield
    redact._secrets.intersection_update(before)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settle(registry: Callable[..., Registry], here: Path) -> Callable[..., Configuration]:
    """`settle(toml, env={…}, dotenv="…", overrides={…})`: the settings that come of it."""

    def build(
        toml: str | None = None,
        *,
        env: Mapping[str, str] | None = None,
        dotenv: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
        providers: tuple[ProviderSpec, ...] = (LIVE,),
    ) -> Configuration:
        if toml is not None:
            (here / "g6.toml").write_text(toml, encoding="utf-8")
        if dotenv is not None:
            (here / ".env").write_text(dotenv, encoding="utf-8")
        return resolve(read(None, overrides or {}, env or {}, defaults=defaults), registry(*providers))

    return build


@pytest.fixture
def refused(settle: Callable[..., Configuration]) -> Callable[..., list[str]]:
    """Like `settle`, for settings with problems: each as a person reads it."""

    def build(*args: Any, **options: Any) -> list[str]:
        with pytest.raises(G6Error) as caught:
            settle(*args, **options)
        assert caught.value.exit_code == 2
        errors = caught.value.errors if isinstance(caught.value, Problems) else (caught.value,)
        return [e.render() for e in errors]

    return build

"""The core's own settings. What components have to set is declared by their specs."""

from __future__ import annotations

import difflib
import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, PlainSerializer, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from g6core.durations import Duration

ZERO = timedelta(0)


def decoded(value: Any) -> Any:
    """A list or a table written as JSON, as variables and the command line give them; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _split(value: Any) -> Any:
    value = decoded(value)
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _expiry(value: Any) -> Any:
    from g6core.expiry import ALL, CODES

    text = value.isoformat() if isinstance(value, date) else value
    if not isinstance(text, str) or text in (*CODES, ALL) or _is_date(text):
        return text
    close = difflib.get_close_matches(text, (*CODES, ALL), n=1)
    known = f"{', '.join(CODES)}, {ALL}, or a date such as 2026-11-24"
    raise ValueError(f"`{text}` is no expiry; " + (f"did you mean `{close[0]}`?" if close else f"there are {known}"))


def _is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _strategy(value: Any) -> Any:
    return {"use": value} if isinstance(value, str) else value


def _forever(value: Any) -> Any:
    return None if value == "forever" else value


Names = Annotated[list[str], BeforeValidator(_split)]
Expiries = Annotated[list[Annotated[str, BeforeValidator(_expiry)]], Field(min_length=1), BeforeValidator(_split)]
StrategyTable = Annotated[dict[str, Any], BeforeValidator(_strategy)]
ComponentTables = dict[str, dict[str, Any]]
_WRITTEN_SIZE = PlainSerializer(lambda size: size.human_readable(decimal=True), when_used="json-unless-none")
Bytes = Annotated[ByteSize, _WRITTEN_SIZE]

_STRICT = ConfigDict(extra="forbid", hide_input_in_errors=True)


class IndexTable(BaseModel):
    """What is recorded of one index: a table `[indices.NIFTY]`."""

    model_config = _STRICT

    enabled: bool = Field(True, description="false: this index is left out")
    provider: str | None = Field(
        None, description="the provider to ask; may stay away while only one is on", examples=["sim"]
    )
    strategy: StrategyTable | None = Field(
        None,
        description="as the general `strategy`, which it refines without `use` and replaces with it",
        examples=[{"use": "atm_window", "below": 10, "above": 10}],
    )
    expiries: Expiries | None = Field(
        None, description="in place of the general `expiries`", examples=[["this_week", "next_week", "this_month"]]
    )


class JournalSettings(BaseModel):
    """How long and how much the journal keeps: the table `[journal]`."""

    model_config = _STRICT

    retention: Annotated[Duration | None, BeforeValidator(_forever)] = Field(
        default=None,
        description="recorded days older than this go once every sink has them; `forever`, or not set, keeps them all",
        examples=["30d"],
    )
    max_size: Bytes | None = Field(
        default=None,
        description="recording stops, loudly, when the journal is larger; no limit when not set",
        examples=["20GB"],
    )


class HttpSettings(BaseModel):
    """The port that metrics, health and, with the plugin `web`, the API are asked at: the table `[http]`."""

    model_config = _STRICT

    enabled: bool = Field(default=True, description="false: no port is opened")
    host: str = Field(
        default="127.0.0.1", min_length=1, description="the address to listen on; any but the loopback wants a token"
    )
    port: int = Field(default=9108, ge=0, le=65535, description="the port to listen on; 0 for any that is free")
    token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="what a client must send as `Authorization: Bearer TOKEN`; 16 letters or more",
    )


class LogSettings(BaseModel):
    """What the recorder says while it runs, and where: the table `[log]`."""

    model_config = _STRICT

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="what is said: this and worse; `g6 -v` says everything"
    )
    format: Literal["text", "json"] = Field(
        default="text", description="`json`: an object a line, for programs that collect logs"
    )
    file: Path | None = Field(
        default=None,
        description="a file that `g6 run`, `replay` and `demo` log to as well; one file for each recorder",
        examples=["logs/g6.log"],
    )
    max_size: Annotated[Bytes, Field(gt=0)] = Field(
        default=ByteSize(10_000_000), description="a larger file is renamed to `.1`, and a new one begun"
    )
    keep: int = Field(default=5, ge=1, le=1000, description="how many renamed files are kept")


class Settings(BaseSettings):
    """Every setting of the core. Built from the merged sources of `g6core.layers`; alone it holds the defaults."""

    model_config = SettingsConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix="G6_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
    )

    plugins: Names = Field(
        default_factory=list, description="plugins to use, by name", examples=[["sim", "greeks", "csv"]]
    )
    interval: Duration = Field(timedelta(seconds=15), gt=ZERO, description="time from one cycle to the next")
    deadline: Duration | None = Field(
        None, gt=ZERO, description="how long a provider may take to answer; the interval when not set", examples=["10s"]
    )
    data_dir: Path = Field(Path("data"), description="where everything is recorded")
    expiries: Expiries = Field(
        default_factory=lambda: ["this_week", "next_week", "this_month", "next_month"],
        description="expiries to record: this_week, next_week, this_month, next_month, all, or a date such as "
        "2026-11-24; a contract that two of them name is recorded once, under the first",
    )
    drain_timeout: Duration = Field(
        timedelta(seconds=15), ge=ZERO, description="how long sinks that do not get on may take at the end"
    )
    strategy: StrategyTable = Field(
        default_factory=lambda: {"use": "atm_window"},
        description="which strikes to watch: `use` names a strategy, or a table under `strategies`; "
        "further keys are its settings",
    )
    journal: JournalSettings = Field(default=JournalSettings(), description="how much the journal keeps")
    http: HttpSettings = Field(default=HttpSettings(), description="the port of metrics, health and the API")
    log: LogSettings = Field(default=LogSettings(), description="what is said while it runs")
    indices: dict[str, IndexTable] = Field(
        default_factory=dict,
        description="the indices to record, `[indices.NIFTY]`; all that the providers serve when none is named",
    )
    # As they were written, secrets of the environment included: not for printing. Use `Configuration.components`.
    providers: ComponentTables = Field(
        default_factory=dict, exclude=True, repr=False, description="settings of providers, `[providers.sim]`"
    )
    strategies: ComponentTables = Field(
        default_factory=dict,
        exclude=True,
        repr=False,
        description='named strategies, `[strategies.wide]` with `use = "atm_window"`',
    )
    analytics: ComponentTables = Field(
        default_factory=dict, exclude=True, repr=False, description="settings of analytics, `[analytics.greeks]`"
    )
    sinks: ComponentTables = Field(
        default_factory=dict, exclude=True, repr=False, description="settings of sinks, `[sinks.csv]`"
    )
    alerts: ComponentTables = Field(
        default_factory=dict, exclude=True, repr=False, description="settings of alert rules"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # `layers.read` has asked the sources already, one by one: it must remember which of them said what.
        return (init_settings,)


SECTIONS: dict[str, type[BaseModel]] = {"journal": JournalSettings, "http": HttpSettings, "log": LogSettings}
"""Tables of the core with keys of their own."""

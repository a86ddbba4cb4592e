"""The settings that every rule has, and those of `rule`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import ConfigDict, Field, create_model, field_validator

from g6_alerts.grammar import parse
from g6_alerts.template import readable
from g6core import Duration

ZERO = timedelta(0)
OWN_LABELS = {
    "notify": "the setting `notify` names the sinks that tell of it",
    "value": "the rule gives its value there",
}
"""Labels that a rule sets by itself, and why nobody else may."""


def held(default: timedelta, **model: Any) -> Any:
    """A model with the field `for`: Prometheus's word, which a class cannot have as the name of a field."""
    field = Field(default, description="it has to be true for so long before it fires", examples=["2m"])
    fields: Any = {**model, "for": (Duration, field)}
    return create_model("Held", **fields)


class Watch(held(ZERO, __config__=ConfigDict(extra="forbid"))):  # type: ignore[misc]
    """What every rule has."""

    keep_firing_for: Duration = Field(ZERO, description="it has to be false for so long before it is resolved")
    severity: Literal["info", "warning", "critical"] = Field("warning", description="how bad it is")
    repeat: Duration | None = Field(
        None, description="told again after so long while it still fires; never when not set", examples=["30m"]
    )
    notify: list[str] | None = Field(
        None, description="names of the sinks that tell of it; all when not set", examples=[["telegram"]], min_length=1
    )
    labels: dict[str, str] = Field(default_factory=dict, description="further words for whoever delivers it")

    @property
    def hold(self) -> timedelta:
        """The setting `for`."""
        held: timedelta = getattr(self, "for")
        return held

    @field_validator("labels")
    @classmethod
    def _others(cls, value: dict[str, str]) -> dict[str, str]:
        for name, why in OWN_LABELS.items():
            if name in value:
                raise ValueError(f"a label cannot be called `{name}`: {why}")
        return value

    @field_validator("repeat")
    @classmethod
    def _repeats(cls, value: timedelta | None) -> timedelta | None:
        if value == ZERO:
            raise ValueError("a rule cannot be told again after no time; leave it out for never")
        return value


class Market(Watch):
    """What every rule over the market has."""

    on: list[str] | None = Field(
        None, description="the indices that it looks at; all when not set", examples=[["NIFTY"]]
    )
    expiry: str | None = Field(
        None,
        description="code of the expiry that it looks at, such as `this_month`, or its date; the nearest when not set",
        pattern=r"^((this|next)_(week|month)|\d{4}-\d{2}-\d{2})$",
    )

    @field_validator("on")
    @classmethod
    def _upper(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else [index.upper() for index in value]


class RuleSettings(Market):
    """A rule of one's own."""

    expr: str = Field(description="the condition, such as `pcr_oi > 1.6`", examples=["pcr_oi > 1.6"])
    summary: str | None = Field(
        None,
        description="the sentence of the alert; {index}, {value}, {key}, {ts} and names of the expression stand in it",
        examples=["PCR of {index} at {value:.2f}"],
    )

    @field_validator("expr")
    @classmethod
    def _read(cls, value: str) -> str:
        parse(value)
        return value

    @field_validator("summary")
    @classmethod
    def _template(cls, value: str | None) -> str | None:
        return None if value is None else readable(value)

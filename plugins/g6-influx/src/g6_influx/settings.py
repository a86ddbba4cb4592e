"""What can be set in `[sinks.influx]`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from g6core import Duration


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str = Field("http://127.0.0.1:8086", description="where the server listens; http or https, without a password")
    org: str | None = Field(None, description="organization; InfluxDB 2 wants one, VictoriaMetrics none")
    bucket: str = Field("g6", min_length=1, description="bucket; it must exist. VictoriaMetrics has none")
    token: SecretStr | None = Field(
        None,
        description="access token that may write to the bucket; VictoriaMetrics needs none",
        json_schema_extra={"env": "INFLUX_TOKEN"},
    )
    form: Literal["long", "wide"] = Field(
        "long", description="long: a point per contract; wide: a point per strike, `call_…` and `put_…` fields"
    )
    gzip: bool = Field(False, description="compress what is sent; worth it over a slow line, not on the same machine")
    timeout: Duration = Field(timedelta(seconds=10), description="how long a request may take")
    ack_delay: Duration = Field(
        timedelta(seconds=15),
        description="how long after an answer the server has surely saved; `0s` for one that saves before it answers",
    )

    @field_validator("url")
    @classmethod
    def _plain_address(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", url):
            raise ValueError("`url` is no address like http://127.0.0.1:8086; a password or token has no place in it")
        return url.rstrip("/")

    @field_validator("token")
    @classmethod
    def _fit_for_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        text = token.get_secret_value().strip() if token else ""
        if not re.fullmatch(r"[\x21-\x7e]*", text):
            raise ValueError("`token` has characters that no access token has")
        return SecretStr(text) if text else None

    @field_validator("timeout")
    @classmethod
    def _bounded(cls, timeout: timedelta) -> timedelta:
        if not timedelta(milliseconds=10) <= timeout <= timedelta(minutes=5):
            raise ValueError("`timeout` must be from 10ms to 5m")
        return timeout

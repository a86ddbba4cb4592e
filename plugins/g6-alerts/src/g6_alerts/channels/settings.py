"""What can be set in the table of a channel."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from g6core import Duration

SEVERITIES = ("info", "warning", "critical")
_ADDRESS = r"https?://[^\s/?#@]+(/[^\s#]*)?"
_PERIODS = {"s": timedelta(seconds=1), "min": timedelta(minutes=1), "h": timedelta(hours=1)}


def rank(severity: str) -> int:
    """0 for info; one that nobody knows is above all, so that it is never left out."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


Rate = Annotated[str, Field(pattern=r"^[1-9]\d{0,3}/(s|min|h)$")]
Quiet = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")]


class ChannelSettings(BaseModel):
    """What every channel has."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    min_severity: Literal["info", "warning", "critical"] = Field(
        "info", description="alerts below this severity are not sent here"
    )
    quiet: Quiet | None = Field(
        None,
        description="hours of India's day in which only critical alerts are sent; the others follow as a digest",
        examples=["22:00-08:00"],
    )
    rate: Rate = Field(
        "20/min",
        description="messages at the most, per s, min or h; further alerts come as a digest once there is room",
        examples=["20/min", "100/h"],
    )
    digest_after: Duration = Field(
        timedelta(minutes=10), description="alerts that are older than this when they can be sent come as one digest"
    )
    timeout: Duration = Field(timedelta(seconds=10), description="how long the server may take")

    @field_validator("timeout")
    @classmethod
    def _bounded(cls, timeout: timedelta) -> timedelta:
        if not timedelta(milliseconds=10) <= timeout <= timedelta(minutes=5):
            raise ValueError("`timeout` must be from 10ms to 5m")
        return timeout

    @property
    def limit(self) -> tuple[int, timedelta]:
        """So many messages in so long."""
        number, _, period = self.rate.partition("/")
        return int(number), _PERIODS[period]

    @property
    def quiet_hours(self) -> tuple[time, time] | None:
        """From and to, as the clock shows them in India."""
        if self.quiet is None:
            return None
        begin, _, end = self.quiet.partition("-")
        return time.fromisoformat(begin), time.fromisoformat(end)


class WebhookSettings(ChannelSettings):
    url: str | None = Field(None, description="where to: an HTTP address that takes a POST")
    secret_url: SecretStr | None = Field(
        None, description="the same for an address that is itself a secret, as those of Slack are"
    )
    headers: dict[str, str] = Field(default_factory=dict, description="headers to send; none of them a secret")
    secret: SecretStr | None = Field(None, description="what the header `secret_header` says, such as `Bearer …`")
    secret_header: str = Field(
        "Authorization", pattern=r"^[A-Za-z0-9-]+$", description="the header that carries `secret`"
    )

    @model_validator(mode="after")
    def _one_address(self) -> WebhookSettings:
        if (self.url is None) == (self.secret_url is None):
            raise ValueError("a webhook has an address: `url`, or `secret_url` in the environment, and not both")
        if not re.fullmatch(_ADDRESS, self.address):
            raise ValueError("the address is none like https://example.com/hook; a password has no place in it")
        return self

    @field_validator("headers")
    @classmethod
    def _fit(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not re.fullmatch(r"[\x20-\x7e]*", value):
                raise ValueError(f"`{name}` is no header with a value of plain characters")
        return headers

    @field_validator("secret")
    @classmethod
    def _one_line(cls, secret: SecretStr | None) -> SecretStr | None:
        return _plain(secret, "secret", r"[\x20-\x7e]+")

    @property
    def address(self) -> str:
        return self.secret_url.get_secret_value().strip() if self.secret_url else str(self.url)


class TelegramSettings(ChannelSettings):
    token: SecretStr = Field(
        description="the bot's token, from @BotFather", json_schema_extra={"env": "TELEGRAM_BOT_TOKEN"}
    )
    chat: str = Field(
        pattern=r"^(-?\d{1,20}|@\w{1,64})$", description="where to: the number of a chat, or @name of a channel"
    )
    api: str = Field("https://api.telegram.org", pattern=f"^{_ADDRESS}$", description="the Bot API's address")

    @field_validator("token")
    @classmethod
    def _token(cls, token: SecretStr) -> SecretStr:
        return _plain(token, "token", r"\d+:[\w-]+") or token


class EmailSettings(ChannelSettings):
    host: str = Field(pattern=r"^[\w.:-]+$", description="the mail server")
    port: int = Field(587, ge=1, le=65535, description="its port: 587 with starttls, 465 with tls, 25 with neither")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the connection is encrypted; `none` for a server on this machine"
    )
    user: str | None = Field(None, description="who logs in; nobody when not set")
    password: SecretStr | None = Field(
        None, description="the user's password", json_schema_extra={"env": "SMTP_PASSWORD"}
    )
    sender: str = Field(description="the address that the mails come from")
    recipients: list[str] = Field(min_length=1, description="the addresses that they go to")

    @field_validator("sender", "recipients")
    @classmethod
    def _addresses(cls, given: str | list[str]) -> str | list[str]:
        for one in [given] if isinstance(given, str) else given:
            if not re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", one):
                raise ValueError(f"`{one}` is no plain address like desk@example.com")
        return given

    @model_validator(mode="after")
    def _both_or_none(self) -> EmailSettings:
        if (self.user is None) != (self.password is None):
            raise ValueError("`user` and `password` go together")
        return self


class AppriseSettings(ChannelSettings):
    url: SecretStr = Field(description="apprise's address of the service, such as ntfy://topic; a table for each")


def _plain(secret: SecretStr | None, name: str, pattern: str) -> SecretStr | None:
    text = secret.get_secret_value().strip() if secret else ""
    if text and not re.fullmatch(pattern, text):
        raise ValueError(f"`{name}` has characters that do not belong there, or lacks some")
    return SecretStr(text) if text else None

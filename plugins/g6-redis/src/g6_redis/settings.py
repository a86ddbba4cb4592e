"""What can be set in `[sinks.redis]`."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from g6core import Duration, hide


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="where Redis listens, with the number of the database; rediss:// for TLS. No password in it",
    )
    username: str | None = Field(None, description="of a Redis with users of its own (ACL)")
    password: SecretStr | None = Field(
        None, description="of the server or the user; from the environment", json_schema_extra={"env": "REDIS_PASSWORD"}
    )
    prefix: str = Field("g6", pattern=r"^[\w.:-]+$", description="what every key and channel begins with")
    ttl: Duration = Field(timedelta(days=1), ge=timedelta(seconds=1), description="how long a key lives")
    timeout: Duration = Field(
        timedelta(milliseconds=500),
        ge=timedelta(milliseconds=1),
        description="how long Redis may take to connect, to take a request and to answer it; each on its own",
    )
    publish: bool = Field(True, description="tell subscribers about each snapshot and alert")

    @model_validator(mode="after")
    def _plain_address(self) -> Settings:
        # Of the model and not of the field: a field's problem is shown with its value.
        try:
            parts = urlsplit(self.url)
            parts.port  # noqa: B018 - it is looked at when it is asked for
        except ValueError:
            raise ValueError("`url` is no address like redis://127.0.0.1:6379/0") from None
        options = parse_qs(parts.query)
        for secret in (parts.password, *options.get("password", ())):
            hide(unquote(secret or ""))
        if "@" in parts.netloc or {"username", "password"} & options.keys():
            raise ValueError(
                "a user or a password has no place in `url`: set `username`, and `password` by the variable"
                " REDIS_PASSWORD"
            )
        if parts.scheme not in ("redis", "rediss") or not parts.hostname or not parts.path.strip("/").isdecimal():
            raise ValueError("`url` is no address like redis://127.0.0.1:6379/0")
        if other := [name for name in options if not name.startswith("ssl_")]:
            raise ValueError(f"`{other[0]}` has no place in `url`, only options of TLS such as `ssl_ca_certs`")
        return self

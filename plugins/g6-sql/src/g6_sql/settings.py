"""What can be set in `[sinks.sql]`."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from g6core import Duration, hide

SERVERS = ("postgresql", "postgresql+psycopg")
_IN_FRONT_OF_THE_HOST = re.compile(r"[\w+]+://[^:/@]*:(.+)@")


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str | None = Field(
        None,
        description="`sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`, without a password; "
        "without it the SQLite file `g6.sqlite` in the data directory",
    )
    password: SecretStr | None = Field(
        None, description="PostgreSQL's password; without it libpq looks in PGPASSWORD and ~/.pgpass"
    )
    schema_name: str = Field(
        "public",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="PostgreSQL's schema for the tables; made when it is not there",
    )
    timeout: Duration = Field(
        timedelta(seconds=30), description="how long a transaction may take, waiting for locks and the server included"
    )

    @model_validator(mode="after")
    def _a_url_that_can_be_used(self) -> Settings:
        # Of the model and not of the field: a field's problem is shown with its value.
        if self.timeout <= timedelta(0):
            raise ValueError("`timeout` must be longer than nothing")
        if self.url is None:
            return self
        if (password := _password(self.url)) is not None:
            hide(password)
            raise ValueError("`url` has a password in it: take it out and set G6_SINKS__SQL__PASSWORD")
        if self.server and (odd := _no_port(self.url)) is not None:
            hide(odd)
            raise ValueError(
                "`url` has no port behind the `:` of its host; it should look like "
                "postgresql://USER@HOST:5432/DATABASE, and a password goes into G6_SINKS__SQL__PASSWORD"
            )
        if not (self.url.startswith("sqlite:///") or self.url.partition("://")[0] in SERVERS):
            raise ValueError("`url` must begin with sqlite:/// or postgresql://")
        if re.match(r"sqlite:///(:memory:|file:|$|.*\?)", self.url):
            raise ValueError(
                "`url` must name a file and nothing else: sqlite:///relative/path or sqlite:////absolute/path"
            )
        return self

    @property
    def server(self) -> bool:
        """Whether it is a server, where others may write at the same time."""
        return self.url is not None and not self.url.startswith("sqlite:")


def _no_port(url: str) -> str | None:
    """What stands where the port would and is none, such as a password whose host was forgotten."""
    place = re.match(r"[\w+]+://([^/?#]*)", url)
    end = place[1].rpartition("@")[2] if place else ""
    port = end.rpartition("]")[2] if end.startswith("[") else end
    given = port.partition(":")[2]
    return given if given and not re.fullmatch(r"\d{1,5}", given) else None


def _password(url: str) -> str | None:
    """What stands where a password would, in front of the host or in the query; None when nothing does."""
    if found := _IN_FRONT_OF_THE_HOST.match(url):
        return found[1]
    return next(
        (value for key, value in parse_qsl(urlsplit(url).query) if key.lower() in ("password", "sslpassword")), None
    )

"""The HTTP port: who may ask, and what the recorder says of itself there.

`Http` knows no socket. `g6core.httpd` serves it by itself; a sink with `serves_http` takes its place and answers the
same pages beside its own.
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qs, urlsplit

from g6core.errors import ConfigError
from g6core.health import Health
from g6core.measuring import HTTP_REFUSALS, REQUEST_SECONDS, REQUESTS
from g6core.settings import HttpSettings

JSON = "application/json"
PROBLEM = "application/problem+json"
LONGEST_TOKEN = 1000


@dataclass(frozen=True)
class Page:
    """An answer: its status, what it is, its bytes, and headers beside those of its length and type."""

    status: int
    type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Http:
    """The settings of the port, and its pages; called from any thread. Raises ConfigError for an open door."""

    def __init__(self, settings: HttpSettings, health: Health) -> None:
        self.host = settings.host
        self.port = settings.port
        self.health = health
        self._token = settings.token.get_secret_value() if settings.token else None
        if self._token is None and not is_loopback(settings.host):
            raise ConfigError(
                f"`{settings.host}` can be reached from other machines, and whoever asks would be answered",
                code="open-port",
                where="[http] host",
                hint='set G6_HTTP__TOKEN to a long random word, or `host = "127.0.0.1"`',
            )
        self._pages: Mapping[str, Callable[[], Page]] = {
            "/metrics": self._metrics,
            "/healthz": self._healthz,
            "/readyz": lambda: _plain(*health.ready()),
            "/livez": lambda: _plain(*health.live()),
        }

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the recorder's own pages."""
        return tuple(self._pages)

    def page(self, path: str) -> Page | None:
        """One of the recorder's own pages; None when the path is no such page."""
        make = self._pages.get(path)
        if make is None:
            return None
        began = time.perf_counter()
        made = make()
        REQUEST_SECONDS.labels(path).observe(time.perf_counter() - began)
        REQUESTS.labels(path, made.status).inc()
        return made

    def refusal(self, target: str, headers: Mapping[str, str]) -> Page | None:
        """Why this request is not answered; None when it is. target: the path with its query. Names in lower case.

        With a token, it has to come as `Authorization: Bearer TOKEN` or, for spreadsheets, as `?token=TOKEN`. Without
        one the port is on the loopback, and the name that was asked for must be this machine's: a page in the user's
        browser could otherwise ask under a name of its own.
        """
        if self._token is not None:
            given = _given(target, headers)
            if compare_digest(given.encode("utf-8", "replace"), self._token.encode()):
                return None
            HTTP_REFUSALS["token"].inc()
            return problem(
                401,
                "token",
                "this port wants its token",
                "send the header `Authorization: Bearer TOKEN`",
                {"WWW-Authenticate": "Bearer"},
            )
        if is_loopback(_host_of(headers.get("host", ""))):
            return None
        HTTP_REFUSALS["wrong-host"].inc()
        return problem(421, "wrong-host", "this port answers under the names of this machine alone", "ask 127.0.0.1")

    def _metrics(self) -> Page:
        from g6core import scrape

        return Page(200, scrape.TYPE, scrape.text())

    def _healthz(self) -> Page:
        document = self.health.document()
        return json_page(document, 503 if document["status"] == "failing" else 200)


def json_page(document: Any, status: int = 200, type: str = JSON) -> Page:
    """Raises ValueError for a number that is not finite: JSON has none."""
    text = json.dumps(document, allow_nan=False, ensure_ascii=False, default=str)
    return Page(status, type, text.encode(), {"Cache-Control": "no-store"})


def problem(
    status: int, code: str, detail: str, hint: str | None = None, headers: Mapping[str, str] | None = None
) -> Page:
    """An error as RFC 9457 has it. code: the word by which the command line knows it, with a page in docs/errors."""
    document = {"type": f"urn:g6:error:{code}", "title": code, "status": status, "detail": detail, "hint": hint}
    made = json_page({k: v for k, v in document.items() if v is not None}, status, PROBLEM)
    return Page(made.status, made.type, made.body, {**made.headers, **(headers or {})})


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _given(target: str, headers: Mapping[str, str]) -> str:
    scheme, _, word = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return word.strip()[:LONGEST_TOKEN]
    return parse_qs(target.partition("?")[2]).get("token", [""])[0][:LONGEST_TOKEN]


def _host_of(header: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _plain(ok: bool, text: str) -> Page:
    return Page(200 if ok else 503, "text/plain; charset=utf-8", f"{text}\n".encode(), {"Cache-Control": "no-store"})

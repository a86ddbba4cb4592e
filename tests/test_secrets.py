"""No secret of any setting comes out anywhere: a recorder with all of them, looked at from every side.

The settings are found by walking the models of every installed plugin. A sink that is refused or not reached is the
rule here, since it is errors that repeat what they were given.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from os import kill
from pathlib import Path
from typing import Any

import pytest

from g6core import days, installed
from g6core.config import KINDS
from g6core.registry import Registry
from g6core.settings import SECTIONS, Settings
from g6core.toml import toml_value
from g6core.validation import is_secret

NOBODY = "127.0.0.1:1"
"""Where nothing listens."""
PUBLIC = "abcdefgh"
TABLES: dict[str, dict[str, Any]] = {
    "providers.kite": {"api_key": PUBLIC, "address": f"http://{NOBODY}", "retries": 0, "timeout": "200ms"},
    "sinks.sql": {"url": f"postgresql://recorder@{NOBODY}/g6?connect_timeout=1"},
    "sinks.redis": {"url": f"redis://{NOBODY}/0", "username": "recorder"},
    "sinks.influx": {"url": f"http://{NOBODY}", "org": "desk", "ack_delay": "0s"},
    "sinks.webhook": {"timeout": "200ms"},
    "sinks.telegram": {"api": f"http://{NOBODY}", "chat": "1", "timeout": "200ms"},
    "sinks.email": {
        "host": "127.0.0.1", "port": 1, "security": "none", "user": "desk",
        "sender": "g6@example.com", "recipients": ["desk@example.com"], "timeout": "200ms",
    },
    "sinks.apprise": {"timeout": "200ms"},
    "indices.NIFTY": {"provider": "sim"},
    "indices.SENSEX": {"provider": "kite"},
    "alerts.always": {"use": "rule", "expr": "spot > 0", "notify": ["webhook", "telegram", "email", "apprise"]},
}  # fmt: skip
"""What a component needs beside its secrets."""
SHAPES = {
    "sinks.webhook.secret_url": f"http://{NOBODY}/hooks/{{}}",
    "sinks.webhook.secret": "Bearer {}",
    "sinks.telegram.token": "123456789:{}",
    "sinks.apprise.url": f"json://desk:{{}}@{NOBODY}/notify",
    "sinks.influx.token": "{}==",
    "http.token": "{}",
    "providers.kite.api_secret": "{}",
    "providers.kite.access_token": "{}",
}
"""A secret that has a form; any other is a password with letters that are written otherwise in addresses and JSON."""
PASSWORD = "{}/p@ss: w\"or'd\\ %é"


@dataclass(frozen=True)
class Secret:
    """path: the setting's. core: the part to look for."""

    path: str

    @property
    def core(self) -> str:
        return "Zq7" + sha256(self.path.encode()).hexdigest()[:24]

    @property
    def value(self) -> str:
        return SHAPES.get(self.path, PASSWORD).format(self.core)

    @property
    def variable(self) -> str:
        return "G6_" + self.path.replace(".", "__").upper()


PLUGINS = [plugin.name for plugin in installed()]


@cache
def secrets() -> list[Secret]:
    """Every secret setting of the core and of every installed plugin."""
    registry = Registry.load(PLUGINS)
    models = {kind: registered.items() for kind in KINDS if (registered := registry.of(kind))}
    found = [
        f"{kind}.{name}.{field}"
        for kind, registered in models.items()
        for name, one in registered
        for field, info in one.spec.settings.model_fields.items()
        if is_secret(field, info.annotation)
    ]
    found += [
        f"{section}.{field}"
        for section, model in SECTIONS.items()
        for field, info in model.model_fields.items()
        if is_secret(field, info.annotation)
    ]
    found += [field for field, info in Settings.model_fields.items() if is_secret(field, info.annotation)]
    return [Secret(path) for path in found]


def test_the_secrets_are_those_that_are_known() -> None:
    """A new one is put through the test below as soon as it is there; this says that none was overlooked."""
    paths = {secret.path for secret in secrets()}
    assert {"http.token", "providers.kite.api_secret", "sinks.sql.password", "sinks.telegram.token"} <= paths
    for path in paths:
        table = path.rpartition(".")[0]
        assert table in TABLES or table in SECTIONS, f"TABLES has nothing to switch {table} on with"


class Looked:
    """Everything that was looked at, by where it was found."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def add(self, place: str, text: str | bytes) -> str:
        found = text if isinstance(text, str) else text.decode("utf-8", "replace")
        self.texts[place] = self.texts.get(place, "") + found
        return found

    def leaks(self) -> list[str]:
        return [f"{s.path} in {place}" for place, text in self.texts.items() for s in secrets() if s.core in text]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with settings that switch every component with a secret on."""
    used = [name for name in PLUGINS if name not in ("replay", "greeks", "parquet")]  # which know no secret
    lines = [f"plugins = {toml_value(used)}", 'interval = "4s"', 'drain_timeout = "0s"']
    for table, values in TABLES.items():
        lines += [f"[{table}]", *(f"{key} = {toml_value(value)}" for key, value in values.items())]
    (tmp_path / "g6.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    return {secret.variable: secret.value for secret in secrets()} | more


def test_a_secret_comes_out_nowhere(
    place: Path, clean_env: Callable[..., dict[str, str]], launcher: Any, g6: Callable[..., Any]
) -> None:
    looked = Looked()
    served = {"G6_HTTP__ENABLED": "true", "G6_HTTP__PORT": "0", "G6_LOG__FILE": "logs/g6.log"}
    with (place / "out").open("w+") as out, (place / "err").open("w+") as err:
        env = clean_env(**environment(**served))
        words = ("-v", "run", "--data-dir", "data")
        running = launcher.start("g6core", *words, cwd=place, env=env, stdio=(out, out, err))
        try:
            port = listening(place / "err")
            trouble(place / "err")
            for name, text in pages(port, "http.token"):
                looked.add(name, text)
        finally:
            kill(running.pid, signal.SIGTERM)
            running.wait()
    for command in commands():
        done = g6(*command, env=environment())
        looked.add(" ".join(command), done.stdout + done.stderr)
    assert "***" in looked.texts["config show"]
    refused = looked.texts[" ".join(list(commands())[-1])]
    assert "Traceback" in refused and '"error"' in refused
    json_log = g6("-v", "run", "--once", "--data-dir", "other", env=environment(G6_LOG__FORMAT="json")).stderr
    assert json.loads(json_log.splitlines()[0])
    looked.add("JSON log", json_log)
    for name, text in written(place):
        looked.add(name, text)
    assert looked.leaks() == []
    assert PUBLIC in looked.texts["config show"], "what is no secret is shown, or the rest would prove nothing"
    assert {"journal", "status.json", "g6.log", "err", "/metrics", "/healthz"} <= set(looked.texts)


def commands() -> Iterator[tuple[str, ...]]:
    yield ("config", "show")
    yield ("doctor", "--json")
    # One that is refused, with its traceback, for a person and for a program.
    yield ("-v", "chain", "NIFTY", "--json", "--at", "2020-01-01 10:30", "--set", "sinks.redis.prefix=a b")


def listening(log: Path) -> int:
    return int(wait_for(log, r" at http://\S+:(\d+)/")[1])


def trouble(log: Path) -> None:
    """Everybody was asked for something that they had to refuse."""
    for sink in sorted({secret.path.split(".")[1] for secret in secrets() if secret.path.startswith("sinks.")}):
        wait_for(log, rf"sink {sink}: ")
    wait_for(log, "provider kite: ")


def wait_for(log: Path, pattern: str) -> re.Match[str]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text("utf-8")):
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {pattern} in {log.read_text('utf-8')}")


def pages(port: int, token: str) -> Iterator[tuple[str, str]]:
    """Every page, with the token, without it and with another one."""
    value = next(secret.value for secret in secrets() if secret.path == token)
    paths = ["/metrics", "/healthz", "/readyz", "/livez", "/nothing", "/%zz"]
    api = ["status", "indices", "snapshot/NIFTY", "chain/NIFTY", "alerts", "plugins", "journal", "openapi.json", "no"]
    for path in [*paths, *(f"/api/v1/{name}" for name in api)]:
        status, text = get(port, path, {"Authorization": f"Bearer {value}"})
        assert status in (200, 400, 404, 503), (path, status, text)
        yield path, text
    for path in (f"/nothing?token={value}", f"/api/v1/snapshot/{value}?token={value}"):
        status, text = get(port, path, {})
        # What was asked for may be repeated to whoever asked it; the token may not.
        assert status in (400, 404)
        yield "/?token", text.replace(f"/{value}", "")
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        assert get(port, "/metrics", headers)[0] == 401


def get(port: int, path: str, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        told = str(response.getheaders())
        return response.status, told + response.read().decode("utf-8", "replace")
    finally:
        connection.close()


def written(place: Path) -> Iterator[tuple[str, str | bytes]]:
    """Every file as it is, and each journal as it is read."""
    for path in place.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()
    for path in place.rglob("journal/*.db"):
        with sqlite3.connect(path) as db:
            yield "journal", "\n".join(db.iterdump())
        db.close()
        for _, snapshot in days.read_day(path):
            yield "journal", f"{snapshot.source} {snapshot.facts} {snapshot.options.write_ndjson()}"

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from g6_web.settings import Settings
from g6_web.sink import WebSink

from g6core import Alert, Context, Http, Snapshot
from g6core.health import Health
from g6core.journal import Journal
from g6core.settings import HttpSettings
from g6core.testing.component_contract import lent_context


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        def no(word: str) -> None:
            raise AssertionError(f"{word} is no JSON")

        return json.loads(self.body, parse_constant=no)

    @property
    def code(self) -> str:
        """Of a problem."""
        assert self.headers["content-type"] == "application/problem+json", self.body[:200]
        problem = self.json
        assert problem["type"] == f"urn:g6:error:{problem['title']}" and problem["status"] == self.status
        return str(problem["title"])


class Site:
    """A sink that serves, and a client of it."""

    def __init__(self, sink: WebSink) -> None:
        self.sink = sink

    @property
    def port(self) -> int:
        assert self.sink.port
        return self.sink.port

    def get(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def api(self, path: str, **headers: str) -> Answer:
        return self.get(f"/api/v1/{path}", **headers)


def served_context(place: Path, **settings: Any) -> Context:
    """What the engine would lend, with an HTTP port that is free."""
    return replace(lent_context(place), http=Http(HttpSettings(port=0, **settings), Health()))


def recorded(place: Path, snapshots: Sequence[Snapshot], alerts: Sequence[Alert] = ()) -> None:
    """Into the journal, as the recorder does before any sink hears of it."""
    journal = Journal(place, ["web"])
    encoded = [journal.encode(s) for s in snapshots]
    for path in dict.fromkeys(e.path for e in encoded):
        journal.append(path, [e for e in encoded if e.path == path])
        rows = [
            (_micros(a.ts), a.index, a.rule, a.key, a.severity, a.state, a.summary, json.dumps(dict(a.labels)))
            for a in alerts
            if f"{a.ts:%Y-%m-%d}" == path.stem
        ]
        journal.commit_alerts(path, rows, None, {})
    journal.close()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return served_context(tmp_path)


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., None]:
    """`record(snapshots, alerts)`: into the journal of `context`."""
    return partial(recorded, tmp_path)


@pytest.fixture
def opened(context: Context) -> Iterator[Callable[..., Site]]:
    """`opened(**settings)`: a sink that serves on a port of its own."""
    with opening() as start:
        yield lambda **settings: start(context, **settings)


@contextmanager
def opening() -> Iterator[Callable[..., Site]]:
    """`start(context, **settings)`: a sink that serves, closed in the end."""
    sinks: list[WebSink] = []

    def start(context: Context, **settings: Any) -> Site:
        sink = WebSink(Settings(**settings))
        sink.open(context)
        sinks.append(sink)
        return Site(sink)

    yield start
    for sink in sinks:
        sink.close()


@pytest.fixture
def site(opened: Callable[..., Site]) -> Site:
    return opened()


def _micros(ts: datetime) -> int:
    return round(ts.timestamp() * 1_000_000)

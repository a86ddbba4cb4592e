"""The API of a recorder as a person runs it: `g6 run` with the plugin `web`."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from g6core.records import Records

PATIENCE = 60.0


class Recorder:
    """A running `g6 run`, and a client of its port."""

    def __init__(self, started: Any, log: Path) -> None:
        self.started = started
        self._log = log
        self.port = int(self._wait_for(r"API at http://127\.0\.0\.1:(\d+)/"))

    def _wait_for(self, pattern: str) -> str:
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.said)):
            assert time.monotonic() < end, self.said
            time.sleep(0.02)
        return found[1]

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8")

    def open(self, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path)
        return connection.getresponse()

    def json(self, path: str) -> Any:
        answer = self.open(path)
        assert answer.status == 200, answer.read()
        return json.loads(answer.read())


@pytest.fixture
def recorder(tmp_path: Path, clean_env: Callable[..., dict[str, str]], launcher: Any) -> Iterator[Callable[..., Any]]:
    """`with recorder() as r:` a recorder of the synthetic market that serves on a free port."""

    @contextmanager
    def run(**variables: str) -> Iterator[Recorder]:
        env = clean_env(G6_HTTP__ENABLED="true", G6_HTTP__PORT="0", **variables)
        command = ("-v", "run", "--plugins", "sim,web", "--interval", "250ms", "--data-dir", "data")
        log = tmp_path / "log"
        with open(os.devnull, "rb") as nothing, (tmp_path / "out").open("wb") as out, log.open("wb") as err:
            started = launcher.start("g6core", *command, cwd=tmp_path, env=env, stdio=[nothing, out, err])
        try:
            yield Recorder(started, log)
        finally:
            with suppress(ProcessLookupError):
                started.kill()

    yield run


def next_event(stream: http.client.HTTPResponse) -> dict[str, Any]:
    while not (line := stream.readline()).startswith(b"data: "):
        assert line, "the stream has ended"
    return dict(json.loads(line[6:]))


def test_a_recorder_with_clients(recorder: Callable[..., Any], tmp_path: Path) -> None:
    """What it records is told at once, its pages are there, and clients do not keep it from ending."""
    with recorder() as r:
        streams = [r.open(f"/api/v1/stream{query}") for query in ("", "?index=NIFTY")]
        told = [next_event(streams[1]) for _ in range(2)]
        assert {s["index"] for s in told} == {"NIFTY"} and all(s["simulated"] for s in told)
        assert next_event(streams[0])["v"] == 1

        status = r.json("/api/v1/status")
        assert status["state"] == "recording" and status["simulated"] is True
        assert "web" in status["plugins"] and status["sinks"]["web"]["error"] is None
        selected = {p["name"] for p in r.json("/api/v1/plugins")["plugins"] if p["selected"]}
        assert selected == {"sim", "web"}
        points = r.json("/api/v1/history/NIFTY/spot")["points"]
        assert {s["ts"]: s["facts"]["spot"] for s in told}.items() <= {p["ts"]: p["value"] for p in points}.items()
        assert r.json("/healthz")["status"] in ("ok", "warning")
        assert b"g6_web_streams 2.0" in r.open("/metrics").read()
        assert r.open("/readyz").status == 200

        os.kill(r.started.pid, signal.SIGTERM)
        last = told[-1]
        while (line := streams[1].readline()) != b"":
            last = json.loads(line[6:]) if line.startswith(b"data: ") else last
        assert r.started.wait(PATIENCE) == 0, r.said
    newest = {s.index: s for s in Records(tmp_path / "data").newest()}
    assert newest["NIFTY"].ts >= datetime.fromisoformat(last["ts"]), "nothing was told that is not recorded"
    assert "Traceback" not in r.said


def test_a_token_is_wanted_and_told_nowhere(recorder: Callable[..., Any], tmp_path: Path) -> None:
    token = "a-very-secret-long-token"
    with recorder(G6_HTTP__TOKEN=token) as r:
        assert r.open("/api/v1/indices").status == 401
        assert r.open("/metrics").status == 401
        found = [r.open(f"/api/v1/{path}?token={token}") for path in ("indices", "openapi.json", "journal", "nothing")]
        assert [answer.status for answer in found] == [200, 200, 200, 404]
        assert all(token.encode() not in answer.read() for answer in found)
        os.kill(r.started.pid, signal.SIGINT)
        assert r.started.wait(PATIENCE) == 0
    assert token not in r.said

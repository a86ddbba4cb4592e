"""A recorder as a process, with its HTTP port open on a port that was free."""

from __future__ import annotations

import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 60.0
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Recorder:
    """port: where it answers; log: what it writes to standard error."""

    def __init__(self, place: Path, started: Any) -> None:
        self._place, self._started = place, started
        self.port = self._port()

    @property
    def log(self) -> str:
        return (self._place / "log").read_text("utf-8")

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def metrics(self, cycles: int = 0) -> str:
        """The page, once so many cycles are done."""
        end = time.monotonic() + PATIENCE
        while True:
            page = self.get("/metrics")[1].decode()
            if samples(page).get(("g6_cycle_seconds_count", frozenset()), 0) >= cycles:
                return page
            assert time.monotonic() < end, self.log
            time.sleep(0.1)

    def _port(self) -> int:
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/metrics", self.log)):
            assert time.monotonic() < end, self.log
            time.sleep(0.05)
        return int(found[1])


@contextmanager
def recording(launcher: Any, place: Path, *words: str | Path, env: Mapping[str, str]) -> Iterator[Recorder]:
    """`g6 -v …` in that directory until the block ends."""
    settings = {**env, "G6_HTTP__ENABLED": "true", "G6_HTTP__PORT": "0"}
    with (place / "log").open("wb") as log, (place / "out").open("wb") as out, open(os.devnull) as nothing:
        started = launcher.start("g6core", "-v", *words, cwd=place, env=settings, stdio=(nothing, out, log))
    try:
        yield Recorder(place, started)
    finally:
        os.kill(started.pid, signal.SIGINT)
        started.wait(PATIENCE)


def samples(page: str) -> Samples:
    """The value of each line of a page, by name and labels."""
    found = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.fullmatch(line).groups()  # type: ignore[union-attr]
            found[name, frozenset(LABEL.findall(labels or ""))] = float(value)
    return found

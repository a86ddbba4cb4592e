from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from g6_influx.settings import Settings
from g6_influx.sink import InfluxSink

from g6core import Context
from g6core.exchange import Calendar
from g6core.history import History
from g6core.testing import ManualClock

sys.path.append(str(Path(__file__).parent))
from influx_stub import Stub


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(tmp_path, ManualClock(), Calendar.load(), History(tmp_path))


@pytest.fixture
def stub() -> Iterator[Stub]:
    """The strict server; a test in which it was sent something odd has failed."""
    server = Stub()
    yield server
    server.close()
    assert server.bad == []


@pytest.fixture
def opened(stub: Stub, context: Context) -> Iterator[Callable[..., InfluxSink]]:
    """A further sink of that server."""
    sinks = []

    def open_one(**settings: Any) -> InfluxSink:
        sink = InfluxSink(Settings(**{"url": stub.url, "timeout": "5s", **settings}))
        sink.open(context)
        sinks.append(sink)
        return sink

    yield open_one
    for sink in sinks:
        sink.close()

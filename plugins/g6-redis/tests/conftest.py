from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import redis
from g6_redis.read import latest
from g6_redis.settings import Settings
from g6_redis.sink import RedisSink

from g6core import Context
from g6core.testing.component_contract import lent_context

Rows = list[tuple[str, datetime, str]]
Open = Callable[..., RedisSink]


@pytest.fixture
def server(redis_server: Any) -> Any:
    """The shared one; a test that kills or spoils it takes `own_redis_server`."""
    return redis_server


@pytest.fixture
def prefix() -> str:
    """Keys of this test alone."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def db(server: Any) -> Iterator[redis.Redis]:
    """The server as any client sees it."""
    client = redis.Redis.from_url(server.url, decode_responses=False)
    yield client
    client.close()


@pytest.fixture
def context(tmp_path: Any) -> Context:
    return lent_context(tmp_path)


@pytest.fixture
def opened(server: Any, prefix: str, context: Context) -> Iterator[Open]:
    """A further sink with the keys of this test, as another process or a restart would make it."""
    sinks = []

    def open_one(**settings: Any) -> RedisSink:
        sink = RedisSink(Settings(**{"url": server.url, "prefix": prefix, "timeout": "10s", **settings}))
        sink.open(context)
        sinks.append(sink)
        return sink

    yield open_one
    for sink in sinks:
        sink.close()


@pytest.fixture
def rows(server: Any, prefix: str) -> Callable[[], Rows]:
    """(index, ts, symbol) of every row of the stored snapshots."""

    def read() -> Rows:
        with redis.Redis.from_url(server.url, decode_responses=True) as db:
            names = db.smembers(f"{prefix}:indices")
        found = [s for index in names if (s := latest(server.url, index, prefix=prefix, timeout=10.0))]
        return [(s["index"], s["ts"], symbol) for s in found for symbol in s["options"]["symbol"]]

    return read

"""The promises of every sink, for one that keeps the newest snapshot of each index and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
import redis
from g6_redis.settings import Settings
from g6_redis.sink import RedisSink

from g6core import Snapshot
from g6core.testing import DeliveryContract
from g6core.testing.delivery_contract import Spoil, Trouble
from g6core.testing.sink_contract import Row


class NewestContract(DeliveryContract):
    def expected(self, given: Sequence[Snapshot]) -> Counter[Row]:
        """Each row of the newest snapshot of each index."""
        newest = {s.index: s for s in sorted(given, key=lambda s: s.ts)}
        return super().expected(list(newest.values()))

    @pytest.fixture
    def build(self, server: Any, prefix: str) -> Callable[[], RedisSink]:
        return lambda: RedisSink(Settings(url=server.url, prefix=prefix, timeout=timedelta(seconds=10)))

    @pytest.fixture
    def stored(self, rows: Callable[[], list[Row]]) -> Callable[[], list[Row]]:
        return rows


class TestServerThatDiesAndComesBackEmpty(NewestContract):
    """Refused for good: a key of the index was taken by somebody else, as long as it is."""

    @pytest.fixture
    def server(self, own_redis_server: Any) -> Any:
        return own_redis_server

    @pytest.fixture
    def trouble(self, server: Any, prefix: str, db: redis.Redis) -> Trouble:
        key = f"{prefix}:snapshot:NIFTY"

        @contextmanager
        def trouble(kind: str) -> Iterator[Spoil]:
            if kind == "permanent":
                db.set(key, "somebody else's")
                yield lambda s: s
                db.delete(key)
                return
            server.kill()
            yield lambda s: s
            server.start()

        return trouble


class TestServerWithoutMemory(NewestContract):
    """Refused for good: a table longer than the longest value."""

    @pytest.fixture
    def server(self, own_redis_server: Any) -> Any:
        with redis.Redis.from_url(own_redis_server.url) as db:
            db.config_set("proto-max-bulk-len", 2**20)
        return own_redis_server

    @pytest.fixture
    def trouble(self, db: redis.Redis) -> Trouble:
        @contextmanager
        def trouble(kind: str) -> Iterator[Spoil]:
            if kind == "permanent":
                yield lambda s: s.replace(options=s.options.with_columns(note=pl.lit("x" * 2**17)))
                return
            db.config_set("maxmemory", 1)
            yield lambda s: s
            db.config_set("maxmemory", 0)

        return trouble

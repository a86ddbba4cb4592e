"""Sink `redis`: the latest snapshots in Redis, for screens and other processes; `g6_redis.read` reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g6_redis.settings import Settings
from g6core import SinkSpec, hookimpl

if TYPE_CHECKING:
    from g6_redis.sink import RedisSink


def _build(settings: Settings) -> RedisSink:
    from g6_redis.sink import RedisSink

    return RedisSink(settings)


@hookimpl
def g6_sinks() -> list[SinkSpec]:
    return [SinkSpec("redis", _build, Settings, "the latest snapshots in Redis, for screens and other processes")]

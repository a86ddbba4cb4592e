"""What other processes read: a few functions for a notebook, a screen, a script.

Each takes the address of the server, and by name `prefix` ("g6"), `username`, `password` and `timeout` (2.0 seconds).
They give None for what Redis does not have, and raise Unavailable when it does not answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, TypedDict, Unpack

import polars as pl

from g6_redis.client import Client, connect, place, told
from g6_redis.keys import CHAIN, Keys, chain_field
from g6_redis.packing import frame_of, stamp
from g6core import OPTIONS, DataError

WAIT = 5.0
"""Seconds without a message after which the server is asked all the same."""


class Access(TypedDict, total=False):
    prefix: str
    username: str | None
    password: str | None
    timeout: float


class Latest(TypedDict):
    """A snapshot. ts is aware, UTC; the tables have the columns of g6core's snapshot and those of analytics."""

    index: str
    ts: datetime
    source: str
    facts: dict[str, float]
    expiries: pl.DataFrame
    options: pl.DataFrame


def latest(url: str, index: str, **access: Unpack[Access]) -> Latest | None:
    """The newest snapshot of the index."""
    with _opened(url, **access) as (client, keys):
        return _latest(client, keys, index)


def chain(url: str, index: str, expiry: date, **access: Unpack[Access]) -> pl.DataFrame | None:
    """The newest chain of the index for that expiry: its options, with the time `ts` before them."""
    with _opened(url, **access) as (client, keys):
        key = keys.snapshot(index)
        ts, data = client.hmget(key, "ts", chain_field(expiry))
        return None if data is None else _dated(_frame(data, key), datetime.fromisoformat(ts.decode()))


def instruments(url: str, index: str, day: date, **access: Unpack[Access]) -> pl.DataFrame | None:
    """The contracts of the index that were recorded on that trading day, each once."""
    with _opened(url, **access) as (client, keys):
        return _table(client, keys.instruments(index, day))


def alerts(url: str, **access: Unpack[Access]) -> list[dict[str, Any]]:
    """The newest alerts, oldest first: rule, index, ts, key, severity, state, summary, labels."""
    with _opened(url, **access) as (client, keys):
        found = [json.loads(text) for text in client.zrange(keys.alerts, 0, -1)]
        return [{**alert, "ts": datetime.fromisoformat(alert["ts"])} for alert in found]


def subscribe(url: str, indices: Sequence[str] = (), **access: Unpack[Access]) -> Iterator[Latest]:
    """The newest snapshot of each index now, and then each that comes; of all indices when none is named.

    Who is slow misses those in between and gets the newest. Unavailable ends it when the connection is lost.
    """
    with _opened(url, **access) as (client, keys), client.pubsub(ignore_subscribe_messages=True) as channel:
        # Before the first look, so that nothing falls between.
        channel.subscribe(*map(keys.snapshots_of, indices) if indices else [keys.snapshots])
        seen: dict[str, str] = {}
        while True:
            for index in indices or _indices(client, keys):
                ts = client.hget(keys.snapshot(index), "ts")
                if ts and ts.decode() > seen.get(index, "") and (found := _latest(client, keys, index)):
                    seen[index] = stamp(found["ts"])
                    yield found
            channel.get_message(timeout=WAIT)
            while channel.get_message():
                pass


@contextmanager
def _opened(
    url: str, prefix: str = "g6", username: str | None = None, password: str | None = None, timeout: float = 2.0
) -> Iterator[tuple[Client, Keys]]:
    client = connect(url, username, password, timeout)
    try:
        with told(place(url)):
            yield client, Keys(prefix)
    finally:
        client.close()


def _indices(client: Client, keys: Keys) -> list[str]:
    return sorted(name.decode() for name in client.smembers(keys.indices))


def _latest(client: Client, keys: Keys, index: str) -> Latest | None:
    key = keys.snapshot(index)
    fields = client.hgetall(key)
    if not fields:
        return None
    return {
        "index": index,
        "ts": datetime.fromisoformat(fields[b"ts"].decode()),
        "source": fields[b"source"].decode(),
        "facts": json.loads(fields[b"facts"]),
        "expiries": _frame(fields[b"expiries"], key),
        "options": _options(fields, key),
    }


def _options(fields: Mapping[bytes, bytes], key: str) -> pl.DataFrame:
    """All chains, by expiry; a snapshot that had no options has no chain."""
    names = sorted(name for name in fields if name.startswith(CHAIN.encode()))
    return pl.concat([_frame(fields[name], key) for name in names]) if names else pl.DataFrame(schema=OPTIONS)


def _dated(chain: pl.DataFrame, ts: datetime) -> pl.DataFrame:
    return chain.select(pl.lit(ts, pl.Datetime("us", "UTC")).alias("ts"), pl.exclude("ts"))


def _table(client: Client, key: str) -> pl.DataFrame | None:
    data = client.get(key)
    return None if data is None else _frame(data, key)


def _frame(data: bytes, key: str) -> pl.DataFrame:
    try:
        return frame_of(data)
    except pl.exceptions.PolarsError as e:
        raise DataError(f"the key {key} in Redis holds no table: {e}") from e

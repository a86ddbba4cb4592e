"""The way to Redis: a client whose every call ends in time, and its errors as a person wants to hear them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from g6core import G6Error, Rejected, Unavailable

if TYPE_CHECKING:
    from g6_redis.settings import Settings

Client = Any
"""`redis.Redis`; its own type hints say less than they should."""

TROUBLE: tuple[tuple[tuple[type[RedisError], ...], str, str], ...] = (
    ((BusyLoadingError,), "LOADING", "nothing; it reads its data from disk and answers soon"),
    (
        (AuthenticationError, AuthorizationError),
        "NOAUTH",
        "set `password` (the variable REDIS_PASSWORD) as the server wants it, and `username` where Redis has users",
    ),
    ((NoPermissionError,), "NOPERM", "let the user of `username` run eval, get, set, hset, zadd, publish on its keys"),
    ((ReadOnlyError,), "READONLY", "this is a replica: set `url` to the primary"),
    ((OutOfMemoryError,), "OOM", "raise `maxmemory` of the server, set its policy to allkeys-lru, or shorten `ttl`"),
    ((), "MISCONF", "the server cannot save to its disk: see its log, or set `stop-writes-on-bgsave-error no` there"),
    ((MovedError,), "MOVED", "this is a cluster: set `url` to a Redis that is none"),
    ((ClusterCrossSlotError,), "CROSSSLOT", "this is a cluster: set `url` to a Redis that is none"),
)
"""What makes Redis refuse for a while: kinds of errors, a word in the text, what to do."""


def connect(url: str, username: str | None, password: str | None, timeout: float) -> Client:
    """A client; nothing is sent yet. timeout: seconds for connecting, for sending and for each answer."""
    return redis.Redis.from_url(
        url,
        username=username,
        password=password,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        # Its own way asks for seconds on end; asking again is the business of the caller.
        retry=Retry(NoBackoff(), 0),
    )


def connect_as(settings: Settings) -> Client:
    password = settings.password.get_secret_value() if settings.password else None
    return connect(settings.url, settings.username, password, settings.timeout.total_seconds())


def place(url: str) -> str:
    """The address without options and without whoever logs in."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextmanager
def told(where: str) -> Iterator[None]:
    """What Redis raises within, as G6 says it."""
    try:
        yield
    except RedisError as e:
        raise translated(e, where) from e


def translated(e: RedisError, where: str) -> G6Error:
    """Unavailable, or Rejected where repeating would never help."""
    text = str(e)
    if isinstance(e, ResponseError) and "WRONGTYPE" in text:
        return Rejected(
            "a key of this sink holds something else in Redis",
            where=where,
            note=text,
            hint="delete that key, or set another `prefix`",
        )
    for kinds, word, hint in TROUBLE:
        if isinstance(e, kinds) or (isinstance(e, ResponseError) and word in text):
            return Unavailable(f"Redis refuses: {text}", where=where, hint=hint)
    if isinstance(e, ResponseError):
        return Unavailable(f"Redis refuses: {text}", where=where, hint="see the log of the server")
    return Unavailable(
        f"Redis does not answer: {text}", where=where, hint="start it, or mend `url`; nothing else waits for it"
    )

"""What another process follows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from g6_redis import read
from g6_redis.sink import RedisSink

from g6core import DataError, Unavailable
from g6core.testing import snapshots

Open = Callable[..., RedisSink]


def test_a_subscriber_gets_what_is_there_and_then_what_comes(opened: Open, server: Any, prefix: str) -> None:
    sink = opened()
    nifty, bank = snapshots(4, strikes=3), snapshots(4, "BANKNIFTY", strikes=3)
    sink.write([nifty[0], bank[0]])
    following = read.subscribe(server.url, prefix=prefix)
    assert [(s["index"], s["ts"]) for s in (next(following), next(following))] == [
        ("BANKNIFTY", bank[0].ts),
        ("NIFTY", nifty[0].ts),
    ]
    for s in (nifty[1], bank[1], nifty[2]):
        sink.write([s])
        found = next(following)
        assert (found["index"], found["ts"]) == (s.index, s.ts)
        assert found["options"].equals(s.options)
    following.close()


def test_a_slow_subscriber_gets_the_newest(opened: Open, server: Any, prefix: str) -> None:
    sink = opened()
    batch = snapshots(30, strikes=3)
    following = read.subscribe(server.url, ["NIFTY"], prefix=prefix)
    sink.write([batch[0]])
    assert next(following)["ts"] == batch[0].ts
    for s in batch[1:-1]:
        sink.write([s])
    assert next(following)["ts"] == batch[-2].ts
    later = threading.Timer(0.3, lambda: sink.write([batch[-1]]))
    later.start()
    assert next(following)["ts"] == batch[-1].ts
    later.join()
    following.close()


def test_a_subscriber_of_one_index_gets_no_other(opened: Open, server: Any, prefix: str) -> None:
    sink = opened()
    nifty, bank = snapshots(2, strikes=3), snapshots(2, "BANKNIFTY", strikes=3)
    sink.write([nifty[0], bank[0]])
    following = read.subscribe(server.url, ["NIFTY"], prefix=prefix)
    assert next(following)["index"] == "NIFTY"
    sink.write([bank[1], nifty[1]])
    assert next(following)["index"] == "NIFTY"
    following.close()


def test_a_subscriber_is_told_of_a_message_that_was_missed(opened: Open, server: Any, prefix: str) -> None:
    """With `publish` off there are no messages at all, and it still comes."""
    sink = opened(publish=False)
    first, second = snapshots(2, strikes=3)
    sink.write([first])
    following = read.subscribe(server.url, prefix=prefix)
    next(following)
    sink.write([second])
    assert next(following)["ts"] == second.ts
    following.close()


def test_a_server_that_dies_ends_it_with_a_word(own_redis_server: Any, prefix: str) -> None:
    following = read.subscribe(own_redis_server.url, prefix=prefix)
    end = threading.Timer(0.3, own_redis_server.kill)
    end.start()
    with pytest.raises(Unavailable) as caught:
        next(following)
    end.join()
    assert caught.value.where == (own_redis_server.url,)


def test_a_password_in_a_readers_address_is_not_shown(own_redis_server: Any) -> None:
    own_redis_server.kill()
    address = own_redis_server.url.replace("redis://", "redis://somebody:a-secret-word@")
    with pytest.raises(Unavailable) as caught:
        read.latest(address, "NIFTY")
    assert "a-secret-word" not in caught.value.render()
    assert caught.value.where == (own_redis_server.url,)


def test_what_is_no_table_is_said(server: Any, prefix: str, db: redis.Redis) -> None:
    db.set(f"{prefix}:instruments:NIFTY:2026-08-17", b"no table")
    with pytest.raises(DataError, match="holds no table"):
        read.instruments(server.url, "NIFTY", snapshots(1)[0].ts.date(), prefix=prefix)


def test_a_word_that_nobody_knows_is_refused(server: Any) -> None:
    with pytest.raises(TypeError, match="prefx"):
        read.latest(server.url, "NIFTY", prefx="x")  # type: ignore[call-arg]

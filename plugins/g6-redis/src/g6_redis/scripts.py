"""What Redis does in one step, so that nobody sees half of it and no older snapshot replaces a newer one.

Sent whole each time (EVAL): Redis compiles a text once, and one that forgot its scripts needs no second question.
"""

from __future__ import annotations

from g6_redis.keys import Keys
from g6_redis.packing import Packed

STORE = """
local snapshot, overview, indices = KEYS[1], KEYS[2], KEYS[3]
local ts, ttl, index, message, channel, channel_of_index = unpack(ARGV, 1, 6)
local fields = 2 * tonumber(ARGV[7])
-- A key of another type stops the script here, before anything is changed.
local stored = redis.call('HGET', snapshot, 'ts')
redis.call('HLEN', overview)
redis.call('SCARD', indices)
if stored and stored >= ts then return 0 end
redis.call('DEL', snapshot, overview)
redis.call('HSET', snapshot, unpack(ARGV, 8, 7 + fields))
redis.call('PEXPIRE', snapshot, ttl)
redis.call('HSET', overview, unpack(ARGV, 8 + fields))
redis.call('PEXPIRE', overview, ttl)
redis.call('SADD', indices, index)
redis.call('PEXPIRE', indices, ttl)
if message ~= '' then
    redis.call('PUBLISH', channel, message)
    redis.call('PUBLISH', channel_of_index, message)
end
return 1
"""
"""1 when the snapshot was stored, 0 when the stored one is as new or newer."""

ADD_ALERT = """
local alerts, ttl, most, publish = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local score, text = ARGV[4], ARGV[5]
local given = cjson.decode(text)
for _, other in ipairs(redis.call('ZRANGEBYSCORE', alerts, score, score)) do
    local o = cjson.decode(other)
    if o.rule == given.rule and o.index == given.index and o.key == given.key then return 0 end
end
redis.call('ZADD', alerts, score, text)
redis.call('ZREMRANGEBYRANK', alerts, 0, -most - 1)
redis.call('PEXPIRE', alerts, ttl)
if publish then redis.call('PUBLISH', alerts, text) end
return 1
"""
"""1 when the alert is new."""

MOST_ALERTS = 1000


def store(packed: Packed, keys: Keys, ttl: int, publish: bool) -> list[str | int | bytes]:
    """The words of EVAL for a snapshot; ttl in milliseconds."""
    index = packed.index
    names = [keys.snapshot(index), keys.overview(index), keys.indices]
    message = packed.message if publish else ""
    told: list[str | int | bytes] = [
        packed.ts,
        ttl,
        index,
        message,
        keys.snapshots,
        keys.snapshots_of(index),
        len(packed.fields),
    ]
    return [
        STORE,
        len(names),
        *names,
        *told,
        *(word for pair in packed.fields.items() for word in pair),
        *(word for pair in packed.overview.items() for word in pair),
    ]


def add_alert(text: str, at: int, keys: Keys, ttl: int, publish: bool) -> list[str | int | bytes]:
    """The words of EVAL for an alert, of which `text` is the JSON; `at`, its time in microseconds since 1970."""
    return [ADD_ALERT, 1, keys.alerts, ttl, MOST_ALERTS, int(publish), at, text]

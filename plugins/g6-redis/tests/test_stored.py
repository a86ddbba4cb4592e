"""What stands in Redis, as any client and any Arrow library sees it."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pyarrow.ipc
import pytest
import redis
from g6_redis import read
from g6_redis.settings import Settings
from g6_redis.sink import RedisSink
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from g6core import CONTRACTS, OPTIONS, Alert, Rejected
from g6core.testing import START, snapshot, snapshots

Open = Callable[..., RedisSink]
TODAY = date(2026, 8, 17)


def test_the_newest_snapshot_comes_back_as_it_was(opened: Open, server: Any, prefix: str) -> None:
    first, second = snapshots(2)
    opened().write([first, second])
    found = read.latest(server.url, "NIFTY", prefix=prefix)
    assert found
    assert (found["index"], found["ts"], found["source"]) == ("NIFTY", second.ts, "fake")
    assert found["facts"] == second.facts
    assert found["options"].equals(second.options) and found["options"].schema == second.options.schema
    assert found["expiries"].equals(second.expiries) and found["expiries"].schema == second.expiries.schema


def test_what_is_not_there_is_none(server: Any, prefix: str) -> None:
    assert read.latest(server.url, "NIFTY", prefix=prefix) is None
    assert read.chain(server.url, "NIFTY", TODAY, prefix=prefix) is None
    assert read.instruments(server.url, "NIFTY", TODAY, prefix=prefix) is None
    assert read.alerts(server.url, prefix=prefix) == []


def test_a_chain_is_one_table_that_any_arrow_library_reads(
    opened: Open, server: Any, prefix: str, db: redis.Redis
) -> None:
    s = snapshot(expiries=2)
    opened().write([s])
    for expiry in s.expiries["expiry"]:
        table = pyarrow.ipc.open_stream(db.hget(f"{prefix}:snapshot:NIFTY", f"chain:{expiry}")).read_all()
        wanted = s.options.filter(pl.col("expiry") == expiry)
        assert table["symbol"].to_pylist() == wanted["symbol"].to_list()
        chain = read.chain(server.url, "NIFTY", expiry, prefix=prefix)
        assert chain is not None and set(chain["ts"]) == {s.ts} and chain.drop("ts").equals(wanted)


def test_an_expiry_that_is_no_longer_selected_is_gone(opened: Open, server: Any, prefix: str) -> None:
    first, second = snapshots(2, expiries=2)
    near, far = first.expiries["expiry"]
    opened().write([first])
    opened().write([second.replace(options=second.options.filter(expiry=far), expiries=second.expiries.tail(1))])
    found = read.latest(server.url, "NIFTY", prefix=prefix)
    assert found and found["options"].equals(second.options.filter(expiry=far))
    assert read.chain(server.url, "NIFTY", near, prefix=prefix) is None


def test_a_snapshot_without_options_is_one(opened: Open, server: Any, prefix: str) -> None:
    s = snapshot()
    opened().write([s.replace(options=s.options.clear(), expiries=s.expiries.clear())])
    found = read.latest(server.url, "NIFTY", prefix=prefix)
    assert found and found["ts"] == s.ts and found["options"].schema == pl.Schema(OPTIONS)
    assert found["options"].is_empty() and found["expiries"].is_empty()


def test_a_column_called_ts_stays_in_the_snapshot(opened: Open, server: Any, prefix: str) -> None:
    s = snapshot(expiries=1)
    s = s.replace(options=s.options.with_columns(ts=pl.lit(1)))
    opened().write([s])
    chain = read.chain(server.url, "NIFTY", s.expiries["expiry"][0], prefix=prefix)
    found = read.latest(server.url, "NIFTY", prefix=prefix)
    assert chain is not None and set(chain["ts"]) == {s.ts}
    assert found and found["options"].equals(s.options)


def test_the_overview_is_plain_text(opened: Open, prefix: str, db: redis.Redis) -> None:
    s = snapshot(expiries=2)
    codes = pl.Series("codes", [["this_week", "this_month"], ["next_week"]])
    s = s.replace(expiries=s.expiries.with_columns(codes, pl.Series("pcr_oi", [0.75, None])))
    opened().write([s])
    found = {name.decode(): text.decode() for name, text in db.hgetall(f"{prefix}:overview:NIFTY").items()}
    assert datetime.fromisoformat(found.pop("ts")) == s.ts
    assert found.pop("source") == "fake"
    assert {name: float(text) for name, text in found.items()} == {
        **s.facts,
        "pcr_this_week": 0.75,
        "pcr_this_month": 0.75,
    }


def test_a_fact_that_is_gone_leaves_the_overview(opened: Open, prefix: str, db: redis.Redis) -> None:
    first, second = snapshots(2)
    opened().write([first])
    opened().write([second.replace(facts={"spot": 1.5})])
    assert set(db.hgetall(f"{prefix}:overview:NIFTY")) == {b"ts", b"source", b"spot"}


def test_every_key_has_an_end_and_the_prefix(opened: Open, prefix: str, db: redis.Redis) -> None:
    sink = opened(ttl="1h")
    sink.write([snapshot(), snapshot("BANKNIFTY")])
    sink.write_alerts([Alert("rule", "NIFTY", START, "look")])
    keys = [key for key in db.scan_iter(match=f"{prefix}:*")]
    assert len(keys) == 2 * 3 + 2
    assert {0 < db.pttl(key) <= 3_600_000 for key in keys} == {True}


def test_a_key_lives_as_long_as_was_set(opened: Open, prefix: str, db: redis.Redis) -> None:
    opened(ttl="1s").write([snapshot()])
    with db.pubsub() as wait:
        wait.subscribe("nothing")
        for _ in range(30):
            wait.get_message(timeout=0.1)
            if not list(db.scan_iter(match=f"{prefix}:*")):
                return
    pytest.fail("the keys are still there")


def test_an_older_snapshot_of_another_process_changes_nothing(opened: Open, server: Any, prefix: str) -> None:
    first, second = snapshots(2)
    opened().write([second])
    opened().write([first])
    found = read.latest(server.url, "NIFTY", prefix=prefix)
    assert found and found["ts"] == second.ts


DELIVERIES = st.lists(st.tuples(st.integers(0, 1), st.lists(st.integers(0, 7), max_size=4)), min_size=1, max_size=6)
MARKET = [s for index in ("NIFTY", "BANKNIFTY") for s in snapshots(4, index, strikes=3, expiries=1)]


@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(deliveries=DELIVERIES)
def test_any_deliveries_by_two_processes_leave_the_newest(
    opened: Open, server: Any, prefix: str, db: redis.Redis, deliveries: list[tuple[int, list[int]]]
) -> None:
    sinks = [opened(), opened()]
    with db.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(f"{prefix}:snapshots")
        channel.get_message(timeout=1)
        for which, numbers in deliveries:
            sinks[which].write([MARKET[n] for n in numbers])
        told = [json.loads(m["data"]) for m in iter(lambda: channel.get_message(timeout=0.01), None)]
    given_times: dict[str, set[datetime]] = {}
    for n in (n for _, numbers in deliveries for n in numbers):
        given_times.setdefault(MARKET[n].index, set()).add(MARKET[n].ts)
    for index in ("NIFTY", "BANKNIFTY"):
        found = read.latest(server.url, index, prefix=prefix)
        assert (found and found["ts"]) == max(given_times.get(index, ()), default=None)
        times = [m["ts"] for m in told if m["index"] == index]
        assert times == sorted(set(times)), "each is told once, and never an older one after a newer one"
    for key in db.scan_iter(match=f"{prefix}:*"):
        db.delete(key)


def test_contracts_of_a_day_are_collected(opened: Open, server: Any, prefix: str) -> None:
    low, high = snapshot(strikes=5), snapshot(ts=START + timedelta(minutes=1), strikes=9)
    early = low.replace(options=low.options.head(6))
    opened().write([early, low.replace(ts=START + timedelta(seconds=1), options=low.options.tail(8))])
    other_process = opened()
    other_process.write([high])
    other_process.write([high.replace(ts=high.ts + timedelta(minutes=1), options=high.options.head(4))])
    found = read.instruments(server.url, "NIFTY", TODAY, prefix=prefix)
    everything = pl.concat([early.options, low.options.tail(8), high.options])
    assert found is not None
    assert found.schema == pl.Schema(CONTRACTS)
    assert found["symbol"].to_list() == found.sort("expiry", "strike", "right")["symbol"].to_list()
    assert sorted(found["symbol"]) == sorted(set(everything["symbol"]))


def test_contracts_are_of_the_date_in_india(opened: Open, server: Any, prefix: str) -> None:
    late = START.replace(hour=18, minute=29)
    opened().write([snapshot(ts=late), snapshot(ts=late + timedelta(minutes=1))])
    days = [read.instruments(server.url, "NIFTY", TODAY + timedelta(days=n), prefix=prefix) for n in range(3)]
    assert [frame is not None for frame in days] == [True, True, False]


def test_both_channels_tell_of_a_snapshot(opened: Open, prefix: str, db: redis.Redis) -> None:
    s = snapshot()
    with db.pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe(f"{prefix}:*")
        channel.get_message(timeout=1)
        opened().write([s])
        opened(publish=False).write([s.replace(ts=s.ts + timedelta(minutes=1))])
        told = [m for m in iter(lambda: channel.get_message(timeout=0.2), None)]
    assert [m["channel"].decode() for m in told] == [f"{prefix}:snapshots", f"{prefix}:snapshots:NIFTY"]
    assert [json.loads(m["data"]) for m in told] == 2 * [
        {"index": "NIFTY", "ts": "2026-08-17T04:00:00.000000+00:00", "source": "fake", "options": s.options.height}
    ]


def test_an_alert_is_kept_once_whoever_tells_it_how_often(opened: Open, server: Any, prefix: str) -> None:
    alert = Alert("pcr_high", "NIFTY", START, "PCR 1.6 über 1.5 ₹", key="this_week", labels={"expiry": "this_week"})
    others = [
        Alert("pcr_high", "NIFTY", START, "another key", key="next_week"),
        Alert("pcr_low", "NIFTY", START, "another rule", key="this_week"),
        Alert("pcr_high", "BANKNIFTY", START, "another index", key="this_week"),
        Alert("pcr_high", "NIFTY", START + timedelta(microseconds=1), "another time", key="this_week"),
    ]
    opened().write_alerts([alert, alert])
    opened().write_alerts([alert, *others])
    opened().write_alerts([Alert("pcr_high", "NIFTY", START, "in other words", key="this_week")])
    found = read.alerts(server.url, prefix=prefix)
    assert {a["summary"] for a in found} == {alert.summary, *(o.summary for o in others)}
    assert len(found) == 5
    (first,) = [a for a in found if a["summary"] == alert.summary]
    assert first == {**alert.__dict__, "labels": {"expiry": "this_week"}}


def test_the_newest_thousand_alerts_are_kept_by_time(opened: Open, server: Any, prefix: str) -> None:
    made = [Alert("rule", "NIFTY", START + timedelta(seconds=n), str(n)) for n in range(1005)]
    sink = opened()
    sink.write_alerts(made[500:])
    sink.write_alerts(made[:500])
    assert [a["summary"] for a in read.alerts(server.url, prefix=prefix)] == [str(n) for n in range(5, 1005)]


def test_an_alert_is_told_once(opened: Open, prefix: str, db: redis.Redis) -> None:
    with db.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(f"{prefix}:alerts")
        channel.get_message(timeout=1)
        for _ in range(2):
            opened().write_alerts([Alert("rule", "NIFTY", START, "look", severity="critical")])
        told = [json.loads(m["data"]) for m in iter(lambda: channel.get_message(timeout=0.2), None)]
    assert [(a["summary"], a["severity"]) for a in told] == [("look", "critical")]


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda s: s.replace(facts={**s.facts, "x": math.nan}),
        lambda s: s.replace(options=s.options.with_columns(pl.Series("x", [object()] * s.options.height))),
    ],
)
def test_what_neither_arrow_nor_json_can_hold_is_rejected(opened: Open, spoilt: Callable[..., Any]) -> None:
    with pytest.raises(Rejected) as caught:
        opened().write([spoilt(snapshot())])
    assert caught.value.code == "bad-frame"


def test_two_sinks_of_one_place_are_told_apart_by_the_prefix(tmp_path: Any) -> None:
    places = [
        RedisSink(Settings(**given)).place(tmp_path)
        for given in ({}, {"prefix": "other"}, {"url": "redis://127.0.0.1:6379/1"}, {"username": "x"})
    ]
    assert places[0] == places[3]
    assert len(set(places)) == 3


def test_tables_are_not_compressed(opened: Open, prefix: str, db: redis.Redis) -> None:
    """Compressed ones are not read by every Arrow library."""
    s = snapshot()
    opened().write([s])
    chain = s.options.filter(expiry=s.options["expiry"][0])
    data = db.hget(f"{prefix}:snapshot:NIFTY", f"chain:{chain['expiry'][0]}")
    assert chain["symbol"][0].encode() in data
    assert pl.read_ipc_stream(io.BytesIO(data)).equals(chain)


BESIDE_ANOTHER_SINK = """
import threading, time
from g6_redis.packing import packed
from g6core.testing import snapshot

s, end = snapshot(strikes=3), time.monotonic() + 1
other = threading.Thread(target=lambda: [s.options.columns for _ in iter(lambda: time.monotonic() > end, True)])
other.start()
while time.monotonic() < end:
    packed(s)
other.join()
"""


def test_another_sink_may_look_at_the_same_snapshot_meanwhile() -> None:
    """In a process of its own: two threads that wait for one another would hold up everything."""
    done = subprocess.run([sys.executable, "-c", BESIDE_ANOTHER_SINK], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

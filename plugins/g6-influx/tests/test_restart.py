"""A server that was restarted may have lost what it had taken: it gets that once more."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from g6_influx.settings import Settings
from g6_influx.sink import InfluxSink
from influx_stub import METRICS, Stub, says

from g6core import Context, Unavailable
from g6core.testing import snapshot, snapshots
from g6core.testing.delivery_contract import Recorder

Open = Callable[..., InfluxSink]
Record = Callable[..., Recorder]


@pytest.fixture
def record(context: Context) -> Iterator[Record]:
    made = []

    def start(**settings: Any) -> Recorder:
        sink = InfluxSink(Settings(**settings))
        sink.open(context)
        made.append(Recorder(sink, context))
        made[-1].start()
        return made[-1]

    yield start
    for recorder in made:
        recorder.close()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_a_restarted_server_lost_is_written_again(stub: Stub, record: Record) -> None:
    batch = snapshots(6)
    recorder = record(url=stub.url, ack_delay="500ms")
    recorder.record(batch[:3])
    until(lambda: recorder.runner.state.written == 3)
    stub.restart()
    recorder.record(batch[3:])
    assert recorder.drained()
    assert len({p.micros for p in stub.of("options")}) == 6
    assert len(stub.of("options")) == sum(s.options.height for s in batch)
    assert "restarted" not in str(recorder.runner.state.error)


def test_a_restart_is_noticed_once(opened: Open, stub: Stub) -> None:
    sink = opened()
    sink.write([snapshot()])
    sink.confirm()
    stub.restart()
    with pytest.raises(Unavailable, match="restarted"):
        sink.confirm()
    sink.write([snapshot()])
    sink.confirm()
    stub.restart()
    with pytest.raises(Unavailable, match="restarted"):
        sink.confirm()


def test_requests_that_are_shared_out_to_several_servers_come_to_an_end(opened: Open, stub: Stub) -> None:
    sink = opened()
    sink.write([snapshot()])
    refused = 0
    for n in range(10):
        stub.start = 1_795_000_000.25 + 60 * (n % 2)
        try:
            sink.confirm()
        except Unavailable:
            refused += 1
    assert refused == 1


def test_a_server_that_does_not_tell_is_believed(opened: Open, stub: Stub) -> None:
    stub.start = None
    sink = opened()
    sink.write([snapshot()])
    sink.confirm()


def test_a_server_that_cannot_tell_at_the_moment_is_asked_later(opened: Open, stub: Stub) -> None:
    sink = opened()
    sink.write([snapshot()])
    stub.faults[METRICS] = says(503)
    with pytest.raises(Unavailable, match="does not say"):
        sink.confirm()
    del stub.faults[METRICS]
    sink.confirm()


def test_a_proxy_without_metrics_does_not_keep_points_away(opened: Open, stub: Stub) -> None:
    stub.faults[METRICS] = says(503)
    sink = opened()
    sink.write([snapshot()])
    sink.confirm()
    assert stub.of("options")


def test_a_killed_victoria_metrics_is_noticed(own_victoria_metrics: Any, opened: Open) -> None:
    sink = opened(url=own_victoria_metrics.url)
    sink.write([snapshot()])
    sink.confirm()
    own_victoria_metrics.kill()
    with pytest.raises(Unavailable, match="does not answer"):
        sink.confirm()
    time.sleep(1.05)  # it tells whole seconds
    own_victoria_metrics.start()
    with pytest.raises(Unavailable, match="restarted"):
        sink.confirm()
    sink.confirm()


def test_nothing_is_lost_when_victoria_metrics_is_killed(own_victoria_metrics: Any, record: Record) -> None:
    """It loses what it has taken in its last seconds; a killed one is noticed by its start."""
    server = own_victoria_metrics
    time.sleep(1.05)
    batch = snapshots(8)
    recorder = record(url=server.url, ack_delay="2s")
    for upto in (3, 6):
        recorder.record(batch[upto - 3 : upto])
        until(lambda: recorder.runner.state.written >= upto)  # noqa: B023
        server.kill()
        time.sleep(1.05)
        server.start()
    recorder.record(batch[6:])
    assert recorder.drained()
    server.get("/internal/force_flush")
    lines = server.get("/api/v1/export?match[]=overview_spot").splitlines()
    assert [len(json.loads(line)["timestamps"]) for line in lines] == [8]
    rows = sum(len(json.loads(line)["values"]) for line in server.get("/api/v1/export?match[]=options_oi").splitlines())
    assert rows == sum(s.options["oi"].count() for s in batch)
    assert recorder.dead_letters() == []

"""What becomes of a write when the server is unwell."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from email.utils import format_datetime

import pytest
from g6_influx import sink as sink_module
from g6_influx.sink import InfluxSink
from influx_stub import METRICS, WRITE, Fault, Handler, Stub, breaks_off, drips, hangs, says

from g6core import G6Error, Rejected, Unavailable
from g6core.testing import START, snapshot, snapshots

Open = Callable[..., InfluxSink]
PAGE = "<html><head><title>Sign in</title></head><body>Please <b>log in</b></body></html>"
TOKEN = "s3cr3t-t0ken-0123456789abcdef=="


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (says(500, '{"code":"internal error","message":"engine closed"}'), "500: engine closed"),
        (says(502, PAGE, "text/html"), "502: Please log in"),
        (says(503), "503: Service Unavailable"),
        (says(429, '{"message":"org over its limit"}'), "429: org over its limit"),
        (says(408), "408"),
        (says(400, PAGE, "text/html"), "400: Please log in"),
        (says(405), "405"),
        (says(200, PAGE, "text/html"), "answers 200, with a page"),
        (says(500, "\xff", "text/plain; charset=latin-1"), "500"),
        (says(500, '{"message": 7}'), "500: 7"),
        (says(500, "[]"), r"500: \[\]"),
        (breaks_off, "does not answer"),
    ],
)
def test_trouble_of_the_server_is_for_later(opened: Open, stub: Stub, fault: Fault, message: str) -> None:
    sink = opened()
    stub.faults[WRITE] = fault
    with pytest.raises(Unavailable, match=message):
        sink.write([snapshot()])
    del stub.faults[WRITE]
    sink.write([snapshot()])
    assert len(stub.of("options")) == snapshot().options.height


@pytest.mark.parametrize(
    ("status", "full"), [(500, True), (503, True), (400, False)], ids=["500", "503", "quoted-in-400"]
)
def test_a_server_without_room_says_so(opened: Open, stub: Stub, status: int, full: bool) -> None:
    """As InfluxDB does. In a refusal of points the words may be those of an alert, and are then no reason to wait."""
    said = "engine: error writing WAL entry: write /var/lib/00001.wal: no space left on device"
    stub.faults[WRITE] = says(status, f'{{"code":"internal error","message":"{said}"}}')
    with pytest.raises(G6Error, match="no space left") as caught:
        opened().write([snapshot()])
    assert isinstance(caught.value, Unavailable) == full
    assert (caught.value.code == "disk-full") == full


def test_snapshots_are_not_encoded_for_a_server_that_still_hangs(opened: Open, stub: Stub) -> None:
    sink = opened(timeout="200ms")
    sink.write([snapshot()])
    stub.faults.update({WRITE: hangs, METRICS: hangs})
    for _ in range(3):
        with pytest.raises(Unavailable, match=r"within 0\.2 s"):
            sink.write(snapshots(2))
    assert stub.asked[-3:] == [WRITE, METRICS, METRICS]
    stub.faults.clear()
    sink.write(snapshots(2))
    assert len({p.micros for p in stub.of("options")}) == 2


@pytest.mark.parametrize("status", [400, 422])
def test_points_that_are_refused_are_rejected_with_the_servers_words(opened: Open, stub: Stub, status: int) -> None:
    stub.faults[WRITE] = says(status, '{"code":"invalid","message":"field type conflict: \\"oi\\" is float"}')
    with pytest.raises(Rejected, match='field type conflict: "oi" is float') as caught:
        opened(org="mine").write([snapshot()])
    assert not isinstance(caught.value, Unavailable)


def test_a_field_of_another_type_is_rejected_alone(opened: Open, stub: Stub) -> None:
    sink = opened()
    first, second = snapshots(2)
    sink.write([first])
    with pytest.raises(Rejected, match="field type conflict"):
        sink.write([second.replace(options=second.options.with_columns(oi=1.5))])
    sink.write([second])
    assert len({p.micros for p in stub.of("options")}) == 2


def test_a_wrong_token_is_for_a_person_to_mend(opened: Open, stub: Stub) -> None:
    stub.token = TOKEN
    for settings in ({}, {"token": "another-token-0123456789"}):
        with pytest.raises(Unavailable, match="unauthorized") as caught:
            opened(**settings).write([snapshot()])
        assert "INFLUX_TOKEN" in str(caught.value.hint)
    opened(token=f" {TOKEN}\n").write([snapshot()])
    assert stub.of("options")


def test_a_missing_bucket_is_for_a_person_to_mend(opened: Open, stub: Stub) -> None:
    with pytest.raises(Unavailable, match='bucket "elsewhere" not found') as caught:
        opened(bucket="elsewhere").write([snapshot()])
    assert "create the bucket" in str(caught.value.hint)
    stub.buckets.append("elsewhere")
    opened(bucket="elsewhere").write([snapshot()])


def test_a_missing_organization_is_for_a_person_to_mend(opened: Open, stub: Stub) -> None:
    stub.faults[WRITE] = says(400, '{"code":"invalid","message":"Please provide either orgID or org"}')
    with pytest.raises(Unavailable, match="either orgID or org") as caught:
        opened().write([snapshot()])
    assert "set `org`" in str(caught.value.hint)


def test_the_token_is_in_no_error(opened: Open, stub: Stub) -> None:
    for fault in (says(401, f'{{"message":"no such token {TOKEN}"}}'), says(422, f'{{"message":"Token {TOKEN}"}}')):
        stub.faults[WRITE] = fault
        with pytest.raises((Unavailable, Rejected)) as caught:
            opened(token=TOKEN).write([snapshot()])
        assert TOKEN not in caught.value.render()


def test_the_token_is_not_sent_elsewhere(opened: Open, stub: Stub) -> None:
    other = Stub()
    try:
        stub.faults[WRITE] = says(307, Location=f"{other.url}/api/v2/write")
        with pytest.raises(Unavailable, match="307") as caught:
            opened(token=TOKEN).write([snapshot()])
        assert other.url in str(caught.value.hint)
        assert other.asked == []
    finally:
        other.close()


def test_nobody_listens(opened: Open) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{s.getsockname()[1]}"
        with pytest.raises(Unavailable, match="Connection refused") as caught:
            opened(url=address).write([snapshot()])
    assert "nothing is lost" in str(caught.value.hint)


@pytest.mark.parametrize(
    "fault",
    [hangs, drips(b"HTTP/1.1 204 No Content\r\nX-"), drips(b"HTTP/1.1 500 X\r\nContent-Length: 999999\r\n\r\n")],
)
def test_a_server_without_end_is_left_in_time(opened: Open, stub: Stub, fault: Fault) -> None:
    # Long enough for a busy machine to answer where it does.
    sink = opened(timeout="1s")
    opened().write([snapshot()])
    stub.faults[WRITE] = fault
    begin = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer"):
        sink.write(snapshots(3))
    assert time.monotonic() - begin < 8
    del stub.faults[WRITE]
    opened().write(snapshots(3))
    assert len({p.micros for p in stub.of("options")}) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_is_asked_for_is_kept(opened: Open, stub: Stub, status: int) -> None:
    sink = opened()
    stub.faults[WRITE] = says(status, Retry_After="1")
    with pytest.raises(Unavailable, match=str(status)):
        sink.write([snapshot()])
    del stub.faults[WRITE]
    asked = list(stub.asked)
    with pytest.raises(Unavailable, match="asked for a pause"):
        sink.write([snapshot()])
    assert stub.asked == asked
    time.sleep(1.05)
    sink.write([snapshot()])
    assert stub.of("options")


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [
        ("86400", 290, 300),
        (format_datetime(START.replace(minute=2), usegmt=True), 110, 120),
        (format_datetime(START.replace(hour=0), usegmt=True), 0, 0),
        ("soon", 0, 0),
        ("-5", 0, 0),
        ("", 0, 0),
    ],
)
def test_a_pause_is_bounded_and_a_date_is_by_the_servers_clock(
    opened: Open, stub: Stub, given: str, least: float, most: float
) -> None:
    def busy(handler: Handler) -> None:
        handler.send_response_only(503)
        for name, value in {"Date": format_datetime(START, usegmt=True), "Retry-After": given}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    sink = opened()
    stub.faults[WRITE] = busy
    with pytest.raises(Unavailable):
        sink.write([snapshot()])
    assert sink._server is not None
    assert least <= max(0, sink._server._silent_until - time.monotonic()) <= most


def test_a_body_that_is_too_large_is_cut(opened: Open, stub: Stub) -> None:
    stub.largest = 5_000
    sink = opened()
    batch = snapshots(4)
    sink.write(batch)
    assert len(stub.of("options")) == sum(s.options.height for s in batch)
    assert len(stub.of("overview")) == 4
    assert max(map(len, stub.bodies)) <= 5_000


def test_what_is_too_large_is_not_tried_each_time(opened: Open, stub: Stub) -> None:
    stub.largest = 70_000
    sink = opened()
    sink.write(snapshots(10))
    before = len(stub.asked), len(stub.bodies)
    sink.write(snapshots(10))
    assert len(stub.asked) - before[0] == len(stub.bodies) - before[1]


def test_a_line_that_is_too_large_is_rejected(opened: Open, stub: Stub) -> None:
    stub.largest = 100
    sink = opened()
    with pytest.raises(Rejected, match="no body of that length"):
        sink.write([snapshot()])
    assert len(stub.asked) < 30
    stub.largest = 50_000_000
    sink.write([snapshot()])
    assert len(stub.bodies) == 1


def test_a_request_is_of_bounded_size(opened: Open, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "LARGEST", 30_000)
    opened().write(snapshots(10))
    assert len(stub.bodies) > 3
    assert max(map(len, stub.bodies)) <= 30_000
    assert len(stub.of("options")) == 10 * snapshot().options.height


def test_what_is_sent_can_be_compressed(opened: Open, stub: Stub) -> None:
    opened(gzip=True).write(snapshots(3))
    assert stub.headers[-1]["Content-Encoding"] == "gzip"
    assert int(stub.headers[-1]["Content-Length"]) < len(stub.bodies[-1]) / 3


def test_nothing_is_asked_when_there_is_nothing_to_write(opened: Open, stub: Stub) -> None:
    sink = opened()
    sink.write([])
    sink.write_alerts([])
    sink.confirm()
    assert stub.asked == []


def test_an_address_with_a_path(opened: Open, stub: Stub) -> None:
    with pytest.raises(Unavailable, match="404"):
        opened(url=f"{stub.url}/influx/").write([snapshot()])
    assert stub.asked == [f"/influx{METRICS}", f"/influx{WRITE}"]

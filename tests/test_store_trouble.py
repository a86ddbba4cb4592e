"""Stores in trouble while recording goes on: down for an hour, out of disk, or hanging. Nothing is set aside, and at
the end the store holds what the journal holds, each snapshot once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from g6_csv.settings import Settings as CsvSettings
from g6_csv.sink import CsvSink
from g6_influx.settings import Settings as InfluxSettings
from g6_influx.sink import InfluxSink
from g6_parquet.archive import ParquetArchive
from g6_parquet.settings import Settings as ParquetSettings
from g6_sql.settings import Settings as SqlSettings
from g6_sql.sink import SqlSink

from g6core import Context, Sink, Snapshot, Unavailable, days
from g6core.days import micros
from g6core.testing import MemorySink, snapshot
from g6core.testing.component_contract import lent_context
from g6core.testing.delivery_contract import Recorder
from tests.conftest import REPO
from tests.servers import Postgres, Server, VictoriaMetrics
from tests.test_crash import recorded, written
from tests.test_stores import as_influx_has_it, of_parquet, of_postgres, of_sqlite, of_the_journal

sys.path.append(str(REPO / "plugins" / "g6-influx" / "tests"))
from influx_stub import METRICS, WRITE, Stub, breaks_off, parse_line

INDICES = ("NIFTY", "SENSEX")
STEP = timedelta(seconds=15)
HOUR = 240
"""Instants."""
MARGIN = 30.0
"""Seconds that a busy machine may add."""
SOON = timedelta(seconds=0.3)
"""After which the server has saved, for a sink that would have to wait longer in earnest."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and file systems as Linux has them")
Batches = Iterator[Sequence[Snapshot]]
Follow = Callable[[Sink], Recorder]
Mount = Callable[..., Path]


class Watched(Sink):
    """A sink, and what became of its writes: seconds of each, and what was raised."""

    def __init__(self, sink: Sink) -> None:
        self.ack_delay = sink.ack_delay
        self.seconds: list[float] = []
        self.refused: list[Unavailable] = []
        self._sink = sink

    def open(self, context: Context) -> None:
        self._watched(lambda: self._sink.open(context))

    def close(self) -> None:
        self._sink.close()

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        self._watched(lambda: self._sink.write(snapshots))

    def confirm(self) -> None:
        self._sink.confirm()

    def _watched(self, act: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            act()
        except Unavailable as e:
            self.refused.append(e)
            raise
        finally:
            self.seconds.append(time.monotonic() - began)


@pytest.fixture
def batches() -> Batches:
    """Both indices every 15 seconds, without end, and no two alike."""
    first = [snapshot(index, strikes=3, expiries=1) for index in INDICES]
    return ([_later(s, n) for s in first] for n in count())


def _later(s: Snapshot, n: int) -> Snapshot:
    # Frames of its own, as the engine makes them: no two threads may use the same one.
    options = s.options.with_columns(pl.col("oi") + n)
    return s.replace(ts=s.ts + n * STEP, options=options, expiries=s.expiries.clone())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Of the journal, on a disk with room."""
    return tmp_path / "data"


@pytest.fixture
def follow(data_dir: Path) -> Iterator[Follow]:
    """A runner that gives the journal to the sink, which it opens itself, as after a start."""
    made: list[Recorder] = []

    def start(sink: Sink) -> Recorder:
        made.append(Recorder(sink, lent_context(data_dir)))
        made[-1].start()
        return made[-1]

    yield start
    for recorder in made:
        recorder.close()


def until(holds: Callable[[], object], seconds: float = 60, pause: float = 0.005) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(pause)


def record(recorder: Recorder, batches: Batches, instants: int) -> None:
    for batch in islice(batches, instants):
        recorder.record(batch)


def record_until(holds: Callable[[], object], recorder: Recorder, batches: Batches, pause: float = 0.01) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        recorder.record(next(batches))
        time.sleep(pause)


def order(data_dir: Path) -> list[tuple[str, int]]:
    """(index, microseconds) as the journal has them."""
    (path,) = days.days(data_dir)
    with closing(sqlite3.connect(path)) as db:
        return db.execute('SELECT "index", ts FROM snapshots ORDER BY seq').fetchall()


def of_influx(server: VictoriaMetrics) -> Counter[tuple[str, int, str, str, float]]:
    """As a query finds it: each point once, however often it was delivered."""
    server.get("/internal/force_flush")
    rows: Counter[tuple[str, int, str, str, float]] = Counter()
    for line in server.get("/api/v1/export?match[]=options_oi").splitlines():
        series = json.loads(line)
        tags = series["metric"]
        for ts, value in zip(series["timestamps"], series["values"], strict=True):
            rows[tags["index"], ts, f"{tags['dte']} {float(tags['strike'])}", tags["right"], value] += 1
    return rows


# --- down for an hour


def hour_without(
    recorder: Recorder, sink: Watched, batches: Batches, down: Callable[[], None], up: Callable[[], None]
) -> None:
    """An hour by the snapshots' clock goes by while the store is down; then it drains while further ones come in."""
    record(recorder, batches, 4)
    assert recorder.drained()
    down()
    before = recorder.runner.state.written
    record(recorder, batches, HOUR)
    until(lambda: sink.refused)
    assert recorder.runner.pending() == HOUR * len(INDICES)
    up()
    until(lambda: recorder.runner.state.written > before)
    came_in = len(order(recorder._journal.data_dir))
    assert recorder.runner.state.written < came_in
    record_until(lambda: recorder.runner.state.written >= came_in, recorder, batches)
    assert len(order(recorder._journal.data_dir)) > came_in
    assert recorder.drained()
    assert recorder.dead_letters() == []
    assert recorder.runner.state.rejected == 0


def test_postgres_gets_an_hour_that_it_was_down_in_order(
    follow: Follow, batches: Batches, data_dir: Path, own_postgres: Postgres
) -> None:
    url = own_postgres.create("hour")
    sink = Watched(SqlSink(SqlSettings(url=url, timeout=timedelta(seconds=5))))
    hour_without(follow(sink), sink, batches, own_postgres.kill, own_postgres.start)
    with psycopg.connect(url.replace("+psycopg", "")) as db:
        rows = db.execute('SELECT "index", ts FROM snapshots ORDER BY ctid').fetchall()
    assert [(index, micros(ts)) for index, ts in rows] == order(data_dir)
    assert of_postgres(own_postgres, url) == of_the_journal(data_dir)


def test_influx_gets_an_hour_that_it_was_down_in_order(follow: Follow, batches: Batches, data_dir: Path) -> None:
    stub = Stub()
    sink = Watched(InfluxSink(InfluxSettings(url=stub.url, timeout=timedelta(seconds=5), ack_delay=SOON)))
    gone = {WRITE: breaks_off, METRICS: breaks_off}
    hour_without(follow(sink), sink, batches, lambda: stub.faults.update(gone), stub.faults.clear)
    lines = [line.decode() for body in stub.bodies for line in body.splitlines() if line.startswith(b"overview,")]
    assert [(p.tags["index"], p.micros) for p in map(parse_line, lines)] == order(data_dir)
    points = stub.of("options")
    options = {(p.tags["index"], p.micros, p.fields["symbol"], p.fields.get("oi")) for p in points}
    assert len(options) == len(points)
    assert options == {
        (s.index, micros(s.ts), *row)
        for path in days.days(data_dir)
        for _, s in days.read_day(path)
        for row in s.options.select("symbol", "oi").iter_rows()
    }
    assert stub.bad == []
    stub.close()


def test_victoria_metrics_gets_an_hour_that_it_was_down(
    follow: Follow, batches: Batches, data_dir: Path, own_victoria_metrics: VictoriaMetrics
) -> None:
    server = own_victoria_metrics
    sink = Watched(InfluxSink(InfluxSettings(url=server.url, timeout=timedelta(seconds=5), ack_delay=SOON)))
    hour_without(follow(sink), sink, batches, lambda: server._end(signal.SIGTERM), server.start)
    assert of_influx(server) == as_influx_has_it(data_dir)


def test_after_a_failure_all_that_waits_is_delivered_although_nothing_more_is_recorded(
    follow: Follow, batches: Batches
) -> None:
    """Also by a sink whose server saves later, which gets one batch at a time for a while."""

    class Late(MemorySink):
        ack_delay = SOON
        fails = True

        def write(self, snapshots: Sequence[Snapshot]) -> None:
            if self.fails:
                raise Unavailable("not now")
            super().write(snapshots)

    sink = Late()
    recorder = follow(sink)
    record(recorder, batches, 100)
    until(lambda: recorder.runner.state.retried)
    sink.fails = False
    assert recorder.drained()
    assert recorder.runner.pending() == 0
    assert len(sink.snapshots) == 100 * len(INDICES)


# --- out of disk


@pytest.fixture
def mount() -> Iterator[Mount]:
    """`mount(place, megabytes=8)`: a file system of that size there."""
    mounted: list[Path] = []

    def tmpfs(place: Path, megabytes: int) -> Path:
        place.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True).returncode:
            reason = "a small file system cannot be mounted here; it takes root on Linux"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        mounted.append(place)
        return place

    yield tmpfs
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


@pytest.fixture
def on_small_disk(mount: Mount) -> Iterator[Callable[..., Any]]:
    """`on_small_disk(server, megabytes=90)`: the server, started, all of it on a file system of that size."""
    started: list[Server] = []

    def start(server: Server, megabytes: int) -> Any:
        mount(server.place, megabytes)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        if died(server):
            server._process = None
        server.close()


class Small(VictoriaMetrics):
    """least: bytes of room below which it takes nothing."""

    def __init__(self, least: str) -> None:
        super().__init__()
        self._least = least

    def command(self) -> Sequence[str]:
        return [*super().command(), f"-storage.minFreeDiskSpaceBytes={self._least}"]


def fill(disk: Path, left: int = 0) -> Path:
    """The file that takes all room but `left` bytes."""
    ballast = disk / "ballast"
    room = os.statvfs(disk)
    ballast.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - left)))
    return ballast


def died(server: Server) -> bool:
    return server._process is not None and server._process.poll() is not None


def check_reasons(refused: Iterable[Unavailable]) -> None:
    assert {e.code for e in refused} == {"disk-full"}
    for e in refused:
        assert e.hint and "\n" not in e.message and len(e.message) < 300


LOCAL: dict[str, tuple[Callable[[Path], Sink], Callable[[Path], Any], Callable[[Path], Any]]] = {
    "sqlite": (
        lambda d: SqlSink(SqlSettings(url=f"sqlite:///{d}/g6.sqlite", timeout=timedelta(seconds=20))),
        of_sqlite,
        of_the_journal,
    ),
    "parquet": (
        lambda d: ParquetArchive(ParquetSettings(dir=d / "parquet", merge_files=3)),
        of_parquet,
        of_the_journal,
    ),
    "csv": (lambda d: CsvSink(CsvSettings(dir=d / "g6_data")), written, recorded),
}


@pytest.mark.parametrize("left", [None, 0, 30_000], ids=["from-the-start", "to-the-last-byte", "nearly"])
@pytest.mark.parametrize("store", LOCAL)
def test_files_on_a_full_disk(
    tmp_path: Path, data_dir: Path, follow: Follow, batches: Batches, mount: Mount, store: str, left: int | None
) -> None:
    disk = mount(tmp_path / "small", megabytes=8)
    build, stored, expected = LOCAL[store]
    sink = Watched(build(disk))
    if left is None:
        ballast = fill(disk)
    recorder = follow(sink)
    if left is not None:
        record(recorder, batches, 3)
        assert recorder.drained()
        ballast = fill(disk, left)
    record_until(lambda: sink.refused, recorder, batches)
    record(recorder, batches, 8)
    until(lambda: recorder.runner.state.retried > 1)
    check_reasons(sink.refused)
    assert recorder.runner.pending() >= 8 * len(INDICES)
    ballast.unlink()
    record(recorder, batches, 3)
    assert recorder.drained()
    assert recorder.dead_letters() == []
    assert max(sink.seconds) < 1 + MARGIN
    assert stored(disk) == expected(data_dir)


def test_postgres_on_a_full_disk(
    data_dir: Path, follow: Follow, batches: Batches, on_small_disk: Callable[..., Postgres], postgres_cluster: Path
) -> None:
    server = on_small_disk(Postgres(postgres_cluster), megabytes=90)
    url = server.create("full")
    sink = Watched(SqlSink(SqlSettings(url=url, timeout=timedelta(seconds=5))))
    recorder = follow(sink)
    record(recorder, batches, 3)
    assert recorder.drained()
    ballast = fill(server.place)
    record_until(lambda: len(sink.refused) > 2, recorder, batches)
    check_reasons(sink.refused)
    assert len({e.message for e in sink.refused}) < len(sink.refused), "the log says it at each attempt"
    ballast.unlink()
    record(recorder, batches, 3)
    assert recorder.drained()
    assert recorder.dead_letters() == []
    assert of_postgres(server, url) == of_the_journal(data_dir)


def test_postgres_that_dies_of_a_full_disk(
    data_dir: Path, follow: Follow, batches: Batches, on_small_disk: Callable[..., Postgres], postgres_cluster: Path
) -> None:
    """Without room for its log it ends, and cannot start again before there is some."""
    server = on_small_disk(Postgres(postgres_cluster), megabytes=90)
    url = server.create("full")
    sink = Watched(SqlSink(SqlSettings(url=url, timeout=timedelta(seconds=5))))
    recorder = follow(sink)
    record(recorder, batches, 3)
    assert recorder.drained()
    ballast = fill(server.place, 4_000_000)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as db:
        db.execute("SELECT pg_switch_wal()")
    record_until(lambda: died(server), recorder, batches)
    until(lambda: len(sink.refused) > 1)
    assert sink.refused[0].code == "disk-full"
    ballast.unlink()
    server.start()
    record(recorder, batches, 3)
    assert recorder.drained()
    assert recorder.dead_letters() == []
    assert of_postgres(server, url) == of_the_journal(data_dir)


def test_victoria_metrics_on_a_full_disk(
    data_dir: Path, follow: Follow, batches: Batches, on_small_disk: Callable[..., VictoriaMetrics]
) -> None:
    """It takes nothing before the disk is quite full, and what it took just before is not lost."""
    server = on_small_disk(Small("10MB"), megabytes=32)
    sink = Watched(InfluxSink(InfluxSettings(url=server.url, timeout=timedelta(seconds=3), ack_delay=SOON)))
    recorder = follow(sink)
    record(recorder, batches, 3)
    assert recorder.drained()
    ballast = fill(server.place, 5_000_000)
    record_until(lambda: len(sink.refused) > 1, recorder, batches)
    check_reasons(sink.refused)
    ballast.unlink()
    record(recorder, batches, 3)
    assert recorder.drained()
    assert recorder.dead_letters() == []
    assert of_influx(server) == as_influx_has_it(data_dir)


def test_victoria_metrics_that_dies_of_a_full_disk(
    data_dir: Path, follow: Follow, batches: Batches, on_small_disk: Callable[..., VictoriaMetrics]
) -> None:
    """Told to go on without room it ends when it next saves, with all that it had taken since it last did."""
    server = on_small_disk(Small("0"), megabytes=32)
    settings = InfluxSettings(url=server.url, timeout=timedelta(seconds=3), ack_delay=timedelta(seconds=15))
    sink = Watched(InfluxSink(settings))
    recorder = follow(sink)
    record(recorder, batches, 3)
    until(lambda: recorder.runner.state.written)
    ballast = fill(server.place)
    # No more than fits into one batch: for a next one the sink would wait until the server has surely saved.
    record_until(lambda: died(server) and sink.refused, recorder, batches, pause=0.4)
    ballast.unlink()
    server.start()
    record(recorder, batches, 3)
    expected = as_influx_has_it(data_dir)
    until(lambda: of_influx(server) == expected, pause=0.2)
    assert recorder.dead_letters() == []


# --- hanging


def hangs_and_goes_on(
    server: Server, build: Callable[[float], Sink], follow: Follow, batches: Batches, stored: Callable[[], object]
) -> None:
    """Left in time, tried again, and stopped in the middle; after it a new start delivers everything."""
    sink = Watched(build(1.0))
    recorder = follow(sink)
    record(recorder, batches, 3)
    assert recorder.drained()
    server.pause()
    record_until(lambda: len(sink.refused) > 1, recorder, batches)
    assert max(sink.seconds) < 1.0 + MARGIN
    server.resume()
    record(recorder, batches, 3)
    assert recorder.drained()
    assert stored()

    server.pause()
    record(recorder, batches, 3)
    time.sleep(0.3)
    began = time.monotonic()
    recorder.runner.stop(began + 0.2)
    assert time.monotonic() - began < 0.2 + MARGIN
    assert recorder.runner.pending() == 3 * len(INDICES)
    server.resume()
    again = follow(build(5.0))
    record(again, batches, 3)
    assert again.drained()
    assert recorder.dead_letters() == []
    assert stored()


def test_postgres_that_hangs(follow: Follow, batches: Batches, data_dir: Path, own_postgres: Postgres) -> None:
    url = own_postgres.create("hangs")
    hangs_and_goes_on(
        own_postgres,
        lambda seconds: SqlSink(SqlSettings(url=url, timeout=timedelta(seconds=seconds))),
        follow,
        batches,
        lambda: of_postgres(own_postgres, url) == of_the_journal(data_dir),
    )


def test_victoria_metrics_that_hangs(
    follow: Follow, batches: Batches, data_dir: Path, own_victoria_metrics: VictoriaMetrics
) -> None:
    server = own_victoria_metrics
    hangs_and_goes_on(
        server,
        lambda s: InfluxSink(InfluxSettings(url=server.url, timeout=timedelta(seconds=s), ack_delay=timedelta(0))),
        follow,
        batches,
        lambda: of_influx(server) == as_influx_has_it(data_dir),
    )

"""Every sink gets everything, once each, whatever happens on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from polars.exceptions import PanicException

from g6core import days
from g6core.components import Context, Sink
from g6core.cursor import Cursor
from g6core.delivery import SinkRunner
from g6core.errors import Unavailable
from g6core.journal import Journal
from g6core.snapshot import Snapshot
from g6core.testing import FlakySink, ManualClock, MemorySink, snapshots

Run = Callable[[Sink], SinkRunner]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Journal]:
    writer = Journal(tmp_path, ["it"])
    yield writer
    writer.close()


@pytest.fixture
def run(book: Journal, g6_context: Context) -> Iterator[Run]:
    runners: list[SinkRunner] = []

    def start(sink: Sink) -> SinkRunner:
        runner = SinkRunner("it", sink, partial(Cursor, "it", book.recent), g6_context, ManualClock())
        runners.append(runner)
        runner.open()
        runner.start(days.days(book.data_dir))
        return runner

    yield start
    for runner in runners:
        runner.stop(time.monotonic() + 5)


def append(book: Journal, runner: SinkRunner | None, batch: Sequence[Snapshot]) -> None:
    encoded = [book.encode(s) for s in batch]
    for path in dict.fromkeys(e.path for e in encoded):
        book.append(path, [e for e in encoded if e.path == path])
        if runner:
            runner.notify(path)


def drained(runner: SinkRunner, seconds: float = 20) -> bool:
    return runner.drain(time.monotonic() + seconds)


def test_what_stood_in_the_journal_and_what_comes_both_arrive_in_order(book: Journal, run: Run) -> None:
    ten = snapshots(10, strikes=3)
    append(book, None, ten[:4])
    sink = MemorySink()
    runner = run(sink)
    for s in ten[4:]:
        append(book, runner, [s])
    assert drained(runner)
    assert [s.ts for s in sink.snapshots] == [s.ts for s in ten]
    assert runner.pending() == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_flaky_sink_gets_each_snapshot_in_the_end(book: Journal, run: Run, seed: int) -> None:
    sink = FlakySink.by_chance(seed, writes=6)
    runner = run(sink)
    for s in snapshots(6, strikes=3):
        append(book, runner, [s])
    assert drained(runner, 60)
    assert len(sink.snapshots) == 6
    assert runner.pending() == 0


def test_a_rejected_snapshot_goes_to_the_dead_letters_and_the_others_arrive(book: Journal, run: Run) -> None:
    append(book, None, snapshots(3, strikes=3))
    # The batch is rejected, then its first snapshot alone.
    sink = FlakySink(["rejected", "rejected"])
    runner = run(sink)
    assert drained(runner)
    assert [s.ts.minute for s in sink.snapshots] == [1, 2]
    (path,) = days.days(book.data_dir)
    assert days.summary(path).dead_letters == {"it": 1}
    assert runner.state.rejected == 1


def test_a_sink_that_cannot_be_opened_now_is_opened_later(book: Journal, run: Run) -> None:
    class Late(MemorySink):
        tries = 0

        def open(self, context: Context) -> None:
            self.tries += 1
            if self.tries < 3:
                raise Unavailable("not up yet")
            super().open(context)

    sink = Late()
    runner = run(sink)
    append(book, runner, snapshots(2, strikes=3))
    assert drained(runner)
    assert sink.is_open
    assert len(sink.snapshots) == 2


def test_the_cursor_waits_for_the_acknowledgement(book: Journal, run: Run) -> None:
    class Slow(MemorySink):
        ack_delay = timedelta(seconds=0.6)

    runner = run(Slow())
    append(book, runner, snapshots(2, strikes=3))
    (path,) = days.days(book.data_dir)
    reader = Cursor("it", {})
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        assert reader.place(path) == (0, 0)
        time.sleep(0.05)
    assert drained(runner)
    assert reader.place(path) == (2, 0)
    reader.close()


def test_a_hanging_sink_is_left_behind_and_its_snapshots_stay(book: Journal, run: Run) -> None:
    released = threading.Event()

    class Hanging(Sink):
        def write(self, snapshots: Sequence[Snapshot]) -> None:
            released.wait(30)

    runner = run(Hanging())
    append(book, runner, snapshots(2, strikes=3))
    began = time.monotonic()
    assert not runner.drain(began + 0.2)
    runner.stop(time.monotonic() + 0.2)
    assert time.monotonic() - began < 5
    assert runner.pending() == 2
    released.set()


def test_a_second_start_goes_on_where_the_first_ended(book: Journal, run: Run) -> None:
    ten = snapshots(10, strikes=3)
    first = MemorySink()
    runner = run(first)
    append(book, runner, ten[:6])
    assert drained(runner)
    runner.stop(time.monotonic() + 5)
    append(book, None, ten[6:])
    second = MemorySink()
    assert drained(run(second))
    assert [s.ts for s in second.snapshots] == [s.ts for s in ten[6:]]


def test_what_comes_in_at_any_moment_is_delivered_without_a_further_call(book: Journal, run: Run) -> None:
    """Many appends, each as close as may be to the moment when the runner believes that it is done."""
    sink = MemorySink()
    runner = run(sink)
    many = snapshots(150, strikes=3)
    for n, s in enumerate(many, 1):
        append(book, runner, [s])
        assert drained(runner), n
        assert len(sink.snapshots) == n


def test_one_unreadable_day_keeps_no_other_from_the_sink(
    book: Journal, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    append(book, None, snapshots(2, strikes=3))
    bad = book.data_dir / "journal" / "2026-08-14.db"
    bad.write_bytes(b"no database" * 500)
    sink = MemorySink()
    runner = run(sink)
    assert drained(runner)
    assert len(sink.snapshots) == 2
    assert "cannot be given 2026-08-14.db" in caplog.text
    assert runner.pending() == 0


def test_a_sink_that_acknowledges_late_and_fails_often_gets_on(book: Journal, run: Run) -> None:
    class Stumbling(MemorySink):
        ack_delay = timedelta(seconds=0.2)
        asked = 0

        def write(self, snapshots: Sequence[Snapshot]) -> None:
            self.asked += 1
            if self.asked % 3 == 0:
                raise Unavailable("every third time")
            super().write(snapshots)

    # More than fits into two batches, so that a failure comes before the first acknowledgement.
    append(book, None, snapshots(200, strikes=3))
    runner = run(Stumbling())
    assert drained(runner, 60)
    assert runner.pending() == 0


def test_a_thousand_failures_in_a_row_end_nobody(book: Journal, run: Run) -> None:
    sink = MemorySink()
    runner = run(sink)
    assert drained(runner)
    runner._failures = 5000
    sink_fails = FlakySink(["unavailable"])
    runner.sink = sink_fails
    append(book, runner, snapshots(1, strikes=3))
    time.sleep(0.3)
    assert runner.state.error is not None
    assert not runner.drain(time.monotonic() + 0.2)


def test_a_panic_of_polars_in_a_sink_is_a_failure_like_any_other(book: Journal, run: Run) -> None:
    class Panicking(MemorySink):
        panics = 1

        def write(self, snapshots: Sequence[Snapshot]) -> None:
            if self.panics:
                self.panics -= 1
                raise PanicException("index out of bounds")
            super().write(snapshots)

    sink = Panicking()
    runner = run(sink)
    append(book, runner, snapshots(1, strikes=3))
    assert drained(runner)
    assert len(sink.snapshots) == 1


class Forgetful(MemorySink):
    """Answers before it has stored, and loses what it holds when it restarts."""

    ack_delay = timedelta(milliseconds=200)

    def __init__(self) -> None:
        super().__init__()
        self.restarted = False
        self.confirmed = 0

    def restart(self) -> None:
        self._snapshots.clear()
        self.restarted = True

    def confirm(self) -> None:
        if self.restarted:
            self.restarted = False
            raise Unavailable("the server has restarted")
        self.confirmed += 1


def test_what_a_restarted_server_lost_before_it_was_confirmed_is_written_again(book: Journal, run: Run) -> None:
    sink = Forgetful()
    batch = snapshots(3, strikes=3)
    append(book, None, batch)
    runner = run(sink)
    deadline = time.monotonic() + 20
    while not sink.snapshots and time.monotonic() < deadline:
        time.sleep(0.005)
    sink.restart()
    assert drained(runner)
    assert [s.ts for s in sink.snapshots] == [s.ts for s in batch]
    assert sink.confirmed
    assert runner.pending() == 0


def test_each_sink_has_frames_of_its_own(book: Journal) -> None:
    """Two threads at one polars frame can stop the whole process, when one of them writes it into a Python object."""
    (s,) = snapshots(1, strikes=3)
    append(book, None, [s])
    (path,) = days.days(book.data_dir)
    (one,), (two,) = (Cursor(name, book.recent).snapshots(path, 0, 9) for name in ("one", "two"))
    frames = [frame for each in (s, one[1], two[1]) for frame in (each.options, each.expiries)]
    assert len({id(frame) for frame in frames}) == len({id(frame._df) for frame in frames}) == 6
    assert one[1].options.equals(s.options)

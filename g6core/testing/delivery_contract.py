"""What every sink keeps when its store has trouble: nothing is lost, nothing doubled, and a refusal has a reason."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import Literal

import pytest

from g6core import days
from g6core.components import Context, Sink
from g6core.cursor import Cursor
from g6core.delivery import SinkRunner
from g6core.errors import Rejected, Unavailable
from g6core.journal import Journal
from g6core.snapshot import Snapshot
from g6core.testing.clock import ManualClock
from g6core.testing.market import snapshot, snapshots
from g6core.testing.sink_contract import SinkContract

Spoil = Callable[[Snapshot], Snapshot]
Trouble = Callable[[Literal["retryable", "permanent"]], AbstractContextManager[Spoil]]
READER = "tried"
PATIENCE = 60.0


class Recorder:
    """A journal, and a runner that gives it to the sink."""

    def __init__(self, sink: Sink, context: Context) -> None:
        self._journal = Journal(context.data_dir, [READER])
        places = partial(Cursor, READER, self._journal.recent)
        self.runner = SinkRunner(READER, sink, places, context, ManualClock())

    def start(self) -> None:
        """The sink is open already, as the contract's fixture gives it."""
        self.runner.start(days.days(self._journal.data_dir))

    def record(self, batch: Sequence[Snapshot]) -> None:
        encoded = [self._journal.encode(s) for s in batch]
        for path in dict.fromkeys(e.path for e in encoded):
            self._journal.append(path, [e for e in encoded if e.path == path])
            if self.runner._thread.ident is not None:
                self.runner.notify(path)

    def drained(self) -> bool:
        return self.runner.drain(time.monotonic() + PATIENCE)

    def dead_letters(self) -> list[str]:
        """The reasons."""
        found: list[str] = []
        for path in days.days(self._journal.data_dir):
            with closing(sqlite3.connect(path)) as db:
                found += [reason for (reason,) in db.execute("SELECT reason FROM dead_letters ORDER BY seq")]
        return found

    def close(self) -> None:
        self.runner.stop(time.monotonic() + 10)
        self._journal.close()


class DeliveryContract(SinkContract):
    """Fixtures to override: those of SinkContract, and `trouble`.

    trouble: `with trouble("retryable") as spoil:` the store cannot take anything at the moment (gone, overloaded or
    full), and is well again afterwards; with "permanent" it refuses for good what `spoil` made of a snapshot, and only
    that. `spoil` may leave the snapshot as it is when it is the store that refuses, and must leave its index and time.
    """

    @pytest.fixture
    def trouble(self) -> Trouble:
        raise NotImplementedError("override the fixture `trouble`: a context manager in which the store has trouble")

    @pytest.fixture
    def recorder(self, build: Callable[[], Sink], context: Context) -> Iterator[Recorder]:
        sink = build()
        sink.open(context)
        made = Recorder(sink, context)
        yield made
        made.close()

    def test_delivered_ok(self, recorder: Recorder, leaves: Callable[..., None]) -> None:
        batch = [*snapshots(5), *snapshots(5, "BANKNIFTY")]
        recorder.record(batch[:4])
        recorder.start()
        recorder.record(batch[4:])
        assert recorder.drained()
        leaves(*batch)
        assert recorder.dead_letters() == []

    def test_a_store_in_trouble_raises_unavailable_and_gets_everything_later(
        self, sink: Sink, trouble: Trouble, leaves: Callable[..., None]
    ) -> None:
        first, second, third = snapshots(3)
        sink.write([first])
        with trouble("retryable"), pytest.raises(Unavailable) as caught:
            sink.write([second, third])
        assert str(caught.value)
        sink.write([second, third])
        leaves(first, second, third)

    def test_delivered_after_trouble(self, recorder: Recorder, trouble: Trouble, leaves: Callable[..., None]) -> None:
        batch = snapshots(6)
        recorder.record(batch[:2])
        with trouble("retryable"):
            recorder.start()
            recorder.record(batch[2:4])
            _until(lambda: recorder.runner.state.retried > 0)
        recorder.record(batch[4:])
        assert recorder.drained()
        leaves(*batch)
        assert recorder.dead_letters() == []

    def test_what_is_refused_for_good_is_set_aside_alone_with_its_reason(
        self, recorder: Recorder, trouble: Trouble, leaves: Callable[..., None]
    ) -> None:
        first, second, third, fourth = snapshots(4)
        recorder.start()
        recorder.record([first])
        assert recorder.drained()
        with trouble("permanent") as spoil:
            recorder.record([spoil(second)])
            assert recorder.drained()
        recorder.record([third, fourth])
        assert recorder.drained()
        leaves(first, third, fourth)
        (reason,) = recorder.dead_letters()
        assert len(reason) > 10

    def test_refused_for_good_is_rejected(self, sink: Sink, trouble: Trouble) -> None:
        with trouble("permanent") as spoil, pytest.raises(Rejected):
            sink.write([spoil(snapshot())])

    @pytest.mark.parametrize("seed", range(2))
    def test_delivered_through_random_trouble(
        self, build: Callable[[], Sink], context: Context, trouble: Trouble, leaves: Callable[..., None], seed: int
    ) -> None:
        dice = random.Random(seed)
        batch = snapshots(12)
        sink = build()
        sink.open(context)
        for at in range(0, len(batch), 2):
            pair = batch[max(0, at - dice.randint(0, 2)) : at + 2]
            if dice.random() < 0.5:
                with trouble("retryable"), pytest.raises(Unavailable):
                    sink.write(pair)
            if dice.random() < 0.3:
                sink.close()
                sink = build()
                sink.open(context)
            sink.write(pair)
        leaves(*batch)
        sink.close()


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)

"""Recording goes first, and nobody waits for it for ever."""

from __future__ import annotations

import threading
from pathlib import Path

from g6core.analysis import Step
from g6core.assembly import Assembly
from g6core.collector import Plan
from g6core.components import Analytic, Context
from g6core.engine import Engine
from g6core.precedence import Precedence
from g6core.settings import Settings
from g6core.snapshot import Snapshot
from g6core.strategies import AtmWindow, AtmWindowSettings
from g6core.testing import START, FakeMarket, ManualClock


def started(precedence: Precedence) -> tuple[threading.Thread, threading.Event]:
    """A thread that gives way, and whether it got on."""
    on = threading.Event()

    def work() -> None:
        precedence.give_way()
        on.set()

    thread = threading.Thread(target=work)
    thread.start()
    return thread, on


def test_whoever_gives_way_waits_until_the_cycle_is_done() -> None:
    precedence = Precedence(longest=60)
    precedence.take()
    waiting = [started(precedence) for _ in range(3)]
    assert not any(on.wait(0.05) for _, on in waiting)
    precedence.leave()
    for thread, on in waiting:
        thread.join(10)
        assert on.is_set()
    precedence.give_way()  # and nobody waits while there is no cycle


def test_a_cycle_that_takes_too_long_holds_nobody_up() -> None:
    precedence = Precedence(longest=0.05)
    precedence.take()
    thread, on = started(precedence)
    assert on.wait(30)
    thread.join()


class Watched(Analytic):
    """Sees whether a thread that gives way gets on while this computes."""

    def __init__(self) -> None:
        self.waited: list[bool] = []
        self.threads: list[threading.Thread] = []

    def open(self, context: Context) -> None:
        self._give_way = context.give_way

    def compute(self, snapshot: Snapshot) -> Snapshot:
        on = threading.Event()

        def work() -> None:
            self._give_way()
            on.set()

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()
        self.waited.append(not on.wait(0.1))
        return snapshot


def test_threads_of_components_stand_still_while_a_cycle_computes(tmp_path: Path) -> None:
    watched, market = Watched(), FakeMarket(("NIFTY",))
    plans = {"fake": [Plan("NIFTY", AtmWindow(AtmWindowSettings()), ("this_week",))]}
    settings = Settings(data_dir=tmp_path)
    steps = [Step("watched", watched, (), ())]
    engine = Engine(Assembly(settings, {"fake": market}, plans, steps, {}, {}, ()), ManualClock())
    try:
        engine.start()
        report = engine.cycle(START)
    finally:
        engine.stop()
    for thread in watched.threads:
        thread.join(10)
        assert not thread.is_alive()
    assert report.indices["NIFTY"].status == "recorded" and watched.waited == [True]

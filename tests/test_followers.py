"""Sinks that keep nothing, such as screens: nobody waits for them, and they begin with what is newest."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from g6core import days
from g6core.assembly import Assembly
from g6core.collector import Plan
from g6core.components import Sink
from g6core.engine import Engine
from g6core.errors import Unavailable
from g6core.settings import Settings
from g6core.snapshot import Snapshot
from g6core.strategies import AtmWindow, AtmWindowSettings
from g6core.testing import START, FakeMarket, ManualClock, MemorySink

MINUTE = timedelta(minutes=1)


class Screen(MemorySink):
    keeps = False


class Dark(Screen):
    def write(self, snapshots: Sequence[Snapshot]) -> None:
        raise Unavailable("no screen is there")


def engine_of(place: Path, sinks: dict[str, Sink]) -> Engine:
    provider = FakeMarket()
    near, codes = AtmWindow(AtmWindowSettings(below=2, above=2)), ("this_week", "this_month")
    plans = {"fake": [Plan(index, near, codes) for index in provider.indices()]}
    engine = Engine(Assembly(Settings(data_dir=place), {"fake": provider}, plans, [], sinks, {}, ()), ManualClock())
    engine.start()
    return engine


def is_up_to_date(engine: Engine) -> bool:
    return engine.runners["screen"].drain(time.monotonic() + 10)


def test_nobody_waits_for_one_that_is_not_there(tmp_path: Path) -> None:
    store = MemorySink()
    engine = engine_of(tmp_path, {"screen": Dark(), "store": store})
    engine.cycle(START)
    assert engine.drain(10)
    assert engine.undelivered() == 0
    engine.stop()
    (path,) = days.days(tmp_path)
    assert set(days.summary(path).lag) == {"store"}
    assert days.prune(tmp_path, START.date() + timedelta(days=9), ["store"]) == [path]


def test_it_begins_with_the_newest_of_each_index_and_goes_on(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, {"store": MemorySink()})
    for minute in range(5):
        engine.cycle(START + minute * MINUTE)
    assert engine.drain(10)
    engine.stop()
    screen = Screen()
    engine = engine_of(tmp_path, {"screen": screen})
    assert is_up_to_date(engine)
    assert {(s.index, s.ts) for s in screen.snapshots} == {(i, START + 4 * MINUTE) for i in ("NIFTY", "BANKNIFTY")}
    engine.cycle(START + 5 * MINUTE)
    engine.cycle(START + timedelta(days=1))
    assert is_up_to_date(engine)
    engine.stop()
    assert [s.ts for s in screen.snapshots[2:]] == [START + 5 * MINUTE] * 2 + [START + timedelta(days=1)] * 2

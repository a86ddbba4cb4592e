"""Cycles by the clock: whole multiples of the interval, each once, whatever the clock does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from g6core import days, loop
from g6core.assembly import Assembly
from g6core.collector import Plan
from g6core.engine import Engine
from g6core.errors import MarketClosed
from g6core.reports import CycleReport
from g6core.settings import Settings
from g6core.specs import NoSettings
from g6core.strategies import All
from g6core.testing import START, FakeMarket


class RunningClock:
    """Runs as time does, from `start`, and can be set back."""

    def __init__(self, start: datetime = START) -> None:
        self._ahead = start - self._real()

    def _real(self) -> datetime:
        return START + timedelta(seconds=time.monotonic())

    def now(self) -> datetime:
        return self._real() + self._ahead

    def jump(self, step: timedelta) -> None:
        self._ahead += step


class Seen:
    """A view that remembers, and does something after so many cycles."""

    def __init__(self, clock: RunningClock, jumps: dict[int, timedelta]) -> None:
        self.clock, self.jumps = clock, jumps
        self.reports: list[CycleReport] = []
        self.idled: list[datetime] = []

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        self.reports.append(report)
        self.clock.jump(self.jumps.get(len(self.reports), timedelta(0)))

    def idle(self, engine: Engine, opens: datetime) -> None:
        self.idled.append(opens)


class Session(FakeMarket):
    always_open = False


def engine(place: Path, clock: RunningClock, market: FakeMarket) -> Engine:
    plans = {"fake": [Plan("NIFTY", All(NoSettings()), ("this_week",))]}
    settings = Settings(data_dir=place, interval="100ms")
    return Engine(Assembly(settings, {"fake": market}, plans, [], {}, {}, ()), clock)


@pytest.fixture
def clock() -> Iterator[RunningClock]:
    yield RunningClock()


def run(machine: Engine, view: Seen, **limits: float) -> None:
    machine.start()
    try:
        loop.live(machine, view, threading.Event(), loop.Limits(**limits))
    finally:
        machine.stop()


def instants(place: Path) -> list[datetime]:
    return sorted(s.ts for path in days.days(place) for _, s in days.read_day(path))


def test_cycles_stand_at_multiples_of_the_interval(tmp_path: Path, clock: RunningClock) -> None:
    run(engine(tmp_path, clock, FakeMarket(("NIFTY",))), Seen(clock, {}), cycles=5)
    times = instants(tmp_path)
    assert len(times) == 5
    assert all(ts.microsecond % 100_000 == 0 for ts in times)


@pytest.mark.parametrize("back", [timedelta(seconds=-0.35), timedelta(seconds=-3), timedelta(hours=-1)])
def test_a_clock_that_is_set_back_loses_no_cycle(tmp_path: Path, clock: RunningClock, back: timedelta) -> None:
    view = Seen(clock, {6: back})
    machine = engine(tmp_path, clock, FakeMarket(("NIFTY",)))
    # A busy machine may answer late, which is another matter.
    machine.settings = machine.settings.model_copy(update={"deadline": timedelta(seconds=5)})
    run(machine, view, cycles=14)
    assert [r.indices["NIFTY"].status for r in view.reports] == ["recorded"] * 14
    assert len(set(instants(tmp_path))) == 14


def test_a_cycle_that_takes_too_long_skips_ticks_and_never_queues_them(tmp_path: Path, clock: RunningClock) -> None:
    market = FakeMarket(("NIFTY",))
    market.delays["spots"] = 0.25
    machine = engine(tmp_path, clock, market)
    machine.settings = machine.settings.model_copy(update={"deadline": timedelta(seconds=5)})
    run(machine, Seen(clock, {}), cycles=4)
    gaps = [later - earlier for earlier, later in zip(instants(tmp_path), instants(tmp_path)[1:], strict=False)]
    assert len(gaps) == 3
    assert min(gaps) > timedelta(seconds=0.2)


def test_a_closed_market_is_waited_for_or_refused(tmp_path: Path) -> None:
    night = RunningClock(START.replace(hour=22))
    view = Seen(night, {})
    run(engine(tmp_path, night, Session(("NIFTY",))), view, seconds=0.25)
    assert view.reports == []
    assert set(view.idled) == {START.replace(day=18, hour=3, minute=45)}
    machine = engine(tmp_path, night, Session(("NIFTY",)))
    machine.start()
    with pytest.raises(MarketClosed) as refused:
        loop.live(machine, view, threading.Event(), loop.Limits(), require_open=True)
    machine.stop()
    assert refused.value.exit_code == 5
    assert "Tue 18 Aug 09:15" in refused.value.message

"""A simulator on a clock that the test sets, and the recorded data."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from g6_sim import Settings
from g6_sim.provider import Sim

from g6core import Context
from g6core.exchange import Calendar
from g6core.history import History
from g6core.testing import ManualClock

FRIDAY = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
"""11:30 in India; NIFTY's next expiry is Monday the 23rd, because Tuesday is a holiday."""


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    return Calendar.load()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(FRIDAY)


@pytest.fixture
def make(tmp_path: Path, clock: ManualClock, calendar: Calendar) -> Callable[..., Sim]:
    """`make(seed=2)`: an opened simulator with these settings, on `clock`."""

    def made(**settings: object) -> Sim:
        sim = Sim(Settings(**settings))
        sim.open(Context(tmp_path, clock, calendar, History(tmp_path)))
        return sim

    return made


@pytest.fixture
def sim(make: Callable[..., Sim]) -> Sim:
    return make()


@pytest.fixture
def exact(make: Callable[..., Sim]) -> Sim:
    return make(tick_rounding=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    place = Path(os.environ.get("G6_SHARED_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
    if not place.is_dir():
        pytest.skip(f"no recorded market data at {place}; set G6_SHARED_DATA")
    return place

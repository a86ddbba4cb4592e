"""Fixtures for every session in which g6core is installed. Loading this file loads no other file of g6core."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from g6core.components import Context
    from g6core.snapshot import Snapshot
    from g6core.testing.clock import ManualClock
    from g6core.testing.market import FakeMarket

KINDS = ("component", "provider", "strategy", "analytic", "sink", "alert")
pytest.register_assert_rewrite(*(f"g6core.testing.{kind}_contract" for kind in KINDS))


@pytest.fixture
def g6_clock() -> ManualClock:
    """A clock that stands at `g6core.testing.START`."""
    from g6core.testing.clock import ManualClock

    return ManualClock()


@pytest.fixture
def g6_context(tmp_path: Path, g6_clock: ManualClock) -> Context:
    """What the engine would lend: a temporary data directory, `g6_clock`, the real calendar."""
    from g6core.components import Context
    from g6core.exchange import Calendar
    from g6core.history import History

    return Context(tmp_path, g6_clock, Calendar.load(), History(tmp_path))


@pytest.fixture
def g6_market(g6_context: Context) -> FakeMarket:
    """The fake market, opened on `g6_clock`."""
    from g6core.testing.market import FakeMarket

    market = FakeMarket()
    market.open(g6_context)
    return market


@pytest.fixture
def g6_snapshot() -> Snapshot:
    """One NIFTY snapshot: 11 strikes, 2 expiries."""
    from g6core.testing.market import snapshot

    return snapshot()


@pytest.fixture
def g6_snapshots() -> list[Snapshot]:
    """Five of them, a minute apart."""
    from g6core.testing.market import snapshots

    return snapshots(5)

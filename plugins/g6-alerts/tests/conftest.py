"""Rules, and snapshots whose facts a test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from g6_alerts.rule import Rule
from g6_alerts.settings import RuleSettings

from g6core import Alert, Snapshot
from g6core.testing import snapshot

MORNING = datetime(2026, 8, 17, 4, 0, tzinfo=UTC)
"""09:30 in India, a Monday."""


@pytest.fixture(scope="session")
def plain() -> Snapshot:
    return snapshot(strikes=5, expiries=2)


@pytest.fixture
def at(plain: Snapshot) -> Callable[..., Snapshot]:
    """`at(3, spot=100)`: the snapshot of that minute with these facts and no others; None takes one away."""

    def make(minute: float, index: str = "NIFTY", **facts: float | None) -> Snapshot:
        known = {name: value for name, value in facts.items() if value is not None}
        return plain.replace(index=index, ts=MORNING + timedelta(minutes=minute), facts=known)

    return make


@pytest.fixture
def rule() -> Callable[..., Rule]:
    """`rule("spot > 1", keep_firing_for="5m", **{"for": "2m"})`."""
    return lambda expr, **settings: Rule(RuleSettings(expr=expr, **settings))


@pytest.fixture
def told() -> Callable[[Rule, Sequence[Snapshot]], list[Alert]]:
    """What a rule raises over snapshots, one after the other."""

    def run(rule: Any, snapshots: Sequence[Snapshot]) -> list[Alert]:
        before: dict[str, Snapshot] = {}
        alerts: list[Alert] = []
        for now in snapshots:
            alerts += rule.check(now, before.get(now.index))
            before[now.index] = now
        return alerts

    return run

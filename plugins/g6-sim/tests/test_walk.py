from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from g6_sim.walk import DAY, YEAR, Walk

DAYS = [date(2020, 1, 1) + timedelta(days=n) for n in range(1500)]


@pytest.fixture(scope="module")
def midnights() -> np.ndarray:
    return np.array([[Walk(seed, "market").midnight(day) for day in DAYS] for seed in range(4)])


@pytest.mark.parametrize("days", [1, 4, 16])
def test_increments_have_the_variance_of_a_unit_volatility(midnights: np.ndarray, days: int) -> None:
    increments = midnights[:, days:] - midnights[:, :-days]
    assert increments.var() == pytest.approx(days * DAY / YEAR, rel=0.35)


def test_it_keeps_around_zero_within_its_bound(midnights: np.ndarray) -> None:
    assert midnights.std() == pytest.approx(0.3, abs=0.06)
    assert np.abs(midnights).max() < 1.0


def test_a_path_joins_two_midnights_with_the_variance_of_its_seconds() -> None:
    walk, day = Walk(7, "NIFTY"), date(2026, 11, 20)
    path = walk.path(day)
    assert path.shape == (DAY + 1,)
    assert path[-1] == pytest.approx(walk.midnight(day + timedelta(days=1)))
    jumpless = np.sort(np.abs(np.diff(path)))[:-10]
    assert np.square(jumpless).sum() == pytest.approx(DAY / YEAR, rel=0.02)


def test_a_path_jumps() -> None:
    largest = [np.abs(np.diff(Walk(7, "NIFTY").path(day))).max() * np.sqrt(YEAR) for day in DAYS[:20]]
    assert max(largest) > 20  # in standard deviations of a second

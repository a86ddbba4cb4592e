"""What analytics are lent of earlier snapshots: never a later one, whatever is in the journal."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from g6core import Snapshot, trading_date
from g6core.history import History
from g6core.journal import Journal
from g6core.testing import snapshots


@pytest.fixture
def recorded(tmp_path: Path) -> list[Snapshot]:
    """Five snapshots of one index on one day, in the journal of tmp_path."""
    five = snapshots(5, strikes=3)
    journal = Journal(tmp_path, [])
    for s in five:
        encoded = journal.encode(s)
        journal.append(encoded.path, [encoded])
    journal.close()
    return five


def test_nothing_at_or_after_the_instant_is_seen(tmp_path: Path, recorded: list[Snapshot]) -> None:
    history, index, day = History(tmp_path), recorded[0].index, trading_date(recorded[0].ts)
    for i, now in enumerate(recorded):
        first, last = history.first(index, day, now.ts), history.last(index, day, now.ts)
        assert (first and first.ts) == (recorded[0].ts if i else None)
        assert (last and last.ts) == (recorded[i - 1].ts if i else None)
        assert history.facts(index, day, now.ts) == [(s.ts, dict(s.facts)) for s in recorded[:i]]


def test_a_stretch_begins_with_its_first_instant_and_ends_before_the_last(
    tmp_path: Path, recorded: list[Snapshot]
) -> None:
    history, index, day = History(tmp_path), recorded[0].index, trading_date(recorded[0].ts)
    found = history.stretch(index, day, recorded[1].ts, recorded[4].ts)
    assert [(s.ts, s.facts) for s in found] == [(s.ts, s.facts) for s in recorded[1:4]]
    assert found[0].options.equals(recorded[1].options)
    assert history.stretch("NOSUCH", day, recorded[0].ts, recorded[4].ts) == []
    assert history.stretch(index, day - timedelta(days=1), recorded[0].ts, recorded[4].ts) == []


def test_another_index_and_another_day_have_nothing(tmp_path: Path, recorded: list[Snapshot]) -> None:
    history, after, day = History(tmp_path), recorded[-1].ts + timedelta(hours=1), trading_date(recorded[0].ts)
    assert history.first("NOSUCH", day, after) is None
    assert history.last(recorded[0].index, day - timedelta(days=1), after) is None
    assert history.facts("NOSUCH", day, after) == []


def test_the_days_are_those_with_a_file_up_to_the_instant(tmp_path: Path, recorded: list[Snapshot]) -> None:
    history, day = History(tmp_path), trading_date(recorded[0].ts)
    assert history.days(recorded[0].ts) == [day]
    assert history.days(recorded[0].ts - timedelta(days=2)) == []


def test_a_day_that_cannot_be_read_is_absent_and_told_once(
    tmp_path: Path, recorded: list[Snapshot], caplog: pytest.LogCaptureFixture
) -> None:
    history, day = History(tmp_path), trading_date(recorded[0].ts)
    next(iter((tmp_path / "journal").glob("*.db"))).write_bytes(b"no journal at all" * 500)
    with caplog.at_level(logging.WARNING, "g6.history"):
        assert history.first(recorded[0].index, day, recorded[-1].ts) is None
        assert history.facts(recorded[0].index, day, recorded[-1].ts) == []
    assert len(caplog.records) == 1

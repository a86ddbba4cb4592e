"""The journal keeps what it was given, once, and says so before the cycle is done."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from g6core import days
from g6core.components import Alert
from g6core.cursor import Cursor
from g6core.days import RULES, Entry
from g6core.errors import DataError, Unavailable
from g6core.journal import Journal, alert_row
from g6core.snapshot import Snapshot
from g6core.testing import snapshot, snapshots


def same(a: Snapshot, b: Snapshot) -> None:
    assert (a.index, a.ts, a.source, dict(a.facts)) == (b.index, b.ts, b.source, dict(b.facts))
    assert_frame_equal(a.options, b.options)
    assert_frame_equal(a.expiries, b.expiries)


def append(journal: Journal, snapshots: Sequence[Snapshot]) -> list[Entry]:
    """As the engine does it: encoded, then a transaction per day."""
    encoded = [journal.encode(s) for s in snapshots]
    paths = dict.fromkeys(e.path for e in encoded)
    return [entry for path in paths for entry in journal.append(path, [e for e in encoded if e.path == path])]


def the_day(data_dir: Path) -> Path:
    (path,) = days.days(data_dir)
    return path


def test_what_is_appended_is_read_back_equal_and_in_order(tmp_path: Path) -> None:
    given_snapshots = snapshots(5)
    writer = Journal(tmp_path, ["csv"])
    for s in given_snapshots:
        append(writer, [s])
    writer.close()
    stored = list(days.read_day(the_day(tmp_path)))
    assert [seq for seq, _ in stored] == [1, 2, 3, 4, 5]
    for (_, after), before in zip(stored, given_snapshots, strict=True):
        same(after, before)


@settings(max_examples=15, deadline=None)
@given(order=st.lists(st.integers(0, 4), max_size=12))
def test_an_index_has_one_snapshot_per_instant_whatever_is_repeated(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    place = tmp_path_factory.mktemp("j")
    five, writer = snapshots(5, strikes=3), Journal(place, ["csv"])
    new = [append(writer, [five[i]]) for i in order]
    writer.close()
    assert [bool(n) for n in new] == [i not in order[:at] for at, i in enumerate(order)]
    stored = [s.ts for path in days.days(place) for _, s in days.read_day(path)]
    assert stored == [five[i].ts for i in sorted(set(order))]


def test_a_day_copied_elsewhere_is_whole(tmp_path: Path) -> None:
    writer = Journal(tmp_path, ["csv"])
    append(writer, snapshots(3))
    writer.close()
    copy = tmp_path / "elsewhere" / "day.db"
    copy.parent.mkdir()
    shutil.copy(the_day(tmp_path), copy)
    copy.chmod(0o400)
    assert len(list(days.read_day(copy))) == 3


def test_a_day_is_readable_while_it_is_written(tmp_path: Path) -> None:
    writer = Journal(tmp_path, ["csv"])
    append(writer, [snapshot()])
    assert len(list(days.read_day(the_day(tmp_path)))) == 1
    writer.close()


def test_days_are_those_of_india(tmp_path: Path) -> None:
    late = snapshot()
    after_midnight_ist = late.replace(ts=late.ts.replace(hour=18, minute=30))
    writer = Journal(tmp_path, [])
    append(writer, [late, after_midnight_ist])
    writer.close()
    assert [p.stem for p in days.days(tmp_path)] == ["2026-08-17", "2026-08-18"]


def test_a_new_day_remembers_the_sinks_that_must_get_it(tmp_path: Path) -> None:
    writer = Journal(tmp_path, ["csv", "archive"])
    append(writer, snapshots(2))
    writer.close()
    assert days.summary(the_day(tmp_path)).lag == {"csv": 2, "archive": 2}


def test_a_full_journal_refuses_and_changes_nothing(tmp_path: Path) -> None:
    writer = Journal(tmp_path, [], max_bytes=1)
    append(writer, [snapshot()])
    with pytest.raises(Unavailable, match="reached its limit") as refused:
        append(writer, [snapshot("BANKNIFTY")])
    assert refused.value.code == "journal-full"
    writer.close()
    assert days.summary(the_day(tmp_path)).snapshots == 1


def test_alerts_and_the_rules_place_move_together(tmp_path: Path) -> None:
    s = snapshot()
    writer = Journal(tmp_path, ["csv"])
    [(seq, _)] = append(writer, [s])
    path = the_day(tmp_path)
    alert = Alert("pcr", s.index, s.ts, "PCR above 1.5", labels={"value": "1.6"})
    writer.commit_alerts(path, [alert_row(alert)] * 2, seq, {})
    reader, rules = Cursor("csv", {}), Cursor(RULES, {})
    assert reader.alerts(path, 0, 10) == [(1, alert)]
    assert rules.place(path) == (seq, 0)
    for user in (reader, rules, writer):
        user.close()


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be looked at as one" * 20])
def test_a_file_that_is_no_journal_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "2026-08-17.db"
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        list(days.read_day(path))
    assert refused.value.code == "bad-journal"
    assert str(path) in refused.value.render()


def test_pruning_leaves_what_a_sink_has_not_had(tmp_path: Path) -> None:
    s = snapshot()
    writer = Journal(tmp_path, ["csv", "slow"])
    for n in range(3):
        append(writer, [s.replace(ts=s.ts + timedelta(days=n))])
    writer.close()
    first, second, third = days.days(tmp_path)
    done = Cursor("csv", {})
    for path in (first, second):
        done.move(path, 1, 0)
    slow = Cursor("slow", {})
    slow.move(first, 1, 0)
    done.close()
    slow.close()
    assert days.prune(tmp_path, date(2026, 8, 19), ["csv", "slow"]) == [first]
    # Nobody selects `slow` now, but the day was recorded for it; a sink added today has still to get it.
    assert days.prune(tmp_path, date(2026, 8, 19), ["csv"]) == []
    assert days.prune(tmp_path, date(2026, 8, 19), ["csv", "new"], forget=["slow"]) == []
    assert days.prune(tmp_path, date(2026, 8, 19), ["csv"], forget=["slow"]) == [second]
    assert days.days(tmp_path) == [third]
    assert not list(tmp_path.glob("journal/2026-08-17*"))


def test_a_journal_of_another_format_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()
    with pytest.raises(DataError, match="format 99"):
        list(days.read_day(path))


def test_a_day_is_read_by_time_whatever_the_order_of_recording(tmp_path: Path) -> None:
    writer = Journal(tmp_path, [])
    append(writer, snapshots(3, strikes=3))
    append(writer, snapshots(3, "BANKNIFTY", strikes=3))
    writer.close()
    times = [s.ts for _, s in days.read_day(the_day(tmp_path))]
    assert times == sorted(times)


def test_a_day_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """Half a day file, as a kill while it is made would leave it, lies beside and is made anew."""
    (tmp_path / "journal").mkdir()
    half = tmp_path / "journal" / "2026-08-17.db.new"
    half.write_bytes(b"SQLite format 3\x00 and no more")
    writer = Journal(tmp_path, ["csv"])
    append(writer, [snapshot()])
    writer.close()
    assert not half.exists()
    assert days.summary(the_day(tmp_path)).lag == {"csv": 1}


def test_a_reader_never_brings_a_removed_day_back(tmp_path: Path) -> None:
    writer = Journal(tmp_path, ["csv"])
    append(writer, [snapshot()])
    writer.close()
    path = the_day(tmp_path)
    path.unlink()
    with pytest.raises(DataError) as refused:
        Cursor("csv", {}).place(path)
    assert refused.value.code == "no-such-day"
    assert not path.exists()


def test_only_names_that_are_dates_are_days(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "aaaa-bb-cc.db").write_bytes(b"")
    assert days.days(tmp_path) == []


def test_an_open_reading_of_the_day_does_not_hold_up_the_recorder(tmp_path: Path) -> None:
    writer = Journal(tmp_path, [])
    append(writer, snapshots(70, strikes=3))
    reading = days.read_day(the_day(tmp_path))
    next(reading)
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 5
    assert len(list(reading)) == 69

"""A day from its first snapshot to its final form: what is in which file, and when."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from g6_parquet.archive import ParquetArchive
from g6_parquet.compaction import compact, publish, stage
from g6_parquet.dataset import Dataset
from g6_parquet.files import COMPACT_LOCK, locked
from g6_parquet.segments import Place, parse, places
from g6_parquet.settings import Settings
from g6_parquet.tables import CORE, SORTED_BY
from pyarrow import parquet

from g6core import Calendar, Context, DataError, Rejected, Snapshot, Unavailable, trading_date
from g6core.testing import START, ManualClock, snapshot, snapshots
from g6core.testing.archive_contract import same

Open = Callable[..., ParquetArchive]
Files = Callable[..., list[str]]
TODAY = date(2026, 8, 17)
_, CLOSE = Calendar.load().session("NFO", TODAY) or (None, START)


def small(n: int, index: str = "NIFTY", ts: datetime = START) -> list[Snapshot]:
    return snapshots(n, index, ts, strikes=3, expiries=2)


def test_a_day_is_in_few_files_all_along(opened: Open, root: Path) -> None:
    archive = opened(merge_files=3)
    for n, s in enumerate(small(40), 1):
        archive.write([s])
        (place,) = places(root)
        assert len(place.segments()) <= 2 * 4
        assert len(place.every_segment()) <= 2 * 4 + 3 * 4
        assert place.segments()[-1].last == n
    assert [segment.writes for segment in place.segments()] == [27, 9, 3, 1]


def test_files_with_enough_rows_are_not_merged_further(opened: Open, root: Path) -> None:
    archive = opened(merge_files=2, rows_per_file=1000)
    for s in snapshots(8, strikes=111, expiries=2):
        archive.write([s])
    (place,) = places(root)
    assert {segment.writes for segment in place.segments()} == {2}


def test_a_compacted_day_is_one_sorted_file_with_its_columns(opened: Open, root: Path) -> None:
    first, second, third = small(3)
    second = second.replace(options=second.options.with_columns(x=1.5), facts={**second.facts, "y": 2.0})
    archive = opened()
    for s in (third, first, second):
        archive.write([s])
    (place,) = places(root)
    assert compact(place, Settings())
    assert not compact(place, Settings())
    (segment,) = place.every_segment()
    for table in place.tables:
        frame = pl.read_parquet(place.file(table, segment), hive_partitioning=False)
        assert frame.equals(frame.sort(SORTED_BY[table], maintain_order=True))
        assert dict(frame.schema) | CORE[table] == dict(frame.schema)
    options = parquet.ParquetFile(place.file("options", segment))
    assert options.schema_arrow.field("ts").type == pa.timestamp("us", "UTC")
    kinds = {
        c.path_in_schema: c for c in map(options.metadata.row_group(0).column, range(options.metadata.num_columns))
    }
    assert {kinds[name].compression for name in kinds} == {"ZSTD"}
    assert all("RLE_DICTIONARY" in kinds[name].encodings for name in ("index", "right", "expiry_code", "exchange"))
    assert [s.ts for s in archive.read(TODAY)] == [first.ts, second.ts, third.ts]


def test_a_large_day_is_compacted_piece_by_piece(opened: Open, root: Path) -> None:
    batch = snapshots(4, strikes=21, expiries=3)
    batch[1] = batch[1].replace(options=batch[1].options.with_columns(expiry=pl.lit(None, pl.Date)))
    archive = opened()
    archive.write(batch)
    (place,) = places(root)
    assert compact(place, Settings(), piece=100)
    rows = pl.read_parquet(place.file("options", place.segments()[0]), hive_partitioning=False)
    assert rows.height == sum(s.options.height for s in batch)
    assert rows.equals(rows.sort(SORTED_BY["options"], maintain_order=True)) or rows["expiry"].null_count()
    for one, wanted in zip(Dataset(root, window=150).read(TODAY), batch, strict=True):
        if not wanted.options["expiry"].null_count():
            same(one, wanted)


def test_a_day_is_compacted_when_the_next_one_begins(opened: Open, files: Files) -> None:
    archive = opened()
    for d in range(2):
        for s in small(3, ts=START + timedelta(days=d)):
            archive.write([s])
    assert [parse(Path(f).name).compacted for f in files("options/*/date=2026-08-17/*.parquet")] == [True]  # type: ignore[union-attr]
    assert len(files("options/*/date=2026-08-18/*.parquet")) == 3


def test_a_day_that_a_killed_recorder_left_is_compacted_as_well(opened: Open, files: Files) -> None:
    for s in small(3):
        opened().write([s])
    opened().write(small(1, ts=START + timedelta(days=1)))
    assert len(files("options/*/date=2026-08-17/*.parquet")) == 1


@pytest.mark.parametrize(("now", "compacted"), [(CLOSE - timedelta(minutes=1), False), (CLOSE, True)])
def test_a_day_is_compacted_at_the_end_once_its_session_is_over(
    opened: Open, clock: ManualClock, files: Files, now: datetime, compacted: bool
) -> None:
    archive = opened()
    for s in small(3):
        archive.write([s])
    clock.set(now)
    archive.close()
    assert (len(files("options/*/*/*.parquet")) == 1) == compacted


def test_what_comes_late_is_found_and_compacted_again(opened: Open, root: Path) -> None:
    *most, late = small(4)
    archive = opened()
    archive.write(most)
    (place,) = places(root)
    compact(place, Settings())
    archive.write([late])
    archive.write(most)
    assert len(place.segments()) == 2
    for again in (False, True):
        assert compact(place, Settings()) is not again
        for one, wanted in zip(archive.read(TODAY), [*most, late], strict=True):
            same(one, wanted)


@pytest.mark.parametrize("merge_files", [2, 10])
def test_a_write_during_a_compaction_stays(opened: Open, root: Path, merge_files: int) -> None:
    """With two files to merge, it merges away what the compaction has read."""
    *most, late = small(5)
    archive = opened(merge_files=merge_files)
    for s in most[:3]:
        archive.write([s])
    (place,) = places(root)
    segments = place.segments()
    made = stage(place, segments, Settings())
    archive.write([late])
    assert publish(place, segments, made) == (merge_files == 10)
    assert [s.ts for s in archive.read(TODAY)] == [s.ts for s in (*most[:3], late)]
    assert not list(root.glob("*/*/*/.*"))
    assert compact(place, Settings())
    assert len(place.every_segment()) == 1


def test_two_compactions_do_not_meet(opened: Open, root: Path) -> None:
    opened().write(small(2))
    (place,) = places(root)
    with locked(root, COMPACT_LOCK), pytest.raises(Unavailable):
        compact(place, Settings(), wait=0)


def test_old_dates_are_removed_at_the_start_and_today_never(
    opened: Open, clock: ManualClock, files: Files, root: Path
) -> None:
    for d in range(4):
        opened().write(small(1, ts=START + timedelta(days=d)))
    clock.set(START + timedelta(days=3))
    opened()
    dates = {path.split("/")[2] for path in files()}
    assert len(dates) == 4
    archive = opened(retention="1d")
    assert sorted({path.split("/")[2] for path in files()}) == ["date=2026-08-19", "date=2026-08-20"]
    assert list(archive.days()) == [date(2026, 8, 19), date(2026, 8, 20)]
    opened(retention="1s")
    assert list(archive.days()) == [date(2026, 8, 20)]
    assert not list(root.glob("*/*/date=2026-08-1[789]"))


def test_windows_give_the_same_day(opened: Open, root: Path) -> None:
    batch = [*small(6), *small(6, "BANKNIFTY")]
    archive = opened()
    for s in batch:
        archive.write([s])
    wanted = [(s.index, s.ts, s.options.height) for s in archive.read(TODAY)]
    assert [(s.index, s.ts, s.options.height) for s in Dataset(root, window=20).read(TODAY)] == wanted
    assert [key[:2] for key in wanted] == [(s.index, s.ts) for s in sorted(batch, key=lambda s: (s.ts, s.index))]


def test_a_column_of_another_kind_than_before_is_rejected(opened: Open) -> None:
    first, second, third = small(3)
    archive = opened()
    archive.write([first.replace(options=first.options.with_columns(x=pl.lit(1)))])
    archive.write([second.replace(options=second.options.with_columns(x=pl.lit(1.5)))])
    for again in (archive, opened()):
        with pytest.raises(Rejected, match="`x` of the options is String"):
            again.write([third.replace(options=third.options.with_columns(x=pl.lit("one")))])
    assert [s.options["x"][0] for s in archive.read(TODAY)] == [1.0, 1.5]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s.replace(options=s.options.with_columns(date=pl.lit(1))),
        lambda s: s.replace(options=s.options.with_columns(ts=pl.lit(1))),
        lambda s: s.replace(facts={"source": 1.0}),
        lambda s: s.replace(facts={"index": 1.0}),
        lambda s: s.replace(expiries=s.expiries.with_columns(expiry=pl.lit("soon"))),
    ],
)
def test_what_the_dataset_cannot_hold_is_rejected(
    opened: Open, files: Files, spoil: Callable[[Snapshot], Snapshot]
) -> None:
    archive = opened()
    with pytest.raises(Rejected) as caught:
        archive.write([spoil(snapshot())])
    assert caught.value.code == "bad-frame"
    assert files() == []


def test_kinds_of_columns_come_back_as_they_were(opened: Open, root: Path) -> None:
    (s,) = small(1)
    n = s.options.height
    odd = {
        "x_duration": pl.Series([timedelta(seconds=i) for i in range(n)]),
        "x_category": pl.Series(["a", "b"] * (n // 2), dtype=pl.Categorical),
        "x_list": pl.Series([[1.5, None]] * n),
        "x_struct": pl.Series([{"a": 1, "b": "x"}] * n),
        "x_byte": pl.Series([7] * n, dtype=pl.Int8),
        "x_flag": pl.Series([True, None] * (n // 2)),
    }
    given = s.replace(options=s.options.with_columns(**odd))
    archive = opened()
    archive.write([given])
    same(next(archive.read(TODAY)), given)
    compact(places(root)[0], Settings())
    same(next(archive.read(TODAY)), given)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-40], lambda data: b"a,b\n1,2\n"])
def test_a_damaged_file_is_named_and_the_rest_is_readable(
    opened: Open, root: Path, g6_context: Context, damage: Callable[[bytes], bytes]
) -> None:
    archive = opened()
    archive.write(small(2))
    archive.write(small(2, ts=START + timedelta(days=1)))
    place: Place = places(root)[0]
    path = place.file("options", place.segments()[0])
    path.write_bytes(damage(path.read_bytes()))
    for ask in (lambda: list(archive.read(TODAY)), lambda: archive.at("NIFTY", START)):
        with pytest.raises(DataError) as caught:
            ask()
        assert caught.value.code == "parquet-unreadable"
        assert caught.value.where == (str(path),)
    assert len(list(archive.read(trading_date(START + timedelta(days=1))))) == 2
    levels = [(f.level, str(path) in f.message) for f in ParquetArchive(Settings()).diagnose(g6_context)]
    assert levels == [("error", True)]


def test_a_file_of_somebody_else_is_left_aside(opened: Open, root: Path, g6_context: Context) -> None:
    archive = opened()
    archive.write(small(2))
    (place,) = places(root)
    pl.DataFrame({"a": [1]}).write_parquet(place.directory("options") / "mine.parquet")
    archive.write(small(3))
    assert len(list(archive.read(TODAY))) == 3
    (finding,) = ParquetArchive(Settings()).diagnose(g6_context)
    assert finding.level == "warning"
    assert "mine.parquet" in finding.message


def test_files_of_two_datasets_in_one_directory_are_refused(opened: Open, root: Path) -> None:
    archive = opened(merge_files=2)
    for s in small(4):
        archive.write([s])
    (place,) = places(root)
    (one,) = place.segments()
    for table in place.tables:
        alien = place.file(table, one).with_name(
            one.name.replace("-00000004-", "-00000009-").replace("00000001", "00000003")
        )
        alien.write_bytes(place.file(table, one).read_bytes())
    with pytest.raises(DataError, match="the same writes"):
        list(archive.read(TODAY))


def test_merging_that_fails_loses_nothing(opened: Open, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = opened(merge_files=2)
    first, second, third = small(3)
    archive.write([first])
    (place,) = places(root)
    (segment,) = place.segments()
    data = place.file("options", segment).read_bytes()
    place.file("options", segment).write_bytes(data[:-9])
    with caplog.at_level(logging.WARNING, "g6.parquet"):
        archive.write([second])
    assert "could not be merged" in caplog.text
    place.file("options", segment).write_bytes(data)
    archive.write([third])
    for one, wanted in zip(archive.read(TODAY), (first, second, third), strict=True):
        same(one, wanted)

"""What every archive keeps: it gives back what it was given, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from g6core.components import Archive, Context
from g6core.exchange import trading_date
from g6core.snapshot import QUOTES, Snapshot
from g6core.testing.clock import START
from g6core.testing.delivery_contract import DeliveryContract
from g6core.testing.market import snapshot, snapshots

EARLIER = timedelta(microseconds=1)


def same(found: Snapshot | None, wanted: Snapshot) -> None:
    """Asserts that one is the other: rows in their order, columns in any; a column without any value is none."""
    assert found is not None
    assert (found.index, found.ts, found.source) == (wanted.index, wanted.ts, wanted.source)
    assert dict(found.facts) == dict(wanted.facts)
    for ours, theirs in ((found.options, wanted.options), (found.expiries, wanted.expiries)):
        assert_frame_equal(_filled(ours), _filled(theirs), check_column_order=False, check_exact=True)


def _filled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(s for s in frame.get_columns() if s.null_count() < len(s))


class ArchiveContract(DeliveryContract):
    """Fixtures to override: those of DeliveryContract."""

    @pytest.fixture
    def archive(self, component: Archive) -> Archive:
        return component

    def test_an_empty_archive_has_nothing(self, archive: Archive) -> None:
        assert list(archive.days()) == []
        assert archive.at("NIFTY", START) is None

    def test_gives_back_what_it_was_given_by_time(self, archive: Archive) -> None:
        ours, theirs = snapshots(3), snapshots(3, "BANKNIFTY")
        for pair in zip(ours, theirs, strict=True):
            archive.write(pair)
        day = trading_date(START)
        assert list(archive.days()) == [day]
        assert archive.count(day) in (6, None)
        found = list(archive.read(day))
        assert [s.ts for s in found] == sorted(s.ts for s in [*ours, *theirs])
        for one, wanted in zip((s for s in found if s.index == "NIFTY"), ours, strict=True):
            same(one, wanted)

    def test_gives_back_columns_and_facts_that_come_and_go(self, archive: Archive) -> None:
        first, second, third = snapshots(3)
        extra = second.options.with_columns(x_number=pl.int_range(pl.len()) * 0.5, x_text=pl.lit('भारत, "ऑप्शन"'))
        second = second.replace(
            options=extra, expiries=second.expiries.with_columns(x_pcr=0.9), facts={**second.facts, "x_fact": -1.5}
        )
        archive.write([first, second])
        archive.write([third])
        for one, wanted in zip(archive.read(trading_date(START)), (first, second, third), strict=True):
            same(one, wanted)

    def test_gives_back_nulls_and_snapshots_without_rows(self, archive: Archive) -> None:
        first, second = snapshots(2)
        unknown = first.replace(
            options=first.options.with_columns(pl.lit(None, t).alias(c) for c, t in QUOTES.items()), facts={}
        )
        bare = second.replace(options=second.options.clear(), expiries=second.expiries.clear(), facts={"spot": 1.0})
        archive.write([unknown, bare])
        found = list(archive.read(trading_date(START)))
        same(found[0], unknown)
        same(found[1], bare)

    def test_gives_the_newest_at_or_before_an_instant_of_that_day(self, archive: Archive) -> None:
        days = [snapshots(3, ts=START + timedelta(days=d)) for d in range(2)]
        for batch in days:
            archive.write(batch)
        for batch in days:
            assert archive.at("NIFTY", batch[0].ts - EARLIER) is None
            for s in batch:
                same(archive.at("NIFTY", s.ts), s)
            same(archive.at("NIFTY", batch[1].ts - EARLIER), batch[0])
            same(archive.at("NIFTY", batch[2].ts + timedelta(hours=2)), batch[2])
        assert archive.at("BANKNIFTY", days[0][0].ts) is None

    def test_another_reader_sees_what_was_written(
        self, archive: Archive, build: Callable[[], Archive], context: Context
    ) -> None:
        s = snapshot()
        archive.write([s])
        other = build()
        other.open(context)
        same(other.at(s.index, s.ts), s)
        other.close()

"""What every sink keeps: at-least-once delivery leaves exactly one copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta

import polars as pl
import pytest

from g6core.components import Alert, Context, Sink
from g6core.snapshot import QUOTES, Snapshot
from g6core.testing.clock import START
from g6core.testing.component_contract import ComponentContract
from g6core.testing.market import snapshot, snapshots

Row = tuple[str, datetime, str]
"""(index, ts, symbol): one option at one instant; ts UTC and aware."""


class SinkContract(ComponentContract):
    """Fixtures to override: `build`, `stored`.

    stored: a callable giving a `Row` for every row that is stored at that moment, doubles as often as they are there.
    stores_unquoted: False for a store that has no place for a row without any quote.
    """

    stores_unquoted = True

    @pytest.fixture
    def stored(self) -> Callable[[], Collection[Row]]:
        raise NotImplementedError("override the fixture `stored`: it gives a callable that reads back what is stored")

    @pytest.fixture
    def sink(self, component: Sink) -> Sink:
        return component

    def expected(self, given: Sequence[Snapshot]) -> Counter[Row]:
        """One of each row of the snapshots."""
        quoted = pl.any_horizontal(pl.col(*QUOTES).is_not_null())
        return Counter(
            (s.index, s.ts, symbol)
            for s in given
            for symbol in (s.options if self.stores_unquoted else s.options.filter(quoted))["symbol"]
        )

    @pytest.fixture
    def leaves(self, stored: Callable[[], Collection[Row]]) -> Callable[..., None]:
        """Asserts that exactly one copy of each row of the given snapshots is stored, and nothing else."""

        def check(*given: Snapshot) -> None:
            found, wanted = Counter(stored()), self.expected(given)
            missing, surplus = wanted - found, found - wanted
            assert not missing, f"{missing.total()} rows are missing, such as {next(iter(missing))}"
            assert not surplus, f"{surplus.total()} rows are too many, such as {next(iter(surplus))}"

        return check

    def test_stores_every_row_once(self, sink: Sink, leaves: Callable[..., None]) -> None:
        batch = snapshots(3)
        sink.write(batch)
        leaves(*batch)

    def test_stores_several_indices_in_one_batch(self, sink: Sink, leaves: Callable[..., None]) -> None:
        batch = [*snapshots(2), *snapshots(2, "BANKNIFTY")]
        sink.write(batch)
        leaves(*batch)

    def test_the_same_batch_twice_leaves_one(self, sink: Sink, leaves: Callable[..., None]) -> None:
        batch = snapshots(2)
        sink.write(batch)
        sink.write(batch)
        leaves(*batch)

    def test_overlapping_batches_leave_one(self, sink: Sink, leaves: Callable[..., None]) -> None:
        first, second, third = snapshots(3)
        sink.write([first, second])
        sink.write([second, third])
        leaves(first, second, third)

    def test_a_batch_again_after_later_ones_leaves_one(self, sink: Sink, leaves: Callable[..., None]) -> None:
        early, *later = snapshots(4)
        sink.write([early])
        sink.write(later)
        sink.write([early])
        leaves(early, *later)

    def test_snapshots_may_come_out_of_order(self, sink: Sink, leaves: Callable[..., None]) -> None:
        first, second, third = snapshots(3)
        for s in (second, third, first):
            sink.write([s])
        leaves(first, second, third)

    def test_an_empty_batch_stores_nothing(self, sink: Sink, leaves: Callable[..., None]) -> None:
        sink.write([])
        leaves()

    def test_a_snapshot_without_rows_stores_nothing(self, sink: Sink, leaves: Callable[..., None]) -> None:
        s = snapshot()
        sink.write([s.replace(options=s.options.clear(), expiries=s.expiries.clear(), facts={})])
        leaves()

    def test_accepts_nulls_wherever_they_may_be(self, sink: Sink, leaves: Callable[..., None]) -> None:
        s = snapshot()
        unknown = s.options.with_columns(pl.lit(None, t).alias(c) for c, t in QUOTES.items())
        unlabelled = unknown.with_columns(
            pl.lit(None, pl.Int64).alias(c) for c in ("offset", "token", "lot_size")
        ).with_columns(tick_size=pl.lit(None, pl.Float64))
        expiries = s.expiries.with_columns(atm_strike=pl.lit(None, pl.Float64))
        given = s.replace(options=unlabelled, expiries=expiries, facts={})
        sink.write([given])
        leaves(given)

    def test_accepts_columns_and_facts_it_does_not_know(self, sink: Sink, leaves: Callable[..., None]) -> None:
        given = _with_extras(snapshot())
        sink.write([given])
        leaves(given)

    def test_accepts_columns_that_come_and_go(self, sink: Sink, leaves: Callable[..., None]) -> None:
        first, second, third = snapshots(3)
        batch = [first, _with_extras(second), third]
        sink.write(batch)
        leaves(*batch)

    def test_accepts_symbols_of_any_kind(self, sink: Sink, leaves: Callable[..., None]) -> None:
        s = snapshot()
        odd = pl.format('{} {} {},"{}"', "index", "expiry", pl.col("strike").cast(pl.Int64), "right")
        given = s.replace(options=s.options.with_columns(symbol=odd))
        sink.write([given])
        leaves(given)

    def test_accepts_ten_times_the_size(self, sink: Sink, leaves: Callable[..., None]) -> None:
        given = snapshot(strikes=111)
        sink.write([given])
        leaves(given)

    def test_stores_several_days(self, sink: Sink, leaves: Callable[..., None]) -> None:
        batch = [snapshot(ts=START + timedelta(days=d)) for d in range(3)]
        sink.write(batch)
        leaves(*batch)

    def test_stores_across_midnight_utc(self, sink: Sink, leaves: Callable[..., None]) -> None:
        batch = snapshots(2, ts=START.replace(hour=23, minute=59))
        sink.write(batch)
        leaves(*batch)

    def test_continues_after_close_and_reopen(
        self, build: Callable[[], Sink], context: Context, leaves: Callable[..., None]
    ) -> None:
        first, second, third = snapshots(3)
        for batch in ([first, second], [second, third]):
            for sink in _opened(build, context):
                sink.write(batch)
        leaves(first, second, third)

    def test_what_was_written_is_there_before_close(
        self, build: Callable[[], Sink], context: Context, leaves: Callable[..., None]
    ) -> None:
        abandoned = build()
        abandoned.open(context)
        batch = snapshots(2)
        abandoned.write(batch)
        leaves(*batch)
        for sink in _opened(build, context):
            sink.write(batch)
        leaves(*batch)

    def test_leaves_the_snapshots_as_they_are(self, sink: Sink) -> None:
        given = snapshot()
        options, expiries, facts = given.options.clone(), given.expiries.clone(), dict(given.facts)
        sink.write([given])
        assert given.options.equals(options)
        assert given.expiries.equals(expiries)
        assert given.facts == facts

    def test_takes_alerts_or_ignores_them(self, sink: Sink) -> None:
        alert = Alert("pcr_high", "NIFTY", START, "PCR 1.6 über 1.5 ₹", labels={"expiry": "this_week"})
        sink.write_alerts([])
        sink.write_alerts([alert])
        sink.write_alerts([alert])


def _opened(build: Callable[[], Sink], context: Context) -> Iterator[Sink]:
    sink = build()
    sink.open(context)
    yield sink
    sink.close()


def _with_extras(s: Snapshot) -> Snapshot:
    """With a number, a text and a time that no core column is."""
    options = s.options.with_columns(
        x_number=pl.int_range(pl.len()) * 0.5,
        x_text=pl.lit('भारत, "ऑप्शन" =ünï = x y'),
        x_time=pl.lit(s.ts),
        x_flag=pl.lit(None, pl.Boolean),
    )
    return s.replace(options=options, expiries=s.expiries.with_columns(x_pcr=0.9), facts={**s.facts, "x_fact": -1.5})

"""Components that each break one promise. `tests/test_testing.py` runs them and demands that the kit finds each fault.

`finds` names tests that must fail; more may.
"""

from __future__ import annotations

import polars as pl
import pytest

from g6core import Alert, AlertRule, Analytic, AnalyticSpec, Sink, Strategy
from g6core.testing import (
    AlertRuleContract,
    AnalyticContract,
    FakeMarket,
    MemorySink,
    ProviderContract,
    SinkContract,
    StrategyContract,
    snapshots,
)


class Appending(Sink):
    def __init__(self):
        self.rows = []

    def write(self, snapshots):
        self.rows += [(s.index, s.ts, symbol) for s in snapshots for symbol in s.options["symbol"]]


class NewestOnly(Appending):
    """Drops what is older than what it has."""

    def write(self, snapshots):
        latest = max((row[1] for row in self.rows), default=None)
        super().write([s for s in snapshots if latest is None or s.ts > latest])


class Unflushed(MemorySink):
    """Keeps everything in memory until it is closed."""

    disk: dict = {}  # noqa: RUF012

    def write(self, snapshots):
        self._snapshots.update({(s.ts, s.index): s for s in snapshots})

    def close(self):
        self.disk.update(self._snapshots)


class TestAppending(SinkContract):
    finds = (
        "test_the_same_batch_twice_leaves_one",
        "test_overlapping_batches_leave_one",
        "test_a_batch_again_after_later_ones_leaves_one",
        "test_continues_after_close_and_reopen",
        "test_what_was_written_is_there_before_close",
    )
    sink_class = Appending

    @pytest.fixture
    def build(self):
        self.one = self.sink_class()
        return lambda: self.one

    @pytest.fixture
    def stored(self, build):
        return lambda: build().rows


class TestNewestOnly(TestAppending):
    finds = ("test_snapshots_may_come_out_of_order",)
    sink_class = NewestOnly


class TestUnflushed(SinkContract):
    finds = ("test_what_was_written_is_there_before_close",)

    @pytest.fixture
    def build(self):
        Unflushed.disk.clear()
        return Unflushed

    @pytest.fixture
    def stored(self):
        return lambda: [(s.index, s.ts, symbol) for s in Unflushed.disk.values() for symbol in s.options["symbol"]]


class ZeroFilled(FakeMarket):
    def quotes(self, contracts):
        return super().quotes(contracts).with_columns(pl.col("last_price", "bid", "ask").fill_null(0.0))


class Misaligned(FakeMarket):
    """Answers sorted by its own order, and only what it knows."""

    def quotes(self, contracts):
        return super().quotes(contracts.sort("symbol").filter(pl.col("symbol") != "NOSUCH26AUG1CE"))


class Trading(FakeMarket):
    def place_order(self):
        pass


class TestZeroFilled(ProviderContract):
    finds = ("test_an_absent_price_is_null_never_zero", "test_a_contract_it_does_not_know_has_no_quote")

    @pytest.fixture
    def build(self):
        return ZeroFilled


class TestMisaligned(ProviderContract):
    finds = ("test_quotes_follow_the_order_of_the_request", "test_a_contract_it_does_not_know_has_no_quote")

    @pytest.fixture
    def build(self):
        return Misaligned


class TestTrading(ProviderContract):
    finds = ("test_has_no_way_to_place_an_order",)

    @pytest.fixture
    def build(self):
        return Trading


class Clinging(Strategy):
    """Keeps what it held, listed or not."""

    def select(self, contracts, spot, today, held):
        return held if held.height and contracts.height else contracts


class TestClinging(StrategyContract):
    finds = ("test_never_selects_a_contract_that_vanished",)

    @pytest.fixture
    def build(self):
        return Clinging


class Filling(Analytic):
    """Overwrites an absent price, and divides by zero."""

    def compute(self, snapshot):
        filled = pl.col("last_price").fill_null(0.0)
        return snapshot.replace(options=snapshot.options.with_columns(last_price=filled, ratio=filled / filled))


class TestFilling(AnalyticContract):
    finds = (
        "test_adds_what_it_declared",
        "test_what_cannot_be_computed_is_null_not_nan",
        "test_accepts_a_chain_without_quotes",
    )

    @pytest.fixture
    def build(self):
        return Filling

    @pytest.fixture
    def spec(self):
        return AnalyticSpec(name="filling", build=lambda _: Filling(), adds=("options.ratio",))


class Undeclared(Analytic):
    def compute(self, snapshot):
        return snapshot.replace(facts={**snapshot.facts, "made_up": 1.0})


class TestUndeclared(AnalyticContract):
    finds = ("test_adds_what_it_declared",)

    @pytest.fixture
    def build(self):
        return Undeclared

    @pytest.fixture
    def spec(self):
        return AnalyticSpec(name="undeclared", build=lambda _: Undeclared())


class Anxious(AlertRule):
    """Cries at everything, and needs the snapshot before."""

    def check(self, now, before):
        return [Alert("anxious", before.index, before.ts, "something moved")]


class TestAnxious(AlertRuleContract):
    finds = (
        "test_says_nothing_while_all_is_calm",
        "test_an_alert_says_whose_and_when",
        "test_does_without_an_earlier_snapshot",
    )

    @pytest.fixture
    def build(self):
        return Anxious

    @pytest.fixture
    def alarming(self):
        before, now = snapshots(2)
        return now, before

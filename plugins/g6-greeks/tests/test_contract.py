from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from g6_greeks import g6_analytics
from g6_greeks.settings import GreeksSettings

from g6core import Analytic, AnalyticSpec, Context, Snapshot
from g6core.journal import Journal
from g6core.testing import START, AnalyticContract, snapshot
from g6core.testing.component_contract import lent_context

SPECS = {spec.name: spec for spec in g6_analytics()}


def without(spec: AnalyticSpec, *columns: str) -> AnalyticSpec:
    return dataclasses.replace(spec, adds=tuple(name for name in spec.adds if name not in columns))


class TestGreeksOfBidAndAsk(AnalyticContract):
    settings = GreeksSettings(bid_ask=True)

    @pytest.fixture
    def spec(self) -> AnalyticSpec:
        return SPECS["greeks"]

    @pytest.fixture
    def build(self, spec: AnalyticSpec) -> Callable[[], Analytic]:
        return lambda: spec.build(self.settings)


class TestGreeks(TestGreeksOfBidAndAsk):
    """`bid_ask` brings two of the declared columns; without it they are not added."""

    settings = GreeksSettings()

    @pytest.fixture
    def spec(self) -> AnalyticSpec:
        return without(SPECS["greeks"], "options.iv_bid", "options.iv_ask")


class TestGreeksByTheNseConvention(TestGreeks):
    settings = GreeksSettings(convention="nse")

    def test_computes_something(self, analytic: Analytic, snapshot: Snapshot, spec: AnalyticSpec) -> None:
        # This convention takes no forward from parity.
        super().test_computes_something(analytic, snapshot, without(spec, "expiries.parity_rmse"))


class TestPutCallRatio(AnalyticContract):
    name = "pcr"

    @pytest.fixture
    def spec(self) -> AnalyticSpec:
        return SPECS[self.name]

    @pytest.fixture
    def build(self, spec: AnalyticSpec) -> Callable[[], Analytic]:
        return lambda: spec.build(spec.settings())


class TestMaxPain(TestPutCallRatio):
    name = "max_pain"


class TestAtTheMoney(TestPutCallRatio):
    name = "atm"

    @pytest.fixture
    def snapshot(self) -> Snapshot:
        """With the volatilities that it needs, out to 25 delta."""
        return SPECS["greeks"].build(GreeksSettings()).compute(snapshot(strikes=41))


class TestGammaExposure(TestAtTheMoney):
    name = "gex"


class TestQuality(TestAtTheMoney):
    name = "quality"


class TestOpenInterestChange(TestPutCallRatio):
    name = "oi_change"

    @pytest.fixture
    def context(self, tmp_path: Path) -> Context:
        """With an earlier snapshot of the day in the journal."""
        journal = Journal(tmp_path, [])
        encoded = journal.encode(snapshot(ts=START - timedelta(minutes=5)))
        journal.append(encoded.path, [encoded])
        journal.close()
        return lent_context(tmp_path)

from __future__ import annotations

from collections.abc import Callable

import pytest
from g6_greeks import g6_analytics
from g6_greeks.settings import GreeksSettings

from g6core import Analytic, AnalyticSpec, Snapshot
from g6core.specs import NoSettings
from g6core.testing import AnalyticContract, snapshot

SPECS = {spec.name: spec for spec in g6_analytics()}


class TestGreeks(AnalyticContract):
    settings = GreeksSettings()

    @pytest.fixture
    def spec(self) -> AnalyticSpec:
        return SPECS["greeks"]

    @pytest.fixture
    def build(self, spec: AnalyticSpec) -> Callable[[], Analytic]:
        return lambda: spec.build(self.settings)


class TestGreeksByTheNseConvention(TestGreeks):
    settings = GreeksSettings(convention="nse")


class TestPutCallRatio(AnalyticContract):
    name = "pcr"

    @pytest.fixture
    def spec(self) -> AnalyticSpec:
        return SPECS[self.name]

    @pytest.fixture
    def build(self, spec: AnalyticSpec) -> Callable[[], Analytic]:
        return lambda: spec.build(NoSettings())


class TestMaxPain(TestPutCallRatio):
    name = "max_pain"


class TestAtTheMoney(TestPutCallRatio):
    name = "atm"

    @pytest.fixture
    def snapshot(self) -> Snapshot:
        """With the volatilities that it needs."""
        return SPECS["greeks"].build(GreeksSettings()).compute(snapshot())

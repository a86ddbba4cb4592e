from __future__ import annotations

from collections.abc import Callable

import pytest
from g6_sim import Settings
from g6_sim.provider import Sim

from g6core.testing import ProviderContract


class TestSim(ProviderContract):
    @pytest.fixture
    def build(self) -> Callable[[], Sim]:
        return lambda: Sim(Settings())


class TestSimWithoutRounding(ProviderContract):
    @pytest.fixture
    def build(self) -> Callable[[], Sim]:
        return lambda: Sim(Settings(tick_rounding=False))

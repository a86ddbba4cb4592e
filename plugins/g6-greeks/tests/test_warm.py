"""Nothing is left to compile when the first cycle comes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
from g6_greeks import g6_analytics
from g6_greeks.warm import SILENT, prepared
from numba.core import event

from g6core import Context, Snapshot
from g6core.analysis import Step, analyse, in_order


def test_no_snapshot_waits_for_the_compiler(market: Callable[..., Snapshot], g6_context: Context) -> None:
    specs = g6_analytics()
    steps = in_order(Step(s.name, s.build(s.settings()), s.needs, s.adds) for s in specs)
    for step in steps:
        step.analytic.open(g6_context)
    with event.install_recorder("numba:compile") as compiled:
        recorded = analyse(market(), steps)
        analyse(market(half_spread=2.0), steps)
    assert recorded[1] == []
    assert [str(found.data["dispatcher"]) for _, found in compiled.buffer] == []


def test_a_long_preparation_says_so_and_a_short_one_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "g6.greeks"):
        prepared("nothing", lambda: None)
        assert caplog.records == []
        prepared("something", lambda: time.sleep(SILENT + 0.3))
    assert "something" in caplog.text

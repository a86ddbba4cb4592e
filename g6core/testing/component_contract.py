"""What every component keeps.

Subclass the contract of your kind and give it a fixture `build`; pytest then runs every promise that
`g6core.components` makes in its name:

    class TestLines(SinkContract):
        @pytest.fixture
        def build(self, tmp_path):
            return lambda: Lines(Settings(path=str(tmp_path / "lines.txt")))

`build` is a callable, because some promises need a second component over the same storage. It runs nothing: settings
point at `tmp_path`, and servers are the subclass's own fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from g6core.components import Component, Context
from g6core.exchange import Calendar
from g6core.history import History
from g6core.reports import Finding
from g6core.testing.clock import ManualClock

LEVELS = {"ok", "warning", "error"}


def lent_context(data_dir: Path) -> Context:
    """What the engine would lend: a data directory, a clock that a test sets, the real calendar."""
    return Context(data_dir, ManualClock(), Calendar.load(), History(data_dir))


class ComponentContract:
    """Fixtures to override: `build`; when needed `context`."""

    @pytest.fixture
    def build(self) -> Callable[[], Any]:
        raise NotImplementedError("override the fixture `build`: it gives a callable that makes the component")

    @pytest.fixture
    def context(self, tmp_path: Path) -> Context:
        return lent_context(tmp_path)

    @pytest.fixture
    def component(self, build: Callable[[], Component], context: Context) -> Iterator[Component]:
        """Built and opened; closed after the test."""
        made = build()
        made.open(context)
        yield made
        made.close()

    def test_closes_without_having_been_opened(self, build: Callable[[], Component]) -> None:
        build().close()

    def test_opens_a_second_time_after_closing(self, build: Callable[[], Component], context: Context) -> None:
        for _ in range(2):
            component = build()
            component.open(context)
            component.close()

    def test_diagnose_gives_findings(self, build: Callable[[], Component], context: Context) -> None:
        for finding in build().diagnose(context):
            assert isinstance(finding, Finding)
            assert finding.level in LEVELS
            assert finding.message
            assert finding.level == "ok" or finding.hint, f"a finding that is not ok says what to do: {finding}"

"""The promises of every sink, for one that keeps the newest snapshot of each index in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from g6_web.settings import Settings
from g6_web.sink import WebSink

from g6core import Context, Sink, Snapshot
from g6core.testing import SinkContract, snapshots
from g6core.testing.sink_contract import Row

from .conftest import Site, served_context


class TestWeb(SinkContract):
    def expected(self, given: Sequence[Snapshot]) -> Counter[Row]:
        """Each row of the newest snapshot of each index."""
        newest = {s.index: s for s in sorted(given, key=lambda s: s.ts)}
        return super().expected(list(newest.values()))

    @pytest.fixture
    def context(self, tmp_path: Path) -> Context:
        return served_context(tmp_path)

    @pytest.fixture
    def made(self) -> list[WebSink]:
        return []

    @pytest.fixture
    def build(self, made: list[WebSink]) -> Callable[[], WebSink]:
        def build() -> WebSink:
            made.append(WebSink(Settings()))
            return made[-1]

        return build

    @pytest.fixture
    def stored(self, made: list[WebSink]) -> Callable[[], list[Row]]:
        def rows() -> list[Row]:
            site = Site([sink for sink in made if sink.port][-1])
            found = [site.api(f"snapshot/{i['index']}").json for i in site.api("indices").json["indices"]]
            return [(s["index"], datetime.fromisoformat(s["ts"]), o["symbol"]) for s in found for o in s["options"]]

        return rows

    def test_continues_after_close_and_reopen(
        self, build: Callable[[], Sink], context: Context, leaves: Callable[..., None]
    ) -> None:
        """Nothing is kept over a restart but what the journal has: see `test_a_restart_shows_what_was_recorded`."""
        first, second, third = snapshots(3)
        for batch in ([first, second], [second, third]):
            sink = build()
            sink.open(context)
            sink.write(batch)
            leaves(*batch)
            sink.close()

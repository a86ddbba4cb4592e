from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from g6_replay.provider import Replay
from g6_replay.settings import Settings

from g6core import Context

SHARED = Path(os.environ.get("G6_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")


class Opened(Replay):
    """A replay with the clock that it was opened on."""

    context: Context

    def at(self, instant: datetime) -> Opened:
        self.context.clock.set(instant)  # type: ignore[attr-defined]
        return self

    def board(self, index: str) -> pl.DataFrame:
        """Contracts and quotes of the clock's instant, side by side."""
        contracts = self.contracts(index)
        return pl.concat([contracts, self.quotes(contracts)], how="horizontal")

    def reasons(self) -> dict[str, tuple[int, str]]:
        return {entry.reason: (entry.count, entry.first) for entry in self.set_aside}


@pytest.fixture
def replay(g6_context: Context) -> Iterator[Callable[..., Opened]]:
    """Opens a recording at its first instant: `replay(path, format="csv", …)`."""
    with ExitStack() as stack:

        def opened(path: Path, **settings: Any) -> Opened:
            provider = stack.enter_context(closing(Opened(Settings(path=path, **settings))))
            provider.context = g6_context
            provider.open(g6_context)
            return provider.at(next(iter(provider.timeline())))

        yield opened


@pytest.fixture
def recorded() -> Callable[[str], Path]:
    """A path of the recorded data, or a skip where there is none."""

    def path(name: str) -> Path:
        found = SHARED / name
        if not found.exists():
            pytest.skip(f"recorded data not here: {found} (set G6_SHARED_DATA)")
        return found

    return path

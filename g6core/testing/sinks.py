"""A sink that remembers, and one that fails as told."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal

from g6core.components import Alert, Context, Sink
from g6core.errors import Rejected, Unavailable
from g6core.snapshot import Snapshot

Outcome = Literal["ok", "unavailable", "late", "rejected"]
"""late: the batch is stored and the answer is lost, so it comes again."""


class MemorySink(Sink):
    """Keeps what it is given, one copy of each.

    writes: how many batches were accepted, repeats included. is_open: between `open` and `close`.
    """

    def __init__(self, settings: object = None) -> None:
        self._snapshots: dict[tuple[datetime, str], Snapshot] = {}
        self._alerts: dict[tuple[str, str, datetime, str], Alert] = {}
        self.writes = 0
        self.is_open = False

    def open(self, context: Context) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots.update({(s.ts, s.index): s for s in snapshots})
        self.writes += 1

    def write_alerts(self, alerts: Sequence[Alert]) -> None:
        self._alerts.update({(a.rule, a.index, a.ts, a.key): a for a in alerts})

    @property
    def snapshots(self) -> list[Snapshot]:
        """By time, then index."""
        return [self._snapshots[key] for key in sorted(self._snapshots)]

    @property
    def alerts(self) -> list[Alert]:
        return list(self._alerts.values())

    def stored(self) -> list[tuple[str, datetime, str]]:
        """A tuple (index, ts, symbol) per row kept."""
        return [(s.index, s.ts, symbol) for s in self.snapshots for symbol in s.options["symbol"]]


class FlakySink(MemorySink):
    """A memory sink whose first writes end as scripted; afterwards all is well.

    attempts: writes asked for, whatever became of them. refused: snapshots of rejected batches.
    """

    def __init__(self, outcomes: Iterable[Outcome] = ()) -> None:
        super().__init__()
        self._outcomes: Iterator[Outcome] = iter(outcomes)
        self.attempts = 0
        self.refused: list[Snapshot] = []

    @classmethod
    def by_chance(cls, seed: int, writes: int, *, unavailable: float = 0.3, late: float = 0.2) -> FlakySink:
        """For `writes` writes each fails with these probabilities; the same seed fails in the same way."""
        dice = random.Random(seed)
        kinds: list[Outcome] = ["unavailable", "late", "ok"]
        return cls(dice.choices(kinds, [unavailable, late, 1.0 - unavailable - late], k=writes))

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        self.attempts += 1
        outcome = next(self._outcomes, "ok")
        if outcome == "rejected":
            self.refused += snapshots
            raise Rejected("the flaky sink rejects this batch")
        if outcome in ("ok", "late"):
            super().write(snapshots)
        if outcome in ("unavailable", "late"):
            raise Unavailable(f"the flaky sink is {outcome}")

"""How the recorder itself does, over cycles: what rules, screens and metrics are told as a RunReport."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from g6core.components import Context
from g6core.delivery import SinkRunner
from g6core.reports import CycleReport, IndexReport, RunReport
from g6core.source import Source


class Condition:
    """Used by the engine's thread."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.missed: dict[str, int] = {}
        """Cycles in a row that recorded nothing, by index."""
        self._received: dict[str, datetime | None] = {}

    def took(self, indices: Mapping[str, IndexReport]) -> None:
        """A cycle was done, live or replayed."""
        for index, report in indices.items():
            self.missed[index] = 0 if report.status == "recorded" else self.missed.get(index, 0) + 1
            self._received[index] = report.received or self._received.get(index)

    def report(
        self,
        now: datetime,
        cycle: CycleReport | None,
        opens: datetime | None,
        interval: timedelta,
        sources: Sequence[Source],
        runners: Mapping[str, SinkRunner],
        problem: str | None,
    ) -> RunReport:
        """See RunReport. Providers are asked for their sessions while the market is closed.

        interval: of now; that of the context is the one that the run began with.
        """
        context = self._context
        return RunReport(
            ts=now,
            cycle=cycle,
            opens=opens,
            interval=interval,
            missed={index: n for index, n in self.missed.items() if n},
            providers={s.name: s.report(now, self._received, context, ask=opens is not None) for s in sources},
            sinks={name: runner.report() for name, runner in runners.items()},
            problem=problem,
            free=self._free(),
        )

    def _free(self) -> int | None:
        try:
            return shutil.disk_usage(self._context.data_dir).free
        except OSError:
            return None

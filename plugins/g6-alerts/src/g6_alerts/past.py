"""Windows filled from what was recorded before a rule saw its first snapshot: so a restart changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from g6_alerts.view import View
from g6_alerts.windows import SLACK, Window
from g6core import Context, Snapshot, trading_date


class Past:
    """only_facts: the windows look at facts alone, which are read without any table."""

    def __init__(self, windows: Sequence[Window], only_facts: bool) -> None:
        self._windows, self._only_facts = windows, only_facts

    def fill(self, now: View, before: Snapshot | None, context: Context | None) -> None:
        """Let the windows see what came before the snapshot on its trading day, unless they did."""
        windows = [window for window in self._windows if not window.follows(now, before)]
        if not windows:
            return
        for window in windows:
            window.forget(now.index)
        for view in self._views(now, before, context, max(window.seconds for window in windows)):
            for window in windows:
                window.take(view)

    def _views(self, now: View, before: Snapshot | None, context: Context | None, reach: float) -> list[View]:
        same_day = before is not None and trading_date(before.ts) == now.day
        last = [View(before.index, before.ts, before.facts, before)] if before is not None and same_day else []
        if context is None or (not reach and last):
            return last
        views = self._recorded(now, reach, context)
        newest = views[-1].ts if views else None
        return views + [view for view in last if newest is None or view.ts > newest]

    def _recorded(self, now: View, reach: float, context: Context) -> list[View]:
        history, begin = context.history, now.ts - timedelta(seconds=SLACK * reach)
        if self._only_facts:
            facts = history.facts(now.index, now.day, now.ts)
            return [View(now.index, ts, known, None) for ts, known in facts if not reach or ts >= begin]
        if not reach:
            found = history.last(now.index, now.day, now.ts)
            return [View(found.index, found.ts, found.facts, found)] if found else []
        if now.recorded is None or now.recorded[0] > begin:
            snapshots = history.stretch(now.index, now.day, begin, now.ts)
            now.recorded = begin, [View(s.index, s.ts, s.facts, s) for s in snapshots]
        return [view for view in now.recorded[1] if view.ts >= begin]

"""Windows filled from what was recorded before a rule saw its first snapshot: so a restart changes nothing."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from datetime import timedelta
from operator import itemgetter

from g6_alerts.view import View
from g6_alerts.windows import Series
from g6core import Context, Snapshot, trading_date


class Past:
    """series: what the rule looks into, and how many seconds back. only_facts: they are of facts alone, which are read
    without any table."""

    def __init__(self, series: Mapping[Series, float], only_facts: bool) -> None:
        self._series, self._only_facts = series, only_facts

    def fill(self, now: View, before: Snapshot | None, context: Context | None) -> None:
        """Let the series see what came before the snapshot on its trading day, unless they did."""
        missing = [series for series, seconds in self._series.items() if not series.follows(now, before, seconds)]
        if not missing:
            return
        views = self._views(now, before, context, max(series.reach for series in missing))
        for series in missing:
            series.fill(now, before, views)

    def _views(self, now: View, before: Snapshot | None, context: Context | None, reach: float) -> list[View]:
        same_day = before is not None and trading_date(before.ts) == now.day
        last = [View(before.index, before.ts, before.facts, before)] if before is not None and same_day else []
        if context is None:
            return last
        views = self._recorded(now, reach, context)
        newest = views[-1].ts if views else None
        return views + [view for view in last if newest is None or view.ts > newest]

    def _recorded(self, now: View, reach: float, context: Context) -> list[View]:
        """From the newest that is at least as old as the longest window: as who looked all along has it."""
        history, begin = context.history, now.ts - timedelta(seconds=reach)
        if self._only_facts:
            facts = history.facts(now.index, now.day, now.ts)
            first = max(0, bisect(facts, begin, key=itemgetter(0)) - 1)
            return [View(now.index, ts, known, None) for ts, known in facts[first:]]
        if now.recorded is None or now.recorded[0] > begin:
            older = history.last(now.index, now.day, begin)
            found = [*([older] if older else []), *history.stretch(now.index, now.day, begin, now.ts)]
            now.recorded = begin, [View(s.index, s.ts, s.facts, s) for s in found]
        return now.recorded[1]

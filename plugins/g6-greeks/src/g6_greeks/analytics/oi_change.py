"""The analytic `oi_change`: how open interest changed since the day's first snapshot and since the last."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from g6_greeks.arrays import Floats
from g6_greeks.chain import sums_by_right
from g6_greeks.columns import chain_of, columns, floats
from g6_greeks.warm import NOBODY, NONE, NOWHERE, prepared
from g6core import Analytic, Context, Snapshot, trading_date


class _Seen:
    """The open interest of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.ts = snapshot.ts
        self.symbols, self.oi = snapshot.options["symbol"], floats(snapshot.options["oi"])
        self._lined_up = self.symbols, self.oi
        self._by_symbol: dict[str | None, float] | None = None

    def beside(self, symbols: pl.Series) -> Floats:
        """Row for row as these contracts, looked up when they change; NaN for one that was not there, or not once."""
        if not self._lined_up[0].equals(symbols):
            known = self._contracts()
            self._lined_up = symbols, np.array([known.get(symbol, math.nan) for symbol in symbols.to_list()])
        return self._lined_up[1]

    def _contracts(self) -> dict[str | None, float]:
        """The open interest of each contract, NaN for one of several rows."""
        if self._by_symbol is None:
            names = self.symbols.to_list()
            self._by_symbol = dict(zip(names, self.oi.tolist(), strict=True))
            if len(self._by_symbol) < len(names):
                doubled = (name for name, count in Counter(names).items() if count > 1)
                self._by_symbol.update(dict.fromkeys(doubled, math.nan))
        return self._by_symbol


@dataclass(frozen=True)
class _Day:
    """The newest snapshot of an index, the day's first one and the one just before; None where there is none."""

    day: date
    first: _Seen | None
    before: _Seen | None
    now: _Seen


class OpenInterestChange(Analytic):
    """Compares contracts of the same symbol within a trading day. The day's first snapshot is compared with itself.

    The snapshots of an index come by time and none is left out; one that comes late is answered from the records.
    """

    def __init__(self) -> None:
        self._context: Context | None = None
        self._days: dict[str, _Day] = {}
        self._overtaken: set[str] = set()

    def open(self, context: Context) -> None:
        self._context = context
        prepared("sums", lambda: sums_by_right(NOWHERE, NOBODY, NONE, 0))

    def compute(self, snapshot: Snapshot) -> Snapshot:
        chain, height = chain_of(snapshot), snapshot.expiries.height
        day = self._look(snapshot)
        symbols, oi = day.now.symbols, day.now.oi
        since_first = oi - (day.first or day.now).beside(symbols)
        since_last = oi - (day.before.beside(symbols) if day.before else np.nan)
        calls, puts = sums_by_right(chain.rows, chain.call, oi, height)
        day_calls, day_puts = sums_by_right(chain.rows, chain.call, since_first, height)
        changes = {"oi_change": since_last, "oi_change_day": since_first}
        facts = {"oi_calls": calls, "oi_puts": puts, "oi_change_day_calls": day_calls, "oi_change_day_puts": day_puts}
        return snapshot.add(options=columns(changes, pl.Int64), expiries=columns(facts, pl.Int64))

    def _look(self, snapshot: Snapshot) -> _Day:
        """The snapshot and those before it on its day: the ones that were seen, else the ones recorded."""
        index, day, now = snapshot.index, trading_date(snapshot.ts), _Seen(snapshot)
        held = self._days.get(index)
        if held and now.ts < held.now.ts:
            # The day's first, or the last before what comes next, may be another than the one held by now.
            self._overtaken.add(index)
            return self._recorded(index, day, now)
        if held is None or held.day != day or index in self._overtaken:
            found = self._recorded(index, day, now)
        elif held.now.ts < now.ts:
            found = _Day(day, held.first or held.now, held.now, now)
        else:
            found = _Day(day, held.first, held.before, now)
        self._overtaken.discard(index)
        self._days[index] = found
        return found

    def _recorded(self, index: str, day: date, now: _Seen) -> _Day:
        if self._context is None:
            return _Day(day, None, None, now)
        history = self._context.history
        first, last = history.first(index, day, now.ts), history.last(index, day, now.ts)
        return _Day(day, first and _Seen(first), last and _Seen(last), now)

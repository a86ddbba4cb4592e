"""A recorded day read once from beginning to end, for its candles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

import numpy as np

from g6_sim.noise import Floats, Rows
from g6_sim.serve.clock import Instant
from g6_sim.serve.instruments import Listing
from g6core import IST, Context, Provider, trading_date


@dataclass(frozen=True)
class RecordedDay:
    """Tables of instants (seconds since midnight, ascending) x instruments; columns: of each slot, -1 for none."""

    seconds: Rows
    columns: Rows
    price: Floats
    volume: Floats
    oi: Floats


class Recorded:
    """provider: not opened. One day is held at a time."""

    def __init__(self, provider: Provider, indices: Sequence[str], context: Context) -> None:
        self._provider = provider
        self._indices = indices
        self._instant = Instant(context.clock.now())
        provider.open(replace(context, clock=self._instant))
        self._timeline = list(provider.timeline() or ())
        self._held: tuple[Listing, date, RecordedDay | None] | None = None

    @property
    def first(self) -> date:
        return trading_date(self._timeline[0]) if self._timeline else date.max - timedelta(days=1)

    def day(self, listing: Listing, day: date) -> RecordedDay | None:
        """What was recorded that day of the instruments in that listing."""
        if self._held is None or self._held[0] is not listing or self._held[1] != day:
            self._held = (listing, day, self._read(listing, day))
        return self._held[2]

    def close(self) -> None:
        self._provider.close()

    def _read(self, listing: Listing, day: date) -> RecordedDay | None:
        instants = [at for at in self._timeline if trading_date(at) == day]
        if not instants:
            return None
        slots = [*listing.options.tolist(), *listing.indices.values()]
        columns = np.full(listing.tokens.size, -1, np.int64)
        columns[slots] = np.arange(len(slots))
        tables = {name: np.full((len(instants), len(slots)), np.nan) for name in ("last_price", "volume", "oi")}
        count = listing.contracts.height
        for row, at in enumerate(instants):
            self._instant.set(at)
            quotes = self._provider.quotes(listing.contracts)
            for name, table in tables.items():
                table[row, :count] = quotes[name].to_numpy()
            spots = self._provider.spots(self._indices)
            known = (spots.get(name) for name in listing.indices)
            tables["last_price"][row, count:] = [np.nan if s is None or s.last is None else s.last for s in known]
        midnight = datetime.combine(day, time(0), IST)
        seconds = np.array([int((at - midnight).total_seconds()) for at in instants], np.int64)
        return RecordedDay(seconds, columns, tables["last_price"], tables["volume"], tables["oi"])

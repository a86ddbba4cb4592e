"""Spots and bars of an index from what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import numpy as np

from g6_greeks.arrays import Floats
from g6_greeks.chain.realized import MINUTE, realized_volatility, sound_bars
from g6core import Calendar, Context, trading_date

NEAR_CLOSE = timedelta(minutes=10)
"""A day whose last snapshot lies further before the close has no bar: its high, low and close are not the day's."""


class SessionSpots:
    """The last spot of each minute of one session.

    seen: the latest instant that was added, whether there was a spot or not.
    """

    def __init__(self, opens: datetime, closes: datetime) -> None:
        self.opens, self.closes, self.seen = opens, closes, datetime.min.replace(tzinfo=UTC)
        self.length = (closes - opens).total_seconds()
        self._seconds, self._spots = np.full((2, int(self.length // MINUTE) + 1), np.nan)

    def add(self, ts: datetime, spot: float | None) -> None:
        """Outside the session there is no trading time, and nothing is kept."""
        self.seen = max(self.seen, ts)
        seconds = (ts - self.opens).total_seconds()
        if spot is None or not 0 <= seconds <= self.length:
            return
        minute = int(seconds // MINUTE)
        if not self._seconds[minute] > seconds:
            self._seconds[minute], self._spots[minute] = seconds, spot

    def volatility(self, shortest: float) -> float:
        """As `chain.realized_volatility`; shortest: seconds."""
        return realized_volatility(self._seconds, self._spots, self.length, shortest)


def daily_bars(context: Context, exchange: str, index: str, before: datetime, days: int) -> Floats:
    """The last `days` bars before the trading day of `before`, newest first, shape (5, bars), fewer where fewer are.

    Rows: previous close, open, high, low, close. A bar is a trading day that was recorded to its close and whose
    trading day before was so too; looked for in the last 2*days trading days.
    """
    trading = islice(_trading_days(context.calendar, exchange, trading_date(before)), 2 * days + 1)
    found = _bars(context, exchange, index, before, trading)
    bars = list(islice((bar for bar in found if sound_bars(*bar).all()), days))
    return np.hstack(bars) if bars else np.empty((5, 0))


def _bars(context: Context, exchange: str, index: str, before: datetime, trading: Iterator[date]) -> Iterator[Floats]:
    """Previous close, open, high, low and close, shape (5, 1), of one day after the other, newest first."""
    recorded = set(context.history.days(before))
    later: list[float] | None = None
    for day in trading:
        bar = _bar(context, exchange, index, day, before) if day in recorded else None
        if later and bar:
            yield np.array([[bar[-1]], *([number] for number in later)])
        later = bar


def _bar(context: Context, exchange: str, index: str, day: date, before: datetime) -> list[float] | None:
    """Open, high, low and close. The fact `close` is another day's: the day's own is its last spot."""
    session, last = context.calendar.session(exchange, day), context.history.last(index, day, before)
    if session is None or last is None or last.ts < session[1] - NEAR_CLOSE:
        return None
    return [last.facts.get(name, np.nan) for name in ("open", "high", "low", "spot")]


def _trading_days(calendar: Calendar, exchange: str, before: date) -> Iterator[date]:
    """Backwards, without the special sessions of holidays: their moves belong to the night around them."""
    for back in range(1, before.toordinal()):
        day = before - timedelta(days=back)
        if calendar.is_trading_day(exchange, day):
            yield day

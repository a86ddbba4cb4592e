"""The analytic `realized`: how the index moved, today and in the last days, and what its options ask above that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np

from g6_greeks.chain import yang_zhang
from g6_greeks.chain.realized import SESSIONS
from g6_greeks.columns import columns, floats
from g6_greeks.recorded import SessionSpots, daily_bars
from g6_greeks.settings import RealizedSettings
from g6core import Analytic, Context, Snapshot, trading_date

YEAR = 365 * 86_400.0


@dataclass(frozen=True)
class Today:
    """What is kept of an index for a day. spots: None where the day has no session."""

    date: date
    spots: SessionSpots | None
    daily: float


class Realized(Analytic):
    def __init__(self, settings: RealizedSettings) -> None:
        self.settings = settings
        self._today: dict[str, Today] = {}

    def open(self, context: Context) -> None:
        self.context = context

    def compute(self, snapshot: Snapshot) -> Snapshot:
        day = trading_date(snapshot.ts)
        today = self._today.get(snapshot.index)
        if today is None or today.date != day:
            today = self._today[snapshot.index] = Today(day, self._spots(snapshot), self._daily(snapshot))
        intraday, still = self._intraday(snapshot, today.spots)
        ends_today = snapshot.expiries["expiry"].to_numpy() == np.datetime64(day, "D")
        premium = floats(snapshot.expiries["atm_iv"]) - np.where(ends_today, still, today.daily)
        found = {"rv_intraday": intraday, "rv_daily": today.daily}
        return snapshot.add(
            expiries=columns({"iv_premium": premium}),
            facts={name: value for name, value in found.items() if math.isfinite(value)},
        )

    def _intraday(self, snapshot: Snapshot, spots: SessionSpots | None) -> tuple[float, float]:
        """The day's volatility, and the same counted in calendar time.

        An option on its last day lives in the session alone, while its implied volatility counts a year of whole days.
        """
        if spots is None:
            return math.nan, math.nan
        spots.add(snapshot.ts, snapshot.facts.get("spot"))
        if snapshot.ts < spots.seen:
            # A late answer: what came after it is known already, and must not enter.
            spots = self._recorded(snapshot, SessionSpots(spots.opens, spots.closes))
            spots.add(snapshot.ts, snapshot.facts.get("spot"))
        volatility = spots.volatility(60.0 * self.settings.minutes)
        return volatility, volatility * math.sqrt(YEAR / (SESSIONS * spots.length))

    def _spots(self, snapshot: Snapshot) -> SessionSpots | None:
        exchange = self.context.calendar.exchange_of(snapshot.index)
        session = self.context.calendar.session(exchange, trading_date(snapshot.ts)) if exchange else None
        return self._recorded(snapshot, SessionSpots(*session)) if session else None

    def _recorded(self, snapshot: Snapshot, spots: SessionSpots) -> SessionSpots:
        """With those recorded before the snapshot on its day."""
        for ts, facts in self.context.history.facts(snapshot.index, trading_date(snapshot.ts), snapshot.ts):
            spots.add(ts, facts.get("spot"))
        return spots

    def _daily(self, snapshot: Snapshot) -> float:
        exchange = self.context.calendar.exchange_of(snapshot.index)
        if exchange is None:
            return math.nan
        bars = daily_bars(self.context, exchange, snapshot.index, snapshot.ts, self.settings.days)
        return yang_zhang(*bars) if bars.shape[1] == self.settings.days else math.nan

"""The provider: contracts, spots and quotes of the synthetic market at the clock's time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from g6_sim import listing
from g6_sim.board import Board
from g6_sim.day import Day, State
from g6_sim.noise import Floats
from g6_sim.surface import RATE, atm_variance
from g6_sim.table import terms
from g6core import Context, DataError, Provider, Spot, trading_date

if TYPE_CHECKING:
    from g6_sim import Settings

VIX = "INDIAVIX"


class Sim(Provider):
    """Everything is a function of the settings and the clock's time; what is kept is kept for speed.

    Its day is the calendar day in India and its market never closes, also not at weekends.
    """

    simulated = True
    always_open = True
    rate = RATE
    """The interest that the prices are discounted with, a year, continuous."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._terms = terms()
        self._board: Board | None = None

    def open(self, context: Context) -> None:
        self._clock = context.clock
        self._calendar = context.calendar
        self._board = None

    def indices(self) -> Sequence[str]:
        return tuple(self._terms)

    def contracts(self, index: str) -> pl.DataFrame:
        """Raises DataError (`unknown-index`). A contract is listed until the close of its expiry day."""
        if index not in self._terms:
            known = ", ".join(self._terms)
            raise DataError(f"the simulator has no index {index!r}", code="unknown-index", hint=f"it has {known}")
        now = self._clock.now()
        of_index = self._today(now).listing.filter(pl.col("index") == index)
        first = of_index["expiry"].min()
        if isinstance(first, date) and self._calendar.closes_at(self._terms[index].exchange, first) <= now:
            return of_index.filter(pl.col("expiry") > first)
        return of_index

    def spots(self, indices: Sequence[str]) -> Mapping[str, Spot]:
        """The asked indices and INDIAVIX: the at-the-money volatility of NIFTY over 30 days, in percent."""
        now = self._clock.now()
        day = self._today(now).day
        second = now.timestamp() - day.midnight
        states = [day.at(second), day.at(0.0), *reversed(day.extremes(second)), day.before()]
        ts = now.replace(microsecond=0)
        asked = [self._terms[index] for index in indices if index in self._terms]
        found = {t.name: _spot([float(s.spots[t.number]) for s in states], ts) for t in asked}
        return found | {VIX: _spot([self._vix(s) for s in states], ts)}

    def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
        now = self._clock.now()
        board = self._today(now)
        return board.quotes(now, board.rows(contracts), tick_rounding=self._settings.tick_rounding)

    def futures(self, indices: Sequence[str]) -> Mapping[str, Mapping[date, float]]:
        """Of the monthly expiries: the true forward, on its tick."""
        now = self._clock.now()
        board = self._today(now)
        state = board.day.at(now.timestamp() - board.day.midnight)
        prices = board.futures(state, tick_rounding=self._settings.tick_rounding)
        return {index: prices[index] for index in indices if index in prices}

    def truth(self, contracts: pl.DataFrame) -> pl.DataFrame:
        """What stands behind the quotes now, row for row, null for a contract that has expired or is not listed.

        Columns t (years to the close), forward, iv (Black-76), price (rupees, before rounding), delta (to the forward,
        discounted).
        """
        now = self._clock.now()
        board = self._today(now)
        state = board.day.at(now.timestamp() - board.day.midnight)
        return pl.DataFrame(vars(board.value(state, board.rows(contracts))), nan_to_null=True)

    def board(self) -> Board:
        """The order books of the clock's day."""
        return self._today(self._clock.now())

    def vix_of(self, nerves: Floats) -> Floats:
        """INDIAVIX at each level of short-dated volatility over its long-run level."""
        t = np.array(30 / 365)
        vix: Floats = np.round(100 * np.sqrt(atm_variance(t, self._settings.volatility, nerves) / t), 2)
        return vix

    def _vix(self, state: State) -> float:
        return float(self.vix_of(np.array(state.nerves)))

    def _today(self, now: datetime) -> Board:
        today = trading_date(now)
        if self._board is None or self._board.day.date != today:
            self._board = self._make_board(today)
        return self._board

    def _make_board(self, today: date) -> Board:
        s = self._settings
        listed = {t.name: listing.expiries(t, today, s.weeks, s.months, self._calendar) for t in self._terms.values()}
        closes = {
            (name, expiry): self._calendar.closes_at(self._terms[name].exchange, expiry)
            for name, expiries in listed.items()
            for expiry in expiries
        }
        frame = pl.concat(
            listing.contracts(self._terms[name], expiries, s.volatility) for name, expiries in listed.items()
        )
        day = Day(s.seed, s.volatility, list(self._terms.values()), today)
        monthly = {
            (name, at) for name, codes in listed.items() for at, code in codes.items() if listing.is_monthly(code)
        }
        return Board(day, self._terms, frame, closes, monthly, seed=s.seed, volatility=s.volatility)


def _spot(values: Sequence[float], ts: datetime) -> Spot:
    last, opening, high, low, close = values
    return Spot(last, opening, high, low, close, ts)

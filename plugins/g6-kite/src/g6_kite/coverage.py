"""What is recorded of a trading day, by contract and minute: recorded, filled up with candles, not traded, or missing.

The journal says what was watched and what was quoted, the store of candles what Kite answered since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from g6_kite.candles import MINUTE, Instrument, Known, candles_path, from_micros, known, micros
from g6core import Calendar, Context, DataError, Snapshot, read_day

Bools = npt.NDArray[np.bool_]
_FIRST_ROWS = 256


class State(IntEnum):
    """What is known of one contract in one minute."""

    NOT_WATCHED = 0
    """The strategy had not selected it: nothing was lost."""
    GAP = 1
    """It was watched, and no snapshot of the minute has a quote of it."""
    NO_TRADE = 2
    """Kite was asked and has no candle, or one without volume."""
    BACK_FILLED = 3
    """A candle is in the store."""
    PRESENT = 4
    """A snapshot of the journal holds a quote of it."""


@dataclass(frozen=True)
class Gap:
    """A run of minutes that so many contracts lack, all of them from its first to its last minute.

    first: its start, UTC; last: the start of its last minute. spot: whether the index itself lacks it as well.
    """

    first: datetime
    last: datetime
    contracts: int
    spot: bool

    @property
    def minutes(self) -> int:
        return (self.last - self.first) // timedelta(minutes=1) + 1


@dataclass(frozen=True)
class Coverage:
    """One index on one day.

    minutes:     starts of the session's minutes that are over, microseconds UTC, shape (m,).
    instruments: the contracts, and the index itself (without an expiry), n of them.
    states:      State by instrument and minute, int8, shape (n, m).
    snapshots:   how many of the day were read. simulated: whether the journal's are.
    """

    index: str
    day: date
    minutes: npt.NDArray[np.int64]
    instruments: Sequence[Instrument]
    states: npt.NDArray[np.int8]
    snapshots: int
    simulated: bool | None

    def counts(self) -> dict[date | None, tuple[int, dict[State, int]]]:
        """By expiry (None: the index itself): contracts, and contract-minutes in each state."""
        expiries = [i.expiry for i in self.instruments]
        order = sorted(set(expiries), key=lambda day: (day is None, day))
        found = {}
        for expiry in order:
            rows = [n for n, day in enumerate(expiries) if day == expiry]
            tally = np.bincount(self.states[rows].ravel(), minlength=len(State))
            found[expiry] = len(rows), {state: int(tally[state]) for state in State}
        return found

    def gaps(self) -> list[Gap]:
        """The intervals without data, by time; contracts that lack exactly the same one are counted together."""
        found = list(runs(self.states == State.GAP))
        tally = Counter((start, end) for _, start, end in found)
        spot = {(start, end) for row, start, end in found if self.instruments[row].expiry is None}
        at = [from_micros(m) for m in self.minutes]
        return [Gap(at[s], at[e - 1], n - ((s, e) in spot), (s, e) in spot) for (s, e), n in sorted(tally.items())]


def runs(wanted: Bools) -> Iterator[tuple[int, int, int]]:
    """(row, start, end) of each run of true values in the rows; end is exclusive."""
    edges = np.diff(np.pad(wanted.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    yield from zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)


def session_minutes(calendar: Calendar, exchange: str, day: date, now: datetime) -> npt.NDArray[np.int64]:
    """Starts of the session's minutes that are over at `now`, microseconds UTC; none on a day without a session."""
    session = calendar.session(exchange, day)
    if session is None:
        return np.empty(0, np.int64)
    opens, closes = micros(session[0]), micros(session[1])
    return np.arange(opens, min(closes, micros(now) // MINUTE * MINUTE), MINUTE, dtype=np.int64)


def journal_path(data_dir: Path, day: date) -> Path:
    return data_dir / "journal" / f"{day}.db"


def coverage(context: Context, day: date, indices: Sequence[str] = ()) -> list[Coverage]:
    """Each index that is recorded or back-filled on the day; only those of `indices` where there are some.

    Raises DataError: `no-such-day` when nothing is there, `bad-journal` or `bad-candles` when it cannot be read.
    """
    path, stored = journal_path(context.data_dir, day), known(candles_path(context.data_dir, day))
    if not path.exists() and not stored.instruments:
        raise DataError(
            f"nothing is recorded of {day}",
            code="no-such-day",
            where=str(context.data_dir.absolute()),
            hint="`g6 journal` lists the days; `g6 backfill --all` fetches candles of one that was not recorded",
        )
    watches: dict[str, _Watch] = {}
    for _, snapshot in read_day(path) if path.exists() else ():
        if not indices or snapshot.index in indices:
            if snapshot.index not in watches:
                watches[snapshot.index] = _Watch.of(context, day, snapshot)
            watches[snapshot.index].see(snapshot)
    for name in dict.fromkeys(i.index for i in stored.instruments):
        if name not in watches and (not indices or name in indices):
            watches[name] = _Watch.blank(context, day, name)
    return [watches[name].result(stored) for name in sorted(watches)]


class _Watch:
    """What the journal says of one index: which contract was watched and which was quoted, by minute.

    Row 0 is the index itself.
    """

    def __init__(self, day: date, spot: Instrument, minutes: npt.NDArray[np.int64]) -> None:
        self._day, self._minutes = day, minutes
        self._rows: dict[tuple[str, str], int] = {spot.key: 0}
        self._instruments = [spot]
        self._watched = np.zeros((_FIRST_ROWS, minutes.size), np.bool_)
        self._quoted = np.zeros_like(self._watched)
        self._seen = np.zeros(minutes.size, np.bool_)
        self._last: tuple[pl.Series, npt.NDArray[np.int64]] | None = None
        self._snapshots = 0
        self._simulated: bool | None = None

    @classmethod
    def of(cls, context: Context, day: date, snapshot: Snapshot) -> _Watch:
        listed = snapshot.options["exchange"].drop_nulls()
        return cls.blank(context, day, snapshot.index, listed[0] if listed.len() else None)

    @classmethod
    def blank(cls, context: Context, day: date, index: str, exchange: str | None = None) -> _Watch:
        exchange = context.calendar.exchange_of(index) or exchange or ""
        minutes = session_minutes(context.calendar, exchange, day, context.clock.now())
        return cls(day, spot_of(context.calendar, index), minutes)

    def see(self, snapshot: Snapshot) -> None:
        self._snapshots += 1
        self._simulated = bool(self._simulated) or snapshot.simulated
        if not self._minutes.size:
            return
        minute = (micros(snapshot.ts) - int(self._minutes[0])) // MINUTE
        if not 0 <= minute < self._minutes.size:
            return
        options = snapshot.options
        rows = self._rows_of(options)
        self._watched[rows, minute] = self._watched[0, minute] = self._seen[minute] = True
        self._quoted[rows[_has_quote(options)], minute] = True
        self._quoted[0, minute] |= "spot" in snapshot.facts

    def _rows_of(self, options: pl.DataFrame) -> npt.NDArray[np.int64]:
        """The row of each contract; while the selection stands, nothing is looked up."""
        symbols = options["symbol"]
        if self._last is None or not symbols.equals(self._last[0]):
            fields = ("index", "exchange", "symbol", "token", "expiry", "strike", "right")
            rows = [self._row(Instrument(*row)) for row in options.select(fields).iter_rows()]
            self._last = symbols, np.array(rows, np.int64)
        return self._last[1]

    def _row(self, instrument: Instrument) -> int:
        row = self._rows.setdefault(instrument.key, len(self._instruments))
        if row == len(self._instruments):
            self._instruments.append(instrument)
            if row == len(self._watched):
                more = np.zeros_like(self._watched)
                self._watched, self._quoted = (np.concatenate((a, more)) for a in (self._watched, self._quoted))
        return row

    def result(self, stored: Known) -> Coverage:
        name = self._instruments[0].index
        rows = [self._row(i) if i.index == name else -1 for i in stored.instruments]
        n = len(self._instruments)
        filled, asked = self._answers(np.array(rows, np.int64), stored)
        states = np.full((n, self._minutes.size), State.NOT_WATCHED, np.int8)
        states[through_holes(self._watched[:n], self._seen)] = State.GAP
        states[asked[:n]] = State.NO_TRADE
        states[filled[:n]] = State.BACK_FILLED
        states[self._quoted[:n]] = State.PRESENT
        kind = self._simulated
        return Coverage(name, self._day, self._minutes, tuple(self._instruments), states, self._snapshots, kind)

    def _answers(self, rows: npt.NDArray[np.int64], stored: Known) -> tuple[Bools, Bools]:
        """By row and minute: a candle with trades; an answer of any kind."""
        filled, asked = np.zeros_like(self._watched), np.zeros_like(self._watched)
        if not rows.size or not self._minutes.size:
            return filled, asked
        row, minute = rows[stored.of], (stored.ts - self._minutes[0]) // MINUTE
        good = (row >= 0) & (minute >= 0) & (minute < self._minutes.size)
        asked[row[good], minute[good]] = True
        traded = good & stored.traded
        filled[row[traded], minute[traded]] = True
        for number, first, last in stored.asked:
            if rows[number] >= 0:
                start, end = np.searchsorted(self._minutes, (first, last + 1))
                asked[rows[number], start:end] = True
        return filled, asked


def spot_of(calendar: Calendar, index: str) -> Instrument:
    """The index itself, as the calendar names its spot; the token is looked up where it is needed."""
    known_index = calendar.indices.get(index)
    exchange, _, symbol = (known_index.spot if known_index else f":{index}").partition(":")
    return Instrument(index, exchange, symbol, 0)


def through_holes(watched: Bools, seen: Bools) -> Bools:
    """What was watched, and in minutes without any snapshot what was watched right before or right after.

    watched: by contract and minute; seen: the minutes that have a snapshot.
    """
    if not seen.any():
        return watched
    at, found = np.arange(seen.size), np.flatnonzero(seen)
    place = np.searchsorted(found, at, side="right")
    before = found[np.maximum(place - 1, 0)]
    after = found[np.minimum(np.searchsorted(found, at), found.size - 1)]
    return watched[:, before] | watched[:, after]


def _has_quote(options: pl.DataFrame) -> Bools:
    # Through NumPy: three expressions of polars cost more than reading the snapshot.
    prices = [options[name].to_numpy() for name in ("last_price", "bid", "ask")]
    there: Bools = np.logical_or.reduce(np.isfinite(prices))
    return there

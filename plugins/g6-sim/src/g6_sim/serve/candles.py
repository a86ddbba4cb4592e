"""Candles of one instrument: from the simulator's own walk at each second, or from what was recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Protocol

import numpy as np

from g6_sim.board import Board
from g6_sim.noise import Floats, Rows
from g6_sim.provider import Sim
from g6_sim.serve.clock import Instant
from g6_sim.serve.instruments import Listing
from g6_sim.serve.market import Market
from g6_sim.serve.recorded import Recorded
from g6_sim.table import terms
from g6core import IST, Context, Provider

DAY = 86_400
ANCHOR = (9 * 60 + 15) * 60
"""Candles are counted from the opening, 09:15."""

DAYS = 10
"""So far back does the simulator know candles: each day that it has to make takes a good part of a second."""


@dataclass(frozen=True)
class Candle:
    """values: open, high, low, close, volume, open interest."""

    begin: datetime
    values: tuple[float, float, float, float, int, int]


@dataclass(frozen=True)
class Course:
    """One instrument on one day. seconds: since midnight, ascending; price nan where there is none.

    volume and oi: of the day so far, and held; both nan where unknown. every: a candle also where nothing was traded.
    """

    seconds: Rows
    price: Floats
    volume: Floats
    oi: Floats
    every: bool = False


class Courses(Protocol):
    """Where candles come from. Asked by one thread at a time."""

    def first(self, now: datetime) -> date:
        """The first day it knows."""

    def of(self, listing: Listing, slot: int, day: date, until: int) -> Course | None:
        """Up to that second of the day; None when nothing is known."""

    def close(self) -> None: ...


class Candles:
    """make: what they come from; called at the first question."""

    def __init__(self, make: Callable[[], Courses]) -> None:
        self._make = make
        self._courses: Courses | None = None
        self._lock = threading.Lock()

    def between(
        self, listing: Listing, slot: int, begin: datetime, end: datetime, now: datetime, seconds: int
    ) -> list[Candle]:
        """The candles that begin in that time, ascending; the running one is among them. For several threads."""
        with self._lock:
            self._courses = courses = self._courses or self._make()
            found: list[Candle] = []
            day = max(begin.astimezone(IST).date(), courses.first(now))
            while day <= end.astimezone(IST).date():
                midnight = datetime.combine(day, time(0), IST)
                until = min(DAY - 1, int((now - midnight).total_seconds()))
                course = courses.of(listing, slot, day, until)
                found += [] if course is None else _candles(course, midnight, seconds)
                day += timedelta(days=1)
            return [candle for candle in found if begin <= candle.begin <= end]

    def close(self) -> None:
        with self._lock:
            if self._courses is not None:
                self._courses.close()


def _candles(course: Course, midnight: datetime, length: int) -> Iterator[Candle]:
    known = ~np.isnan(course.price)
    seconds, price = course.seconds[known], course.price[known]
    if not seconds.size:
        return
    volume, oi = (np.nan_to_num(values[known]) for values in (course.volume, course.oi))
    # A recording that begins in mid-day does not know what was traded before.
    before = 0.0 if course.seconds[0] == 0 else volume[0]
    anchor = 0 if length == DAY else ANCHOR % length
    begin = np.maximum((seconds - anchor) // length * length + anchor, 0)
    first = np.flatnonzero(np.diff(begin, prepend=-1))
    last = np.append(first[1:], seconds.size) - 1
    traded = np.diff(volume[last], prepend=before)
    columns = (
        *(price[first], np.maximum.reduceat(price, first), np.minimum.reduceat(price, first), price[last]),
        *(np.maximum(traded, 0).astype(np.int64), oi[last].astype(np.int64)),
    )
    for at, *values in zip(begin[first].tolist(), *(column.tolist() for column in columns), strict=True):
        if course.every or values[4] > 0:
            o, h, low, c, v, held = values
            yield Candle(midnight + timedelta(seconds=at), (o, h, low, c, v, held))


class SimCourses:
    """sim: not opened; its own, since it looks at other days than the market."""

    def __init__(self, sim: Sim, context: Context) -> None:
        self._sim = sim
        self._instant = Instant(context.clock.now())
        sim.open(replace(context, clock=self._instant))
        self._boards: dict[date, Board] = {}

    def first(self, now: datetime) -> date:
        return now.astimezone(IST).date() - timedelta(days=DAYS)

    def of(self, listing: Listing, slot: int, day: date, until: int) -> Course | None:
        board, seconds = self._board(day), np.arange(until + 1)
        for name, its in listing.indices.items():
            if its == slot:
                return self._index(board, name, seconds)
        for (index, expiry), its in listing.futures.items():
            if its == slot:
                return self._future(board, index, expiry, seconds)
        place = np.flatnonzero(listing.options == slot)
        row = int(board.rows(listing.contracts[int(place[0])])[0])
        return Course(seconds, *board.course(row, seconds)) if row >= 0 else None

    def close(self) -> None:
        self._sim.close()

    def _board(self, day: date) -> Board:
        if day not in self._boards:
            if len(self._boards) > 2:
                del self._boards[min(self._boards)]
            self._instant.set(datetime.combine(day, time(0), IST))
            self._boards[day] = self._sim.board()
        return self._boards[day]

    def _index(self, board: Board, name: str, seconds: Rows) -> Course:
        spots, nerves = board.day.course(seconds)
        none = np.zeros(seconds.size)
        price = spots[terms()[name].number] if name in terms() else self._sim.vix_of(nerves)
        return Course(seconds, price, none, none, every=True)

    def _future(self, board: Board, index: str, expiry: date, seconds: Rows) -> Course | None:
        price = board.future(index, expiry, seconds)
        if price is None:
            return None
        of = terms()[index]
        volume = of.lot_size * np.floor(of.lots * board.day.traded_at(seconds))
        return Course(seconds, price, volume, np.full(seconds.size, of.lot_size * np.floor(of.lots / 4)))


class RecordedCourses:
    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    def first(self, now: datetime) -> date:
        return self._recorded.first

    def of(self, listing: Listing, slot: int, day: date, until: int) -> Course | None:
        known = self._recorded.day(listing, day)
        if known is None:
            return None
        column = known.columns[slot]
        upto = int(np.searchsorted(known.seconds, until, side="right"))
        if column < 0 or not upto:
            return None
        price, volume, oi = (table[:upto, column] for table in (known.price, known.volume, known.oi))
        # Nobody knows whether something was traded where the volume was not recorded.
        return Course(known.seconds[:upto], price, volume, oi, every=bool(np.isnan(volume).all()))

    def close(self) -> None:
        self._recorded.close()


def candles_of(make: Callable[[], Provider], market: Market, context: Context) -> Candles:
    def courses() -> Courses:
        provider = make()
        if isinstance(provider, Sim):
            return SimCourses(provider, context)
        return RecordedCourses(Recorded(provider, market.indices, context))

    return Candles(courses)

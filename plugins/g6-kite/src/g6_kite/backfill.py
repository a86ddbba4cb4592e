"""Gaps of recorded days filled with Kite's one-minute candles, while Kite still has them.

An option's history cannot be asked for any more once it has expired: its token leaves the daily list. So what expires
first is fetched first. One call covers 60 days of one instrument whatever it asks for, and the number of calls a second
is what is limited: so each instrument is asked once, from its first missing minute to its last.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from g6_kite.candles import MINUTE, Instrument, Span, candles_path, from_micros, known, micros
from g6_kite.candlestore import CandleStore
from g6_kite.coverage import Coverage, State, session_minutes, spot_of
from g6core import AuthExpired, Context, DataError, G6Error, Unavailable, trading_date

log = logging.getLogger("g6.kite")

LONGEST = timedelta(days=60)
"""What one call for minute candles may span (Kite answers `interval exceeds max limit: 60 days`)."""

SETTLE = timedelta(minutes=2)
"""A minute that ended more recently is left to the next run: its candle may still change."""

LATE = timedelta(minutes=30)
"""So long after the close Kite's history of a day counts as complete."""

GIVE_UP = 3
"""So many instruments in a row for which Kite cannot be reached, and the rest is not tried."""

Minutes = npt.NDArray[np.int64]


class Candles(Protocol):
    def candles(self, token: int, start: datetime, end: datetime, *, oi: bool = True) -> pl.DataFrame: ...


class Spot(Protocol):
    @property
    def token(self) -> int: ...


class Listing(Protocol):
    def contracts(self, index: str) -> pl.DataFrame: ...

    def spot(self, index: str) -> Spot: ...


@dataclass(frozen=True)
class Call:
    """One question: the candles of one instrument from `first` to the minute that starts at `last`.

    spans: the first and the last missing minute of each day, which is what the store gets. missing: minutes in all.
    """

    instrument: Instrument
    first: int
    last: int
    spans: Mapping[date, Span]
    missing: int


@dataclass(frozen=True)
class Plan:
    """calls: in the order in which they are made. refused: why, and how many contracts; minutes: what these lack."""

    calls: Sequence[Call]
    refused: Mapping[str, int]
    refused_minutes: int


@dataclass
class Outcome:
    """What a run did. candles: stored; calls: made; failed: reasons, and how many calls each cost; left: not made."""

    candles: int = 0
    calls: int = 0
    left: int = 0
    failed: Counter[str] = field(default_factory=Counter)


Wanted = Mapping[date, Sequence[tuple[Instrument, Minutes]]]
"""What is missing, by day: instruments and the starts of their missing minutes."""


def missing_in(found: Iterable[Coverage], now: datetime) -> list[tuple[Instrument, Minutes]]:
    """The gaps of a day, as far as their minutes have settled."""
    lacking = []
    for c in found:
        settled = c.minutes + MINUTE <= micros(now - SETTLE)
        holes = (c.states == State.GAP) & settled
        lacking += [(c.instruments[row], c.minutes[holes[row]]) for row in np.flatnonzero(holes.any(axis=1)).tolist()]
    return lacking


def missing_of_all(context: Context, listing: Listing, day: date, index: str) -> list[tuple[Instrument, Minutes]]:
    """Every minute of the day of every listed contract and of the index that Kite was not asked for yet."""
    now = context.clock.now()
    exchange = context.calendar.exchange_of(index)
    if exchange is None:
        raise DataError(f"the exchange calendar has no index {index}", code="unknown-index")
    minutes = session_minutes(context.calendar, exchange, day, now - SETTLE)
    stored = known(candles_path(context.data_dir, day))
    rows = {instrument.key: row for row, instrument in enumerate(stored.instruments)}
    spans: dict[int, list[Span]] = {}
    for row, first, last in stored.asked.tolist():
        spans.setdefault(row, []).append((first, last))
    lacking = []
    for instrument in [*_listed(listing, index).values(), spot_of(context.calendar, index)]:
        wanted = np.ones(minutes.size, np.bool_)
        for first, last in spans.get(rows.get(instrument.key, -1), ()):
            wanted[np.searchsorted(minutes, first) : np.searchsorted(minutes, last + 1)] = False
        if wanted.any() and (instrument.expiry is None or instrument.expiry >= day):
            lacking.append((instrument, minutes[wanted]))
    return lacking


def plan(wanted: Wanted, listing: Listing, today: date) -> Plan:
    """Who is asked for what, and in which order: what expires first, within an expiry what lacks most; indices last."""
    lists: dict[str, dict[tuple[str, str], Instrument]] = {}
    days: dict[Instrument, dict[date, Minutes]] = {}
    refused: Counter[str] = Counter()
    turned_away: set[tuple[str, str]] = set()
    lost = 0
    for day, instrument, minutes in ((d, i, m) for d in sorted(wanted) for i, m in wanted[d]):
        if instrument.index not in lists:
            lists[instrument.index] = _listed_if_known(listing, instrument.index)
        live, reason = _as_listed(instrument, lists[instrument.index], listing, today)
        if live:
            days.setdefault(live, {})[day] = minutes
            continue
        lost += minutes.size
        if instrument.key not in turned_away:
            turned_away.add(instrument.key)
            refused[reason] += 1
    calls = [call for instrument, missing in days.items() for call in _calls(instrument, missing)]
    calls.sort(key=lambda c: (c.instrument.expiry or date.max, -c.missing, c.instrument.key))
    return Plan(calls, refused, lost)


def _listed(listing: Listing, index: str) -> dict[tuple[str, str], Instrument]:
    fields = ("index", "exchange", "symbol", "token", "expiry", "strike", "right")
    rows = listing.contracts(index).select(fields).iter_rows()
    return {(row[1], row[2]): Instrument(*row) for row in rows if row[3] is not None}


def _listed_if_known(listing: Listing, index: str) -> dict[tuple[str, str], Instrument]:
    try:
        return _listed(listing, index)
    except DataError as e:
        if e.code != "unknown-index":
            raise
        return {}  # recorded from somebody else: each of its contracts is refused with the reason


def _as_listed(
    instrument: Instrument, listed: Mapping[tuple[str, str], Instrument], listing: Listing, today: date
) -> tuple[Instrument | None, str]:
    """The instrument with the token of today, or why Kite cannot be asked for it. Tokens are used again."""
    if instrument.expiry is None and listed:
        token = listing.spot(instrument.index).token
        return Instrument(instrument.index, instrument.exchange, instrument.symbol, token), ""
    found = listed.get(instrument.key)
    if found and found.expiry == instrument.expiry:
        return found, ""
    what = f"{instrument.index} {instrument.expiry or 'itself'}"
    if instrument.expiry and instrument.expiry < today:
        return None, f"{what}: expired, and Kite keeps no candles of what has expired"
    return None, f"{what}: not in Kite's list of contracts any more"


def _calls(instrument: Instrument, missing: Mapping[date, Minutes]) -> list[Call]:
    """As few calls as cover the days."""
    calls: list[Call] = []
    spans: dict[date, Span] = {}
    first = last = total = 0
    for day, minutes in sorted(missing.items()):
        start, end = int(minutes[0]), int(minutes[-1])
        if spans and timedelta(microseconds=end + MINUTE - first) > LONGEST:
            calls.append(Call(instrument, first, last, spans, total))
            spans, total = {}, 0
        first = first if spans else start
        last, spans[day], total = end, (start, end), total + minutes.size
    return [*calls, Call(instrument, first, last, spans, total)]


class Backfill:
    """Makes the calls of a plan. Each answer is stored before the next call, so a run may be stopped at any time.

    Whoever runs it again asks for what is still missing, and for nothing that Kite has answered.
    """

    def __init__(self, rest: Candles, listing: Listing, context: Context, *, simulated: bool) -> None:
        self._rest, self._listing, self._context = rest, listing, context
        self._simulated = simulated
        self.outcome = Outcome()
        self._reached: dict[str, int] = {}

    def run(self, calls: Sequence[Call], step: Callable[[Call], None] = lambda call: None) -> Outcome:
        """step: called after each call. Raises what concerns all of them: a login or a data plan that is missing, a
        disk that is full; `outcome` says what was done until then. A call that fails alone is counted with its reason,
        and the next one made.
        """
        self.outcome, in_a_row = Outcome(left=len(calls)), 0
        with CandleStore(self._context.data_dir, simulated=self._simulated) as store:
            for day in sorted({day for call in calls for day in call.spans}):
                store.open(day)
            for call in calls:
                in_a_row = 0 if self._one(store, call) else in_a_row + 1
                self.outcome.left -= 1
                step(call)
                if in_a_row == GIVE_UP:
                    break
        return self.outcome

    def _one(self, store: CandleStore, call: Call) -> bool:
        """False when Kite cannot be asked at the moment, and the next call would hardly do better."""
        try:
            answer = self._ask(call)
        except AuthExpired:
            raise
        except G6Error as e:
            if e.code == "data-plan":
                raise
            log.debug("candles of %s", call.instrument.symbol, exc_info=True)
            self.outcome.failed[e.message] += 1
            return e.code != Unavailable.code
        self.outcome.candles += self._keep(store, call, answer)
        return True

    def _ask(self, call: Call) -> pl.DataFrame:
        one = call.instrument
        if not all(self._is_over(one.index, day) for day in call.spans):
            self._look_how_far(one.index)
        self.outcome.calls += 1
        first, last = from_micros(call.first), from_micros(call.last)
        return _sound(self._rest.candles(one.token, first, last, oi=one.expiry is not None), call)

    def _keep(self, store: CandleStore, call: Call, found: pl.DataFrame) -> int:
        """Store what was missing of each day, and what Kite has answered for: from then on no candle means no trade."""
        now, index, kept = self._context.clock.now(), call.instrument.index, 0
        ts = found["ts"].dt.epoch("us").to_numpy()
        if ts.size:
            self._reached[index] = max(self._reached.get(index, 0), int(ts.max()))
        for day, (first, last) in call.spans.items():
            answered = last if self._is_over(index, day) else min(last, self._reached.get(index, 0))
            asked = [(first, answered)] if answered >= first else []
            kept += store.write(day, call.instrument, found.filter((ts >= first) & (ts <= last)), asked, now)
        return kept

    def _look_how_far(self, index: str) -> None:
        """Where Kite's history of the index ends now. It may be late: what comes after that is asked for again."""
        if index not in self._reached:
            end = self._context.clock.now() - SETTLE
            recent = self._rest.candles(self._listing.spot(index).token, end - LATE, end, oi=False)
            self._reached[index] = micros(recent["ts"].to_list()[-1]) if recent.height else 0

    def _is_over(self, index: str, day: date) -> bool:
        """Whether Kite's history of the day is complete."""
        calendar, now = self._context.calendar, self._context.clock.now()
        exchange = calendar.exchange_of(index)
        session = calendar.session(exchange, day) if exchange else None
        return session[1] + LATE <= now if session else day < trading_date(now)


def _sound(found: pl.DataFrame, call: Call) -> pl.DataFrame:
    """The candles that were asked for. Raises DataError (`bad-frame`) for what can be no candles of minutes."""
    ts = found["ts"].dt.epoch("us")
    if ts.null_count() or (ts % MINUTE != 0).any() or ts.n_unique() != ts.len():
        raise DataError("Kite gave candles that are not one per minute", code="bad-frame")
    return found.filter((ts >= call.first) & (ts <= call.last))

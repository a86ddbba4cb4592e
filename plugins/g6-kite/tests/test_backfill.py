"""Back-filling: the gaps of a day are filled with candles while Kite has them, and what cannot be is said."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from g6_kite.backfill import Backfill, Outcome, Plan, missing_in, missing_of_all, plan
from g6_kite.candles import candles_path, known, read_candles
from g6_kite.coverage import State, coverage
from g6_kite.instruments import SPOTS, Listed
from g6_kite.rest import CANDLES

from g6core import AuthExpired, ConfigError, Context, DataError, Snapshot, Unavailable
from g6core.exchange import Calendar
from g6core.history import History
from g6core.journal import Journal
from g6core.testing import ManualClock, snapshot

DAY = date(2026, 8, 17)
OPEN = datetime(2026, 8, 17, 3, 45, tzinfo=UTC)
EVENING = datetime(2026, 8, 17, 15, 0, tzinfo=UTC)
CALENDAR = Calendar.load()
HOLE = range(57, 67)


def at(minute: int, day: date = DAY) -> datetime:
    return OPEN + timedelta(days=(day - DAY).days, minutes=minute)


@cache
def chain() -> Snapshot:
    s = snapshot("NIFTY", OPEN, strikes=5)
    quoted = pl.any_horizontal(pl.col("last_price", "bid", "ask").is_not_null())
    return s.replace(options=s.options.filter(quoted), facts={n: v for n, v in s.facts.items() if n != "simulated"})


def keep(place: Path, minutes: Iterable[int], day: date = DAY) -> Path:
    journal = Journal(place, ())
    encoded = [journal.encode(chain().replace(ts=at(m, day))) for m in minutes]
    journal.append(encoded[0].path, encoded)
    journal.close()
    return encoded[0].path


@dataclass
class Kite:
    """Kite's candles and list: each contract trades in every minute of a session, but for those that are told."""

    clock: ManualClock
    listed: pl.DataFrame = field(default_factory=lambda: chain().options)
    quiet: set[int] = field(default_factory=set)
    """Tokens without a trade."""
    history_until: datetime | None = None
    failures: dict[int, Exception] = field(default_factory=dict)
    asked: list[tuple[int, datetime, datetime, bool]] = field(default_factory=list)

    def contracts(self, index: str) -> pl.DataFrame:
        if index != "NIFTY":
            raise DataError("not known", code="unknown-index")
        return self.listed

    def spot(self, index: str) -> Listed:
        return SPOTS[index]

    def candles(self, token: int, start: datetime, end: datetime, *, oi: bool = True) -> pl.DataFrame:
        self.asked.append((token, start, end, oi))
        if token in self.failures:
            raise self.failures[token]
        last = min(end, self.history_until or self.clock.now())
        ts = open_minutes(start, last)
        if token in self.quiet:
            ts = ts.clear()
        prices = {n: float(token) for n in ("open", "high", "low", "close")}
        return ts.to_frame().select(
            "ts", *(pl.lit(value, CANDLES[n]).alias(n) for n, value in {**prices, "volume": 75, "oi": 1500}.items())
        )

    @property
    def tokens(self) -> list[int]:
        return [token for token, *_ in self.asked]


@cache
def open_minutes(start: datetime, end: datetime) -> pl.Series:
    """The minutes of sessions that begin from start to end, named ts."""
    days = [start.date() + timedelta(days=n) for n in range((end.date() - start.date()).days + 1)]
    found = []
    for session in filter(None, (CALENDAR.session("NFO", day) for day in days)):
        n = (session[1] - session[0]) // timedelta(minutes=1)
        found += [m for m in (session[0] + timedelta(minutes=i) for i in range(n)) if start <= m <= end]
    return pl.Series("ts", found, CANDLES["ts"])


class Place:
    """A data directory, the time, and Kite."""

    def __init__(self, path: Path, now: datetime = EVENING) -> None:
        self.path, self.clock = path, ManualClock(now)
        self.context = Context(path, self.clock, CALENDAR, History(path))
        self.kite = Kite(self.clock)

    def plan(self, *days: date) -> Plan:
        now = self.clock.now()
        wanted = {day: missing_in(coverage(self.context, day), now) for day in days or (DAY,)}
        return plan(wanted, self.kite, now.date())

    def plan_all(self, *days: date) -> Plan:
        wanted = {day: missing_of_all(self.context, self.kite, day, "NIFTY") for day in days}
        return plan(wanted, self.kite, self.clock.now().date())

    def fill(self, planned: Plan, *, simulated: bool = False) -> Outcome:
        return Backfill(self.kite, self.kite, self.context, simulated=simulated).run(planned.calls)

    def states(self, day: date = DAY) -> dict[State, int]:
        (c,) = coverage(self.context, day)
        return {s: int((c.states == s).sum()) for s in State if (c.states == s).any()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="session")
def holed_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keep(tmp_path_factory.mktemp("day"), [m for m in range(385) if m not in HOLE])


@pytest.fixture
def holed(place: Place, holed_day: Path) -> Place:
    """A whole day but for ten minutes."""
    (place.path / "journal").mkdir()
    shutil.copy(holed_day, place.path / "journal")
    return place


N = 18
"""Contracts of `chain`, all with a quote."""


def test_a_disconnect_is_filled_the_same_day_with_one_call_per_contract(holed: Place) -> None:
    planned = holed.plan()
    assert (len(planned.calls), planned.refused) == (N + 1, {})
    outcome = holed.fill(planned)
    assert (outcome.candles, outcome.calls, outcome.left, outcome.failed) == ((N + 1) * 10, N + 1, 0, {})
    assert holed.states() == {State.BACK_FILLED: (N + 1) * 10, State.PRESENT: (N + 1) * 375}
    assert {(start, end) for _, start, end, _ in holed.kite.asked} == {(at(57), at(66))}
    stored = read_candles(candles_path(holed.path, DAY))
    assert stored["oi"].drop_nulls().to_list() == [1500] * stored.height
    assert stored["fetched_at"].unique().to_list() == [EVENING]


def test_the_journal_stays_as_it_is(place: Place) -> None:
    journal = keep(place.path, [0, 1, 5])
    before = journal.read_bytes()
    place.fill(place.plan())
    assert journal.read_bytes() == before


def test_what_expires_first_is_fetched_first_and_the_index_last(holed: Place) -> None:
    holed.fill(holed.plan())
    expiry = dict(holed.kite.listed.select("token", "expiry").iter_rows())
    asked = [expiry.get(token, date.max) for token in holed.kite.tokens]
    assert asked == sorted(asked)
    assert holed.kite.tokens[-1] == SPOTS["NIFTY"].token


def test_a_second_run_has_nothing_to_ask(holed: Place) -> None:
    holed.kite.quiet = {holed.kite.listed["token"][3]}
    holed.fill(holed.plan())
    assert holed.states()[State.NO_TRADE] == 10
    assert holed.plan() == Plan([], {}, 0)


def test_several_gaps_of_a_day_are_one_call(place: Place) -> None:
    keep(place.path, [m for m in range(385) if m not in HOLE and not 200 <= m < 203])
    planned = place.plan()
    assert len(planned.calls) == N + 1
    assert {call.missing for call in planned.calls} == {13}
    place.fill(planned)
    assert {(start, end) for _, start, end, _ in place.kite.asked} == {(at(57), at(202))}
    assert State.GAP not in place.states()


def test_the_open_interest_is_asked_for_where_there_is_one(holed: Place) -> None:
    holed.fill(holed.plan())
    assert {oi for token, _, _, oi in holed.kite.asked if token != 256265} == {True}
    assert {oi for token, _, _, oi in holed.kite.asked if token == 256265} == {False}


def test_what_has_left_the_list_is_refused_with_the_reason(holed: Place) -> None:
    expiries = sorted(holed.kite.listed["expiry"].unique())
    gone = holed.kite.listed.filter(pl.col("expiry") == expiries[1])[:2]
    holed.kite.listed = holed.kite.listed.filter(
        (pl.col("expiry") == expiries[1]) & ~pl.col("symbol").is_in(gone["symbol"].to_list())
    )
    holed.clock.set(EVENING + timedelta(days=2))
    planned = holed.plan()
    assert planned.refused == {
        f"NIFTY {expiries[0]}: expired, and Kite keeps no candles of what has expired": N // 2,
        f"NIFTY {expiries[1]}: not in Kite's list of contracts any more": 2,
    }
    assert planned.refused_minutes == 10 * (N // 2 + 2)
    holed.fill(planned)
    assert not {*gone["token"]} & {*holed.kite.tokens}


def test_a_symbol_or_token_that_is_used_again_is_another_contract(holed: Place) -> None:
    first = holed.kite.listed["symbol"][0]
    later = pl.when(pl.col("symbol") == first).then(pl.lit(date(2027, 8, 24))).otherwise("expiry").alias("expiry")
    holed.kite.listed = holed.kite.listed.with_columns(later, token=pl.col("token") + 5000)
    planned = holed.plan()
    assert sum(planned.refused.values()) == 1
    assert first not in {call.instrument.symbol for call in planned.calls}
    assert min(call.instrument.token for call in planned.calls) > 5000


def test_an_index_that_kite_does_not_have_is_refused_and_the_others_are_filled(place: Place) -> None:
    other = chain().replace(index="SENSEX", options=chain().options.with_columns(index=pl.lit("SENSEX")))
    journal = Journal(place.path, ())
    encoded = [journal.encode(s.replace(ts=at(m))) for m in (0, 5) for s in (chain(), other)]
    journal.append(encoded[0].path, encoded)
    journal.close()
    planned = place.plan()
    assert {call.instrument.index for call in planned.calls} == {"NIFTY"}
    assert sum(planned.refused.values()) == N + 1
    assert all("SENSEX" in reason for reason in planned.refused)


def test_a_minute_that_has_just_ended_is_left_to_the_next_run(tmp_path: Path) -> None:
    place = Place(tmp_path, at(30, DAY) + timedelta(seconds=20))
    keep(tmp_path, range(10))
    assert {call.last for call in place.plan().calls} == {
        (at(27) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    }
    place.fill(place.plan())
    assert place.states() == {State.PRESENT: 190, State.BACK_FILLED: 18 * 19, State.GAP: 2 * 19}


def test_where_kites_history_lags_no_candle_is_not_taken_for_no_trade(tmp_path: Path) -> None:
    place = Place(tmp_path, at(60))
    keep(tmp_path, range(10))
    quiet = place.kite.listed["token"][0]
    place.kite.quiet, place.kite.history_until = {quiet}, at(29)
    place.fill(place.plan())
    assert place.states() == {
        State.PRESENT: 10 * 19,
        State.BACK_FILLED: 20 * 18,
        State.NO_TRADE: 20,
        State.GAP: 30 * 19,
    }
    place.kite.history_until = None
    place.fill(place.plan())
    assert place.states()[State.NO_TRADE] == 48
    assert place.states()[State.GAP] == 2 * 19


def test_without_any_history_of_today_nothing_counts_as_asked(tmp_path: Path) -> None:
    place = Place(tmp_path, at(60))
    keep(tmp_path, range(10))
    place.kite.history_until = OPEN - timedelta(days=1)
    place.fill(place.plan())
    assert place.states() == {State.PRESENT: 10 * 19, State.GAP: 50 * 19}


def test_a_run_that_loses_its_session_keeps_what_it_has_and_the_next_goes_on(holed: Place) -> None:
    planned = holed.plan()
    holed.kite.failures = {planned.calls[7].instrument.token: AuthExpired("Kite wants a login")}
    filler = Backfill(holed.kite, holed.kite, holed.context, simulated=False)
    with pytest.raises(AuthExpired):
        filler.run(planned.calls)
    assert (filler.outcome.candles, filler.outcome.left) == (70, N + 1 - 7)
    assert holed.states()[State.BACK_FILLED] == 70
    holed.kite.failures, holed.kite.asked = {}, []
    holed.fill(holed.plan())
    assert len(holed.kite.asked) == N + 1 - 7
    assert State.GAP not in holed.states()


def test_one_call_that_fails_is_told_and_the_others_are_made(holed: Place) -> None:
    planned = holed.plan()
    bad = planned.calls[3].instrument.token
    holed.kite.failures = {bad: Unavailable("Kite refused: HTTP 400, invalid token", code="kite-refused")}
    outcome = holed.fill(planned)
    assert outcome.failed == {"Kite refused: HTTP 400, invalid token": 1}
    assert (outcome.calls, outcome.left, outcome.candles) == (N + 1, 0, N * 10)
    assert holed.states()[State.GAP] == 10


def test_when_kite_is_gone_the_rest_is_not_tried(holed: Place) -> None:
    planned = holed.plan()
    holed.kite.failures = {call.instrument.token: Unavailable("no connection") for call in planned.calls[2:]}
    outcome = holed.fill(planned)
    assert (outcome.calls, outcome.left, outcome.failed) == (5, N + 1 - 5, {"no connection": 3})


def test_an_app_without_data_stops_at_once(holed: Place) -> None:
    planned = holed.plan()
    holed.kite.failures = {planned.calls[0].instrument.token: Unavailable("no data", code="data-plan")}
    with pytest.raises(Unavailable, match="no data"):
        holed.fill(planned)
    assert len(holed.kite.asked) == 1


def test_an_answer_that_is_no_candles_of_minutes_is_not_stored(holed: Place) -> None:
    planned = holed.plan()

    class Odd(Kite):
        def candles(self, token: int, start: datetime, end: datetime, *, oi: bool = True) -> pl.DataFrame:
            return super().candles(token, start, end, oi=oi).with_columns(pl.col("ts") + timedelta(seconds=7))

    holed.kite = Odd(holed.clock)
    outcome = holed.fill(planned)
    assert outcome.failed == {"Kite gave candles that are not one per minute": N + 1}
    assert known(candles_path(holed.path, DAY)).instruments == []


def test_a_simulators_candles_do_not_go_beside_real_ones(holed: Place) -> None:
    planned = holed.plan()
    holed.fill(planned)
    with pytest.raises(ConfigError) as refused:
        holed.fill(planned, simulated=True)
    assert refused.value.code == "mixed-sources"


def test_gaps_of_several_days_are_one_call_and_go_to_their_days(place: Place) -> None:
    days = [date(2026, 8, 13), date(2026, 8, 14), DAY]
    for n, day in enumerate(days):
        keep(place.path, [m for m in range(385) if m != 100 + n], day)
    planned = place.plan(*days)
    assert len(planned.calls) == N + 1
    assert {call.missing for call in planned.calls} == {3}
    assert place.fill(planned).candles == 3 * (N + 1)
    for n, day in enumerate(days):
        assert read_candles(candles_path(place.path, day))["ts"].unique().to_list() == [at(100 + n, day)]
        assert State.GAP not in place.states(day)


def test_no_call_spans_more_than_kite_allows(place: Place) -> None:
    days = [date(2026, 5, 4), date(2026, 6, 29), date(2026, 7, 6), DAY]
    for day in days:
        keep(place.path, [m for m in range(375) if m != 100], day)
    planned = place.plan(*days)
    assert len(planned.calls) == 2 * (N + 1)
    place.fill(planned)
    assert {(start, end) for _, start, end, _ in place.kite.asked} == {
        (at(100, days[0]), at(100, days[1])),
        (at(100, days[2]), at(384, DAY)),
    }
    assert max(end - start for _, start, end, _ in place.kite.asked) < timedelta(days=60)


def test_whole_days_of_what_is_listed_need_no_journal(place: Place) -> None:
    days = [date(2026, 8, 14), date(2026, 8, 15), DAY]
    planned = place.plan_all(*days)
    assert len(planned.calls) == N + 1
    assert place.fill(planned).candles == (N + 1) * 2 * 385
    assert place.plan_all(*days) == Plan([], {}, 0)
    assert place.states(days[0]) == {State.BACK_FILLED: (N + 1) * 385}
    assert not candles_path(place.path, date(2026, 8, 15)).exists()


def test_whole_days_after_gaps_were_filled_ask_for_the_rest(holed: Place) -> None:
    holed.fill(holed.plan())
    planned = holed.plan_all(DAY)
    assert {call.missing for call in planned.calls} == {375}
    holed.fill(planned)
    assert known(candles_path(holed.path, DAY)).ts.size == (N + 1) * 385

"""Sessions, holidays and special days."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core.errors import ConfigError, DataError
from g6core.exchange import IST, Calendar, trading_date

CALENDAR = Calendar.load()
BOTH = pytest.mark.parametrize("exchange", ["NFO", "BFO"])


def ist(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), IST)


def hours(session: tuple[datetime, datetime] | None) -> str | None:
    return session and "-".join(f"{t.astimezone(IST):%H:%M}" for t in session)


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@BOTH
@pytest.mark.filterwarnings("ignore")  # of the peer
def test_holidays_equal_those_of_the_bombay_calendar(exchange: str) -> None:
    peers = pytest.importorskip("exchange_calendars", reason="a development dependency")
    first, last = date(2023, 1, 1), date(2026, 12, 31)
    sessions = {s.date() for s in peers.get_calendar("XBOM", start=str(first), end=str(last)).sessions}
    ours = {d for d in days(first, last) if CALENDAR.is_trading_day(exchange, d)}
    assert sessions - ours == set()
    # The peer has no weekend session.
    assert ours - sessions == {date(2024, 1, 20), date(2025, 2, 1), date(2026, 2, 1)}


@pytest.mark.parametrize(
    ("exchange", "day", "session"),
    [
        ("NFO", date(2023, 6, 5), "09:15-15:30"),
        ("NFO", date(2026, 7, 31), "09:15-15:30"),
        ("NFO", date(2026, 8, 3), "09:15-15:40"),
        ("BFO", date(2026, 8, 3), "09:15-15:30"),
        ("NFO", date(2026, 11, 22), None),
        ("NFO", date(2026, 11, 24), None),
        ("BFO", date(2026, 11, 24), None),
        ("NFO", date(1999, 6, 1), "09:15-15:30"),
    ],
)
def test_sessions_by_date(exchange: str, day: date, session: str | None) -> None:
    assert hours(CALENDAR.session(exchange, day)) == session


@BOTH
@pytest.mark.parametrize(
    ("day", "session", "trading_day"),
    [
        (date(2023, 11, 12), "18:15-19:15", False),
        (date(2024, 1, 20), "09:15-15:30", True),
        (date(2024, 3, 2), "09:15-12:30", False),
        (date(2024, 5, 18), "09:15-12:40", False),
        (date(2024, 11, 1), "18:00-19:00", False),
        (date(2025, 2, 1), "09:15-15:30", True),
        (date(2025, 10, 21), "13:45-14:45", False),
        (date(2026, 2, 1), "09:15-15:30", True),
    ],
)
def test_special_sessions(exchange: str, day: date, session: str, trading_day: bool) -> None:
    assert hours(CALENDAR.session(exchange, day)) == session
    assert CALENDAR.is_trading_day(exchange, day) is trading_day


@pytest.mark.parametrize(
    ("exchange", "day", "close"),
    [
        ("NFO", date(2026, 7, 28), "15:30"),
        ("NFO", date(2026, 11, 23), "15:40"),
        ("BFO", date(2026, 11, 26), "15:30"),
        ("NFO", date(2026, 11, 24), "15:40"),  # a holiday
        ("NFO", date(2025, 10, 21), "15:30"),  # Muhurat: its evening is no expiry
        ("NFO", date(2031, 6, 24), "15:40"),
    ],
)
def test_every_day_has_a_close_for_its_contracts(exchange: str, day: date, close: str) -> None:
    answer = CALENDAR.closes_at(exchange, day)
    assert answer.tzinfo is UTC
    assert f"{answer.astimezone(IST):%Y-%m-%d %H:%M}" == f"{day} {close}"


def test_holidays_move_expiries_as_the_exchanges_published() -> None:
    def moved(exchange: str, weekday: int) -> list[str]:
        weekly = [d for d in days(date(2025, 9, 1), date(2026, 12, 31)) if d.weekday() == weekday]
        return [str(d) for d in weekly if not CALENDAR.is_trading_day(exchange, d)]

    tuesdays = ["2025-10-21", "2026-03-03", "2026-03-31", "2026-04-14", "2026-10-20", "2026-11-10", "2026-11-24"]
    assert moved("NFO", 1) == tuesdays
    assert moved("BFO", 3) == ["2025-10-02", "2025-12-25", "2026-01-15", "2026-03-26", "2026-05-28"]


def test_open_from_the_first_instant_to_before_the_close() -> None:
    day = date(2026, 11, 23)
    assert not CALENDAR.is_open("NFO", ist(day, 9, 15) - timedelta(microseconds=1))
    assert CALENDAR.is_open("NFO", ist(day, 9, 15))
    assert CALENDAR.is_open("NFO", ist(day, 15, 40) - timedelta(microseconds=1))
    assert not CALENDAR.is_open("NFO", ist(day, 15, 40))
    assert not CALENDAR.is_open("BFO", ist(day, 15, 30))


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (ist(date(2026, 11, 23), 8), ist(date(2026, 11, 23), 9, 15)),
        (ist(date(2026, 11, 23), 9, 15), ist(date(2026, 11, 25), 9, 15)),  # open: the one after, past a holiday
        (ist(date(2026, 11, 20), 16), ist(date(2026, 11, 23), 9, 15)),
        (ist(date(2025, 10, 20), 16), ist(date(2025, 10, 21), 13, 45)),
        (ist(date(2026, 1, 31), 12), ist(date(2026, 2, 1), 9, 15)),
        (ist(date(2026, 12, 31), 16), ist(date(2027, 1, 1), 9, 15)),
    ],
)
def test_next_open(now: datetime, opens: datetime) -> None:
    answer = CALENDAR.next_open("NFO", now)
    assert answer == opens
    assert answer.tzinfo is UTC


@settings(deadline=None)
@given(minutes=st.integers(0, 5 * 366 * 24 * 60), exchange=st.sampled_from(["NFO", "BFO"]))
def test_next_open_is_the_first_instant_of_a_session(minutes: int, exchange: str) -> None:
    now = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    opens = CALENDAR.next_open(exchange, now)
    assert opens > now
    assert CALENDAR.is_open(exchange, opens)
    assert not CALENDAR.is_open(exchange, opens - timedelta(microseconds=1))


def test_the_trading_date_is_that_of_india() -> None:
    assert trading_date(datetime(2026, 11, 22, 18, 29, tzinfo=UTC)) == date(2026, 11, 22)
    assert trading_date(datetime(2026, 11, 22, 18, 30, tzinfo=UTC)) == date(2026, 11, 23)


def test_an_unknown_year_has_weekdays_and_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    calendar = Calendar.load()
    with caplog.at_level(logging.WARNING, "g6.exchange"):
        assert hours(calendar.session("NFO", date(2031, 1, 1))) == "09:15-15:40"
        assert calendar.session("NFO", date(2031, 1, 4)) is None
        assert calendar.session("NFO", date(2026, 1, 2))
    assert [r.getMessage() for r in caplog.records] == [calendar.warning(date(2031, 6, 1))]
    assert calendar.warning(date(2026, 6, 1)) is None


def test_a_far_expiry_warns_nobody(caplog: pytest.LogCaptureFixture) -> None:
    calendar = Calendar.load()
    assert calendar.is_trading_day("NFO", date(2030, 6, 25))
    assert calendar.closes_at("NFO", date(2030, 6, 25))
    assert not caplog.records


def test_an_unknown_exchange_is_named() -> None:
    with pytest.raises(DataError, match="'MCX'") as e:
        CALENDAR.session("MCX", date(2026, 11, 23))
    assert (e.value.code, e.value.hint) == ("unknown-exchange", "the calendar has BFO, NFO")


def test_indices_know_their_exchange() -> None:
    assert {name: CALENDAR.exchange_of(name) for name in CALENDAR.indices} == {
        "NIFTY": "NFO",
        "BANKNIFTY": "NFO",
        "FINNIFTY": "NFO",
        "MIDCPNIFTY": "NFO",
        "SENSEX": "BFO",
        "BANKEX": "BFO",
    }
    assert CALENDAR.indices["MIDCPNIFTY"].spot == "NSE:NIFTY MID SELECT"
    assert CALENDAR.exchange_of("SENSEX50") is None


def test_a_newer_table_goes_over_the_shipped_one(tmp_path: Path) -> None:
    newer = tmp_path / "exchange.toml"
    newer.write_text(
        """
        hours = [{ exchange = "BFO", from = 2026-12-01, open = 09:15:00, close = 15:40:00 }]
        indices.NIFTYNXT50 = { exchange = "NFO", spot = "NSE:NIFTY NEXT 50" }
        holidays.2027 = [2027-01-26]

        [[special]]
        day = 2026-12-09

        [[special]]
        day = 2027-10-29
        open = 18:00:00
        close = 19:00:00
        exchanges = ["NFO"]
        """
    )
    calendar = Calendar.load(newer)
    assert hours(calendar.session("BFO", date(2026, 11, 30))) == "09:15-15:30"
    assert hours(calendar.session("BFO", date(2026, 12, 1))) == "09:15-15:40"
    assert calendar.warning(date(2027, 1, 1)) is None
    assert not calendar.is_trading_day("NFO", date(2027, 1, 26))
    assert calendar.session("NFO", date(2026, 12, 9)) is None
    assert not calendar.is_trading_day("BFO", date(2026, 12, 9))
    assert hours(calendar.session("NFO", date(2027, 10, 29))) == "18:00-19:00"
    assert hours(calendar.session("BFO", date(2027, 10, 29))) == "09:15-15:40"
    assert calendar.exchange_of("NIFTYNXT50") == "NFO"
    assert calendar.exchange_of("NIFTY") == "NFO"
    assert not calendar.is_trading_day("NFO", date(2026, 11, 24))


def test_a_newer_table_may_be_absent(tmp_path: Path) -> None:
    assert Calendar.load(tmp_path / "exchange.toml").exchange_of("NIFTY") == "NFO"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("holidays.2027 = [", "no TOML"),
        ("holiday.2027 = [2027-01-26]", "`holiday`"),
        ("holidays.2027 = ['Republic Day']", "`holidays.2027"),
        ("special = [{ day = 2027-01-26, open = 09:15:00 }]", "go together"),
        ("special = [{ day = 2027-01-26, trading_day = true }]", "a trading day has"),
        ("hours = [{ exchange = 'MCX', from = 2027-01-01, open = 09:00:00, close = 23:30:00 }]", "`hours.0.exchange`"),
    ],
)
def test_a_wrong_table_is_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    wrong = tmp_path / "exchange.toml"
    wrong.write_text(text)
    with pytest.raises(ConfigError, match=told) as e:
        Calendar.load(wrong)
    assert (e.value.code, e.value.where) == ("bad-calendar", (str(wrong),))

"""When the exchanges trade and where each index is listed: dated facts from `data/exchange.toml`, never weekday rules.

Expiry dates, lot sizes and strike steps are not here: they are read from the day's listing.
"""

from __future__ import annotations

import logging
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from g6core.errors import ConfigError, DataError

IST = ZoneInfo("Asia/Kolkata")

Exchange = Literal["NFO", "BFO"]

_log = logging.getLogger("g6.exchange")


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Hours(_Row):
    """The continuous session from a day on, IST."""

    exchange: Exchange
    since: date = Field(alias="from")
    open: time
    close: time


class Special(_Row):
    """A day that differs from the rule, IST; without hours it is closed."""

    day: date
    open: time | None = None
    close: time | None = None
    trading_day: bool = False
    exchanges: tuple[Exchange, ...] = ("NFO", "BFO")

    @model_validator(mode="after")
    def _both_or_neither(self) -> Special:
        if (self.open is None) != (self.close is None):
            raise ValueError("`open` and `close` go together")
        if self.trading_day and self.open is None:
            raise ValueError("a trading day has `open` and `close`")
        return self


class Index(_Row):
    """Where an index is found: the exchange that lists its options, and its spot as `exchange:name`."""

    exchange: Exchange
    spot: str


class _Table(_Row):
    hours: tuple[Hours, ...] = ()
    holidays: Mapping[int, frozenset[date]] = {}
    special: tuple[Special, ...] = ()
    indices: Mapping[str, Index] = {}


def trading_date(now: datetime) -> date:
    """The date in India at `now` (aware)."""
    return now.astimezone(IST).date()


class Calendar:
    """Sessions, holidays and special days of NFO (NSE derivatives) and BFO (BSE derivatives).

    Every method raises DataError (`unknown-exchange`) for another exchange. A year without a list of holidays is
    answered by weekdays alone; `warning` says so, and asking for a session logs it once for each such year.
    """

    def __init__(self, *tables: _Table) -> None:
        """Later tables replace what earlier ones say of the same day, year, index or date of change."""
        hours = {(h.exchange, h.since): h for t in tables for h in t.hours}
        self._hours: dict[str, list[Hours]] = {}
        for key in sorted(hours):
            self._hours.setdefault(key[0], []).append(hours[key])
        self._holidays = {year: days for t in tables for year, days in t.holidays.items()}
        self._special: dict[tuple[str, date], Special] = {
            (exchange, s.day): s for t in tables for s in t.special for exchange in s.exchanges
        }
        self.indices: Mapping[str, Index] = {name: i for t in tables for name, i in t.indices.items()}
        self._warned: set[int] = set()

    @classmethod
    def load(cls, extra: Path | None = None) -> Calendar:
        """The shipped table, and over it the file `extra` if there is one. Raises ConfigError (`bad-calendar`)."""
        shipped = _parse((files("g6core") / "data" / "exchange.toml").read_text("utf-8"), "g6core/data/exchange.toml")
        if extra is None or not extra.exists():
            return cls(shipped)
        return cls(shipped, _parse(_read(extra), str(extra)))

    def exchange_of(self, index: str) -> str | None:
        """The exchange that lists the options of `index`; None for an index that the table does not have."""
        known = self.indices.get(index)
        return known.exchange if known else None

    def is_trading_day(self, exchange: str, day: date) -> bool:
        """Whether contracts may expire on `day`. A Muhurat day is none, although it has a session."""
        self._hours_on(exchange, day)
        special = self._special.get((exchange, day))
        return special.trading_day if special else self._is_weekday(day)

    def session(self, exchange: str, day: date) -> tuple[datetime, datetime] | None:
        """Open and close of the continuous session, UTC; special sessions included, None when there is none.

        A day with two sessions is given as one, from the first open to the last close.
        """
        self._warn(day)
        hours = self._hours_on(exchange, day)
        special = self._special.get((exchange, day))
        if special:
            if special.open is None or special.close is None:
                return None
            return _utc(day, special.open), _utc(day, special.close)
        return (_utc(day, hours.open), _utc(day, hours.close)) if self._is_weekday(day) else None

    def closes_at(self, exchange: str, day: date) -> datetime:
        """The close that counts for options expiring on `day`, UTC; answers on every day, also on a holiday."""
        hours = self._hours_on(exchange, day)
        special = self._special.get((exchange, day))
        close = special.close if special and special.trading_day and special.close else hours.close
        return _utc(day, close)

    def is_open(self, exchange: str, now: datetime) -> bool:
        """Whether the continuous session runs at `now` (aware); it ends with the instant of the close."""
        session = self.session(exchange, trading_date(now))
        return session is not None and session[0] <= now < session[1]

    def next_open(self, exchange: str, now: datetime) -> datetime:
        """The first opening after `now` (aware), UTC."""
        today = trading_date(now)
        for ahead in range(366):
            session = self.session(exchange, today + timedelta(days=ahead))
            if session and session[0] > now:
                return session[0]
        raise DataError(f"no session of {exchange} within a year of {today}", code="bad-calendar")

    def warning(self, day: date) -> str | None:
        """What is uncertain about `day`, one sentence; None when its year is known."""
        if day.year in self._holidays:
            return None
        return (
            f"the holidays of {day.year} are not known, so every weekday of it counts as a trading day; "
            "update g6core or put an exchange.toml into the data directory"
        )

    def _warn(self, day: date) -> None:
        text = self.warning(day)
        if text and day.year not in self._warned:
            self._warned.add(day.year)
            _log.warning(text)

    def _is_weekday(self, day: date) -> bool:
        return day.weekday() < 5 and day not in self._holidays.get(day.year, ())

    def _hours_on(self, exchange: str, day: date) -> Hours:
        known = self._hours.get(exchange)
        if known is None:
            raise DataError(
                f"the exchange {exchange!r} is not known",
                code="unknown-exchange",
                hint=f"the calendar has {', '.join(self._hours)}",
            )
        return known[max(bisect_right(known, day, key=lambda h: h.since) - 1, 0)]


def _utc(day: date, at: time) -> datetime:
    return datetime.combine(day, at, IST).astimezone(UTC)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"the calendar cannot be read: {e}", code="bad-calendar", where=str(path)) from e


def _parse(text: str, where: str) -> _Table:
    try:
        data: dict[str, Any] = tomllib.loads(text)
        return _Table.model_validate(data)
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"the calendar is no TOML: {e}", code="bad-calendar", where=where) from e
    except ValidationError as e:
        first = e.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"the calendar is wrong at `{path}`: {first['msg']}", code="bad-calendar", where=where) from e

"""A recording as the provider sees it: instants, the contracts of a day, the rows and spots of an instant."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import polars as pl

from g6_replay.settings import LEVELS
from g6core import CONTRACTS, QUOTES, Calendar, ReadReport, Remark, Spot, conform

IST = ZoneInfo("Asia/Kolkata")
CONTRACT = ("exchange", "symbol")
"""The identity of a contract."""


class Recording(Protocol):
    indices: list[str]
    simulated: bool

    @property
    def instants(self) -> list[datetime]: ...

    @property
    def set_aside(self) -> Sequence[Remark]:
        """What was left out or changed of what has been read."""

    def timeline(self) -> Iterable[datetime]:
        """The instants; a recording that is read along may find them as it goes."""

    def report(self) -> ReadReport: ...

    def use(self, calendar: Calendar) -> None:
        """The calendar that says when contracts end; before anything else is asked."""

    def contracts(self, index: str, day: date) -> pl.DataFrame:
        """Every contract of the index that was recorded on that day in India."""

    def rows(self, instant: datetime) -> pl.DataFrame:
        """CONTRACT and the quotes of what was recorded at the instant, a row per contract; no rows if nothing was."""

    def spots(self, instant: datetime) -> Mapping[str, Spot]: ...

    def futures(self, instant: datetime) -> Mapping[str, Mapping[date, float]]:
        """The futures recorded at the instant, by index and expiry date."""

    def close(self) -> None: ...


def quote_columns(frame: pl.DataFrame) -> list[str]:
    """What a replay hands on of a row: what providers gave, not what analytics computed from it."""
    return [name for name in frame.columns if name in QUOTES or name.startswith("exchange_")]


def listing(frame: pl.DataFrame) -> pl.DataFrame:
    """The distinct contracts of the rows, in the columns CONTRACTS."""
    known = [name for name in CONTRACTS if name in frame.columns]
    distinct = frame.select(known).unique(CONTRACT, keep="last").sort("index", "expiry", "strike", "right", "symbol")
    return conform(distinct, CONTRACTS, who="the recording")


def level_columns(frame: pl.DataFrame) -> list[str]:
    return [name for name in LEVELS if name in frame.columns]


class Table:
    """A recording held in memory.

    frame: as `normalise` gives it: CONTRACTS, QUOTES, LEVELS, `exchange_…` and ts, sorted by ts.
    """

    simulated = False

    def __init__(self, frame: pl.DataFrame, report: ReadReport, set_aside: Sequence[Remark] = ()) -> None:
        self.set_aside = set_aside
        self._report = report
        self.indices: list[str] = frame["index"].unique().sort().to_list()
        starts = frame.select(pl.col("ts").rle().struct.unnest())
        self.instants: list[datetime] = starts["value"].to_list()
        self._bounds = [0, *starts["len"].cum_sum().to_list()]
        self._spots = _spots(frame)
        self._frame = frame.select(*(name for name in CONTRACTS if name in frame.columns), *quote_columns(frame))
        self._quotes = [*CONTRACT, *quote_columns(frame)]

    def contracts(self, index: str, day: date) -> pl.DataFrame:
        midnight = datetime(day.year, day.month, day.day, tzinfo=IST)
        first, last = (bisect_left(self.instants, t) for t in (midnight, midnight + timedelta(days=1)))
        rows = self._frame[self._bounds[first] : self._bounds[last]]
        return listing(rows.filter(pl.col("index") == index))

    def rows(self, instant: datetime) -> pl.DataFrame:
        at = bisect_left(self.instants, instant)
        if at == len(self.instants) or self.instants[at] != instant:
            return self._frame.clear().select(self._quotes)
        return self._frame[self._bounds[at] : self._bounds[at + 1]].select(self._quotes)

    def spots(self, instant: datetime) -> Mapping[str, Spot]:
        return self._spots.get(instant, {})

    def futures(self, instant: datetime) -> Mapping[str, Mapping[date, float]]:
        return {}

    def timeline(self) -> list[datetime]:
        return self.instants

    def report(self) -> ReadReport:
        return self._report

    def use(self, calendar: Calendar) -> None:
        """Nothing depends on it."""

    def close(self) -> None:
        pass


def _spots(frame: pl.DataFrame) -> dict[datetime, dict[str, Spot]]:
    """The last known level of each index and instant."""
    levels = level_columns(frame)
    found: dict[datetime, dict[str, Spot]] = {}
    known = frame.group_by("ts", "index", maintain_order=True).agg(pl.col(levels).drop_nulls().last())
    for row in known.iter_rows(named=True):
        found.setdefault(row["ts"], {}).update(spots_of(row["index"], row))
    return found


def spots_of(index: str, levels: Mapping[str, float | None]) -> dict[str, Spot]:
    """The Spot of the index, and of INDIAVIX, as far as the levels (named as in a snapshot's facts) tell."""
    get, vix = levels.get, levels.get("vix")
    spot = Spot(get("spot"), open=get("open"), high=get("high"), low=get("low"), close=get("close"))
    spots = {} if spot == Spot(None) else {index: spot}
    return spots | ({"INDIAVIX": Spot(vix)} if vix is not None else {})

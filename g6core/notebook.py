"""Recorded days for notebooks and scripts: `load` gives them as tables, chains at an instant, and answers to SQL.

Times are India's here, as on every edge of G6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from g6core import days
from g6core.archives import opened
from g6core.chains import chain_rows, expiry_row, ladder
from g6core.errors import DataError
from g6core.exchange import IST, trading_date
from g6core.snapshot import Snapshot

if TYPE_CHECKING:
    from g6core.config import Configuration

LADDER = ("oi", "volume", "iv", "bid", "ask", "last_price")
"""Columns of a chain, from the left edge to the strike."""
NAMED = 10
"""Days that an error names, the newest."""


def load(
    index: str, day: date | str, last: date | str | None = None, *, data_dir: Path | str | None = None
) -> Recording:
    """What is recorded of an index on a trading date, or from `day` to `last`.

    index: in any case. day, last: `2026-11-20` as text or a date. data_dir: the one of the settings if left out. A day
    that the journal does not hold is read from an archive that the settings select, such as `parquet`. Nothing is read
    yet but what there is. Raises DataError: `no-such-day`, which names the days that there are, and
    `nothing-recorded`, which names the indices of the day.
    """
    from g6core.cli.options import data_dir_of

    first, final = _date(day), _date(day if last is None else last)
    place = data_dir_of(None if data_dir is None else Path(data_dir))
    journal = _Journal(place)
    sources: dict[date, _Source] = {d: journal for d in journal.days() if first <= d <= final}
    if last is not None or not sources:
        archive = _archive(place)
        sources |= {d: archive for d in archive.days() if first <= d <= final and d not in sources}
        if not sources:
            raise _no_such_day(first, final, {*journal.days(), *archive.days()}, place)
    chosen = {d: source for d, source in sorted(sources.items()) if source.at(index.upper(), _end(d)) is not None}
    if not chosen:
        raise _nothing_of(index.upper(), sources, place)
    return Recording(index.upper(), chosen)


class Recording:
    """What is recorded of one index on one or more days: made by `load`.

    Tables are polars frames, read when first asked for and kept: `.to_pandas()` and `.to_arrow()` make of them what
    their names say. Every time in them, `ts` first, is India's.
    """

    def __init__(self, index: str, sources: dict[date, _Source]) -> None:
        self.index = index
        self._sources = sources

    def __repr__(self) -> str:
        span = " to ".join(dict.fromkeys((str(self.days[0]), str(self.days[-1]))))
        return f"{self.index}, {span}" + (", SIMULATED" if self.simulated else "")

    @property
    def days(self) -> Sequence[date]:
        """The trading dates, ascending."""
        return tuple(self._sources)

    @property
    def snapshots(self) -> Iterator[Snapshot]:
        """Every snapshot by time, read as it goes; their times are UTC."""
        return (snapshot for day, source in self._sources.items() for snapshot in source.read(self.index, day))

    @cached_property
    def simulated(self) -> bool:
        """True when no market stood behind the numbers."""
        return self._at(_end(self.days[-1])).simulated

    @property
    def options(self) -> pl.DataFrame:
        """A row per option and instant: `ts`, and the columns of `Snapshot.options`."""
        return self._tables[0]

    @property
    def expiries(self) -> pl.DataFrame:
        """A row per expiry and instant: `ts`, and the columns of `Snapshot.expiries`."""
        return self._tables[1]

    @property
    def facts(self) -> pl.DataFrame:
        """A row per instant: `ts`, `source`, and a column per fact, null where it is not known."""
        return self._tables[2]

    def chain(
        self,
        at: datetime | time | str | None = None,
        expiry: str | date | None = None,
        *,
        around: int | None = None,
        columns: str | Sequence[str] = LADDER,
    ) -> pl.DataFrame:
        """The chain of an expiry as it stood: a row per strike, calls left, puts right, null where there is nothing.

        at: `10:30`, `2026-11-20 10:30`, a time of the last day or a datetime, India's where no zone is given; the end
        of the last day if left out. expiry: a code or a date, the nearest one if left out. around: strikes each side
        of the money. columns: of `options`. Raises DataError (`nothing-recorded`, `no-such-expiry`).
        """
        snapshot = self._at(_end(self.days[-1]) if at is None else _instant(at, self.days[-1]))
        facts = expiry_row(snapshot, None if expiry is None else str(expiry))
        wanted = [columns] if isinstance(columns, str) else columns
        return _in_india(ladder(chain_rows(snapshot, facts, around), wanted))

    def sql(self, query: str) -> pl.DataFrame:
        """The answer to a question in SQL (polars' dialect) over the tables `options`, `expiries` and `facts`."""
        tables = {"options": self.options, "expiries": self.expiries, "facts": self.facts}
        return pl.SQLContext(frames=tables, eager=True).execute(query)

    @cached_property
    def _tables(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        options, expiries, facts = [], [], []
        for snapshot in self.snapshots:
            ts = pl.lit(snapshot.ts, pl.Datetime("us", "UTC")).alias("ts")
            options.append(snapshot.options.select(ts, pl.all()))
            expiries.append(snapshot.expiries.select(ts, pl.all()))
            facts.append({"ts": snapshot.ts, "source": snapshot.source, **snapshot.facts})
        # An analytic that failed in one cycle left its columns out there.
        tables = [pl.concat(frames, how="diagonal_relaxed") for frames in (options, expiries)]
        made = (*tables, pl.DataFrame(facts, infer_schema_length=None))
        return _in_india(made[0]), _in_india(made[1]), _in_india(made[2])

    def _at(self, ts: datetime) -> Snapshot:
        source = self._sources.get(trading_date(ts))
        snapshot = source.at(self.index, ts) if source else None
        if snapshot is None:
            listed = ", ".join(map(str, self.days))
            raise DataError(
                f"nothing is recorded of {self.index} on {ts.astimezone(IST):%d %b %Y} up to "
                f"{ts.astimezone(IST):%H:%M:%S} IST",
                code="nothing-recorded",
                hint=f"there is {listed}",
            )
        return snapshot


class _Source(Protocol):
    """Where a day lies. at: the newest snapshot at or before an instant (UTC), of that trading date."""

    def days(self) -> Iterable[date]: ...

    def indices(self, day: date) -> Iterable[str]: ...

    def read(self, index: str, day: date) -> Iterator[Snapshot]: ...

    def at(self, index: str, ts: datetime) -> Snapshot | None: ...


@dataclass(frozen=True)
class _Journal:
    data_dir: Path

    def days(self) -> Iterable[date]:
        return [date.fromisoformat(path.stem) for path in days.days(self.data_dir)]

    def indices(self, day: date) -> Iterable[str]:
        return days.indices_of(days.day_path(self.data_dir, day))

    def read(self, index: str, day: date) -> Iterator[Snapshot]:
        return (snapshot for _, snapshot in days.read_day(days.day_path(self.data_dir, day), index))

    def at(self, index: str, ts: datetime) -> Snapshot | None:
        return days.at(self.data_dir, index, ts)


@dataclass(frozen=True)
class _Archives:
    """The selected archives, open only while they are asked."""

    configuration: Configuration

    def days(self) -> Iterable[date]:
        with opened(self.configuration) as archives:
            return sorted({day for archive in archives.values() for day in archive.days()})

    def indices(self, day: date) -> Iterable[str]:
        with opened(self.configuration) as archives:
            return sorted({s.index for archive in archives.values() for s in archive.read(day)})

    def read(self, index: str, day: date) -> Iterator[Snapshot]:
        with opened(self.configuration) as archives:
            for archive in archives.values():
                if archive.at(index, _end(day)) is not None:
                    yield from (snapshot for snapshot in archive.read(day) if snapshot.index == index)
                    return

    def at(self, index: str, ts: datetime) -> Snapshot | None:
        with opened(self.configuration) as archives:
            found = (archive.at(index, ts) for archive in archives.values())
            return next((snapshot for snapshot in found if snapshot), None)


def _archive(data_dir: Path) -> _Archives:
    from g6core.cli.options import load_recorded

    configuration, _ = load_recorded(data_dir=data_dir)
    return _Archives(configuration)


def _date(day: date | str) -> date:
    if isinstance(day, datetime):
        return trading_date(day if day.tzinfo else day.replace(tzinfo=IST))
    try:
        return day if isinstance(day, date) else date.fromisoformat(day)
    except ValueError:
        raise DataError(f"`{day}` is not a date", code="no-such-day", hint="write it like 2026-11-20") from None


def _instant(at: datetime | time | str, day: date) -> datetime:
    """The instant that is meant (UTC), on that day where none is given."""
    try:
        if isinstance(at, str):
            at = datetime.fromisoformat(f"{day} {at}" if re.fullmatch(r"[\d:.]+", at) else at)
    except ValueError:
        raise DataError(f"`{at}` is not a time", code="nothing-recorded", hint="write it like 10:30") from None
    if isinstance(at, time):
        at = datetime.combine(day, at)
    return (at if at.tzinfo else at.replace(tzinfo=IST)).astimezone(UTC)


def _end(day: date) -> datetime:
    return datetime.combine(day, time.max, IST).astimezone(UTC)


def _in_india(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.selectors.datetime(time_zone="*").dt.convert_time_zone("Asia/Kolkata"))


def _no_such_day(first: date, last: date, known: Iterable[date], place: Path) -> DataError:
    listed = [str(day) for day in sorted(known)]
    earlier = f"{len(listed) - NAMED} earlier ones and " if len(listed) > NAMED else ""
    wanted = f"on {first}" if first == last else f"from {first} to {last}"
    return DataError(
        # In the message: Python shows nothing else of an error.
        f"nothing is recorded {wanted}" + (f"; there is {earlier}{', '.join(listed[-NAMED:])}" if listed else ""),
        code="no-such-day",
        where=str(place.absolute()),
        hint=None if listed else "`g6 run` records; data_dir names another place",
    )


def _nothing_of(index: str, sources: dict[date, Any], place: Path) -> DataError:
    known = sorted({name for day, source in sources.items() for name in source.indices(day)})
    return DataError(
        f"nothing is recorded of {index}; there is {', '.join(known) or 'no index at all'}",
        code="nothing-recorded",
        where=str(place.absolute()),
    )

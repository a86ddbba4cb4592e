"""A tree of the earlier platform as a recording that is read a day at a time: months of it do not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import polars as pl

from g6_replay import g6csv, g6overview
from g6_replay.g6layout import Chapter, Listing, listing, relative
from g6_replay.normalise import normalise
from g6_replay.recording import CONTRACT, IST, Table
from g6_replay.settings import Settings
from g6_replay.tables import empty
from g6_replay.tally import FILE, LINE, REPAIRED, Tally
from g6core import CONTRACTS, QUOTES, Calendar, DataError, ReadReport, Remark, Spot

NOTHING = ReadReport({}, [])


class Tree:
    """Raises DataError when no file of the tree is a recording; and at the end of its timeline, when no row is."""

    simulated = False

    def __init__(self, root: Path, settings: Settings, calendar: Calendar | None = None) -> None:
        self._root, self._settings, self._calendar = root.absolute(), settings, calendar
        self._tally = Tally([], "leg")
        self._days: Listing = listing(root, self._tally)
        named = {index for chapters in self._days.values() for index, chapter in chapters.items() if chapter.options}
        if not named:
            raise _nothing(root, self._tally)
        self.indices = sorted(named)
        self._instants: list[datetime] | None = None
        self._read: set[date] = set()
        self._loaded: tuple[date | None, Table | None] = (None, None)

    @property
    def instants(self) -> list[datetime]:
        if self._instants is None:
            list(self.timeline())
        return self._instants or []

    def timeline(self) -> Iterator[datetime]:
        """The instants, each day read as it is reached; raises DataError at the end when there was none."""
        if self._instants is not None:
            yield from self._instants
            return
        instants: list[datetime] = []
        for day in self._days:
            table = self._day(day)
            if table:
                instants += table.instants
                yield from table.instants
        if not instants:
            raise _nothing(self._root, self._tally)
        self._instants = instants
        self._tally.log()

    @property
    def set_aside(self) -> Sequence[Remark]:
        return self._tally.entries

    def report(self) -> ReadReport:
        return ReadReport(dict(self._tally.counts), self._tally.remarks)

    def use(self, calendar: Calendar) -> None:
        """The calendar that says when contracts end."""
        self._calendar = calendar

    def contracts(self, index: str, day: date) -> pl.DataFrame:
        table = self._day(day)
        return table.contracts(index, day) if table else pl.DataFrame(schema=CONTRACTS)

    def rows(self, instant: datetime) -> pl.DataFrame:
        table = self._at(instant)
        return table.rows(instant) if table else pl.DataFrame(schema={**dict.fromkeys(CONTRACT, pl.String), **QUOTES})

    def spots(self, instant: datetime) -> Mapping[str, Spot]:
        table = self._at(instant)
        return table.spots(instant) if table else {}

    def futures(self, instant: datetime) -> Mapping[str, Mapping[date, float]]:
        return {}

    def close(self) -> None:
        self._loaded = (None, None)

    def _at(self, instant: datetime) -> Table | None:
        return self._day(instant.astimezone(IST).date())

    def _day(self, day: date) -> Table | None:
        if day not in self._days:
            return None
        if self._loaded[0] != day:
            # What was odd is told once, however often a day is read.
            tally = Tally([], "leg") if day in self._read else self._tally
            self._loaded = (day, _Day(self._root, day, self._settings, self._calendar, tally).table(self._days[day]))
            self._read.add(day)
        return self._loaded[1]


class _Day:
    """Reads the chapters of one day."""

    def __init__(self, root: Path, day: date, settings: Settings, calendar: Calendar | None, tally: Tally) -> None:
        self._root, self._day, self._settings, self._calendar, self._tally = root, day, settings, calendar, tally

    def table(self, chapters: Mapping[str, Chapter]) -> Table | None:
        frames = [frame for index, chapter in chapters.items() if (frame := self._index(index, chapter)) is not None]
        if not frames:
            return None
        return Table(pl.concat(frames, how="diagonal").sort("ts", maintain_order=True), NOTHING)

    def _index(self, index: str, chapter: Chapter) -> pl.DataFrame | None:
        tally, day = self._tally, self._day
        tally.counts["files of options"] += len(chapter.options)
        tally.counts["files of the overview"] += len(chapter.overview)
        tally.files = self._names(chapter.options)
        rows = g6csv.options(chapter.options, index, day, self._settings, tally)
        legs = self._normalised(rows)
        tally.files = self._names(chapter.overview)
        seen = g6overview.overview(chapter.overview, index, day, self._settings, tally)
        g6overview.compare(seen, rows, tally)
        return None if legs.is_empty() else g6overview.with_levels(legs, seen, tally)

    def _names(self, paths: Sequence[Path]) -> list[str]:
        return [relative(path, self._root) for path in paths]

    def _normalised(self, rows: pl.DataFrame) -> pl.DataFrame:
        if rows.is_empty():
            return rows
        self._one_spot(rows)
        legs = g6csv.legs_of(rows, self._tally)
        legs = normalise(legs, self._settings, self._tally, self._distinct)
        self._tally.counts["distinct legs"] += legs.height
        return legs

    def _distinct(self, legs: pl.DataFrame, tally: Tally) -> pl.DataFrame:
        return g6csv.merged(self._alive(legs, tally), tally)

    def _alive(self, legs: pl.DataFrame, tally: Tally) -> pl.DataFrame:
        """Without the legs that were written after their contract had ended."""
        if self._calendar is None:
            return legs
        last = legs.filter(pl.col("expiry") == self._day)["exchange"].unique().to_list()
        if not last:
            return legs
        ended = pl.lit(False)
        for exchange in last:
            close = self._calendar.closes_at(exchange, self._day)
            ended |= (pl.col("expiry") == self._day) & (pl.col("exchange") == exchange) & (pl.col("ts") > close)
        return tally.without(legs, ended, "leg of a contract whose last session had closed")

    def _one_spot(self, rows: pl.DataFrame) -> None:
        if "index_price" not in rows.columns:
            return
        known = rows.filter(pl.col("index_price").is_not_null())
        several = known.group_by("ts").agg(pl.col("index_price").n_unique().alias("n"), pl.col(FILE, LINE).first())
        reason = "instant whose rows name several index prices; the last one counts"
        self._tally.rows(several.filter(pl.col("n") > 1), reason, REPAIRED)


def _nothing(root: Path, tally: Tally) -> DataError:
    remarks = tally.remarks
    if not remarks:
        return empty(root, "holds no recorded file")
    return DataError(
        f"no row of {root} can be used",
        code="replay-garbage",
        where=[remark.first for remark in tally.entries[:5]],
        note="; ".join(f"{remark.count:,} x {remark.reason}" for remark in tally.entries) or None,
        hint="it should be the tree that the earlier platform wrote: INDEX/TAG/OFFSET/DATE.csv",
    )

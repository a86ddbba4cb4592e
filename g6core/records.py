"""What is recorded in a data directory, for whoever shows it: read only, from any thread, while a recorder writes."""

from __future__ import annotations

import difflib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from g6core import days
from g6core.components import Alert
from g6core.cursor import SELECT_ALERTS, alert_of
from g6core.errors import DataError
from g6core.exchange import IST, trading_date
from g6core.snapshot import Snapshot

Point = tuple[datetime, Any, date | None]
"""(ts, value or None, the expiry it is of)."""


class Records:
    """Raises DataError: `no-such-day`, `bad-journal` for a day that cannot be read, and what a method names."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def days(self) -> list[date]:
        """The recorded trading dates, ascending."""
        return [date.fromisoformat(path.stem) for path in days.days(self._data_dir)]

    def newest(self) -> list[Snapshot]:
        """The newest snapshot of each index of the newest day that holds any, by index."""
        for path in reversed(days.days(self._data_dir)):
            found = [days.latest_of(path, index) for index in days.indices_of(path)]
            if found:
                return [s for s in found if s is not None]
        return []

    def summaries(self) -> tuple[list[dict[str, Any]], list[DataError]]:
        """What `g6 journal` lists of each day, oldest first, and what is wrong with those that cannot be read."""
        found: list[dict[str, Any]] = []
        faults: list[DataError] = []
        for path in days.days(self._data_dir):
            try:
                row = asdict(days.summary(path))
            except DataError as e:
                faults.append(e)
            else:
                found.append({name: value for name, value in row.items() if name != "path"})
        return found, faults

    def alerts(self, since: datetime | None = None, until: datetime | None = None, limit: int = 100) -> list[Alert]:
        """The newest alerts, at most `limit`, from `since` to `until` inclusive (UTC, aware), by time."""
        found: list[Alert] = []
        for path in reversed(self._between(since, until)):
            sql = f"{SELECT_ALERTS} WHERE ts BETWEEN ? AND ? ORDER BY ts DESC, seq DESC LIMIT ?"
            with days.reading(path) as db:
                rows = db.execute(sql, (*_bounds(since, until), limit - len(found))).fetchall()
            found += [alert_of(row)[1] for row in rows]
            if len(found) >= limit:
                break
        return found[::-1]

    def rule_states(self) -> Mapping[str, str]:
        """What each alert rule remembered when the newest day that says anything was written, as `AlertRule.state`."""
        found = (days.rule_states(path) for path in reversed(days.days(self._data_dir)))
        return next((states for states in found if states is not None), {})

    def series(
        self,
        index: str,
        fact: str,
        since: datetime,
        until: datetime,
        *,
        expiry: str | None = None,
        every: timedelta | None = None,
        limit: int = 10_000,
    ) -> list[Point]:
        """A fact of the index, or of one of its expiries, in each snapshot from `since` to `until` inclusive, by time.

        A fact of the index unless `expiry` (a code, or a date as 2026-11-24) is given; a name that is known of expiries
        alone is that of the nearest one. What a snapshot does not have is None. every: the last snapshot of each such
        stretch of the day (counted from midnight in India), under its own time. Raises DataError: `unknown-fact` where
        no snapshot knows the name, `no-such-expiry` where none has the expiry, `bad-request` for more than `limit`.
        """
        rows: list[tuple[int, str, bytes]] = []
        for path in self._between(since, until):
            rows += _rows(path, index, since, until, every, limit - len(rows))
            if len(rows) > limit:
                raise DataError(
                    f"that is more than {limit:,} points",
                    code="bad-request",
                    hint="ask for fewer days, or for one point in each stretch of time by `every=1m`",
                )
        facts = [json.loads(text) for _, text, _ in rows]
        if expiry is None and any(fact in known for known in facts):
            pairs = zip(rows, facts, strict=True)
            return [(days.from_micros(ts), known.get(fact), None) for (ts, _, _), known in pairs]
        return _of_expiry(rows, facts, index, fact, expiry)

    def _between(self, since: datetime | None, until: datetime | None) -> list[Path]:
        first = str(trading_date(since)) if since else ""
        last = str(trading_date(until)) if until else "9999"
        return [path for path in days.days(self._data_dir) if first <= path.stem <= last]


def _rows(
    path: Path, index: str, since: datetime, until: datetime, every: timedelta | None, limit: int
) -> list[tuple[int, str, bytes]]:
    where = '"index" = ? AND ts BETWEEN ? AND ?'
    given: tuple[Any, ...] = (index, *_bounds(since, until))
    if every is not None:
        midnight = days.micros(datetime.combine(date.fromisoformat(path.stem), time(), IST).astimezone(UTC))
        stretch = every // timedelta(microseconds=1)
        where = f'"index" = ? AND ts IN (SELECT max(ts) FROM snapshots WHERE {where} GROUP BY (ts - ?) / ?)'
        given = (index, *given, midnight, stretch)
    with days.reading(path) as db:
        sql = f"SELECT ts, facts, expiries FROM snapshots WHERE {where} ORDER BY ts LIMIT ?"
        return db.execute(sql, (*given, limit + 1)).fetchall()


def _of_expiry(
    rows: Iterable[tuple[int, str, bytes]],
    facts: Iterable[Mapping[str, float]],
    index: str,
    fact: str,
    expiry: str | None,
) -> list[Point]:
    points: list[Point] = []
    names = {name for known in facts for name in known} if expiry is None else set()
    dates: dict[date, str] = {}
    found = False
    for ts, _, blob in rows:
        table = pl.read_ipc_stream(io.BytesIO(blob))
        plain = table.drop(pl.selectors.nested() | pl.selectors.binary())
        names |= set(plain.columns)
        dates |= {row[0]: "/".join(row[1] or ()) for row in table.select("expiry", "codes").iter_rows()}
        at = _row_of(table, expiry)
        found = found or at is not None
        value = None if at is None or fact not in plain.columns else plain[fact][at]
        points.append((days.from_micros(ts), value, None if at is None else table["expiry"][at]))
    if points and fact not in names:
        raise _unknown_fact(index, fact, sorted(names))
    if points and expiry is not None and not found:
        known = ", ".join(f"{day} ({codes})" for day, codes in sorted(dates.items()))
        message = f"{index} has no recorded expiry `{expiry}`"
        raise DataError(message, code="no-such-expiry", hint=f"there is {known}" if known else None)
    return points


def _row_of(table: pl.DataFrame, expiry: str | None) -> int | None:
    """Which row of the expiries is wanted."""
    for at, (day, codes) in enumerate(table.select("expiry", "codes").iter_rows()):
        if expiry is None or expiry == str(day) or expiry in (codes or ()):
            return at
    return None


def _unknown_fact(index: str, fact: str, known: Sequence[str]) -> DataError:
    close = difflib.get_close_matches(fact, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"there is {', '.join(known)}"
    return DataError(f"nothing called `{fact}` is recorded of {index}", code="unknown-fact", hint=hint)


def _bounds(since: datetime | None, until: datetime | None) -> tuple[int, int]:
    return days.micros(since) if since else 0, days.micros(until) if until else 2**63 - 1

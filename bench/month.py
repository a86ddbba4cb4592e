"""One month of options asked where it is stored: as CSV files, as a Parquet dataset, in PostgreSQL.

    python bench/month.py [--place DIR] [--days 21] [--postgres-days 5] [--repeat 9] [--json]

September 2026 of the synthetic market: 21 trading days x 375 minutes x 1,280 rows (six indices; NIFTY and SENSEX with
four expiries, the others with two; 40 strikes). Spots, quotes and open interest are the simulator's; volatilities and
Greeks are computed from them by g6-greeks, row for row, and so are the PCRs; its other eight analytics are off. The
sinks get ten minutes at a time, and each day is compacted. The last day is also kept as it is while it is recorded, a
write a minute. PostgreSQL gets the first days only, from the Parquet dataset, as `g6 sinks fill` does it. A second
dataset, with `digits = 6`, gets all of them from the first one; its size is shown beside.

Making it takes a quarter of an hour and more, and some 5 GB of disk; with --place it stays, and the next run only
measures. The directory must be one that the user `postgres` can reach when this runs as root.

A question to Parquet is `g6_parquet.query.ask`, what `g6 query` calls, several times in one process; to the CSV tree it
is DuckDB's `read_csv`, and polars' `scan_csv`, over the files that hold the answer; to PostgreSQL it is psycopg over
one connection. The first time is shown, and the median of the others; a rival that takes long is asked until a minute
is over. All must give the same numbers. The newest chain at or before an instant is compared with a search by polars
through the rows as they were made.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psycopg
from polars.testing import assert_frame_equal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import month_data
import month_sizes
from g6_parquet.archive import ParquetArchive
from g6_parquet.query import ask
from g6_parquet.settings import Settings
from month_questions import Question, questions

from g6core import IST, make_context, trading_date
from g6core.clock import CycleClock

PATIENCE = 60.0
"""Seconds after which a rival is not asked again."""
INSTANTS = 1000
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Times:
    """Of one question to one store, in ms. rows: of the answer."""

    question: str
    store: str
    first: float
    median: float
    asked: int
    rows: int
    aim: float | None = None


def timed(q: Question, store: str, ask_it: Callable[[], Any], repeat: int) -> tuple[Times, Any]:
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) <= repeat and (store == "parquet" or len(taken) < 2 or time.perf_counter() - began < PATIENCE):
        start = time.perf_counter()
        answer = ask_it()
        taken.append(1000 * (time.perf_counter() - start))
    aim = q.aim if store == "parquet" else None
    return Times(q.name, store, taken[0], statistics.median(taken[1:]), len(taken), len(answer), aim), answer


def asked(place: Path, days: Sequence[date], server: str | None, repeat: int) -> Iterator[Times]:
    """Each question to each store; raises AssertionError when the answers differ."""
    parquet, tree = place / "data" / "parquet", place / "data" / "g6_data"
    for q in questions(days[len(days) // 8]):
        times, ours = timed(q, "parquet", lambda q=q: ask(parquet, q.parquet), repeat)
        yield times
        times, theirs = timed(
            q, "csv, DuckDB", lambda q=q: duckdb.connect().sql(q.csv.format(tree)).to_arrow_table(), repeat
        )
        same(numbers(ours), numbers(theirs))
        yield times
        times, theirs = timed(q, "csv, polars", lambda q=q: q.polars(tree).collect(), repeat)
        same(numbers(ours), [(datetime.fromisoformat(row[0]), *row[1:]) for row in theirs.rows()])
        yield times
        if server is not None:
            with psycopg.connect(server) as db:
                times, theirs = timed(q, "postgres", lambda q=q, db=db: db.execute(q.postgres).fetchall(), repeat)
            same(numbers(ours)[: len(theirs)], theirs)
            yield times


def running(place: Path, day: date, repeat: int) -> Iterator[Times]:
    """The questions about one day, of the day that is not over."""
    root = place / "running" / "parquet"
    for q in questions(day)[:2]:
        q = replace(q, name=f"{q.name}, still running")
        yield timed(q, "parquet", lambda q=q: ask(root, q.parquet), repeat)[0]


def numbers(answer: Any) -> Rows:
    return list(zip(*(column.to_pylist() for column in answer.columns), strict=True))


def same(ours: Rows, theirs: Rows) -> None:
    assert ours and len(ours) == len(theirs), (len(ours), len(theirs))
    for a, b in zip(ours, theirs, strict=True):
        assert a[0] == b[0] and math.isclose(a[-1], float(b[-1]), rel_tol=1e-9), (a, b)


def instants(days: Sequence[date], indices: Sequence[str]) -> list[tuple[str, datetime]]:
    """Most in or around the session, the others at any time of the month; by time, for the search's sake."""
    dice = random.Random(1)
    found = []
    for _ in range(INSTANTS):
        day = datetime.combine(dice.choice(days), datetime.min.time(), IST)
        hour = dice.uniform(9, 16) if dice.random() < 0.8 else dice.uniform(-24, 48)
        found.append((dice.choice(indices), (day + timedelta(hours=hour)).astimezone(UTC)))
    return sorted(found, key=lambda one: one[1])


def searched(place: Path, wanted: Sequence[tuple[str, datetime]]) -> Iterator[pl.DataFrame | None]:
    """What was made, by polars and nothing of ours: the rows of the newest time at or before each instant."""
    held, rows = None, pl.DataFrame()
    for index, ts in wanted:
        path = month_data.raw_file(place, ts.astimezone(IST).date())
        if path != held:
            held = path
            rows = pl.read_ipc(path) if path.exists() else pl.DataFrame()
        if rows.is_empty():
            yield None
            continue
        until = rows.filter(pl.col("index") == index, pl.col("ts") <= ts)
        yield until.filter(pl.col("ts") == pl.col("ts").max()) if until.height else None


def at(place: Path, days: Sequence[date]) -> dict[str, Any]:
    """1,000 instants: how long `Archive.at` takes, in ms. Raises AssertionError when it differs from the search."""
    archive = ParquetArchive(Settings())
    archive.open(make_context(place / "data", CycleClock(month_data.minutes(days[-1])[-1])))
    indices = sorted({path.name.partition("=")[2] for path in (place / "data/parquet/options").iterdir()})
    wanted = instants(days, indices)
    firsts, warm, seen = [], [], set()
    for (index, ts), rows in zip(wanted, searched(place, wanted), strict=True):
        start = time.perf_counter()
        found = archive.at(index, ts)
        ms = 1000 * (time.perf_counter() - start)
        assert (found is None) == (rows is None), (index, ts)
        if found is None or rows is None:
            continue
        assert found.ts == rows["ts"][0] and trading_date(found.ts) == trading_date(ts)
        assert_frame_equal(found.options, rows.drop("ts"), check_column_order=False, check_exact=True)
        # The first of an index and day reads what the later ones find in memory.
        day = (index, trading_date(ts))
        (warm if day in seen else firsts).append(ms)
        seen.add(day)
    return {
        "instants": len(wanted),
        "without": len(wanted) - len(warm) - len(firsts),
        "first_of_a_day": statistics.median(firsts),
        "median": statistics.median(warm),
        "p95": statistics.quantiles(warm, n=20)[-1],
        "largest": max(warm),
        "aim": 50,
    }


def command(place: Path, day: date, plugins: str) -> float:
    """Seconds of the whole `g6 query`, a process of its own; plugins: what the settings select."""
    words = [sys.executable, "-m", "g6core", "query", questions(day)[0].parquet, "--csv"]
    environment = {**os.environ, "G6_PLUGINS": plugins}
    began = time.perf_counter()
    command = [*words, "--data-dir", str(place / "data")]
    subprocess.run(command, check=True, capture_output=True, cwd=place, env=environment)
    return time.perf_counter() - began


def measure(place: Path, days: Sequence[date], postgres_days: int, repeat: int) -> dict[str, Any]:
    load = os.getloadavg()[0]
    with served(place, days[:postgres_days]) as server:
        told = [*asked(place, days, server, repeat), *running(place, days[-1], repeat)]
    return {
        "sizes": month_sizes.sizes(place, days),
        "questions": [vars(times) for times in told],
        "at": at(place, days),
        "command_s": command(place, days[len(days) // 8], "parquet"),
        "command_not_selected_s": command(place, days[len(days) // 8], "csv"),
        "postgres_days": postgres_days,
        "load": [load, os.getloadavg()[0]],
    }


@contextmanager
def served(place: Path, days: Sequence[date]) -> Iterator[str | None]:
    """The server with those days, for psycopg; None when it is not installed or no day is wanted."""
    if not days or not month_data.BigPostgres.found():
        yield None
        return
    with month_data.postgres(place) as (_, url):
        month_data.fill_postgres(place, url, days)
        plain = url.replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as db:
            db.execute("VACUUM ANALYZE options")
        yield plain


def table(found: dict[str, Any]) -> str:
    at = found["at"]
    lines = [
        *month_sizes.lines(found["sizes"]),
        "",
        "| question | of | first, ms | median, ms | asked | rows | aim, ms |\n|---|---|---|---|---|---|---|",
    ]
    for q in found["questions"]:
        aim = f"{q['aim']:.0f}" if q["aim"] else ""
        row = (q["question"], q["store"], f"{q['first']:,.0f}", f"{q['median']:,.1f}", q["asked"], q["rows"], aim)
        lines.append(f"| {' | '.join(map(str, row))} |")
    lines += [
        "",
        f"A chain at an instant: median {at['median']:.1f} ms, 95 % within {at['p95']:.1f}, at most "
        f"{at['largest']:.1f}; the first of an index and day {at['first_of_a_day']:.1f}. "
        f"{at['instants']:,} instants equal the search, {at['without']} of them with nothing"
        f" recorded before on their day.",
        f"`g6 query` of the first question, as a whole: {found['command_s']:.2f} s; "
        f"{found['command_not_selected_s']:.2f} s where `plugins` does not name parquet.",
        f"PostgreSQL has the first {found['postgres_days']} days. Load at start and end: "
        f"{', '.join(f'{load:.1f}' for load in found['load'])}.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--place", type=Path, help="make the month there, and keep it")
    parser.add_argument("--days", type=int, default=21)
    parser.add_argument("--postgres-days", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=9, help="how often a question is asked after the first time")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    days = month_data.trading_days(given.days)
    with tempfile.TemporaryDirectory() as name:
        place = (given.place or Path(name)).absolute()
        place.mkdir(parents=True, exist_ok=True)
        if given.place is None:
            place.chmod(0o755)
        month_data.make(place, days)
        month_data.shorten(place)
        found = measure(place, days, given.postgres_days, given.repeat)
    print(json.dumps(found) if given.json else table(found))


if __name__ == "__main__":
    main()

"""The synthetic month that `month.py` asks: made once, day by day; an interrupted making goes on.

Under its directory: `data/g6_data` (the tree of g6-csv), `data/parquet` (the dataset of g6-parquet), `running/parquet`
(the last day as it stands before its close), `six_digits/parquet` (the dataset with `digits = 6`), `raw` (the rows as
they were made, by polars alone), `postgres`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

import polars as pl
from g6_parquet.archive import ParquetArchive
from g6_parquet.compaction import compact
from g6_parquet.segments import places
from g6_parquet.settings import Settings as ParquetSettings
from g6_sql.settings import Settings as SqlSettings
from g6_sql.sink import SqlSink

from g6core import IST, Calendar, Snapshot, make_context
from g6core.analysis import analyse
from g6core.assembly import Assembly, assemble
from g6core.clock import CycleClock
from g6core.collector import Collector
from g6core.config import resolve
from g6core.layers import read
from g6core.registry import Registry
from tests.servers import Postgres

MONTH = date(2026, 9, 1)
MINUTES = 375
BATCH = 60
"""Snapshots that a sink is given at once: ten minutes of six indices."""
IDLE = ("max_pain", "atm", "oi_change", "gex", "quality", "vix", "realized", "smile")
SETTINGS = {
    "plugins": ["sim", "greeks", "csv", "parquet"],
    "strategy": {"use": "atm_window", "below": 20, "above": 19},
    "expiries": ["this_week", "next_week", "this_month", "next_month"],
    "analytics": {name: {"enabled": False} for name in IDLE},
}


class BigPostgres(Postgres):
    """With the memory that a server of its own would have. Its data stay where they are."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.place.rmdir()
        self.place = place
        place.mkdir(exist_ok=True)

    def command(self) -> Sequence[str]:
        sizes = {"shared_buffers": "1GB", "work_mem": "64MB", "effective_cache_size": "8GB", "max_wal_size": "4GB"}
        return [*super().command(), *(word for key, value in sizes.items() for word in ("-c", f"{key}={value}"))]

    def close(self) -> None:
        if self._process is not None:
            self.kill()


@contextmanager
def postgres(place: Path) -> Iterator[tuple[BigPostgres, str]]:
    """The server over the directory, and the URL of the database that has the month."""
    server = BigPostgres(place / "postgres")
    fresh = not (server.place / "data").exists()
    try:
        server.start()
        yield server, server.create("month") if fresh else server.url_of("month")
    finally:
        server.close()


def trading_days(n: int | None = None) -> list[date]:
    """The first `n` of the month, all of them when not told how many."""
    calendar = Calendar.load()
    month = (MONTH + timedelta(days=d) for d in range(30))
    return [day for day in month if calendar.is_trading_day("NFO", day)][:n]


def minutes(day: date) -> list[datetime]:
    opening = datetime(day.year, day.month, day.day, 9, 15, tzinfo=IST).astimezone(UTC)
    return [opening + timedelta(minutes=m) for m in range(MINUTES)]


def make(place: Path, days: Sequence[date]) -> None:
    """Every day that `raw` has not: simulated, analysed, and written by the sinks; then compacted."""
    (place / "raw").mkdir(exist_ok=True)
    wanted = [day for day in days if not raw_file(place, day).exists()]
    if not wanted:
        return
    clock = CycleClock(minutes(wanted[0])[0])
    recorder = _assembly(place / "data", clock)
    for day in wanted:
        began = time.perf_counter()
        taken = [_write(recorder, batch) for batch in _batches(recorder, clock, day)]
        _compact(place / "data" / "parquet", day)
        if day == days[-1]:
            _run(place, clock, day)
        _keep_raw([s for batch in taken for s in batch], raw_file(place, day))
        print(f"{day} made in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    for sink in recorder.sinks.values():
        sink.close()


def raw_file(place: Path, day: date) -> Path:
    return place / "raw" / f"{day}.arrow"


def shorten(place: Path) -> None:
    """Every day that `six_digits` has not whole, from the dataset with all digits; then compacted."""
    source, short = ParquetArchive(ParquetSettings()), ParquetArchive(ParquetSettings(digits=6))
    for one, data_dir in ((source, place / "data"), (short, place / "six_digits")):
        one.open(make_context(data_dir, CycleClock(minutes(MONTH)[0])))
    for day in source.days():
        if short.count(day) == source.count(day):
            continue
        began = time.perf_counter()
        for batch in _in_batches(source.read(day)):
            short.write(batch)
        print(f"{day} with six digits in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    for day in short.days():
        _compact(place / "six_digits" / "parquet", day)


def fill_postgres(place: Path, url: str, days: Sequence[date]) -> None:
    """As `g6 sinks fill` does it, from the Parquet dataset."""
    done = place / "postgres" / "filled"
    have = done.read_text().split() if done.exists() else []
    archive, sink = ParquetArchive(ParquetSettings()), SqlSink(SqlSettings(url=url, timeout=timedelta(minutes=5)))
    for one, data_dir in ((archive, place / "data"), (sink, place)):
        one.open(make_context(data_dir, CycleClock(minutes(MONTH)[0])))
    for day in (day for day in days if str(day) not in have):
        began = time.perf_counter()
        for batch in _in_batches(archive.read(day)):
            sink.write(batch)
        have.append(str(day))
        done.write_text(" ".join(have))
        print(f"{day} in PostgreSQL in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    sink.close()


def _assembly(data_dir: Path, clock: CycleClock) -> Assembly:
    layers = read(None, {**SETTINGS, "data_dir": str(data_dir)}, {})
    registry = Registry.load(layers.plugins)
    made = assemble(resolve(layers, registry), registry)
    data_dir.mkdir(exist_ok=True)
    context = make_context(data_dir, clock)
    for part in [*made.providers.values(), *(step.analytic for step in made.steps), *made.sinks.values()]:
        part.open(context)
    return made


def _batches(recorder: Assembly, clock: CycleClock, day: date) -> Iterator[list[Snapshot]]:
    collector = Collector("sim", recorder.providers["sim"], recorder.plans["sim"], Calendar.load())
    batch: list[Snapshot] = []
    for ts in minutes(day):
        clock.set(ts)
        raws = collector.collect(ts).values()
        batch += [analyse(raw.snapshot, recorder.steps)[0] for raw in raws if raw.snapshot is not None]
        if len(batch) >= BATCH:
            yield batch
            batch = []
    yield batch


def _in_batches(taken: Iterator[Snapshot]) -> Iterator[list[Snapshot]]:
    while batch := list(islice(taken, BATCH)):
        yield batch


def _write(recorder: Assembly, batch: list[Snapshot]) -> list[Snapshot]:
    for sink in recorder.sinks.values():
        sink.write(batch)
    return batch


def _compact(root: Path, day: date) -> None:
    for place in places(root):
        if place.day == day:
            compact(place, ParquetSettings())


def _run(place: Path, clock: CycleClock, day: date) -> None:
    """The day once more, a write a minute, and left as a recorder has it at the last one."""
    (place / "running").mkdir(exist_ok=True)
    source, running = ParquetArchive(ParquetSettings()), ParquetArchive(ParquetSettings())
    source.open(make_context(place / "data", clock))
    running.open(make_context(place / "running", clock))
    cycle: list[Snapshot] = []
    for s in source.read(day):
        if cycle and s.ts != cycle[0].ts:
            running.write(cycle)
            cycle = []
        cycle.append(s)
    running.write(cycle)
    # Not closed: that would compact it.


def _keep_raw(taken: Sequence[Snapshot], path: Path) -> None:
    rows = pl.concat([s.options.with_columns(ts=pl.lit(s.ts)) for s in taken], how="vertical")
    unfinished = path.with_suffix(".unfinished")
    rows.write_ipc(unfinished, compression="zstd")
    unfinished.rename(path)

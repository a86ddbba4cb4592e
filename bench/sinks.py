"""The same snapshots into each kind of store: our sink beside what its library's documentation shows.

    python bench/sinks.py [--cycles 15] [--only influx,sqlite] [--json]

A cycle is 6 indices x 63 strikes x 4 expiries = 3,024 options with 19 numbers each. Servers are real ones, started for
the purpose; the writers of a store take turns cycle by cycle, so that a busy machine slows all of them alike. CPU is
that of this process, without the server's. Medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import csv_rows
import sink_rivals as rivals
from g6_csv import g6_sinks as csv_sinks
from g6_influx import g6_sinks as influx_sinks
from g6_influx.bodies import Encoder
from g6_parquet import g6_sinks as parquet_sinks
from g6_redis import g6_sinks as redis_sinks
from g6_sql import g6_sinks as sql_sinks
from sink_rivals import Batch, Contender

from g6core import Context, Sink, SinkSpec, Snapshot
from g6core.clock import CycleClock
from g6core.exchange import Calendar
from g6core.history import History
from tests.servers import Postgres, Redis, Server, VictoriaMetrics

OFFSETS = 31
EVERY = timedelta(seconds=15)
OPTIONS = len(csv_rows.INDICES) * (2 * OFFSETS + 1) * 2 * len(csv_rows.CODES)


def listed(index: str, level: int, rng: np.random.Generator) -> Snapshot:
    """As `csv_rows` makes them, with fewer strikes; what stays the same all day."""
    s = csv_rows.snapshot(index, level, csv_rows.START, rng)
    options = s.options.filter(pl.col("offset").abs() <= OFFSETS)
    name = pl.format("{}{}{}{}", "index", pl.col("expiry").dt.strftime("%y%m%d"), pl.col("strike").cast(int), "right")
    options = options.with_columns(exchange=pl.lit("NFO"), index=pl.lit(index)).with_columns(symbol=name)
    return s.replace(options=options, expiries=s.expiries.with_columns(pl.col("dte").cast(pl.Int64)))


def snapshot(s: Snapshot, cycle: int, rng: np.random.Generator) -> Snapshot:
    """With other numbers, in every column of the rivals; the static columns are the same ones, as the engine has it."""
    ts, n = csv_rows.START + cycle * EVERY, s.options.height
    prices = [pl.Series(name, np.round(rng.uniform(1, 900, n) * 20) / 20) for name in rivals.PRICES]
    counts = [pl.Series(name, rng.integers(1, 10**7, n)) for name in rivals.COUNTS]
    numbers = [pl.Series(name, rng.uniform(0, 1, n)) for name in rivals.ANALYTICS]
    times = [pl.lit(ts).alias(name) for name in ("exchange_ts", "received_ts")]
    return s.replace(ts=ts, options=s.options.with_columns(*prices, *counts, *numbers, *times))


def batch(bases: Sequence[Snapshot], cycle: int, rng: np.random.Generator) -> Batch:
    snapshots = [snapshot(s, cycle, rng) for s in bases]
    rows = [{"ts": s.ts, **row} for s in snapshots for row in s.options.to_dicts()]
    return Batch(snapshots, rows, [s.options.with_columns(ts=pl.lit(s.ts)).to_pandas() for s in snapshots])


def opened(place: Path, spec: SinkSpec, **settings: Any) -> Any:
    """The sink as the engine builds and opens it."""
    place.mkdir()
    sink: Sink = spec.build(spec.settings(**settings))
    sink.open(Context(place, CycleClock(csv_rows.START), Calendar.load(), History(place)))
    return sink


def ours(place: Path, spec: SinkSpec, stored: Callable[[], int] | None = None, **settings: Any) -> Contender:
    sink = opened(place, spec, **settings)
    return Contender(f"g6-{place.name}", lambda batch: sink.write(batch.snapshots), stored)


@contextmanager
def csv(place: Path) -> Iterator[Sequence[Contender]]:
    def rows() -> int:
        """A row has both legs."""
        files = (place / "csv" / "g6_data" / "options").rglob("*.csv")
        return 2 * sum(path.read_bytes().count(b"\n") - 1 for path in files)

    writer = csv_rows.DictWriters(place / "dictwriter")
    rival = Contender("csv.DictWriter per group", lambda batch: writer.write(batch.snapshots))
    yield [rival, ours(place / "csv", *csv_sinks(), rows)]


@contextmanager
def encoding(place: Path) -> Iterator[Sequence[Contender]]:
    encoder = Encoder(wide=False)
    yield [
        Contender("influxdb-client, Point objects", rivals.points_encoded),
        Contender("g6-influx", lambda batch: list(encoder.bodies(batch.snapshots))),
    ]


@contextmanager
def influx(place: Path) -> Iterator[Sequence[Contender]]:
    with running(VictoriaMetrics) as server:

        def points(series: str) -> Callable[[], int]:
            def count() -> int:
                with suppress(OSError):
                    server.get("/internal/force_flush")
                since = csv_rows.START.timestamp()
                address = f"{server.url}/api/v1/export?match[]={series}&start={since:.0f}&end={since + 86400:.0f}"
                with urllib.request.urlopen(address, timeout=60) as answer:
                    return sum(len(json.loads(line)["timestamps"]) for line in answer)

            return count

        yield [
            Contender("influxdb-client, Point objects", rivals.points_sent(server.url), points("points_oi")),
            ours(place / "influx", *influx_sinks(), points("options_oi"), url=server.url),
        ]


@contextmanager
def sqlite(place: Path) -> Iterator[Sequence[Contender]]:
    url = f"sqlite:///{place / 'sql.sqlite'}"
    yield [
        rivals.orm(f"sqlite:///{place / 'orm.sqlite'}", bulk=False),
        rivals.orm(f"sqlite:///{place / 'bulk.sqlite'}", bulk=True),
        ours(place / "sql", *sql_sinks(), lambda: count_rows(url), url=url),
    ]


@contextmanager
def postgres(place: Path) -> Iterator[Sequence[Contender]]:
    with running(Postgres) as server:
        url = server.create("sql")
        yield [
            rivals.orm(server.create("orm"), bulk=False),
            rivals.orm(server.create("bulk"), bulk=True),
            ours(place / "sql", *sql_sinks(), lambda: count_rows(url), url=url),
        ]


@contextmanager
def redis(place: Path) -> Iterator[Sequence[Contender]]:
    with running(Redis) as server:
        yield [
            rivals.hset(server.url, pipelined=False),
            rivals.hset(server.url, pipelined=True),
            ours(place / "redis", *redis_sinks(), url=server.url),
        ]


@contextmanager
def parquet(place: Path) -> Iterator[Sequence[Contender]]:
    sink = opened(place / "parquet", *parquet_sinks())

    def rows() -> int:
        return sum(s.options.height for day in sink.days() for s in sink.read(day))

    # Ours waits for the disk, pandas does not: hence the column of the CPU.
    yield [
        rivals.pandas_parquet(place / "pandas"),
        Contender("g6-parquet", lambda batch: sink.write(batch.snapshots), rows),
    ]


STORES: dict[str, tuple[str, Callable[[Path], AbstractContextManager[Sequence[Contender]]]]] = {
    "csv": ("CSV, a file per strike", csv),
    "encoding": ("InfluxDB, encoding alone", encoding),
    "influx": ("InfluxDB, encoding and POST to VictoriaMetrics", influx),
    "sqlite": ("SQLite", sqlite),
    "postgres": ("PostgreSQL", postgres),
    "redis": ("Redis", redis),
    "parquet": ("Parquet", parquet),
}


@contextmanager
def running(kind: type[Any]) -> Iterator[Any]:
    if not kind.found():
        raise LookupError(f"no {kind.program} on this machine; Debian's package is {kind.package}")
    server: Server = kind()
    try:
        server.start()
        yield server
    finally:
        server.close()


def count_rows(url: str) -> int:
    import sqlalchemy as sa

    with sa.create_engine(url).connect() as db:
        return db.execute(sa.text("SELECT count(*) FROM options")).scalar_one()


def measure(store: str, cycles: int) -> list[dict[str, Any]]:
    """A dictionary per writer: ms, CPU and rows per second, ratio to the first one."""
    rng = np.random.default_rng(1)
    bases = [listed(index, level, rng) for index, level in csv_rows.INDICES.items()]
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contenders = stack.enter_context(STORES[store][1](place))
        taken: dict[str, list[tuple[float, float]]] = {c.name: [] for c in contenders}
        for cycle in range(cycles + 1):
            given = batch(bases, cycle, rng)
            turn = cycle % len(contenders)
            for contender in [*contenders[turn:], *contenders[:turn]]:
                began = time.perf_counter(), time.process_time()
                contender.write(given)
                taken[contender.name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
        return [told(store, contenders[0].name, c, taken, cycles) for c in contenders]


def told(store: str, first: str, c: Contender, taken: dict[str, Any], cycles: int) -> dict[str, Any]:
    # The first cycle makes files, tables and connections.
    seconds, cpu = (statistics.median(times[n] for times in taken[c.name][1:]) for n in (0, 1))
    base, base_cpu = (statistics.median(times[n] for times in taken[first][1:]) for n in (0, 1))
    return {
        "store": store,
        "writer": c.name,
        "ms": 1000 * seconds,
        "cpu_ms": 1000 * cpu,
        "rows_per_second": OPTIONS / seconds,
        "ratio": base / seconds,
        "cpu_ratio": base_cpu / cpu,
        "stored": c.stored() if c.stored else None,
        "given": OPTIONS * (cycles + 1),
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    lines = [f"| {STORES[results[0]['store']][0]} | ms | rows/s | ratio | CPU ms | CPU ratio |", "|---" * 6 + "|"]
    for r in results:
        numbers = f"{r['ms']:.1f} | {r['rows_per_second']:,.0f} | {r['ratio']:.1f} | {r['cpu_ms']:.1f}"
        lines.append(f"| {r['writer']} | {numbers} | {r['cpu_ratio']:.1f} |")
    wrong = [f"{r['writer']} stored {r['stored']:,}" for r in results if r["stored"] not in (None, r["given"])]
    return "\n".join([*lines, *(f"\nNOT {results[0]['given']:,} rows: {', '.join(wrong)}" for _ in wrong[:1])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cycles", type=int, default=15)
    parser.add_argument("--only", default=",".join(STORES), help=f"some of {','.join(STORES)}")
    parser.add_argument("--json", action="store_true", help="results as JSON, a document per line")
    given = parser.parse_args()
    chosen = given.only.split(",")
    if unknown := [name for name in chosen if name not in STORES]:
        parser.error(f"no store {', '.join(unknown)}; there are {', '.join(STORES)}")
    for store in chosen:
        try:
            results = measure(store, given.cycles)
        except LookupError as e:
            print(f"{store}: {e}", file=sys.stderr)
            continue
        print("\n".join(map(json.dumps, results)) if given.json else table(results) + "\n", flush=True)


if __name__ == "__main__":
    main()

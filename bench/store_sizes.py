"""How much room a recorded day takes in each store.

    python bench/store_sizes.py DATA_DIR [--json]

DATA_DIR has recorded days in its journal, such as `g6 replay` leaves there. Their snapshots go through our sinks, up to
64 at a time as a recorder that catches up does it. Servers are real ones, started for the purpose; theirs is the room
of the data, without logs that they reuse. Redis is left out: it holds the latest snapshot only.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from g6_csv import g6_sinks as csv_sinks
from g6_influx import g6_sinks as influx_sinks
from g6_parquet import g6_sinks as parquet_sinks
from g6_parquet.compaction import compact
from g6_parquet.segments import places
from g6_parquet.settings import Settings as ParquetSettings
from g6_sql import g6_sinks as sql_sinks
from sinks import opened, running

from g6core import SinkSpec, Snapshot, days
from tests.servers import Postgres, VictoriaMetrics

BATCH = 64
SIZES = """SELECT sum(pg_total_relation_size(oid)) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"""


def filled(place: Path, specs: Sequence[SinkSpec], snapshots: Sequence[Snapshot], **settings: object) -> None:
    sink = opened(place, *specs, **settings)
    for start in range(0, len(snapshots), BATCH):
        sink.write(snapshots[start : start + BATCH])
    sink.close()


def size(place: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in place.rglob(pattern) if path.is_file())


def csv(place: Path, snapshots: Sequence[Snapshot]) -> int:
    filled(place, csv_sinks(), snapshots)
    return size(place, "*.csv")


def parquet(place: Path, snapshots: Sequence[Snapshot]) -> int:
    """As it is when the date is over."""
    filled(place, parquet_sinks(), snapshots)
    for part in places(place / "parquet"):
        compact(part, ParquetSettings())
    return sum(path.stat().st_size for path in place.rglob("day-*.parquet"))


def sqlite(place: Path, snapshots: Sequence[Snapshot]) -> int:
    filled(place, sql_sinks(), snapshots)
    return size(place, "g6.sqlite*")


def postgresql(place: Path, snapshots: Sequence[Snapshot]) -> int:
    import sqlalchemy as sa

    with running(Postgres) as server:
        url = server.create("sizes")
        filled(place, sql_sinks(), snapshots, url=url)
        with sa.create_engine(url).connect() as db:
            return int(db.execute(sa.text(SIZES)).scalar_one())


def victoria_metrics(place: Path, snapshots: Sequence[Snapshot]) -> int:
    with running(VictoriaMetrics) as server:
        filled(place, influx_sinks(), snapshots, url=server.url)
        with suppress(OSError):
            server.get("/internal/force_flush")
        return sum(size(server.place / "data" / part, "*") for part in ("data", "indexdb"))


STORES: dict[str, Callable[[Path, Sequence[Snapshot]], int]] = {
    "CSV, `wide`": csv,
    "Parquet, compacted": parquet,
    "SQLite": sqlite,
    "PostgreSQL": postgresql,
    "VictoriaMetrics, `long`": victoria_metrics,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    given = parser.parse_args()
    recorded = days.days(given.data_dir)
    snapshots = [snapshot for path in recorded for _, snapshot in days.read_day(path)]
    rows = sum(s.options.height for s in snapshots)
    found = {"the journal": sum(path.stat().st_size for path in recorded)}
    with tempfile.TemporaryDirectory() as place:
        for n, (name, store) in enumerate(STORES.items()):
            try:
                found[name] = store(Path(place, str(n)), snapshots)
            except LookupError as e:
                print(f"{name}: {e}", file=sys.stderr)
    if given.json:
        print(json.dumps({"rows": rows, "bytes": found}))
        return
    print(f"| {rows:,} options | MB | MB per million |\n|---|---|---|")
    for name, number in found.items():
        print(f"| {name} | {number / 1e6:.1f} | {number / rows:.0f} |")


if __name__ == "__main__":
    main()

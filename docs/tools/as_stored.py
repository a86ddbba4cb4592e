"""What each store makes of a snapshot's columns, found out by giving it one and looking at what it wrote."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import g6_csv.columns
import g6_influx.facts
import g6_sql.tables
import polars as pl
import pyarrow as pa
import pyarrow.parquet
from g6_csv.rows import overview as csv_overview
from g6_influx.bodies import Encoder
from g6_parquet.archive import ParquetArchive
from g6_parquet.settings import Settings as ParquetSettings
from g6_redis.packing import packed
from g6_sql.kinds import DECLARED, kind_of

from g6core import Alert, AnalyticSpec, Snapshot, make_context
from g6core.testing import START, ManualClock, snapshot

SAMPLES: Mapping[Any, Any] = {pl.String: "x", pl.Float64: 1.5, pl.Int64: 1}
ALERT = Alert("pcr_high", "NIFTY", START, "PCR 1.6", key="x", labels={"expiry": "this_week"})
Names = Mapping[str, str]
"""By our name: how it is called there."""


@dataclass(frozen=True)
class Kind:
    """The types of one kind of column, store by store."""

    polars: str
    influx: str
    sqlite: str
    postgresql: str
    parquet: str
    redis: str


def analysed(specs: Sequence[AnalyticSpec]) -> Snapshot:
    """A snapshot with every column that these analytics add, each with a value in at least one row, and every fact.

    Raises LookupError for a column that an analytic declares and does not add.
    """
    s = snapshot()
    with tempfile.TemporaryDirectory() as place:
        for spec in specs:
            optional = {"bid_ask": True} if "bid_ask" in spec.settings.model_fields else {}
            analytic = spec.build(spec.settings(**optional))
            analytic.open(make_context(Path(place), ManualClock()))
            s = analytic.compute(s)
    declared = [name.partition(".")[::2] for spec in specs for name in spec.adds]
    for table, column in declared:
        if table != "facts" and column not in getattr(s, table).columns:
            raise LookupError(f"{table}.{column} is declared, and not there after the analytics")
    facts = {column: 1.5 for table, column in declared if table == "facts"}
    return s.replace(options=_filled(s.options), expiries=_filled(s.expiries), facts={**s.facts, **facts})


def _filled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        pl.col(name).fill_null(SAMPLES[dtype]) for name, dtype in frame.schema.items() if dtype in SAMPLES
    )


def kinds(s: Snapshot) -> dict[str, dict[str, Kind]]:
    """The kind of each column, by table."""
    influx = _influx_types(s)
    parquet = _parquet_types(s)
    redis = packed(s).fields
    tables = {"options": next(name for name in redis if name.startswith("chain:")), "expiries": "expiries"}
    found: dict[str, dict[str, Kind]] = {}
    for table, frame in (("options", s.options), ("expiries", s.expiries)):
        arrow = pa.ipc.open_stream(redis[tables[table]]).schema
        known = {"options": g6_sql.tables.OPTIONS, "expiries": g6_sql.tables.EXPIRIES}[table].columns
        found[table] = {}
        for name, dtype in frame.schema.items():
            sql = DECLARED[known.get(name) or kind_of(dtype) or "text"]
            types = (influx[table].get(name, "–"), *sql, parquet[table][name], str(arrow.field(name).type))
            found[table][name] = Kind(str(dtype), *types)
    return found


def csv(s: Snapshot) -> dict[str, Names]:
    """How the columns are called in CSV; what is only in `layout = "day"` or only on request says so."""
    columns = g6_csv.columns
    assert csv_overview(s).count(b",") == len(columns.OVERVIEW) - 1
    options = {}
    for name in s.options.columns:
        if name in columns.ROW:
            options[name] = f"`{name}`"
        elif name in columns.LEG:
            options[name] = f"`call_{name}`, `put_{name}`"
        else:
            options[name] = f"`{name}` (day)" if name in columns.DAY else "(extra)"
    expiries = {name: f"`{name}`" for name in s.expiries.columns if name in columns.ROW}
    expiries["pcr_oi"] = "`pcr_this_week`, …"
    return {"options": options, "expiries": expiries, "overview": {name: f"`{name}`" for name in columns.OVERVIEW}}


def influx(s: Snapshot) -> dict[str, Names]:
    """How the columns are called in InfluxDB, and which are tags."""
    found: dict[str, Names] = {}
    for measurement, tags, fields in _points(s):
        tagged = {name: f"tag `{name}`" for name in tags}
        both = {name: f"{tagged[name]}, `{name}_value`" for name in tags if f"{name}_value" in fields}
        found[measurement] = {**{name: f"`{name}`" for name in fields}, **tagged, **both}
    return found


def parquet_columns(s: Snapshot) -> list[str]:
    """Of the table `snapshots`."""
    return list(_parquet_types(s)["snapshots"])


def redis_overview(s: Snapshot) -> list[str]:
    return list(packed(s).overview)


def sql_overview() -> list[str]:
    """Columns of the table `snapshots`."""
    return list(g6_sql.tables.SNAPSHOTS.columns)


def _points(s: Snapshot) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """The measurement, tags and fields of the last point of each, and of an alert."""
    text = b"".join(Encoder(wide=False).bodies([s])).decode() + g6_influx.facts.alerts([ALERT])
    for line in text.splitlines():
        head, fields = re.split(r"(?<!\\) ", line, maxsplit=1)
        measurement, *tags = head.split(",")
        pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|[^, ]+)', fields)
        yield measurement, [tag.partition("=")[0] for tag in tags], dict(pairs)


def _influx_types(s: Snapshot) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for measurement, tags, fields in _points(s):
        types = {name: _influx_type(value) for name, value in fields.items()}
        # The number beside a tag of the same name stands for the column.
        tagged = {name: types.get(f"{name}_value", "tag") for name in tags}
        found[measurement] = {**types, **tagged}
    return found


def _influx_type(value: str) -> str:
    return "string" if value.startswith('"') else "integer" if value.endswith("i") else "float"


def _parquet_types(s: Snapshot) -> dict[str, dict[str, str]]:
    with tempfile.TemporaryDirectory() as place:
        archive = ParquetArchive(ParquetSettings())
        archive.open(make_context(Path(place), ManualClock()))
        archive.write([s])
        archive.write_alerts([ALERT])
        files = [
            next(Path(place).glob(f"parquet/{name}/**/*.parquet")) for name in ("options", "expiries", "snapshots")
        ]
        return {path.relative_to(place).parts[1]: _file_types(path) for path in files}


def _file_types(path: Path) -> dict[str, str]:
    schema = pyarrow.parquet.ParquetFile(path).schema
    found = {}
    for n in range(len(schema)):
        column = schema.column(n)
        logical = column.logical_type.type
        name, nested = column.path.partition(".")[::2]
        kind = column.physical_type if logical == "NONE" else logical
        found[name] = f"LIST of {kind}" if nested else kind
    return found

"""Snapshots as rows of each table, all of a batch at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from g6_sql import tables
from g6_sql.tables import Table
from g6core import Alert, Rejected, Snapshot

UTC_TIME = pl.Datetime("us", "UTC")
MOST = 20_000
"""Options in one transaction, unless one snapshot has more."""

Rows = Mapping[str, pl.DataFrame]
"""Rows by the name of their table."""


def groups(snapshots: Sequence[Snapshot]) -> Iterator[list[Snapshot]]:
    """The snapshots cut into transactions; of one that comes twice the last is taken."""
    group: list[Snapshot] = []
    size = 0
    for snapshot in {(s.index, s.ts): s for s in snapshots}.values():
        if group and size + snapshot.options.height > MOST:
            yield group
            group, size = [], 0
        group.append(snapshot)
        size += snapshot.options.height
    if group:
        yield group


def of_snapshots(snapshots: Sequence[Snapshot]) -> Rows:
    """Raises Rejected (`bad-frame`) for tables of which no rows can be made."""
    try:
        rows = {
            "options": _stacked(snapshots, tables.OPTIONS, lambda s: s.options),
            "expiries": _stacked(snapshots, tables.EXPIRIES, lambda s: s.expiries),
        }
    except pl.exceptions.PolarsError as e:
        raise Rejected(f"the snapshots make no table: {e}", code="bad-frame") from e
    if any(s.options["symbol"].n_unique() < s.options.height for s in snapshots):
        _refuse_doubles(rows["options"], tables.OPTIONS)
    _refuse_doubles(rows["expiries"], tables.EXPIRIES)
    return {"snapshots": _overview(snapshots), "facts": _facts(snapshots), **rows}


def of_alerts(alerts: Sequence[Alert]) -> Rows:
    rows = {
        (a.ts, a.index, a.rule, a.key): (a.severity, a.state, a.summary, json.dumps(dict(a.labels))) for a in alerts
    }
    schema = {"ts": UTC_TIME, **{name: pl.String for name in ("index", "rule", "key")}}
    schema |= {name: pl.String for name in ("severity", "state", "summary", "labels")}
    return {"alerts": pl.DataFrame([(*key, *rest) for key, rest in rows.items()], schema=schema, orient="row")}


def _stacked(snapshots: Sequence[Snapshot], table: Table, part: Callable[[Snapshot], pl.DataFrame]) -> pl.DataFrame:
    """The tables of all snapshots under one another, behind `ts` and `index`."""
    frames = [part(s) for s in snapshots]
    if any("ts" in frame.columns for frame in frames):
        raise Rejected(f"`ts` of {table.name} is the snapshot's time; no analytic can add it", code="bad-frame")
    rows = pl.concat(frames, how="diagonal_relaxed", rechunk=True)
    n = pl.Series(np.repeat(np.arange(len(frames), dtype=np.uint32), [frame.height for frame in frames]))
    heads = [_times(snapshots).gather(n), pl.Series("index", [s.index for s in snapshots], dtype=pl.String).gather(n)]
    return pl.DataFrame([*heads, *(series for series in rows if series.name != "index")])


def _refuse_doubles(rows: pl.DataFrame, table: Table) -> None:
    keys = rows.select(name for name in table.keys if name in rows.columns)
    if keys.n_unique() < keys.height:
        row = keys.filter(keys.is_duplicated()).row(0)
        raise Rejected(f"{table.name} has two rows of {', '.join(map(str, row))}", code="bad-frame")


def _overview(snapshots: Sequence[Snapshot]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ts": _times(snapshots),
            "index": [s.index for s in snapshots],
            "source": [s.source for s in snapshots],
            "simulated": [s.simulated for s in snapshots],
            "options": [s.options.height for s in snapshots],
            "quoted": [int(s.expiries["quoted"].sum()) for s in snapshots],
            "expiries": [s.expiries.height for s in snapshots],
        }
    )


def _facts(snapshots: Sequence[Snapshot]) -> pl.DataFrame:
    rows = [(s.ts, s.index, name, value) for s in snapshots for name, value in s.facts.items()]
    return pl.DataFrame(
        rows, schema={"ts": UTC_TIME, "index": pl.String, "name": pl.String, "value": pl.Float64}, orient="row"
    )


def _times(snapshots: Sequence[Snapshot]) -> pl.Series:
    return pl.Series("ts", [s.ts for s in snapshots], dtype=UTC_TIME)

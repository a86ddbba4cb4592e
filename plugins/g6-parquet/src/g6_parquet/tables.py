"""Snapshots and alerts as tables, and back.

options    ts, and the snapshot's columns: OPTIONS and what analytics added
expiries   ts, and the snapshot's columns: EXPIRIES and what analytics added
snapshots  ts, source, contracts and quoted (rows of options; of them with a last price, a bid or an ask), a column per
           fact. A fact that the snapshot does not have is null.
alerts     ts, index, rule, key, severity, state, summary, labels
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from g6_parquet.rounding import rounded
from g6core import EXPIRIES, OPTIONS, Alert, DataError, Rejected, Snapshot, conform

TIME = pl.Datetime("us", "UTC")
CORE: dict[str, dict[str, Any]] = {
    "options": {"ts": TIME, **OPTIONS},
    "expiries": {"ts": TIME, **EXPIRIES},
    "snapshots": {"ts": TIME, "source": pl.String, "contracts": pl.Int64, "quoted": pl.Int64},
    "alerts": {
        "ts": TIME,
        **dict.fromkeys(("index", "rule", "key", "severity", "state", "summary"), pl.String),
        "labels": pl.List(pl.Struct({"key": pl.String, "value": pl.String})),
    },
}
SORTED_BY = {
    "options": ["expiry", "strike", "right", "ts"],
    "expiries": ["expiry", "ts"],
    "snapshots": ["ts"],
    "alerts": ["ts"],
}
"""The order of a compacted table."""
IN_SNAPSHOT = {"options": ["expiry", "strike", "right"], "expiries": ["expiry"]}
"""The order of the rows of one snapshot."""
RESERVED = {"index", "date"}
"""Names that the directories give."""
RECORDED = "exchange_"
"""How the names of numbers begin that an exchange gives beside the core's columns: they cannot be computed again."""

Schema = dict[str, Any]


@dataclass
class Known:
    """The columns that a place has, by table; a batch is given all of them, so that most files have the same."""

    columns: dict[str, Schema] = field(default_factory=lambda: {name: dict(core) for name, core in CORE.items()})

    def widen(self, table: str, schema: Mapping[str, Any], where: str) -> None:
        """Raises Rejected for a column whose values are of another kind than those that are stored already."""
        own = self.columns[table]
        for name, dtype in schema.items():
            if dtype == pl.Null or (name in CORE[table] and name != "ts"):
                continue
            if name == "ts" or (name in RESERVED and name not in CORE[table]):
                raise Rejected(f"{where} has a column `{name}`, a name that the dataset needs", code="bad-frame")
            own[name] = _common(own.get(name, dtype), dtype, f"`{name}` of {where}")

    def add(self, table: str, schema: Mapping[str, Any]) -> None:
        """What a stored file has; columns that cannot be one go on as the first."""
        own = self.columns[table]
        for name, dtype in schema.items():
            if own.setdefault(name, dtype) != dtype and dtype.is_numeric() and own[name].is_numeric():
                own[name] = _common(own[name], dtype, name)


def encoded(batch: Sequence[Snapshot], known: Known, digits: int | None = None) -> dict[str, pl.DataFrame]:
    """The tables of snapshots of one place, in the order of the batch.

    digits: significant ones that what is computed keeps; None: all. Raises Rejected (`bad-frame`) for a table that is
    not what `Snapshot` says or does not fit to what is stored.
    """
    try:
        tables = {
            "options": _shortened(_stacked(batch, [s.options for s in batch], "options", known), digits),
            "expiries": _stacked(batch, [s.expiries for s in batch], "expiries", known),
        }
        return {**tables, "snapshots": _facts(batch, known)}
    except (DataError, pl.exceptions.PolarsError, TypeError, ValueError) as e:
        reason = e.message if isinstance(e, DataError) else str(e)
        raise Rejected(f"a snapshot of {batch[0].index} does not fit: {reason}", code="bad-frame") from e


def encoded_alerts(batch: Sequence[Alert]) -> pl.DataFrame:
    """Raises Rejected (`bad-frame`) for an alert that is not what `Alert` says."""
    rows = [
        (a.ts, a.index, a.rule, a.key, a.severity, a.state, a.summary,
         [{"key": key, "value": value} for key, value in a.labels.items()])
        for a in batch
    ]  # fmt: skip
    try:
        return pl.DataFrame(rows, CORE["alerts"], orient="row", strict=True)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as e:
        raise Rejected(f"an alert of {batch[0].index} does not fit: {e}", code="bad-frame") from e


def columns_word(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Eight letters that are the same for tables with the same columns."""
    text = repr([(name, sorted((c, str(t)) for c, t in schema.items())) for name, schema in sorted(tables.items())])
    return hashlib.blake2s(text.encode(), digest_size=4).hexdigest()


def together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One under the other; columns that only some have are null in the others."""
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed", rechunk=True)


def decoded(index: str, rows: pl.DataFrame, options: pl.DataFrame, expiries: pl.DataFrame) -> Iterator[Snapshot]:
    """The snapshots of rows of the table `snapshots`, with what the other tables hold of their times."""
    parts = {name: _by_time(frame, name) for name, frame in (("options", options), ("expiries", expiries))}
    facts = [name for name in rows.columns if name not in CORE["snapshots"]]
    for row in rows.iter_rows(named=True):
        ts: datetime = row["ts"]
        chain = parts["options"].get(ts, parts["options"][None])
        dates = parts["expiries"].get(ts, parts["expiries"][None])
        known = {name: row[name] for name in facts if row[name] is not None}
        yield Snapshot(index, ts, row["source"], chain, dates, known)


def _by_time(frame: pl.DataFrame, table: str) -> dict[datetime | None, pl.DataFrame]:
    """The rows of each time in their order; those of a snapshot without rows under None."""
    frame = conform(frame, CORE[table], who="the dataset").sort("ts", *IN_SNAPSHOT[table], maintain_order=True)
    parts: dict[datetime | None, pl.DataFrame] = {None: frame.clear().drop("ts")}
    for part in frame.partition_by("ts", maintain_order=True):
        parts[part["ts"][0]] = part.drop("ts")
    return parts


def _stacked(batch: Sequence[Snapshot], frames: Sequence[pl.DataFrame], table: str, known: Known) -> pl.DataFrame:
    for n, frame in enumerate(frames):
        if not n or frame.schema != frames[n - 1].schema:
            known.widen(table, frame.schema, f"the {table}")
    schema = {name: dtype for name, dtype in known.columns[table].items() if name != "ts"}
    rows = pl.concat([conform(_plain(f), schema, who="a snapshot") for f in frames], rechunk=True)
    times = pl.Series("ts", [s.ts for s in batch], dtype=TIME)
    return times.gather(np.repeat(np.arange(len(frames)), [f.height for f in frames])).to_frame().hstack(rows)


def _shortened(options: pl.DataFrame, digits: int | None) -> pl.DataFrame:
    computed = [
        name
        for name, dtype in options.schema.items()
        if dtype == pl.Float64 and name not in CORE["options"] and not name.startswith(RECORDED)
    ]
    if digits is None or not computed:
        return options
    return options.with_columns(rounded(options.select(computed), digits).get_columns())


def _facts(batch: Sequence[Snapshot], known: Known) -> pl.DataFrame:
    names = {name: pl.Float64() for s in batch for name in s.facts}
    clash = [name for name in names if name in CORE["snapshots"]]
    if clash:
        raise Rejected(f"the fact `{clash[0]}` has a name that the dataset needs", code="bad-frame")
    known.widen("snapshots", names, "the facts")
    quoted = pl.any_horizontal(pl.col("last_price", "bid", "ask").is_not_null()).sum()
    facts = [name for name in known.columns["snapshots"] if name not in CORE["snapshots"]]
    return pl.DataFrame(
        {
            "ts": pl.Series([s.ts for s in batch], dtype=TIME),
            "source": pl.Series([s.source for s in batch], dtype=pl.String),
            "contracts": pl.Series([s.options.height for s in batch], dtype=pl.Int64),
            "quoted": pl.Series([s.options.select(quoted).item() for s in batch], dtype=pl.Int64),
            **{name: pl.Series([s.facts.get(name) for s in batch], dtype=pl.Float64) for name in facts},
        }
    )


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Without columns that have no kind of value at all: they hold none."""
    kindless = [name for name, dtype in frame.schema.items() if dtype == pl.Null]
    return frame.drop(kindless) if kindless else frame


def _common(old: Any, new: Any, what: str) -> Any:
    if old == new:
        return old
    if old.is_numeric() and new.is_numeric():
        pair = [pl.Series("x", [], dtype=dtype).to_frame() for dtype in (old, new)]
        return pl.concat(pair, how="vertical_relaxed").schema["x"]
    raise Rejected(f"{what} is {new}, and {old} is stored on that day already", code="bad-frame")

"""A snapshot, or one of its chains, for whoever shows it: as JSON, and as a ladder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from g6core.errors import DataError
from g6core.snapshot import Snapshot

CONTRACT = ("expiry", "strike", "right")
"""What a row of a ladder says by its place."""


def snapshot_json(snapshot: Snapshot) -> str:
    """The whole snapshot as JSON on one line: `options` and `expiries` row by row.

    Times are ISO 8601 in UTC. What is no finite number is null.
    """
    tables = {"expiries": _rows(snapshot.expiries), "options": _rows(snapshot.options)}
    return _joined(_head(snapshot), tables)


def chain_json(snapshot: Snapshot, expiry: str | None = None, around: int | None = None) -> str:
    """The chain of one expiry as JSON on one line, as `g6 chain --json` prints it.

    expiry, around: as `expiry_row` and `chain_rows` have them. Raises DataError (`no-such-expiry`).
    """
    facts = expiry_row(snapshot, expiry)
    row = snapshot.expiries.filter(pl.col("expiry") == facts["expiry"])
    tables = {"expiry": _rows(row)[1:-1], "options": _rows(chain_rows(snapshot, facts, around))}
    return _joined(_head(snapshot), tables)


def expiry_row(snapshot: Snapshot, wanted: str | None = None) -> dict[str, Any]:
    """The row of `expiries` that is wanted: by a code, or a date as 2026-11-24; the nearest one by None.

    Raises DataError (`no-such-expiry`), which names those that there are.
    """
    rows = snapshot.expiries.to_dicts()
    for row in rows:
        if wanted is None or wanted in (row["codes"] or ()) or wanted == str(row["expiry"]):
            return row
    known = ", ".join(f"{row['expiry']} ({'/'.join(row['codes'] or ())})" for row in rows)
    raise DataError(
        f"{snapshot.index} has no recorded expiry" + (f" `{wanted}`" if wanted else ""),
        code="no-such-expiry",
        hint=f"there is {known}" if known else "the snapshot is empty: no contract was selected",
    )


def chain_rows(snapshot: Snapshot, facts: Mapping[str, Any], around: int | None = None) -> pl.DataFrame:
    """The options of the expiry that `facts` is the row of; around: strikes each side of the money, all by None."""
    rows = snapshot.options.filter(pl.col("expiry") == facts["expiry"])
    if around is None:
        return rows
    return rows.filter(pl.col("offset").is_null() | pl.col("offset").is_between(-around, around))


def ladder(rows: pl.DataFrame, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The options of one expiry, a row per strike: calls left (`call_oi`, …), `strike`, puts right in mirrored order.

    columns: which, from the left edge to the strike; by None all that a row has beside its place. What a strike or the
    rows lack is null.
    """
    names = [c for c in rows.columns if c not in CONTRACT] if columns is None else list(dict.fromkeys(columns))
    calls, puts = (_side(rows, right, names) for right in ("CE", "PE"))
    both = calls.join(puts, on="strike", how="full", coalesce=True).sort("strike")
    return both.select([f"call_{n}" for n in names] + ["strike"] + [f"put_{n}" for n in reversed(names)])


def _side(rows: pl.DataFrame, right: str, names: Sequence[str]) -> pl.DataFrame:
    prefix = {"CE": "call", "PE": "put"}[right]
    side = rows.filter(pl.col("right") == right).unique("strike", keep="first", maintain_order=True)
    known = [pl.col(name) if name in rows.columns else pl.lit(None) for name in names]
    return side.select("strike", *(col.alias(f"{prefix}_{name}") for col, name in zip(known, names, strict=True)))


def _head(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "v": 1,
        "index": snapshot.index,
        "ts": snapshot.ts.isoformat(),
        "source": snapshot.source,
        "simulated": snapshot.simulated,
        "facts": {name: value if math.isfinite(value) else None for name, value in snapshot.facts.items()},
    }


def _joined(head: Mapping[str, Any], tables: Mapping[str, str]) -> str:
    parts = [json.dumps(head)[:-1], *(f', "{name}": {text}' for name, text in tables.items())]
    return "".join(parts) + "}"


def _rows(frame: pl.DataFrame) -> str:
    """Bytes have no place in JSON and are written in hexadecimal digits."""
    binary = pl.selectors.binary().bin.encode("hex")
    # A clone: polars locks a frame while it hands to Python what it writes, and others may be asking this one.
    return frame.clone().with_columns(binary).write_json()

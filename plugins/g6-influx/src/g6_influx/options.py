"""The options of snapshots as points of the measurement `options`.

A batch is one set of expressions. What a selection of contracts does not change, which is all but the quotes and what
analytics add, is worked out once and kept while the selection stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

import numpy as np
import polars as pl

from g6_influx import lines
from g6core import CONTRACTS, LABELS, Rejected, Snapshot, trading_date

STATIC = (*CONTRACTS, *LABELS)
TAGS = ("index", "expiry_code", "offset", "dte", "strike", "right")
IDENTITY = ("symbol", "expiry", "strike", "right")
LEG = ("symbol", "lot_size")
"""Fields that stand as long as the selection. Exchange, token and tick size have none: each would be one more series of
every contract, and follows from the index or the symbol."""
SIDES = {"call_": "CE", "put_": "PE"}


@dataclass(frozen=True)
class Selection:
    """The contracts of an index on a day.

    prefix: each point up to the fields that change.
    legs:   per prefix of their fields the rows of the options that the points take; null where a strike has no such
            leg. None for a point per row.
    """

    day: date
    contracts: pl.DataFrame
    prefix: pl.Series
    legs: dict[str, pl.Series] | None = None


class Options:
    """Encodes options, `wide` or a point per contract; keeps the last selection of each index."""

    def __init__(self, wide: bool) -> None:
        self._select = _wide if wide else _long
        self._selections: dict[str, Selection] = {}

    def encode(self, snapshots: Sequence[Snapshot]) -> pl.Series:
        """The points of snapshots whose options have the same columns. Raises Rejected for what has no form."""
        chosen = [self._selection(s) for s in snapshots]
        options = _changing([s.options for s in snapshots])
        prefix = pl.concat([selection.prefix for selection in chosen])
        columns = [c for prefix_, rows in _rows(chosen).items() for c in _leg(options, prefix_, rows)]
        micros = np.repeat([lines.micros(s.ts) for s in snapshots], [selection.prefix.len() for selection in chosen])
        return lines.join(prefix, columns, pl.Series(micros, dtype=pl.Int64))

    def _selection(self, snapshot: Snapshot) -> Selection:
        contracts, day = snapshot.options[list(STATIC)], trading_date(snapshot.ts)
        known = self._selections.get(snapshot.index)
        if known is None or known.day != day or not known.contracts.equals(contracts):
            known = self._selections[snapshot.index] = self._select(snapshot.index, day, contracts)
        return known


def columns_of(snapshot: Snapshot) -> tuple[tuple[str, pl.DataType], ...]:
    """What snapshots that are encoded together have alike: a column's type must not depend on its neighbours."""
    return tuple(snapshot.options.schema.items())


def _changing(options: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The columns with a field of their own in each snapshot, under one another, named as the fields."""
    taken = [n for n, dtype in options[0].schema.items() if n not in STATIC and lines.has_field(dtype)]
    together = pl.concat([frame[taken] for frame in options])
    together.columns = [lines.free(name, TAGS) for name in taken]
    return together


def _rows(chosen: Sequence[Selection]) -> dict[str, pl.Series | None]:
    """Which rows of all options under one another the points take, by the prefix of the fields; None for all."""
    if any(selection.legs is None for selection in chosen):
        return {"": None}
    starts = [0, *accumulate(selection.contracts.height for selection in chosen)]
    return {
        side: pl.concat([s.legs[side] + start for s, start in zip(chosen, starts, strict=False) if s.legs])
        for side in SIDES
    }


def _leg(options: pl.DataFrame, prefix: str, rows: pl.Series | None) -> list[pl.Series]:
    taken = options if rows is None else options.select(pl.all().gather(rows))
    return [column.alias(prefix + column.name) for column in taken]


def _long(index: str, day: date, contracts: pl.DataFrame) -> Selection:
    _refuse_without_identity(index, contracts)
    fixed = _leg(contracts.select(LEG), "", None)
    return Selection(day, contracts, _prefix(index, day, contracts, contracts["right"], fixed))


def _wide(index: str, day: date, contracts: pl.DataFrame) -> Selection:
    """A row per strike; the first row of it, call or put, says what both have alike."""
    _refuse_without_identity(index, contracts)
    row, right = pl.col("row").cast(pl.Int64), pl.col("right")
    by_strike = contracts.with_row_index("row").group_by("expiry", "strike", maintain_order=True)
    at = by_strike.agg(
        row.first().alias("first"), *(row.filter(right == name).first().alias(side) for side, name in SIDES.items())
    )
    legs = {side: at[side] for side in SIDES}
    fixed = [column for side in SIDES for column in _leg(contracts.select(LEG), side, legs[side])]
    return Selection(day, contracts, _prefix(index, day, contracts[at["first"]], None, fixed), legs)


def _prefix(
    index: str, day: date, contracts: pl.DataFrame, right: pl.Series | None, fixed: Sequence[pl.Series]
) -> pl.Series:
    strike = contracts["strike"].cast(pl.String).str.strip_suffix(".0")
    tags = {
        "index": pl.repeat(index, contracts.height, eager=True),
        "expiry_code": contracts["expiry_code"],
        "offset": contracts["offset"].cast(pl.String),
        "dte": (contracts["expiry"] - day).dt.total_days().cast(pl.String),
        "strike": strike,
    }
    if right is not None:
        tags["right"] = right
    return lines.prefix("options", tags, contracts["expiry"], fixed)


def _refuse_without_identity(index: str, contracts: pl.DataFrame) -> None:
    lacking = [name for name in IDENTITY if contracts[name].null_count()]
    if lacking or not contracts["strike"].is_finite().all():
        raise Rejected(f"an option of {index} has no {lacking[0] if lacking else 'proper strike'}", code="bad-frame")

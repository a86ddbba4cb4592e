"""Snapshots as lines of CSV: all of a batch in one frame, written as text once and cut at the newlines.

Absent is an empty cell. Floats stand in the shortest form that reads back as the same number. Times are ISO, +05:30.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import repeat

import numpy as np
import polars as pl

from g6_csv import columns
from g6_csv.settings import Settings
from g6core import IST, Rejected, Snapshot

CONTRACT = ["expiry", "strike", "right", "expiry_code", "offset"]
EXPIRY = ["expiry", "atm_strike", "forward", "dte"]
WHICH = "#"
"""The column that says of which snapshot a row is; no analytic can have one of that name."""
TIME = "%Y-%m-%dT%H:%M:%S%.f%:z"
NOISE = 6
"""Decimals kept in a sum or difference of prices, so that 100.05 + 99.1 reads 199.15."""

Place = tuple[str, int | None] | str
"""Where a row of an index and a day belongs: (expiry code, offset), or `day`, or `overview`."""


def wide(snapshots: Sequence[Snapshot], settings: Settings) -> Iterator[tuple[int, Place, bytes]]:
    """A line per strike with at least one leg, of which snapshot it is, and where it belongs."""
    leg = [*columns.leg(settings.bid_ask), *settings.extra]
    rows = _described(snapshots, _paired(_stacked(snapshots, leg), leg))
    places = zip(rows["expiry_code"].to_list(), rows["offset"].to_list(), strict=True)
    return zip(rows[WHICH].to_list(), places, _lines(rows[list(settings.header)]), strict=True)


def day(snapshots: Sequence[Snapshot], settings: Settings) -> Iterator[tuple[int, Place, bytes]]:
    """A line per contract, and of which snapshot it is."""
    given = {"timestamp", "index", "spot", *CONTRACT, *EXPIRY}
    rows = _described(snapshots, _stacked(snapshots, [name for name in settings.header if name not in given]))
    return zip(rows[WHICH].to_list(), repeat("day"), _lines(rows[list(settings.header)]), strict=False)


def overview(snapshot: Snapshot) -> bytes:
    """The snapshot's line in the overview; expiries are counted by their codes, and each code has its PCR."""
    facts = snapshot.facts
    high, low = facts.get("high"), facts.get("low")
    expiries = snapshot.expiries
    ratios = expiries["pcr_oi"] if "pcr_oi" in expiries.columns else [None] * expiries.height
    pcr: dict[str, float | None] = {}
    collected: dict[str, bool] = {}
    for codes, quoted, ratio in zip(expiries["codes"].to_list(), expiries["quoted"], ratios, strict=True):
        for code in codes:
            pcr[code] = ratio
            collected[code] = bool(quoted)
    expected_mask = sum(columns.MASKS.get(code, 0) for code in collected)
    collected_mask = sum(columns.MASKS.get(code, 0) for code, has in collected.items() if has)
    cells: list[object] = [
        timestamp(snapshot.ts),
        snapshot.index,
        *(facts.get(name) for name in ("spot", "open", "high", "low", "close")),
        None if high is None or low is None else round(high - low, NOISE),
        facts.get("vix"),
        *(pcr.get(code) for code in columns.MASKS),
        *(len(collected), sum(collected.values())),
        *(expected_mask, collected_mask, expected_mask & ~collected_mask),
    ]
    return ",".join("" if cell is None else str(cell) for cell in cells).encode() + b"\n"


def timestamp(ts: datetime) -> str:
    """ISO in India time: to the second when it is whole, else to the microsecond. Earlier times sort first as text."""
    return ts.astimezone(IST).isoformat()


def _stacked(snapshots: Sequence[Snapshot], wanted: Sequence[str]) -> pl.DataFrame:
    """The options of all snapshots under one another, with `WHICH` and the `wanted` columns."""
    return _concat([s.options for s in snapshots], [*CONTRACT, *(name for name in wanted if name not in CONTRACT)])


def _described(snapshots: Sequence[Snapshot], rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with what their snapshot and its expiry say."""
    expiries = _concat([s.expiries for s in snapshots], EXPIRY)
    facts = pl.DataFrame(
        {
            "timestamp": [timestamp(s.ts) for s in snapshots],
            "index": [s.index for s in snapshots],
            "spot": [s.facts.get("spot") for s in snapshots],
        },
        schema_overrides={"spot": pl.Float64},
    )
    rows = rows.join(expiries, on=[WHICH, "expiry"], how="left", maintain_order="left")
    return rows.hstack(facts[rows[WHICH]])


def _concat(frames: Sequence[pl.DataFrame], names: Sequence[str]) -> pl.DataFrame:
    """The named columns of all frames, null where a frame has no such column, and `WHICH` of them."""
    parts = [frame[[name for name in names if name in frame.columns]] for frame in frames]
    rows = pl.concat(parts, how="diagonal_relaxed", rechunk=True)
    n = np.repeat(np.arange(len(parts), dtype=np.uint32), [part.height for part in parts])
    absent = [pl.lit(None, pl.Float64).alias(name) for name in names if name not in rows.columns]
    return rows.with_columns(pl.Series(WHICH, n), *absent)


def _paired(options: pl.DataFrame, leg: Sequence[str]) -> pl.DataFrame:
    """Calls and puts of one strike in one row; a strike with one leg keeps its row.

    The options come sorted by expiry, strike, right: a put belongs to the call just before it or to none.
    """
    right, here = pl.col("right"), pl.int_range(pl.len(), dtype=pl.UInt32)
    same = pl.all_horizontal(pl.col(key) == pl.col(key).shift(1) for key in (WHICH, "expiry", "strike"))
    second = ((right == "PE") & (right.shift(1) == "CE") & same).fill_null(False)
    has_second = second.shift(-1, fill_value=False)
    at = options.select(
        first=here,
        call=pl.when(right == "CE").then(here),
        put=pl.when(right == "PE").then(here).when(has_second).then(here + 1),
        second=second,
    ).filter(~pl.col("second"))
    sides = [options.select(pl.col(leg).gather(at[side]).name.prefix(f"{side}_")) for side in ("call", "put")]
    rows = pl.concat([options[[WHICH, *CONTRACT]][at["first"]], *sides], how="horizontal")
    straddle = (rows["call_last_price"] + rows["put_last_price"]).round(NOISE)
    return rows.hstack([straddle.alias("straddle_price")])


def _lines(rows: pl.DataFrame) -> list[bytes]:
    """The frame as CSV lines, each with its newline.

    Raises Rejected (`csv-newline`) for a text with a line break in it, which would tear its row.
    """
    times = [pl.col(name).dt.convert_time_zone(IST.key) for name, dtype in rows.schema.items() if dtype == pl.Datetime]
    buffer = io.BytesIO()
    rows.with_columns(times).write_csv(buffer, include_header=False, datetime_format=TIME)
    lines = buffer.getvalue().splitlines(keepends=True)
    if len(lines) != rows.height:
        raise Rejected(
            "a text in the options has a line break, which no row of a CSV file can hold", code="csv-newline"
        )
    return lines

"""Overview files of the earlier platform: India VIX, the index price where the options lack it, and what they say of
the collected expiries, which is compared with the options and not kept. PCR and day width are computed again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl

from g6_replay.bulk import Reader
from g6_replay.g6csv import found_tags, named, stands_in, timed
from g6_replay.g6layout import OVERVIEW, TAGS
from g6_replay.settings import Settings
from g6_replay.tally import FILE, LINE, NOT_TAKEN, NOTICED, REPAIRED, Tally

NUMBERS = {"index_price": "_spot", "VIX": "vix", "expected_mask": "expected", "collected_mask": "collected"}
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    FILE: pl.UInt32,
    LINE: pl.UInt32,
    "ts": pl.Datetime("us", "UTC"),
    "_spot": pl.Float64,
    "vix": pl.Float64,
    "expected": pl.Int64,
    "collected": pl.Int64,
    "missing": pl.Int64,
}


def overview(paths: Sequence[Path], index: str, day: date, settings: Settings, tally: Tally) -> pl.DataFrame:
    """A row per instant, columns SCHEMA; what is not known is null."""
    rows = Reader(OVERVIEW, ("timestamp",), tally, shorter=True).read(paths)
    tally.counts["rows of the overview"] += rows.height
    if rows.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    rows = timed(named(rows, index, settings, tally), day, settings, tally)
    names = {**NUMBERS, "missing_mask": "missing"}
    numbers = [_number(theirs, rows, SCHEMA[ours] == pl.Int64).alias(ours) for theirs, ours in names.items()]
    rows = rows.select(FILE, LINE, "ts", "index", *numbers)
    invented = stands_in("_spot").fill_null(False)
    tally.note(rows, invented, "index price of the overview on the platform's stand-in price", NOT_TAKEN)
    rows = rows.with_columns(_spot=pl.when(~invented).then("_spot"))
    repeated = ~pl.col("ts").is_last_distinct()
    tally.note(rows, repeated, "overview row that comes again at its instant; the last one counts", REPAIRED)
    return rows.unique("ts", keep="last", maintain_order=True).select(*SCHEMA)


def _number(name: str, rows: pl.DataFrame, whole: bool) -> pl.Expr:
    """A positive number, or a mask; else null."""
    if name not in rows.columns:
        return pl.lit(None, pl.Int64 if whole else pl.Float64)
    value = pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)
    if whole:
        return pl.when(value.is_between(0, 15)).then(value).cast(pl.Int64)
    return pl.when(value.is_finite() & (value > 0)).then(value)


def with_levels(frame: pl.DataFrame, rows: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """The normalised legs of an index with `vix`, and with the overview's price as `spot` at instants without one."""
    if "spot" not in frame.columns:
        frame = frame.with_columns(spot=pl.lit(None, pl.Float64))
    joined = frame.join(rows.select("ts", "_spot", "vix"), on="ts", how="left", maintain_order="left")
    lacking = pl.col("spot").is_null().all().over("ts")
    filled = joined.filter(lacking & pl.col("_spot").is_not_null())["ts"].unique()
    reason = "instant whose options name no index price, taken from the overview"
    tally.rows(rows.filter(pl.col("ts").is_in(filled.implode())), reason, REPAIRED)
    return joined.with_columns(spot=pl.when(lacking).then("_spot").otherwise("spot")).drop("_spot")


def compare(rows: pl.DataFrame, options: pl.DataFrame, tally: Tally) -> None:
    """What the masks say against the tags that the options' rows (columns ts, tag) have."""
    both = rows.join(found_tags(options), on="ts", how="left")
    alone = both.filter(pl.col("found").is_null())
    tally.rows(alone, "overview row at whose time no row of options can be used", NOTICED)
    both = both.filter(pl.col("found").is_not_null())
    for tag, bit in TAGS.items():
        said, there, wanted = (pl.col(name) & bit != 0 for name in ("collected", "found", "expected"))
        for differs, reason in (
            (said & ~there, f"overview row that counts `{tag}` as collected, where no row of options can be used"),
            (~said & there, f"overview row that does not count `{tag}` as collected, where there are rows of options"),
            (wanted & ~said, f"overview row that says `{tag}` was expected and not collected"),
        ):
            tally.note(both, differs, reason, NOTICED)
    odd = pl.col("missing") != (pl.col("expected") & ~pl.col("collected"))
    tally.note(both, odd, "missing_mask that is not what expected and collected leave", NOTICED)

"""The CSV tree of the earlier platform: INDEX/TAG/OFFSET/DATE.csv, a row a strike with both legs.

Tag and offset folders are labels: a contract stands under several tags, and folder `0` holds a strike that changes. So
the identity of a row is index, expiry date, strike, right and time. Its implied volatilities and Greeks are not taken:
they come from the prices again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import polars as pl

from g6_replay.tables import contents, read_csv
from g6_replay.tally import FILE, LINE, Tally
from g6core import DataError

DAY_FILE = re.compile(r"\d{4}-\d\d-\d\d\.csv(\.gz)?")
NEEDED = ("timestamp", "strike", "ce", "pe")
SHARED = {"timestamp": "ts", "index": "index", "expiry_date": "expiry", "index_price": "spot", "strike": "strike"}
LEG = {"{}": "last_price", "avg_{}": "average_price", "{}_vol": "volume", "{}_oi": "oi"}

FABRICATED_PRICE = 1000.0
FABRICATED_SPOT = {
    # What the platform wrote when its broker did not answer. A true index stands on such a round number once in
    # thousands of rows; losing that one is the smaller harm.
    "NIFTY": [24800.0],
    "BANKNIFTY": [54000.0],
    "FINNIFTY": [25950.0, 26000.0],
    "MIDCPNIFTY": [12000.0],
    "SENSEX": [81000.0],
}


def day_files(root: Path) -> list[Path]:
    """The options files under a directory, or the one file."""
    if root.is_file():
        return [root]
    found = (p for p in root.rglob("*.csv*") if DAY_FILE.fullmatch(p.name))
    return sorted(p for p in found if "overview" not in p.relative_to(root).parts)


def read(paths: list[Path], expiries: Mapping[str, date], tally: Tally) -> pl.DataFrame:
    """All files in one frame of text, a row a leg. A file that cannot be used is set aside.

    expiries: expiry dates per tag for rows that do not name theirs.
    """
    frames = []
    for file, path in enumerate(paths):
        try:
            frames.append(_file(path, file, tally))
        except DataError as e:
            tally.add(f"file set aside: {e.message}", 1, tally.files[file])
    if not frames:
        return pl.DataFrame(schema={FILE: pl.UInt32, LINE: pl.UInt32, **dict.fromkeys(SHARED.values(), pl.String)})
    rows = pl.concat(frames, how="diagonal")
    return _legs(_genuine(_dated(rows, expiries), tally))


def _file(path: Path, file: int, tally: Tally) -> pl.DataFrame:
    frame = read_csv(path, contents(path), lambda why, line: tally.add(f"{why}, set aside", 1, tally.place(file, line)))
    if "offset_price" in frame.columns:
        # The oldest header: `strike` is the index price there.
        frame = frame.rename({"strike": "index_price", "offset_price": "strike"})
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise DataError(f"{path.name} has no column `{missing[0]}`; its columns are {', '.join(frame.columns[1:])}")
    legs = [pattern.format(side) for side in ("ce", "pe") for pattern in LEG]
    known = [name for name in (LINE, *SHARED, "expiry_tag", *legs) if name in frame.columns]
    return frame.select(pl.lit(file, pl.UInt32).alias(FILE), *known)


def _dated(rows: pl.DataFrame, expiries: Mapping[str, date]) -> pl.DataFrame:
    if "expiry_date" not in rows.columns:
        rows = rows.with_columns(expiry_date=pl.lit(None, pl.String))
    if "expiry_tag" not in rows.columns or not expiries:
        return rows
    named = pl.col("expiry_tag").replace_strict({tag: str(day) for tag, day in expiries.items()}, default=None)
    return rows.with_columns(expiry_date=pl.coalesce("expiry_date", named))


def _genuine(rows: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """Without the rows that the platform made up when it had no data."""
    legs = (pl.col(name).cast(pl.Float64, strict=False) == FABRICATED_PRICE for name in ("ce", "pe"))
    reasons = {"fabricated row (every leg is 1000.0), set aside": pl.all_horizontal(legs)}
    if {"index", "index_price"} <= set(rows.columns):
        spot = pl.col("index_price").cast(pl.Float64, strict=False)
        invented = pl.any_horizontal(
            (pl.col("index") == index) & spot.is_in(levels) for index, levels in FABRICATED_SPOT.items()
        )
        reasons["fabricated row (the index stands on the platform's stand-in price), set aside"] = invented
    reasons["row without an expiry date (name it in `expiries`), set aside"] = pl.col("expiry_date").is_null()
    for reason, refused in reasons.items():
        bad = refused.fill_null(False)
        tally.rows(rows.filter(bad), reason)
        rows = rows.filter(~bad)
    return rows


def _legs(rows: pl.DataFrame) -> pl.DataFrame:
    shared = [pl.col(theirs).alias(ours) for theirs, ours in SHARED.items() if theirs in rows.columns]
    legs = [
        rows.select(
            FILE,
            LINE,
            *shared,
            pl.lit(side.upper()).alias("right"),
            *(pl.col(p.format(side)).alias(ours) for p, ours in LEG.items() if p.format(side) in rows.columns),
        )
        for side in ("ce", "pe")
    ]
    return _quoted(pl.concat(legs))


def _quoted(legs: pl.DataFrame) -> pl.DataFrame:
    """A leg of nothing but zeros is how the platform wrote a quote that it did not have."""
    names = [name for name in LEG.values() if name in legs.columns]
    absent = pl.all_horizontal(pl.col(name).cast(pl.Float64, strict=False) == 0 for name in names).fill_null(False)
    return legs.with_columns(pl.when(~absent).then(pl.col(name)).alias(name) for name in names)

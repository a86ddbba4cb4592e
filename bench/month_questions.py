"""What `month.py` asks, in the words of each store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl


@dataclass(frozen=True)
class Question:
    """What is asked of each store. aim: ms; the last column of an answer is the number that is compared."""

    name: str
    aim: float
    parquet: str
    csv: str
    postgres: str
    polars: Callable[[Path], pl.LazyFrame]
    """Of the directory of the CSV tree."""


def questions(day: date) -> list[Question]:
    ratio = "sum(oi) FILTER (WHERE \"right\" = 'PE') / sum(oi) FILTER (WHERE \"right\" = 'CE')"
    legs, sums = "sum(put_oi) / sum(call_oi)", pl.col("put_oi").sum() / pl.col("call_oi").sum()
    shown = ["timestamp", "expiry", "straddle_price"]
    here, that_day = "index = 'NIFTY'", f"ts >= '{day} 00:00+05:30' AND ts < '{day} 23:59+05:30'"
    straddle = 'sum(last_price) FROM options WHERE {} AND "offset" = 0 GROUP BY ts, expiry ORDER BY ts, expiry'
    return [
        Question(
            "PCR of one chain per minute of a day",
            50,
            f"SELECT ts, {ratio} FROM options WHERE {here} AND date = '{day}' AND expiry_code = 'this_week' "
            "GROUP BY ts ORDER BY ts",
            f"SELECT timestamp, {legs} FROM read_csv('{{}}/options/NIFTY/this_week/*/{day}.csv') "
            "GROUP BY timestamp ORDER BY timestamp",
            f"SELECT ts, {ratio} FROM options WHERE \"index\" = 'NIFTY' AND {that_day} AND expiry_code = 'this_week' "
            "GROUP BY ts ORDER BY ts",
            lambda tree: (
                scanned(tree, f"NIFTY/this_week/*/{day}.csv").group_by("timestamp").agg(sums).sort("timestamp")
            ),
        ),
        Question(
            "straddle at the money of each expiry of an index per minute of a day",
            50,
            "SELECT ts, expiry, " + straddle.format(f"{here} AND date = '{day}'"),
            f"SELECT timestamp, expiry, straddle_price FROM read_csv('{{}}/options/NIFTY/*/0/{day}.csv') "
            "ORDER BY timestamp, expiry",
            "SELECT ts, expiry, " + straddle.format(f"\"index\" = 'NIFTY' AND {that_day}"),
            lambda tree: scanned(tree, f"NIFTY/*/0/{day}.csv").select(shown).sort(shown[:2]),
        ),
        Question(
            "PCR of every index per minute, all days",
            300,
            f"SELECT ts, index, {ratio} FROM options GROUP BY ts, index ORDER BY ts, index",
            f"SELECT timestamp, index, {legs} FROM read_csv('{{}}/options/*/*/*/*.csv') "
            "GROUP BY timestamp, index ORDER BY timestamp, index",
            f'SELECT ts, "index", {ratio} FROM options GROUP BY ts, "index" ORDER BY ts, "index"',
            lambda tree: (
                scanned(tree, "*/*/*/*.csv").group_by("timestamp", "index").agg(sums).sort("timestamp", "index")
            ),
        ),
    ]


def scanned(tree: Path, files: str) -> pl.LazyFrame:
    types = {"put_oi": pl.Int64, "call_oi": pl.Int64, "straddle_price": pl.Float64}
    return pl.scan_csv(tree / "options" / files, schema_overrides=types)

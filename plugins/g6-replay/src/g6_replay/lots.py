"""Lot sizes of the past, for recordings that count in contracts and do not say how large one is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from g6core import ConfigError

LOTS = (
    # index, seen from, seen until, expiry from, expiry until, units a lot. The exchange's revisions, limited to what
    # recorded listings and bhavcopies confirm; between the rows nothing is known and a lot must be set.
    ("NIFTY", "2022-01-01", "2024-04-25", "2022-01-01", "2024-04-25", 50),
    ("NIFTY", "2024-04-26", "2024-11-19", "2024-04-26", "2029-12-31", 25),
    ("NIFTY", "2024-11-20", "2025-01-30", "2024-11-20", "2024-12-26", 25),
    ("NIFTY", "2024-11-20", "2025-01-30", "2025-01-30", "2025-01-30", 25),
    ("NIFTY", "2025-01-03", "2025-10-27", "2025-01-03", "2030-12-31", 75),
    ("NIFTY", "2025-10-28", "2025-12-30", "2025-10-28", "2025-12-30", 75),
    ("NIFTY", "2025-12-31", "2026-10-31", "2025-12-31", "2031-12-31", 65),
    ("BANKNIFTY", "2023-01-01", "2023-06-29", "2023-01-01", "2023-06-29", 25),
    ("BANKNIFTY", "2023-05-01", "2023-06-30", "2023-07-01", "2023-07-31", 15),
    ("BANKNIFTY", "2023-05-01", "2023-05-31", "2023-09-01", "2024-03-31", 25),
    ("BANKNIFTY", "2023-07-01", "2024-11-19", "2023-07-01", "2025-12-31", 15),
    ("BANKNIFTY", "2024-11-20", "2025-01-30", "2024-11-20", "2025-01-30", 15),
    ("BANKNIFTY", "2025-01-01", "2025-04-24", "2025-02-01", "2025-12-31", 30),
    ("BANKNIFTY", "2025-04-25", "2025-06-30", "2025-04-25", "2025-06-30", 30),
    ("BANKNIFTY", "2025-04-25", "2025-06-30", "2025-07-01", "2025-08-31", 35),
    ("BANKNIFTY", "2025-07-01", "2025-10-27", "2025-07-01", "2026-06-30", 35),
    ("BANKNIFTY", "2025-10-28", "2025-12-30", "2025-10-28", "2025-12-30", 35),
    ("BANKNIFTY", "2025-12-31", "2026-04-30", "2025-12-31", "2026-12-31", 30),
    ("FINNIFTY", "2023-01-01", "2024-06-30", "2023-01-01", "2024-06-30", 40),
    ("FINNIFTY", "2024-04-01", "2025-01-30", "2024-07-01", "2025-01-30", 25),
    ("FINNIFTY", "2024-11-20", "2025-12-30", "2025-02-01", "2025-12-30", 65),
    ("FINNIFTY", "2025-12-31", "2026-04-30", "2025-12-31", "2026-05-31", 60),
    ("MIDCPNIFTY", "2023-01-01", "2024-06-30", "2023-01-01", "2024-06-30", 75),
    ("MIDCPNIFTY", "2024-04-01", "2025-01-30", "2024-07-01", "2025-01-30", 50),
    ("MIDCPNIFTY", "2024-11-20", "2025-06-30", "2025-02-01", "2025-06-30", 120),
    ("MIDCPNIFTY", "2025-04-25", "2025-12-30", "2025-07-01", "2025-12-30", 140),
    ("MIDCPNIFTY", "2025-12-31", "2026-04-30", "2025-12-31", "2026-05-31", 120),
    ("SENSEX", "2023-05-15", "2024-11-19", "2023-05-15", "2030-12-31", 10),
    ("SENSEX", "2025-02-01", "2026-10-31", "2025-02-01", "2031-12-31", 20),
    ("BANKEX", "2023-05-15", "2024-11-19", "2023-05-15", "2030-12-31", 15),
    ("BANKEX", "2025-02-01", "2026-04-30", "2025-02-01", "2031-12-31", 30),
)


def lot_size(index: str, seen: date, expiry: date) -> int | None:
    """Units a lot of the contracts of that expiry on the day `seen` (a long-dated contract's lot may be revised)."""
    on, at = seen.isoformat(), expiry.isoformat()
    matches = (lot for name, a, b, x, y, lot in LOTS if name == index and a <= on <= b and x <= at <= y)
    return next(matches, None)


def with_lots(frame: pl.DataFrame, lot_sizes: Mapping[str, int]) -> pl.DataFrame:
    """The frame (index, day, expiry, …) with `lot_size`: the file's, else the setting's, else the table's."""
    key = ["index", "day", "expiry"]
    groups = frame.select(key).unique()
    known = [lot_sizes.get(index) or lot_size(index, day, expiry) for index, day, expiry in groups.iter_rows()]
    lots = groups.with_columns(pl.Series("_lot", known, dtype=pl.Int64))
    own = [pl.col("lot_size")] if "lot_size" in frame.columns else []
    joined = frame.join(lots, on=key, how="left", maintain_order="left")
    return joined.with_columns(lot_size=pl.coalesce(*own, "_lot")).drop("_lot")


def in_units(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """The columns `names`, counted in contracts, in units. Raises ConfigError where a lot size is not known.

    The exchange divides by the lot of the day, so a contract whose lot was revised may count in fractions of a lot.
    """
    if not names:
        return frame
    counted = pl.any_horizontal(pl.col(name).is_not_null() for name in names)
    unknown = frame.filter(counted & pl.col("lot_size").is_null())
    if not unknown.is_empty():
        index, expiry, day = unknown.select("index", "expiry", "day").row(0)
        raise ConfigError(
            f"the lot size of {index} {expiry} on {day} is not known",
            code="replay-lot-size",
            note=f"{' and '.join(names)} of the recording are counted in contracts, G6 counts in units",
            hint=f"set it: `lot_sizes = {{ {index} = … }}` in the settings of `replay`",
        )
    return frame.with_columns((pl.col(name) * pl.col("lot_size")).round() for name in names)

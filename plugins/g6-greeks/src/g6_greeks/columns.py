"""Snapshots as arrays and back: an absent value is null in a frame and NaN in an array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from g6core import Snapshot
from g6_greeks.black76 import Bools, Floats

Indices = npt.NDArray[np.intp]


def floats(series: pl.Series) -> Floats:
    """Shape (rows,), NaN where null."""
    values: Floats = series.to_numpy().astype(np.float64, copy=False)
    return values


def is_call(snapshot: Snapshot) -> Bools:
    """True for CE, shape (options,)."""
    calls: Bools = (snapshot.options["right"] == "CE").to_numpy()
    return calls


def expiry_rows(snapshot: Snapshot) -> Indices:
    """For each option the row of its expiry in `snapshot.expiries`, shape (options,)."""
    expiries = snapshot.expiries["expiry"].to_physical().to_numpy()
    return np.searchsorted(expiries, snapshot.options["expiry"].to_physical().to_numpy())


def column(name: str, values: Floats) -> pl.Series:
    return pl.Series(name, values, dtype=pl.Float64, nan_to_null=True)


def words(name: str, vocabulary: Sequence[str | None], codes: npt.NDArray[np.integer]) -> pl.Series:
    """The word of each code, from a short vocabulary."""
    return pl.Series(name, vocabulary, dtype=pl.String).gather(codes)

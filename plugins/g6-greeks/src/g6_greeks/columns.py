"""Snapshots as arrays and back: an absent value is null in a frame and NaN in an array."""

from __future__ import annotations

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
    return np.searchsorted(snapshot.expiries["expiry"].to_numpy(), snapshot.options["expiry"].to_numpy())


def column(name: str, values: Floats) -> pl.Series:
    return pl.Series(name, values, nan_to_null=True)


def words(name: str, vocabulary: npt.NDArray[np.object_], codes: npt.NDArray[np.integer]) -> pl.Series:
    """The word of each code, from a short vocabulary."""
    return pl.Series(name, vocabulary[codes].tolist(), dtype=pl.String)


# Each polars expression starts an engine, which at these sizes costs more than the work: hence numpy in between, and
# `hstack` where a frame gets its new columns.

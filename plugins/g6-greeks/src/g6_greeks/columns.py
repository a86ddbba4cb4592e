"""Snapshots as arrays and back: an absent value is null in a frame and NaN in an array.

A polars expression starts an engine, which for some hundred rows costs more than the work. So the analytics go through
numpy, and hang their columns on with `hstack`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from g6_greeks.arrays import Bools, Floats, Indices
from g6core import Snapshot


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


def columns(named: Mapping[str, Floats], dtype: type[pl.DataType] | None = None) -> list[pl.Series]:
    """A series per array, all of one length. One long series is cut up, since it is each new one that costs."""
    long = pl.Series(np.concatenate(list(named.values())), nan_to_null=True)
    long = long if dtype is None else long.cast(dtype)
    height = long.len() // len(named)
    return [long.slice(i * height, height).alias(name) for i, name in enumerate(named)]


def words(name: str, vocabulary: npt.NDArray[np.object_], codes: npt.NDArray[np.integer]) -> pl.Series:
    """The word of each code, from a short vocabulary."""
    # Picked by a series of positions: a list of words would be looked at word by word.
    return pl.Series(name, vocabulary.tolist(), dtype=pl.String)[pl.Series(codes.astype(np.uint32))]

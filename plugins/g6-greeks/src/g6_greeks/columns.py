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
    values: Floats = series.to_numpy()
    return values if values.dtype == np.float64 else values.astype(np.float64)


# Comparing words costs several times what comparing two columns does, and the rights of an index seldom change. One
# entry per index; whoever finds another column there replaces it, so threads do not wait for one another.
_CALLS: dict[str, tuple[pl.Series, Bools]] = {}


def is_call(snapshot: Snapshot) -> Bools:
    """True for CE, shape (options,). Shared between calls, so not to be written to."""
    right = snapshot.options.get_column("right")
    known = _CALLS.get(snapshot.index)
    if known is None or not known[0].equals(right):
        known = _CALLS[snapshot.index] = right, (right == "CE").to_numpy()
    return known[1]


def expiry_rows(snapshot: Snapshot) -> Indices:
    """For each option the row of its expiry in `snapshot.expiries`, shape (options,)."""
    return np.searchsorted(snapshot.expiries["expiry"].to_numpy(), snapshot.options["expiry"].to_numpy())


def columns(named: Mapping[str, Floats], dtype: type[pl.DataType] | None = None) -> list[pl.Series]:
    """A series per array, all of one length. One long series is cut up, since it is each new one that costs."""
    if len(named) == 1:
        ((name, values),) = named.items()
        one = pl.Series(name, values, nan_to_null=True)
        return [one if dtype is None else one.cast(dtype)]
    long = pl.Series(np.concatenate(list(named.values())), nan_to_null=True)
    long = long if dtype is None else long.cast(dtype)
    height = long.len() // len(named)
    return [long.slice(i * height, height).alias(name) for i, name in enumerate(named)]


def words(vocabulary: pl.Series, codes: npt.NDArray[np.integer]) -> pl.Series:
    """The word of each code, from a short vocabulary, under its name."""
    # Picked by a series of positions: a list of words would be looked at word by word.
    return vocabulary[pl.Series(codes.astype(np.uint32))]

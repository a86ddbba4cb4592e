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


class Chain:
    """The options of a snapshot as arrays, all (options,), shared between analytics and so not to be written to.

    rows: the row of each option's expiry in `snapshot.expiries`. call: True for CE. Called with the name of a column it
    gives that as numbers.
    """

    def __init__(self, snapshot: Snapshot, before: Chain | None) -> None:
        self.options = snapshot.options
        self._dates = snapshot.expiries.get_column("expiry")
        self._right, self._expiry = self.options.get_column("right"), self.options.get_column("expiry")
        # Contracts seldom change, and comparing two columns costs less than searching dates or comparing words.
        if before is not None and self._right.equals(before._right):
            self.call = before.call
        else:
            self.call = (self._right == "CE").to_numpy()
        if before is not None and self._expiry.equals(before._expiry) and self._dates.equals(before._dates):
            self.rows = before.rows
        else:
            self.rows = np.searchsorted(self._dates.to_numpy(), self._expiry.to_numpy())
        self._numbers: dict[str, Floats] = {}

    call: Bools
    rows: Indices

    def __call__(self, name: str) -> Floats:
        numbers = self._numbers.get(name)
        if numbers is None:
            numbers = self._numbers[name] = floats(self.options.get_column(name))
        return numbers


# The last of each index. Whoever finds another chain there replaces it, so threads do not wait for one another.
_LAST: dict[str, Chain] = {}


def chain_of(snapshot: Snapshot) -> Chain:
    chain: Chain | None = snapshot.kept.get("g6_greeks.chain")
    if chain is None:
        chain = Chain(snapshot, _LAST.get(snapshot.index))
        snapshot.kept["g6_greeks.chain"] = _LAST[snapshot.index] = chain
    chain.options = snapshot.options
    return chain


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

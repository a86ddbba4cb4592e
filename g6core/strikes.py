"""Strike steps, at-the-money strikes and offsets, all from the strikes that are listed."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

Strikes = Sequence[float] | npt.NDArray[np.float64] | pl.Series

_VOTERS = 20
"""How many listed strikes around the money decide on the step: far from it they are listed wider apart."""


def strike_step(strikes: Strikes, near: float) -> float | None:
    """The most frequent distance between the listed strikes around `near`; the smaller one of two equally frequent.

    strikes: in any order, repeats allowed. None when fewer than two are listed.
    """
    return _step(sorted(set(strikes)), near)


def atm_strike(strikes: Strikes, spot: float) -> float:
    """The listed strike nearest to `spot`; the lower one of two equally near. Raises ValueError without strikes."""
    listed = np.asarray(strikes, dtype=np.float64)
    distance = np.abs(listed - spot)
    return float(listed[distance == distance.min()].min())


def listed_strikes(contracts: pl.DataFrame) -> dict[date, list[float]]:
    """The strikes of each expiry, ascending, without repeats."""
    days, place, strikes = _by_expiry(contracts)
    return {day: np.unique(strikes[place == i]).tolist() for i, day in enumerate(days)}


def with_offsets(
    contracts: pl.DataFrame, centre: float | Mapping[date, float], listed: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The contracts with `offset` (Int64): how many strike steps each lies from the centre of its expiry.

    centre: the spot, from which the nearest strike is taken in each expiry; or the centre strike of each expiry, and an
    expiry without one gets null. listed: where steps and nearest strikes are read from when `contracts` is a selection.
    """
    chains = listed_strikes(contracts if listed is None else listed)
    days, place, strikes = _by_expiry(contracts)
    centres, steps = np.full(len(days), np.nan), np.full(len(days), np.inf)
    for i, day in enumerate(days):
        chain = chains.get(day)
        if not chain:
            continue
        middle = centre.get(day) if isinstance(centre, Mapping) else atm_strike(chain, centre)
        if middle is not None:
            centres[i], steps[i] = middle, _step(chain, middle) or np.inf
    distance = strikes - centres[place]
    offsets = np.floor(distance / steps[place] + 0.5)
    # A chain of one strike has no step: that strike is the centre, or nothing can be said.
    offsets[np.isinf(steps[place]) & (distance != 0)] = np.nan
    return contracts.with_columns(pl.Series("offset", offsets, nan_to_null=True).cast(pl.Int64))


def _step(ascending: Sequence[float], near: float) -> float | None:
    place = bisect_left(ascending, near)
    around = ascending[max(place - _VOTERS // 2, 0) : place + _VOTERS // 2]
    # Rounded, so that 0.3 - 0.2 and 0.2 - 0.1 are one distance.
    votes = Counter(round(upper - lower, 6) for lower, upper in pairwise(around))
    return min(votes, key=lambda step: (-votes[step], step), default=None)


def _by_expiry(contracts: pl.DataFrame) -> tuple[list[date], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """The expiries, ascending; for each contract the place of its expiry among them; the strikes."""
    days, place = np.unique(contracts["expiry"].to_physical().to_numpy(), return_inverse=True)
    names: list[date] = pl.Series(days, dtype=pl.Int32).cast(pl.Date).to_list()
    return names, place, contracts["strike"].to_numpy()

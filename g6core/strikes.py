"""Strike steps, at-the-money strikes and offsets, all from the strikes that are listed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl


def listed_strikes(contracts: pl.DataFrame) -> dict[date, list[float]]:
    """The strikes of each expiry, ascending, without repeats."""
    return _chains(*_by_expiry(contracts))


def strike_step(strikes: Sequence[float]) -> float | None:
    """The smallest distance between two neighbours that occurs more than once, or the smallest when none does.

    So one odd strike does not decide, and a chain that is listed wider apart in places keeps one step for all of it: no
    two strikes on its grid share an offset. strikes: ascending, without repeats. None when fewer than two are listed.
    """
    # Rounded, so that 0.3 - 0.2 and 0.2 - 0.1 are one distance.
    distances = np.sort(np.round(np.diff(strikes), 6))
    repeated = distances[1:][distances[1:] == distances[:-1]]
    smallest = repeated if repeated.size else distances
    return float(smallest[0]) if smallest.size else None


def atm_strike(strikes: Sequence[float], spot: float) -> float:
    """The listed strike nearest to `spot`; the lower one of two equally near.

    strikes: ascending. Raises ValueError when there are none.
    """
    place = bisect_left(strikes, spot)
    return min(strikes[max(place - 1, 0) : place + 1], key=lambda strike: abs(strike - spot))


def with_offsets(
    contracts: pl.DataFrame, centre: float | Mapping[date, float], listed: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The contracts with `offset` (Int64): how many strike steps each lies from the centre of its expiry.

    centre: the spot, from which the nearest strike is taken in each expiry; or the centre strike of each expiry, and an
    expiry without one gets null. listed: where steps and nearest strikes are read from when `contracts` is a selection.
    A strike between two steps, as corporate actions leave them on shares, is counted as the nearer one.
    """
    days, place, strikes = _by_expiry(contracts)
    chains = _chains(days, place, strikes) if listed is None else listed_strikes(listed)
    centres, steps = np.full(len(days), np.nan), np.full(len(days), np.inf)
    for i, day in enumerate(days):
        chain = chains.get(day)
        if not chain:
            continue
        middle = centre.get(day) if isinstance(centre, Mapping) else atm_strike(chain, centre)
        if middle is not None:
            centres[i], steps[i] = middle, strike_step(chain) or np.inf
    distance = strikes - centres[place]
    offsets = np.floor(distance / steps[place] + 0.5)
    # A chain of one strike has no step: that strike is the centre, or nothing can be said.
    offsets[np.isinf(steps[place]) & (distance != 0)] = np.nan
    return contracts.with_columns(pl.Series("offset", offsets, nan_to_null=True).cast(pl.Int64))


_Places = npt.NDArray[np.intp]
_Numbers = npt.NDArray[np.float64]


def _by_expiry(contracts: pl.DataFrame) -> tuple[list[date], _Places, _Numbers]:
    """The expiries, ascending; for each contract the place of its expiry among them; the strikes."""
    days, place = np.unique(contracts["expiry"].to_physical().to_numpy(), return_inverse=True)
    return days.astype("datetime64[D]").tolist(), place, contracts["strike"].to_numpy()


def _chains(days: Sequence[date], place: _Places, strikes: _Numbers) -> dict[date, list[float]]:
    return {day: np.unique(strikes[place == i]).tolist() for i, day in enumerate(days)}

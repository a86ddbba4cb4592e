"""Random numbers that are functions of a contract: no generator, no order of calls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Words = NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15


def words(numbers: Rows, seed: int) -> Words:
    """A word of 64 bits for each number."""
    return _mix(numbers.astype(np.uint64) + np.uint64((seed + 1) * _GOLDEN % 2**64))


def uniform(keys: Words, stream: int | Rows) -> Floats:
    """A number in [0, 1) for each key, another for another stream."""
    steps = np.asarray(stream, dtype=np.uint64) * np.uint64(_GOLDEN)
    fractions: Floats = (_mix(keys + steps) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return fractions


def _mix(keys: Words) -> Words:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    z = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))

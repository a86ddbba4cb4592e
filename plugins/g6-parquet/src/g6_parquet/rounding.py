"""Numbers rounded to the bits that significant digits need. Zeros at the end of a number are what zstd packs best."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

BITS = 53
"""Of the significand of a double."""
EXPONENT = np.uint64(0x7FF << 52)


def rounded(numbers: pl.DataFrame, digits: int) -> pl.DataFrame:
    """Columns of Float64, at least one, with each number x at most 0.5 * 10**-digits * |x| away; null stays null.

    digits: 1 to 15. To nearest, ties to even. Zeros, numbers nearer to zero than 2.2e-308, infinities and NaN stay as
    they are, and so does what would become infinite.
    """
    near = _nearest(np.stack([column.to_numpy() for column in numbers]), digits)
    there = numbers.select(pl.all().is_not_null())
    pairs = zip(near, numbers, there, strict=True)
    return pl.DataFrame([pl.Series(was.name, values).zip_with(known, was) for values, was, known in pairs])


def _nearest(values: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    # One bit more than 10**digits has: half a unit in the last place is then less than half of the last digit.
    drop = np.uint64(BITS - (10**digits).bit_length() - 1)
    bits = values.view(np.uint64)
    one = np.uint64(1)
    odd = (bits >> drop) & one
    # A carry out of the significand goes on into the exponent, which is right: the next power of two.
    near = (bits + odd + ((one << (drop - one)) - one)) >> drop << drop
    there, then = bits & EXPONENT, near & EXPONENT
    ordinary = (there != 0) & (there != EXPONENT) & (then != EXPONENT)
    return np.where(ordinary, near, bits).view(np.float64)

"""Which price of an option its volatility is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from g6_greeks.arrays import Bools, Floats
from g6_greeks.columns import floats


@dataclass(frozen=True)
class Prices:
    """All of shape (options,). price: rupees, NaN where there is none. mid: where it is the middle of the book.

    spread: ask - bid in rupees where `mid`, else NaN. one_sided: there are quotes, but not the two that were asked for.
    """

    price: Floats
    mid: Bools
    spread: Floats
    one_sided: Bools


def choose(options: pl.DataFrame, use: str, max_spread: float) -> Prices:
    """use: `last`, `mid` or `auto`, which is mid where the book has two sane sides and last elsewhere."""
    last = floats(options["last_price"])
    nothing = np.zeros(last.shape, dtype=np.bool_)
    if use == "last":
        return Prices(last, nothing, np.full(last.shape, np.nan), nothing)
    bid, ask = floats(options["bid"]), floats(options["ask"])
    middle, spread = 0.5 * (bid + ask), ask - bid
    widest = np.fmax(max_spread * middle, 2.0 * floats(options["tick_size"]))
    mid = (bid > 0) & (spread >= 0) & (spread <= widest)
    elsewhere = last if use == "auto" else np.nan
    unmet = ~mid & ~np.isnan(np.fmax(np.fmax(bid, ask), last)) if use == "mid" else nothing
    return Prices(np.where(mid, middle, elsewhere), mid, np.where(mid, spread, np.nan), unmet)

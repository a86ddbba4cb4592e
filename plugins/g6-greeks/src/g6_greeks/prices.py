"""Which price of an option its volatility is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

import numpy as np
import polars as pl

from g6_greeks.arrays import Bools, Codes, Floats
from g6_greeks.columns import Chain


class Refused(IntEnum):
    """Why there are quotes and none of them is used."""

    NO = 0
    ONE_SIDED = 1  # the mid was asked for, and the book has no two sane sides
    STALE = 2  # only a last price would do, and it is too old


@dataclass(frozen=True)
class Prices:
    """All of shape (options,). price: rupees, NaN where there is none. mid: where it is the middle of the book.

    spread: ask - bid in rupees where `mid`, else NaN. refused: a `Refused` each.
    """

    price: Floats
    mid: Bools
    spread: Floats
    refused: Codes


def choose(chain: Chain, use: str, max_spread: float, oldest: datetime | None) -> Prices:
    """use: `last`, `mid` or `auto`, which is mid where the book has two sane sides and last elsewhere.

    oldest: a last price whose quote is from before that time (UTC, aware) is not used; None: however old it is. A quote
    without the exchange's time is not old.
    """
    last = chain("last_price")
    if use == "last":
        price, mid, spread = last, np.zeros(last.shape, dtype=np.bool_), np.full(last.shape, np.nan)
    else:
        middle, mid, spread = _book(chain, max_spread)
        price = np.where(mid, middle, last if use == "auto" else np.nan)
    refused = np.zeros(last.shape, dtype=np.uint8)
    if use == "mid":
        refused[~mid & _quoted(chain)] = Refused.ONE_SIDED
    elif oldest is not None:
        old = ~mid & before(chain.options["exchange_ts"], oldest) & ~np.isnan(price)
        price, refused[old] = np.where(old, np.nan, price), Refused.STALE
    return Prices(price, mid, spread, refused)


def _book(chain: Chain, max_spread: float) -> tuple[Floats, Bools, Floats]:
    """The middle of the book, where that is sane, and its spread there."""
    bid, ask = chain("bid"), chain("ask")
    middle, spread = 0.5 * (bid + ask), ask - bid
    # The difference of two prices on ticks is off by a rounding error: 0.40 - 0.30 is more than 0.10.
    widest = np.fmax(max_spread * middle, 2.0 * chain("tick_size") + 1e-9)
    mid = (bid > 0) & (spread >= 0) & (spread <= widest)
    return middle, mid, np.where(mid, spread, np.nan)


def _quoted(chain: Chain) -> Bools:
    """True where there is a bid, an ask or a last price."""
    bid, ask, last = (chain(name) for name in ("bid", "ask", "last_price"))
    known: Bools = ~np.isnan(np.fmax(np.fmax(bid, ask), last))
    return known


def before(times: pl.Series, oldest: datetime) -> Bools:
    """True for a known time before `oldest` (UTC, aware)."""
    earlier: Bools = times.to_numpy() < np.datetime64(oldest.replace(tzinfo=None), "us")
    return earlier

"""What is wrong with the quotes of a chain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from g6_greeks.arrays import Bools, Floats, Indices, read_only
from g6_greeks.chain import loops


@dataclass(frozen=True)
class Book:
    """All of shape (options,). quoted: a last price, a bid or an ask stands. one_sided: of bid and ask one stands.

    crossed: the bid is above the ask. mid, half_spread: rupees, NaN unless both sides stand and are not crossed.
    """

    quoted: Bools
    one_sided: Bools
    crossed: Bools
    mid: Floats
    half_spread: Floats


def read_book(last_price: Floats, bid: Floats, ask: Floats) -> Book:
    """A price that is not above zero is how exchanges write none: it does not stand."""
    bought, sold = bid > 0, ask > 0
    half_spread = np.where(bought & sold & (bid <= ask), 0.5 * (ask - bid), np.nan)
    crossed = bought & sold & (bid > ask)
    return Book((last_price > 0) | bought | sold, bought ^ sold, crossed, bid + half_spread, half_spread)


def parity_broken(rows: Indices, strike: Floats, book: Book, forward: Floats, discount: Floats, slack: Floats) -> Bools:
    """Both options of a strike where call - put and discount*(forward - strike) differ by more than the half spreads
    of the two and `slack` explain. Shape (options,); False where anything of it is not known.

    Mids only: a last price is from its own moment, and off parity without being wrong. forward, discount: per expiry,
    rupees and a fraction. slack: per option, rupees.
    """
    broken = np.zeros(rows.size, dtype=np.bool_)
    loops.off_parity(*read_only(rows, strike, book.mid, book.half_spread, forward, discount, slack), broken)
    return broken


def shares(rows: Indices, quoted: Bools, flagged: Bools, expiries: int) -> tuple[Floats, Floats]:
    """Per expiry the share of contracts that are quoted, and the share of the quoted ones without a flag.

    Fractions from 0 to 1, NaN where there is nothing to count.
    """
    contracts, with_quote, sound = counts = np.zeros((3, expiries))
    loops.count_quotes(*read_only(rows, quoted, flagged), counts)
    coverage, quality = np.full((2, expiries), np.nan)
    np.divide(with_quote, contracts, out=coverage, where=contracts > 0)
    np.divide(sound, with_quote, out=quality, where=with_quote > 0)
    return coverage, quality

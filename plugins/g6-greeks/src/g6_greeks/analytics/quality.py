"""The analytic `quality`: what is wrong with each quote, and how much of a chain is sound."""

from __future__ import annotations

import numpy as np
import polars as pl

from g6_greeks.arrays import Bools, Floats
from g6_greeks.chain import Book, parity_broken, read_book, shares
from g6_greeks.columns import Chain, chain_of, columns, floats, words
from g6_greeks.prices import before
from g6_greeks.settings import QualitySettings
from g6_greeks.warm import NOBODY, NONE, NOWHERE, prepared
from g6core import Analytic, Context, Snapshot

FLAGS = ("no_quote", "stale", "one_sided", "crossed", "below_intrinsic", "parity")


def _words(code: int) -> str | None:
    return ",".join(flag for bit, flag in enumerate(FLAGS) if code >> bit & 1) or None


VOCABULARY = pl.Series("flags", [_words(code) for code in range(1 << len(FLAGS))], dtype=pl.String)
"""The words of each code, whose bit n is the flag n."""


class Quality(Analytic):
    def __init__(self, settings: QualitySettings) -> None:
        self.max_age = settings.max_age
        self.parity_ticks = settings.parity_ticks

    def open(self, context: Context) -> None:
        book = read_book(NONE, NONE, NONE)
        prepared("quality", lambda: parity_broken(NOWHERE, NONE, book, NONE, NONE, NONE))
        prepared("coverage", lambda: shares(NOWHERE, NOBODY, NOBODY, 0))

    def compute(self, snapshot: Snapshot) -> Snapshot:
        options, expiries = snapshot.options, snapshot.expiries
        chain = chain_of(snapshot)
        book = read_book(chain("last_price"), chain("bid"), chain("ask"))
        found = (
            ~book.quoted,
            before(options["exchange_ts"], snapshot.ts - self.max_age),
            book.one_sided,
            book.crossed,
            _below_intrinsic(options["iv_reason"]),
            self._parity(snapshot, chain, book),
        )
        codes = np.zeros(chain.rows.size, dtype=np.uint32)
        for bit, flag in enumerate(found):
            codes[flag] |= np.uint32(1 << bit)
        coverage, quality = shares(chain.rows, book.quoted, codes > 0, expiries.height)
        return snapshot.add(
            options=[words(VOCABULARY, codes)], expiries=columns({"coverage": coverage, "quality": quality})
        )

    def _parity(self, snapshot: Snapshot, chain: Chain, book: Book) -> Bools:
        expiries = snapshot.expiries
        # A forward that does not come from prices of the chain is no measure of them.
        guessed = np.array([source == "spot" for source in expiries["forward_source"]], dtype=np.bool_)
        forward: Floats = np.where(guessed, np.nan, floats(expiries["forward"]))
        slack = self.parity_ticks * chain("tick_size")
        return parity_broken(chain.rows, chain("strike"), book, forward, floats(expiries["discount"]), slack)


def _below_intrinsic(reason: pl.Series) -> Bools:
    if reason.null_count() == reason.len():
        return np.zeros(reason.len(), dtype=np.bool_)
    # Filling the nulls would start an engine; as numbers they are NaN.
    below: Bools = floats((reason == "below_intrinsic").cast(pl.UInt8)) > 0
    return below

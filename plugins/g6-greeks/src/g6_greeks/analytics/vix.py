"""The analytic `vix`: variance of each expiry and the 30-day volatility index."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from g6_greeks.arrays import Bools, Floats
from g6_greeks.chain import pair_forward, vix_index, vix_variance
from g6_greeks.columns import Chain, chain_of, columns, floats
from g6_greeks.settings import VixSettings
from g6_greeks.warm import NOBODY, NONE, NOWHERE, prepared
from g6core import Analytic, Context, Snapshot

MONTHLY = {"this_month", "next_month"}


class Vix(Analytic):
    def __init__(self, settings: VixSettings) -> None:
        self.settings = settings

    def open(self, context: Context) -> None:
        prepared("the variance index", lambda: vix_variance(NOWHERE, NONE, NOBODY, NONE, NONE, NONE, NONE))

    def compute(self, snapshot: Snapshot) -> Snapshot:
        chain, expiries = chain_of(snapshot), snapshot.expiries
        rows, strike = chain.rows, chain("strike")
        price = _mid(chain) if self.settings.price == "mid" else _last(chain)
        t, discount, forward = (floats(expiries[name]) for name in ("t", "discount", "forward"))
        if self.settings.forward == "cboe":
            forward = pair_forward(rows, strike, price, discount)
        strip = vix_variance(rows, strike, chain.call, price, forward, t, discount)
        added = columns({"vix_variance": strip.variance, "vix_missing": strip.missing})
        counts = pl.Series("vix_strikes", [int(n) or None for n in strip.strikes], dtype=pl.Int64)
        sound = np.where(strip.missing <= self.settings.max_missing, strip.variance, np.nan)
        chosen = self._chosen(expiries)
        index = vix_index(sound[chosen], t[chosen])
        facts = {"vix_30d": index} if math.isfinite(index) else None
        return snapshot.add(expiries=[*added, counts], facts=facts)

    def _chosen(self, expiries: pl.DataFrame) -> Bools:
        """The expiries that the index may use, shape (expiries,)."""
        if self.settings.expiries == "all":
            return np.ones(expiries.height, dtype=np.bool_)
        return np.array([not MONTHLY.isdisjoint(codes) for codes in expiries["codes"].to_list()], dtype=np.bool_)


def _mid(chain: Chain) -> Floats:
    """The middle of the book, NaN where nobody bids or the book is crossed."""
    bid, ask = chain("bid"), chain("ask")
    return np.where((bid > 0) & (ask >= bid), 0.5 * (bid + ask), np.nan)


def _last(chain: Chain) -> Floats:
    """The last price, NaN where nothing was traded today; a volume that is not known is no objection."""
    return np.where(chain("volume") == 0, np.nan, chain("last_price"))

"""The analytic `gex`: gamma exposure."""

from __future__ import annotations

import numpy as np

from g6_greeks.chain import gamma_exposure, sums_by_right
from g6_greeks.columns import chain_of, columns
from g6_greeks.warm import NOBODY, NONE, NOWHERE, prepared
from g6core import Analytic, Context, Snapshot


class GammaExposure(Analytic):
    def open(self, context: Context) -> None:
        prepared("sums", lambda: sums_by_right(NOWHERE, NOBODY, NONE, 0))

    def compute(self, snapshot: Snapshot) -> Snapshot:
        chain, expiries = chain_of(snapshot), snapshot.expiries
        spot = snapshot.facts.get("spot", np.nan)
        gex = gamma_exposure(chain.rows, chain.call, chain("gamma"), chain("oi"), spot, expiries.height)
        known = gex[~np.isnan(gex)]
        facts = {"gex": float(known.sum())} if known.size else None
        return snapshot.add(expiries=columns({"gex": gex}), facts=facts)

"""The analytic `gex`: gamma exposure."""

from __future__ import annotations

import numpy as np

from g6_greeks.chain import gamma_exposure
from g6_greeks.columns import columns, expiry_rows, floats, is_call
from g6core import Analytic, Snapshot


class GammaExposure(Analytic):
    def compute(self, snapshot: Snapshot) -> Snapshot:
        options, expiries = snapshot.options, snapshot.expiries
        gamma, oi = floats(options["gamma"]), floats(options["oi"])
        spot = snapshot.facts.get("spot", np.nan)
        gex = gamma_exposure(expiry_rows(snapshot), is_call(snapshot), gamma, oi, spot, expiries.height)
        known = gex[~np.isnan(gex)]
        facts = {**snapshot.facts, "gex": float(known.sum())} if known.size else snapshot.facts
        return snapshot.replace(expiries=expiries.hstack(columns({"gex": gex})), facts=facts)

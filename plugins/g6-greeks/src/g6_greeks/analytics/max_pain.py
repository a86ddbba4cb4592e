"""The analytic `max_pain`."""

from __future__ import annotations

from g6_greeks.chain import max_pain
from g6_greeks.columns import columns, expiry_rows, floats, is_call
from g6core import Analytic, Snapshot


class MaxPain(Analytic):
    def compute(self, snapshot: Snapshot) -> Snapshot:
        options, height = snapshot.options, snapshot.expiries.height
        strike, oi = floats(options["strike"]), floats(options["oi"])
        pain = max_pain(expiry_rows(snapshot), strike, is_call(snapshot), oi, height)
        return snapshot.replace(expiries=snapshot.expiries.hstack(columns({"max_pain": pain})))

"""The analytic `atm`: the chain at the money."""

from __future__ import annotations

from g6_greeks.chain import atm_volatility, straddle
from g6_greeks.columns import columns, expiry_rows, floats, is_call
from g6core import Analytic, Snapshot


class AtTheMoney(Analytic):
    def compute(self, snapshot: Snapshot) -> Snapshot:
        options, expiries = snapshot.options, snapshot.expiries
        chain = expiry_rows(snapshot), floats(options["strike"]), is_call(snapshot)
        iv = atm_volatility(*chain, floats(options["iv"]), floats(expiries["forward"]))
        legs = straddle(*chain, floats(options["last_price"]), floats(expiries["atm_strike"]))
        return snapshot.replace(expiries=expiries.hstack(columns({"atm_iv": iv, "straddle": legs})))

"""The analytic `atm`: the chain at the money and at 25 delta."""

from __future__ import annotations

from g6_greeks.chain import atm_volatility, expected_move, straddle, wings
from g6_greeks.columns import columns, expiry_rows, floats, is_call
from g6core import Analytic, Snapshot


class AtTheMoney(Analytic):
    def compute(self, snapshot: Snapshot) -> Snapshot:
        options, expiries = snapshot.options, snapshot.expiries
        chain = expiry_rows(snapshot), floats(options["strike"]), is_call(snapshot)
        iv, forward, t = floats(options["iv"]), floats(expiries["forward"]), floats(expiries["t"])
        atm_iv = atm_volatility(*chain, iv, forward)
        call, put = wings(*chain, iv, forward, t)
        found = {
            "atm_iv": atm_iv,
            "straddle": straddle(*chain, floats(options["last_price"]), floats(expiries["atm_strike"])),
            "expected_move": expected_move(forward, atm_iv, t),
            "rr25": call - put,
            "bf25": 0.5 * (call + put) - atm_iv,
        }
        return snapshot.replace(expiries=expiries.hstack(columns(found)))

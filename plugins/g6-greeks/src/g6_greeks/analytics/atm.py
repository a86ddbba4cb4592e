"""The analytic `atm`: the chain at the money and at 25 delta."""

from __future__ import annotations

from g6_greeks.chain import atm_volatility, expected_move, straddle, wings
from g6_greeks.columns import chain_of, columns, floats
from g6_greeks.warm import NOBODY, NONE, NOWHERE, prepared
from g6core import Analytic, Context, Snapshot


class AtTheMoney(Analytic):
    def open(self, context: Context) -> None:
        prepared("the money", lambda: atm_volatility(NOWHERE, NONE, NOBODY, NONE, NONE))
        prepared("25 delta", lambda: wings(NOWHERE, NONE, NOBODY, NONE, NONE, NONE))

    def compute(self, snapshot: Snapshot) -> Snapshot:
        chain, expiries = chain_of(snapshot), snapshot.expiries
        rows, strike, calls, iv = chain.rows, chain("strike"), chain.call, chain("iv")
        forward, t = floats(expiries["forward"]), floats(expiries["t"])
        atm_iv = atm_volatility(rows, strike, calls, iv, forward)
        call, put = wings(rows, strike, calls, iv, forward, t)
        found = {
            "atm_iv": atm_iv,
            "straddle": straddle(rows, strike, calls, chain("last_price"), floats(expiries["atm_strike"])),
            "expected_move": expected_move(forward, atm_iv, t),
            "rr25": call - put,
            "bf25": 0.5 * (call + put) - atm_iv,
        }
        return snapshot.add(expiries=columns(found))

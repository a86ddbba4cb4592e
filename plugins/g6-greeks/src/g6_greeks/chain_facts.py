"""The analytics `pcr`, `max_pain` and `atm`."""

from __future__ import annotations

from g6_greeks.chain import atm_volatility, max_pain, put_call_ratio, straddle
from g6_greeks.columns import columns, expiry_rows, floats, is_call
from g6core import Analytic, Snapshot


class PutCallRatio(Analytic):
    def compute(self, snapshot: Snapshot) -> Snapshot:
        options, height = snapshot.options, snapshot.expiries.height
        rows, call = expiry_rows(snapshot), is_call(snapshot)
        ratios = {
            f"pcr_{amount}": put_call_ratio(rows, call, floats(options[amount]), height) for amount in ("oi", "volume")
        }
        return snapshot.replace(expiries=snapshot.expiries.hstack(columns(ratios)))


class MaxPain(Analytic):
    def compute(self, snapshot: Snapshot) -> Snapshot:
        options, height = snapshot.options, snapshot.expiries.height
        strike, oi = floats(options["strike"]), floats(options["oi"])
        pain = max_pain(expiry_rows(snapshot), strike, is_call(snapshot), oi, height)
        return snapshot.replace(expiries=snapshot.expiries.hstack(columns({"max_pain": pain})))


class AtTheMoney(Analytic):
    def compute(self, snapshot: Snapshot) -> Snapshot:
        options, expiries = snapshot.options, snapshot.expiries
        chain = expiry_rows(snapshot), floats(options["strike"]), is_call(snapshot)
        iv = atm_volatility(*chain, floats(options["iv"]), floats(expiries["forward"]))
        legs = straddle(*chain, floats(options["last_price"]), floats(expiries["atm_strike"]))
        return snapshot.replace(expiries=expiries.hstack(columns({"atm_iv": iv, "straddle": legs})))

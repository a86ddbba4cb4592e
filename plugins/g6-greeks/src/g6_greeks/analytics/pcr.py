"""The analytic `pcr`: put-call ratios."""

from __future__ import annotations

from g6_greeks.chain import put_call_ratio
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

"""The analytic `pcr`: put-call ratios."""

from __future__ import annotations

from g6_greeks.chain import put_call_ratio, sums_by_right
from g6_greeks.columns import chain_of, columns
from g6_greeks.warm import NOBODY, NONE, NOWHERE, prepared
from g6core import Analytic, Context, Snapshot


class PutCallRatio(Analytic):
    def open(self, context: Context) -> None:
        prepared("sums", lambda: sums_by_right(NOWHERE, NOBODY, NONE, 0))

    def compute(self, snapshot: Snapshot) -> Snapshot:
        chain, height = chain_of(snapshot), snapshot.expiries.height
        ratios = {
            f"pcr_{amount}": put_call_ratio(chain.rows, chain.call, chain(amount), height)
            for amount in ("oi", "volume")
        }
        return snapshot.add(expiries=columns(ratios))

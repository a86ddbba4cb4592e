"""The analytic `max_pain`."""

from __future__ import annotations

from g6_greeks.chain import max_pain
from g6_greeks.columns import chain_of, columns
from g6_greeks.warm import NOBODY, NONE, NOWHERE, prepared
from g6core import Analytic, Context, Snapshot


class MaxPain(Analytic):
    def open(self, context: Context) -> None:
        prepared("max pain", lambda: max_pain(NOWHERE, NONE, NOBODY, NONE, 0))

    def compute(self, snapshot: Snapshot) -> Snapshot:
        chain, height = chain_of(snapshot), snapshot.expiries.height
        pain = max_pain(chain.rows, chain("strike"), chain.call, chain("oi"), height)
        return snapshot.add(expiries=columns({"max_pain": pain}))

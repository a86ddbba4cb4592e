"""G6 analytics: forward, implied volatility, Greeks and chain facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g6_greeks.settings import GreeksSettings
from g6core import AnalyticSpec, hookimpl

if TYPE_CHECKING:
    from g6core import Analytic, NoSettings


@hookimpl
def g6_analytics() -> list[AnalyticSpec]:
    return [
        AnalyticSpec(
            name="greeks",
            build=_greeks,
            settings=GreeksSettings,
            help="forward, implied volatility and Greeks of each option",
            adds=(
                *(f"options.{c}" for c in ("iv", "delta", "gamma", "theta", "vega", "rho", "iv_source", "iv_reason")),
                *(f"expiries.{c}" for c in ("dte", "t", "forward", "forward_source")),
            ),
        ),
        AnalyticSpec(
            name="pcr",
            build=_pcr,
            help="put-call ratio of each expiry by open interest and by volume",
            adds=("expiries.pcr_oi", "expiries.pcr_volume"),
        ),
        AnalyticSpec(
            name="max_pain",
            build=_max_pain,
            help="the strike of each expiry at which its open options would pay least",
            adds=("expiries.max_pain",),
        ),
        AnalyticSpec(
            name="atm",
            build=_atm,
            help="at-the-money volatility and straddle of each expiry",
            needs=("options.iv", "expiries.forward"),
            adds=("expiries.atm_iv", "expiries.straddle"),
        ),
    ]


def _greeks(settings: GreeksSettings) -> Analytic:
    from g6_greeks.greeks import Greeks

    return Greeks(settings)


def _pcr(settings: NoSettings) -> Analytic:
    from g6_greeks.chain_facts import PutCallRatio

    return PutCallRatio()


def _max_pain(settings: NoSettings) -> Analytic:
    from g6_greeks.chain_facts import MaxPain

    return MaxPain()


def _atm(settings: NoSettings) -> Analytic:
    from g6_greeks.chain_facts import AtTheMoney

    return AtTheMoney()

"""G6 analytics: forward, implied volatility, Greeks and chain facts."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from g6_greeks.settings import GreeksSettings
from g6core import AnalyticSpec, NoSettings, hookimpl

if TYPE_CHECKING:
    from g6core import Analytic


@hookimpl
def g6_analytics() -> list[AnalyticSpec]:
    return [
        AnalyticSpec(
            name="greeks",
            build=_analytic("greeks", "Greeks"),
            settings=GreeksSettings,
            help="forward, implied volatility and Greeks of each option",
            adds=(
                *(f"options.{c}" for c in ("iv", "delta", "gamma", "theta", "vega", "rho", "iv_source", "iv_reason")),
                *(f"expiries.{c}" for c in ("dte", "t", "forward", "forward_source")),
            ),
        ),
        AnalyticSpec(
            name="pcr",
            build=_analytic("pcr", "PutCallRatio"),
            help="put-call ratio of each expiry by open interest and by volume",
            adds=("expiries.pcr_oi", "expiries.pcr_volume"),
        ),
        AnalyticSpec(
            name="max_pain",
            build=_analytic("max_pain", "MaxPain"),
            help="the strike of each expiry at which its open options would pay least",
            adds=("expiries.max_pain",),
        ),
        AnalyticSpec(
            name="atm",
            build=_analytic("atm", "AtTheMoney"),
            help="at-the-money volatility and straddle of each expiry",
            needs=("options.iv", "expiries.forward"),
            adds=("expiries.atm_iv", "expiries.straddle"),
        ),
    ]


def _analytic(module: str, name: str) -> Callable[[Any], Analytic]:
    """Builds the class of that name in `analytics`; numpy and the compiler are imported only then."""

    def build(settings: Any) -> Analytic:
        cls = getattr(import_module(f"g6_greeks.analytics.{module}"), name)
        built: Analytic = cls() if isinstance(settings, NoSettings) else cls(settings)
        return built

    return build

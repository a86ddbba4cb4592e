"""G6 analytics: forward, implied volatility, Greeks and chain facts."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from g6_greeks.settings import GreeksSettings, QualitySettings, RealizedSettings, VixSettings
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
                *(f"options.{c}" for c in ("iv", "iv_err", "delta", "gamma", "theta", "vega", "rho")),
                *(f"options.{c}" for c in ("iv_source", "iv_reason", "iv_bid", "iv_ask")),
                *(f"expiries.{c}" for c in ("dte", "t", "discount", "forward", "forward_source", "parity_rmse")),
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
            help="volatility at the money and at 25 delta, straddle and expected move of each expiry",
            needs=("options.iv", "expiries.forward", "expiries.t"),
            adds=tuple(f"expiries.{c}" for c in ("atm_iv", "straddle", "expected_move", "rr25", "bf25")),
        ),
        AnalyticSpec(
            name="oi_change",
            build=_analytic("oi_change", "OpenInterestChange"),
            help="open interest by side, and its change since the day's first snapshot and since the last",
            adds=(
                "options.oi_change",
                "options.oi_change_day",
                *(f"expiries.{c}_{side}" for c in ("oi", "oi_change_day") for side in ("calls", "puts")),
            ),
        ),
        AnalyticSpec(
            name="gex",
            build=_analytic("gex", "GammaExposure"),
            help="gamma exposure per 1 % move, calls less puts, of each expiry and of all",
            needs=("options.gamma", "facts.spot"),
            adds=("expiries.gex", "facts.gex"),
        ),
        AnalyticSpec(
            name="quality",
            build=_analytic("quality", "Quality"),
            settings=QualitySettings,
            help="what is wrong with each quote, and how much of each expiry is quoted and sound",
            needs=("options.iv_reason", "expiries.forward", "expiries.forward_source", "expiries.discount"),
            adds=("options.flags", "expiries.coverage", "expiries.quality"),
        ),
        AnalyticSpec(
            name="vix",
            build=_analytic("vix", "Vix"),
            settings=VixSettings,
            help="model-free variance of each expiry and the 30-day volatility index, as Cboe and NSE compute it",
            needs=("expiries.forward", "expiries.t", "expiries.discount"),
            adds=("expiries.vix_variance", "expiries.vix_strikes", "expiries.vix_missing", "facts.vix_30d"),
        ),
        AnalyticSpec(
            name="realized",
            build=_analytic("realized", "Realized"),
            settings=RealizedSettings,
            help="realised volatility of the day and of the last days, and how far implied volatility is above it",
            needs=("expiries.atm_iv",),
            adds=("facts.rv_intraday", "facts.rv_daily", "expiries.iv_premium"),
        ),
        AnalyticSpec(
            name="smile",
            build=_analytic("smile", "Smile"),
            help="an SVI curve through the volatilities of each expiry, and the static arbitrage in curve and prices",
            needs=("options.iv", "options.vega", "options.iv_source", "expiries.forward", "expiries.t"),
            adds=(
                "options.iv_fit",
                "options.smile_flag",
                *(f"expiries.svi_{c}" for c in ("a", "b", "rho", "m", "sigma")),
                *(f"expiries.smile_{c}" for c in ("rmse", "points", "butterfly", "calendar", "status")),
            ),
        ),
    ]


def _analytic(module: str, name: str) -> Callable[[Any], Analytic]:
    """Builds the class of that name in `analytics`; numpy and the compiler are imported only then."""

    def build(settings: Any) -> Analytic:
        cls = getattr(import_module(f"g6_greeks.analytics.{module}"), name)
        built: Analytic = cls() if isinstance(settings, NoSettings) else cls(settings)
        return built

    return build

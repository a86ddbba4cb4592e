"""Ready-made rules over the market: each is the rule of an expression, with its thresholds as settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from g6_alerts.settings import Market, held
from g6core import AlertSpec, Duration

if TYPE_CHECKING:
    from g6_alerts.rule import Rule

MINUTE = timedelta(minutes=1)


class Windowed(Market):
    window: Duration = Field(15 * MINUTE, description="over which time", gt=timedelta(0), le=timedelta(hours=6))

    @property
    def span(self) -> str:
        """As expressions write it."""
        return f"{self.window.total_seconds():.10g}s"


class IvSpike(Windowed):
    keep_firing_for: Duration = Field(5 * MINUTE, description="it has to be false for so long before it is resolved")
    rise: float = Field(0.02, gt=0, description="rise of the at-the-money volatility, as a fraction: 0.02 are 2 points")

    def expression(self) -> str:
        return f'change(expiries.atm_iv, "{self.span}") > {self.rise!r}'


class PcrExtreme(held(2 * MINUTE, __base__=Market)):  # type: ignore[misc]
    high: float = Field(1.6, gt=0, description="put-call ratio by open interest above which it fires")
    low: float = Field(0.5, ge=0, description="and below which")

    def expression(self) -> str:
        return f"expiries.pcr_oi > {self.high!r} or expiries.pcr_oi < {self.low!r}"


class StraddleBreak(Windowed):
    keep_firing_for: Duration = Field(5 * MINUTE, description="it has to be false for so long before it is resolved")
    share: float = Field(0.2, gt=0, description="fall or rise of the at-the-money straddle, as a fraction")

    def expression(self) -> str:
        moved = f'change(expiries.straddle, "{self.span}")'
        return f"abs({moved} / (expiries.straddle - {moved})) > {self.share!r}"


class OiBuildup(Windowed):
    keep_firing_for: Duration = Field(5 * MINUTE, description="it has to be false for so long before it is resolved")
    share: float = Field(
        0.02, gt=0, description="open interest added at one option, as a fraction of that of all watched ones"
    )

    def expression(self) -> str:
        return f'change(options.oi, "{self.span}") / sum(options.oi) > {self.share!r}'


class VixJump(Windowed):
    on: list[str] | None = Field(["NIFTY"], description="the indices that it looks at; India VIX is that of NIFTY")
    keep_firing_for: Duration = Field(5 * MINUTE, description="it has to be false for so long before it is resolved")
    share: float = Field(0.05, gt=0, description="move of India VIX, as a fraction")

    def expression(self) -> str:
        moved = f'change(facts.vix, "{self.span}")'
        return f"abs({moved} / (facts.vix - {moved})) > {self.share!r}"


class MaxPainCross(Market):
    severity: Literal["info", "warning", "critical"] = Field("info", description="how bad it is")
    keep_firing_for: Duration = Field(15 * MINUTE, description="it has to be false for so long before it is resolved")

    def expression(self) -> str:
        off = "facts.spot - expiries.max_pain"
        return f"({off} > 0 and prev({off}) <= 0) or ({off} < 0 and prev({off}) >= 0)"


class ParityBreach(held(2 * MINUTE, __base__=Market)):  # type: ignore[misc]
    share: float = Field(
        0.001, gt=0, description="how far call and put prices are off parity (`parity_rmse`), as a fraction of the spot"
    )

    def expression(self) -> str:
        return f"expiries.parity_rmse / facts.spot > {self.share!r}"


@dataclass(frozen=True)
class Ready:
    """A ready-made rule: its settings, its sentence and, where it differs, how long it has to hold."""

    model: Any
    help: str
    summary: str

    def build(self, name: str) -> Callable[[Any], Rule]:
        def build(settings: Any) -> Rule:
            from g6_alerts.rule import Rule
            from g6_alerts.settings import RuleSettings

            common = settings.model_dump(include=set(Market.model_fields))
            rule = RuleSettings(**common, expr=settings.expression(), summary=self.summary)
            return Rule(rule, name, optional=True)

        return build


READY: Mapping[str, Ready] = {
    "iv_spike": Ready(
        IvSpike,
        "volatility at the money rises fast",
        "{index}: volatility at the money up by {value:.1%} to {expiries.atm_iv:.1%}",
    ),
    "pcr_extreme": Ready(
        PcrExtreme, "put-call ratio is very high or very low", "{index}: put-call ratio at {value:.2f}"
    ),
    "straddle_break": Ready(
        StraddleBreak,
        "at-the-money straddle falls or rises fast",
        "{index}: straddle moved by {value:.1%} to {expiries.straddle:.2f}",
    ),
    "oi_buildup": Ready(
        OiBuildup,
        "open interest builds up at a strike",
        "{index} {contract}: added {value:.1%} of all open interest, now {options.oi:,}",
    ),
    "vix_jump": Ready(VixJump, "India VIX moves fast", "India VIX moved by {value:.1%} to {facts.vix:.2f}"),
    "max_pain_cross": Ready(
        MaxPainCross,
        "spot goes through max pain",
        "{index}: spot {facts.spot:.2f} went through max pain {expiries.max_pain:.0f}",
    ),
    "parity_breach": Ready(
        ParityBreach,
        "calls and puts are off put-call parity",
        "{index}: calls and puts are {expiries.parity_rmse:.2f} rupees off parity, {value:.2%} of the spot",
    ),
}


def market_specs() -> list[AlertSpec]:
    return [AlertSpec(name, ready.build(name), ready.model, ready.help) for name, ready in READY.items()]

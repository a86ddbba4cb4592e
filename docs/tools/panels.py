"""What the panels of the dashboards show: kinds of questions, and the board of the market."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Panel(NamedTuple):
    """unit: as Grafana calls it. queries: PromQL, each with its legend. what: for whoever points at the panel."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]
    what: str = ""
    kind: str = "timeseries"
    width: int = 8


def of_index(name: str) -> list[tuple[str, str]]:
    return [(f'{name}{{index=~"$index"}}', "{{index}}")]


def quantile(name: str, by: str, q: float = 0.99) -> tuple[str, str]:
    labels = ", ".join(filter(None, ["le", by]))
    return (
        f"histogram_quantile({q}, sum by ({labels}) (rate({name}_bucket[$__rate_interval])))",
        " ".join([*(f"{{{{{label}}}}}" for label in by.split(", ") if label), f"p{q * 100:.0f}"]),
    )


def rate(name: str, by: str) -> list[tuple[str, str]]:
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", ") if label)
    return [(f"sum by ({by}) (rate({name}[$__rate_interval]))", legend or "all")]


def stat(title: str, unit: str, query: str, what: str = "", legend: str = "") -> Panel:
    return Panel(title, unit, [(query, legend)], what, "stat", 4)


Rows = Sequence[tuple[str, Sequence[Panel]]]
OPTIONS: Rows = (
    (
        "Now",
        (
            stat("Spot", "none", 'g6_market_spot{index=~"$index"}', legend="{{index}}"),
            stat("ATM IV", "percentunit", 'g6_market_atm_iv_ratio{index=~"$index"}', legend="{{index}}"),
            stat("PCR by open interest", "none", 'g6_market_pcr_oi_ratio{index=~"$index"}', legend="{{index}}"),
            stat("India VIX", "none", "max(g6_market_vix)"),
            stat(
                "Nearest expiry in",
                "s",
                'g6_market_expires_timestamp_seconds{index=~"$index"} - time()',
                legend="{{index}}",
            ),
            stat(
                "Simulated", "bool_yes_no", "max(g6_simulated)", "Yes: no market stands behind any number on this page."
            ),
        ),
    ),
    (
        "Levels",
        (
            Panel("Spot", "none", of_index("g6_market_spot"), "Index points."),
            Panel(
                "Forward less spot",
                "none",
                [('g6_market_forward{index=~"$index"} - g6_market_spot', "{{index}}")],
                "Index points; the forward of the nearest expiry.",
            ),
            Panel(
                "Spot less max pain",
                "none",
                [('g6_market_spot{index=~"$index"} - g6_market_max_pain', "{{index}}")],
                "Index points; where the line crosses 0, the spot went through max pain.",
            ),
        ),
    ),
    (
        "Volatility",
        (
            Panel("ATM IV", "percentunit", of_index("g6_market_atm_iv_ratio"), "Of the nearest expiry, a year."),
            Panel(
                "Risk reversal, 25 delta",
                "percentunit",
                of_index("g6_market_rr25_ratio"),
                "Volatility of the 25-delta call less that of the put.",
            ),
            Panel(
                "India VIX and 30-day index",
                "none",
                [("max(g6_market_vix)", "India VIX"), ('g6_market_vix_30d{index=~"$index"}', "{{index}}, 30 days")],
            ),
            Panel("ATM straddle", "currencyINR", of_index("g6_market_straddle_rupees"), "Of the nearest expiry."),
            Panel(
                "Expected move",
                "none",
                of_index("g6_market_expected_move"),
                "Index points until the nearest expiry.",
            ),
            Panel(
                "IV less realised volatility",
                "percentunit",
                [('g6_market_atm_iv_ratio{index=~"$index"} - g6_market_rv_intraday_ratio', "{{index}}")],
                "Above 0 options cost more than the day has moved.",
            ),
        ),
    ),
    (
        "Positions",
        (
            Panel(
                "Put-call ratio",
                "none",
                [
                    ('g6_market_pcr_oi_ratio{index=~"$index"}', "{{index}}, open interest"),
                    ('g6_market_pcr_volume_ratio{index=~"$index"}', "{{index}}, volume"),
                ],
            ),
            Panel(
                "Open interest",
                "short",
                [
                    ('g6_market_oi_calls{index=~"$index"}', "{{index}} calls"),
                    ('g6_market_oi_puts{index=~"$index"}', "{{index}} puts"),
                ],
                "Units, of the nearest expiry.",
            ),
            Panel(
                "Gamma exposure",
                "currencyINR",
                of_index("g6_market_gex_rupees"),
                "Per 1 % move, calls less puts, all recorded expiries.",
            ),
        ),
    ),
    (
        "How sound the numbers are",
        (
            Panel(
                "Coverage", "percentunit", of_index("g6_index_coverage_ratio"), "Options with a quote by all selected."
            ),
            Panel("Quality", "percentunit", of_index("g6_market_quality_ratio"), "Sound quotes of the nearest expiry."),
            Panel("Age of the newest quote", "s", of_index("g6_index_quote_age_seconds")),
        ),
    ),
)

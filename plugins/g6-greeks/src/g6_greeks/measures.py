"""What is counted of implied volatilities and forwards."""

from __future__ import annotations

from g6core import metric

PRICES = metric(
    "counter",
    "g6_greeks_options_total",
    "Options by the price that their volatility was sought from: mid, last, or none.",
    ["source"],
)
REFUSED = metric(
    "counter",
    "g6_greeks_refused_total",
    "Options without an implied volatility, by the reason in `iv_reason`.",
    ["reason"],
)
FORWARDS = metric(
    "counter", "g6_greeks_forwards_total", "Forwards of expiries by source: parity, future, spot, or none.", ["source"]
)

"""Smiles: an SVI curve through the volatilities of each expiry, and the static arbitrage in curves and in prices.

`fit_svi` and `fit_smiles` are compiled when first called, which takes some seconds once after the installation.
"""

from g6_greeks.chain.smile.prices import broken_order, calendar_broken
from g6_greeks.chain.smile.svi import (
    Smiles,
    Status,
    SviFit,
    calendar_gap,
    deviations,
    durrleman_g,
    fit_smiles,
    fit_svi,
    smile_volatility,
    svi_variance,
)

__all__ = [
    "Smiles",
    "Status",
    "SviFit",
    "broken_order",
    "calendar_broken",
    "calendar_gap",
    "deviations",
    "durrleman_g",
    "fit_smiles",
    "fit_svi",
    "smile_volatility",
    "svi_variance",
]

"""Facts of option chains, as functions of arrays, all expiries of a snapshot in one pass.

Options come sorted by expiry, strike, right; `rows` gives each option's expiry as a row number (all zeros for a single
expiry). They are over the strikes that are given, not the whole listing. NaN means not known.
"""

from g6_greeks.chain.money import atm_volatility, straddle
from g6_greeks.chain.open_interest import max_pain, put_call_ratio

__all__ = ["atm_volatility", "max_pain", "put_call_ratio", "straddle"]

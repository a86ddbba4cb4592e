"""Facts of option chains, as functions of arrays, all expiries of a snapshot in one pass.

Options come sorted by expiry, strike, right; `rows` gives each option's expiry as a row number (all zeros for a single
expiry). They are over the strikes that are given, not the whole listing. NaN means not known.
"""

from g6_greeks.chain.money import atm_volatility, expected_move, straddle, wings
from g6_greeks.chain.open_interest import gamma_exposure, max_pain, put_call_ratio, sums_by_right
from g6_greeks.chain.quality import Book, parity_broken, read_book, shares
from g6_greeks.chain.realized import last_of_minutes, realized_volatility, sound_bars, yang_zhang
from g6_greeks.chain.vix import Strip, pair_forward, vix_index, vix_variance

__all__ = [
    "Book",
    "Strip",
    "atm_volatility",
    "expected_move",
    "gamma_exposure",
    "last_of_minutes",
    "max_pain",
    "pair_forward",
    "parity_broken",
    "put_call_ratio",
    "read_book",
    "realized_volatility",
    "shares",
    "sound_bars",
    "straddle",
    "sums_by_right",
    "vix_index",
    "vix_variance",
    "wings",
    "yang_zhang",
]

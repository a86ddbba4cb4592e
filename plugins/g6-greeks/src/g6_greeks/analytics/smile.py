"""The analytic `smile`: an SVI curve through each expiry's out-of-the-money volatilities, and static arbitrage."""

from __future__ import annotations

import numpy as np
import polars as pl

from g6_greeks.arrays import Bools, Codes, Floats, Indices
from g6_greeks.chain.smile import (
    Smiles,
    Status,
    broken_order,
    calendar_broken,
    calendar_gap,
    deviations,
    fit_smiles,
    smile_volatility,
)
from g6_greeks.columns import Chain, chain_of, columns, floats, words
from g6_greeks.warm import prepared
from g6core import Analytic, Context, Snapshot

SURE = 0.1
"""A price whose half spread, or half tick, is more than this part of it does not pin its volatility down."""

STATUSES = [status.word for status in Status]
CALENDAR = 3
FLAGS = pl.Series("smile_flag", [None, "monotone", "butterfly", "calendar"], dtype=pl.String)
PARAMS = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
NAMES = (*PARAMS, "smile_rmse", "smile_butterfly", "smile_calendar", "smile_points")


class Smile(Analytic):
    def open(self, context: Context) -> None:
        prepared("the smile", _warm_up)

    def compute(self, snapshot: Snapshot) -> Snapshot:
        chain, expiries = chain_of(snapshot), snapshot.expiries
        rows, strike, call = chain.rows, chain("strike"), chain.call
        t, iv = floats(expiries["t"])[rows], chain("iv")
        price, half = _prices(chain)
        with np.errstate(all="ignore"):
            k = np.log(strike / floats(expiries["forward"])[rows])
            error = half / (100.0 * chain("vega"))
        out = np.flatnonzero(((k >= 0) == call) & np.isfinite(iv) & np.isfinite(error) & (half <= SURE * price))
        quotes = rows[out], k[out], iv[out], t[out], error[out]
        smiles = _fit(*quotes, expiries.height)
        fit = smile_volatility(smiles, rows, k, t)
        flag = broken_order(rows, strike, call, price, half)
        flag[out[_calendar(*quotes) & (flag[out] == 0)]] = CALENDAR
        return snapshot.add(
            options=[pl.Series("iv_fit", fit, nan_to_null=True), _flags(flag)],
            expiries=_facts(smiles, rows[out], fit[out] - iv[out]),
        )


def _prices(chain: Chain) -> tuple[Floats, Floats]:
    """The price behind each volatility and what it leaves open to both sides: half the spread, at least half a tick."""
    bid, ask, last = (chain(name) for name in ("bid", "ask", "last_price"))
    # 1 for mid, 0 for last, NaN for neither.
    mid = floats((chain.options["iv_source"] == "mid").cast(pl.UInt8))
    price = np.where(mid == 1, 0.5 * (bid + ask), np.where(mid == 0, last, np.nan))
    return price, np.fmax(np.where(mid == 1, 0.5 * (ask - bid), np.nan), 0.5 * chain("tick_size"))


def _fit(rows: Indices, k: Floats, iv: Floats, t: Floats, error: Floats, expiries: int) -> Smiles:
    with np.errstate(all="ignore"):
        weight = 1.0 / np.square(2.0 * iv * t * deviations(rows, k, iv, error, expiries))
    return fit_smiles(rows, k, iv * iv * t, weight, expiries)


def _calendar(rows: Indices, k: Floats, iv: Floats, t: Floats, error: Floats) -> Bools:
    return calendar_broken(rows, k, np.square(np.maximum(iv - error, 0.0)) * t, np.square(iv + error) * t)


def _facts(smiles: Smiles, rows: Indices, miss: Floats) -> list[pl.Series]:
    used = smiles.used & np.isfinite(miss)
    squares = np.bincount(rows[used], np.square(miss[used]), smiles.points.size)
    rmse, gap = np.sqrt(squares / smiles.points), calendar_gap(smiles.params, smiles.low, smiles.high)
    found = (*smiles.params, rmse, smiles.butterfly, gap, smiles.points)
    *numbers, points = columns(dict(zip(NAMES, found, strict=True)))
    status = pl.Series("smile_status", [STATUSES[code] for code in smiles.status], dtype=pl.String)
    return [*numbers, points.cast(pl.Int64), status]


def _flags(codes: Codes) -> pl.Series:
    return words(FLAGS, codes) if codes.any() else FLAGS.new_from_index(0, codes.size)


def _warm_up() -> None:
    """Calls everything that is compiled, on nothing."""
    rows, calls, none = np.zeros(0, np.intp), np.zeros(0, np.bool_), np.zeros(0)
    smiles = fit_smiles(rows, none, none, deviations(rows, none, none, none, 0), 0)
    smile_volatility(smiles, rows, none, none)
    calendar_gap(smiles.params, smiles.low, smiles.high)
    broken_order(rows, none, calls, none, none)
    calendar_broken(rows, none, none, none)

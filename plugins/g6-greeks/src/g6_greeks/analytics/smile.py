"""The analytic `smile`: an SVI curve through each expiry's out-of-the-money volatilities, and static arbitrage."""

from __future__ import annotations

import numpy as np
import polars as pl

from g6_greeks.arrays import Bools, Floats, Indices
from g6_greeks.chain.smile import (
    Smiles,
    Status,
    broken_order,
    calendar_broken,
    calendar_gap,
    deviations,
    fit_smiles,
    svi_variance,
)
from g6_greeks.columns import columns, expiry_rows, floats, is_call, words
from g6core import Analytic, Context, Snapshot

SURE = 0.1
"""A price whose half spread, or half tick, is more than this part of it does not pin its volatility down."""

STATUSES = np.array([status.word for status in Status], dtype=object)
CALENDAR = 3
FLAGS = np.array([None, "monotone", "butterfly", "calendar"], dtype=object)


class Smile(Analytic):
    def open(self, context: Context) -> None:
        # What is compiled when first called is called here, so that no cycle waits for it.
        fit_smiles(np.zeros(0, np.intp), np.zeros(0), np.zeros(0), np.zeros(0), 0)

    def compute(self, snapshot: Snapshot) -> Snapshot:
        options, expiries = snapshot.options, snapshot.expiries
        rows, strike, call = expiry_rows(snapshot), floats(options["strike"]), is_call(snapshot)
        t, iv = floats(expiries["t"])[rows], floats(options["iv"])
        k = np.log(strike / floats(expiries["forward"])[rows])
        price, half = _prices(options)
        with np.errstate(all="ignore"):
            error = half / (100.0 * floats(options["vega"]))
        out = np.flatnonzero(((k >= 0) == call) & np.isfinite(iv) & np.isfinite(error) & (half <= SURE * price))
        quotes = rows[out], k[out], iv[out], t[out], error[out]
        smiles = _fit(*quotes, expiries.height)
        fit = _volatility(smiles, rows, k, t)
        flag = broken_order(rows, strike, call, price, half)
        flag[out[_calendar(*quotes) & (flag[out] == 0)]] = CALENDAR
        return snapshot.replace(
            options=options.hstack([*columns({"iv_fit": fit}), words("smile_flag", FLAGS, flag)]),
            expiries=expiries.hstack(_facts(smiles, rows[out], fit[out] - iv[out])),
        )


def _prices(options: pl.DataFrame) -> tuple[Floats, Floats]:
    """The price behind each volatility and what it leaves open to both sides: half the spread, at least half a tick."""
    bid, ask, last = (floats(options[name]) for name in ("bid", "ask", "last_price"))
    # 1 for mid, 0 for last, NaN for neither.
    mid = floats((options["iv_source"] == "mid").cast(pl.UInt8))
    price = np.where(mid == 1, 0.5 * (bid + ask), np.where(mid == 0, last, np.nan))
    return price, np.fmax(np.where(mid == 1, 0.5 * (ask - bid), np.nan), 0.5 * floats(options["tick_size"]))


def _fit(rows: Indices, k: Floats, iv: Floats, t: Floats, error: Floats, expiries: int) -> Smiles:
    with np.errstate(all="ignore"):
        weight = 1.0 / np.square(2.0 * iv * t * deviations(rows, k, iv, error, expiries))
    return fit_smiles(rows, k, iv * iv * t, weight, expiries)


def _volatility(smiles: Smiles, rows: Indices, k: Floats, t: Floats) -> Floats:
    """The fit's volatility at every strike within the range of those used."""
    within = (k >= smiles.low[rows]) & (k <= smiles.high[rows])
    with np.errstate(all="ignore"):
        return np.sqrt(np.where(within, svi_variance(k, smiles.params[:, rows]), np.nan) / t)


def _calendar(rows: Indices, k: Floats, iv: Floats, t: Floats, error: Floats) -> Bools:
    return calendar_broken(rows, k, np.square(np.maximum(iv - error, 0.0)) * t, np.square(iv + error) * t)


def _facts(smiles: Smiles, rows: Indices, miss: Floats) -> list[pl.Series]:
    used = smiles.used & np.isfinite(miss)
    squares = np.bincount(rows[used], np.square(miss[used]), smiles.points.size)
    numbers = dict(zip(("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma"), smiles.params, strict=True)) | {
        "smile_rmse": np.sqrt(squares / smiles.points),
        "smile_butterfly": smiles.butterfly,
        "smile_calendar": calendar_gap(smiles.params, smiles.low, smiles.high),
    }
    status = pl.Series("smile_status", STATUSES[smiles.status].tolist(), dtype=pl.String)
    return [*columns(numbers), *columns({"smile_points": smiles.points}, pl.Int64), status]

"""Against what venues and other libraries published, as far as other tests do not."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from g6_greeks import black76
from g6_greeks.black76 import Status

SPX_CLOSE = 3093.08  # of 2019-11-08, the day of Cboe's file, which does not hold it


@pytest.mark.parametrize(("column", "is_call"), [("bs_call", True), ("bs_put", False)])
def test_the_prices_of_py_vollibs_table_give_back_its_volatilities(
    shared_data: Path, column: str, is_call: bool
) -> None:
    raw = json.loads((shared_data / "reference" / "py_vollib_test_data.json").read_text())
    row = {name: np.array([r[i] for r in raw["data"]]) for i, name in enumerate(raw["columns"][:-1])}
    discount, price = np.exp(-row["R"] * row["t"]), row[column]
    market = (row["S"] / discount, row["K"], row["t"], discount, row["R"], is_call)
    found = black76.iv_greeks(price, *market)
    vega = black76.greeks(row["v"], *market)["vega"]
    ok = found["status"] == Status.OK
    assert ok.sum() > 90
    # The prices are printed to about a millionth; what that is in volatility depends on vega.
    known = ok & (vega > 1)
    assert known.sum() > 60
    assert (np.abs(found["iv"] - row["v"]) * vega)[known].max() < 1e-6
    assert vega[~ok].max(initial=0.0) < 0.01, "only a price without time value is refused"


@pytest.fixture(scope="module")
def spx(shared_data: Path) -> pl.DataFrame:
    """Cboe's SPX chain of 2019-11-08: weeklies that have volatilities and quotes on both sides near the money."""
    table = pl.read_csv(
        shared_data / "venue_greeks" / "cboe_SPX_2019-11-08.csv.gz", separator=";", infer_schema_length=None
    )
    mid = {"call": (pl.col("Bid") + pl.col("Ask")) / 2, "put": (pl.nth(15) + pl.nth(16)) / 2}
    return (
        table.with_columns(pl.col("Expiration Date").str.to_date("%m/%d/%Y").alias("expiry"))
        .with_columns(parity=mid["call"] - mid["put"], days=(pl.col("expiry") - date(2019, 11, 8)).dt.total_days())
        .filter(
            pl.col("Calls").str.starts_with("SPXW"),
            pl.col("IV") > 0,
            pl.nth(15) > 0,
            pl.col("parity").abs() < 200,
            pl.col("days").is_between(20, 150),
        )
    )


def test_cboes_deltas_and_gammas_of_calls(spx: pl.DataFrame) -> None:
    """To the spot, with its forward and discount from put-call parity; volatilities have four decimals."""
    delta_gaps, gamma_gaps = [], []
    for _, chain in spx.group_by("expiry"):
        strike, t = chain["Strike"].to_numpy(), chain["days"][0] / 365
        slope, level = np.polyfit(strike, chain["parity"].to_numpy(), 1)
        forward, discount = level / -slope, -slope
        g = black76.greeks(chain["IV"].to_numpy(), forward, strike, t, discount, 0.0, True)
        growth = forward / SPX_CLOSE
        delta_gaps.append(np.abs(g["delta"] * growth - chain["Delta"].to_numpy()))
        gamma_gaps.append(np.abs(g["gamma"] * growth**2 - chain["Gamma"].to_numpy()))
    deltas, gammas = np.concatenate(delta_gaps), np.concatenate(gamma_gaps)
    assert len(deltas) > 1000
    assert np.median(deltas) < 4e-4
    assert deltas.max() < 2e-3
    assert gammas.max() < 8e-5  # four decimals in the file


def test_deribits_deltas_vegas_and_prices_of_2026(shared_data: Path) -> None:
    """Price, forward and volatility of a row are from different moments: most rows agree closely, not all."""
    table = pl.read_csv(
        shared_data / "venue_greeks" / "deribit_snapshot_20260227T042840Z.csv.gz", infer_schema_length=None
    ).filter(pl.col("time_to_maturity") > 1 / 365)
    forward, strike, t, iv = (
        table[c].to_numpy() for c in ("futures_price", "strike", "time_to_maturity", "implied_volatility")
    )
    is_call = (table["option_type"] == "call").to_numpy()
    g = black76.greeks(iv, forward, strike, t, 1.0, 0.0, is_call)
    delta_gap = np.abs(g["delta"] - table["delta"].to_numpy())
    assert len(delta_gap) > 1700
    assert np.median(delta_gap) < 5e-4
    assert np.quantile(delta_gap, 0.99) < 0.02
    vega = table["vega"].to_numpy()
    assert np.median(np.abs(g["vega"] / 100 - vega) / np.maximum(vega, 1)) < 4e-3
    price_gap = np.abs(black76.price(forward, strike, t, iv, 1.0, is_call) / forward - table["mark_price"].to_numpy())
    assert np.median(price_gap) < 3e-5


def test_deribits_prices_of_2021_give_back_its_volatilities(shared_data: Path) -> None:
    """Marks are in coin, with eight decimals; volatilities in percent with two."""
    table = pl.read_csv(shared_data / "venue_greeks" / "deribit_BTC_ticker_2021-02-11.csv.gz", infer_schema_length=None)
    name = pl.col("instrument_name").str.split("-").list
    expires = name.get(1).str.to_titlecase().str.to_datetime("%d%b%y").dt.epoch("ms") + 8 * 3_600_000
    table = table.with_columns(
        strike=name.get(2).cast(pl.Float64),
        call=name.get(3) == "C",
        t=(expires - pl.col("timestamp")) / (365 * 86_400_000),
        iv=pl.col("mark_iv") / 100,
    ).filter(pl.col("t") > 1 / 365)
    forward, strike, t, iv, mark = (
        table[c].to_numpy() for c in ("underlying_price", "strike", "t", "iv", "mark_price")
    )
    is_call = table["call"].to_numpy()
    assert np.median(np.abs(black76.price(forward, strike, t, iv, 1.0, is_call) / forward - mark)) < 1e-5
    found = black76.implied_volatility(mark * forward, forward, strike, t, 1.0, is_call)
    gap = np.abs(found["iv"] - iv)[(is_call == (strike > forward)) & (found["status"] == Status.OK)]
    assert len(gap) > 400
    assert np.median(gap) < 1.5e-4
    assert np.quantile(gap, 0.95) < 2e-3

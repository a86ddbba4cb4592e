"""Against what NSE published."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from g6_greeks.analytics.greeks import Greeks
from g6_greeks.settings import GreeksSettings

from g6core import Snapshot

IST = ZoneInfo("Asia/Kolkata")
AsSnapshot = Callable[..., Snapshot]


@pytest.fixture(scope="module")
def minutes(shared_data: Path, as_snapshot: AsSnapshot) -> list[tuple[Snapshot, pl.DataFrame]]:
    """Every eighth minute of an expiry day, with NSE's volatilities row for row."""
    day = pl.read_csv(shared_data / "minute_option_chain" / "NIFTY_2026-08-18.csv.gz").with_columns(
        pl.col("expiry").str.to_date("%d-%b-%Y"), right=pl.col("option_type"), last_price=pl.col("ltp")
    )
    found = []
    for (stamp,), chain in list(day.partition_by("timestamp", as_dict=True, maintain_order=True).items())[::8]:
        chain = chain.sort("expiry", "strike", "right")
        ts = datetime.strptime(str(stamp), "%Y%m%d%H%M").replace(tzinfo=IST).astimezone(ZoneInfo("UTC"))
        quotes = chain.select("expiry", "strike", "right", "last_price")
        found.append((as_snapshot(quotes, ts, chain["spot"][0]), chain.select("iv")))
    return found


def test_the_nse_convention_gives_nses_own_volatilities(minutes: list[tuple[Snapshot, pl.DataFrame]]) -> None:
    greeks = Greeks(GreeksSettings(convention="nse"))
    gaps = []
    for snapshot, published in minutes:
        options = greeks.compute(snapshot).options.with_columns(published=published["iv"])
        near = (pl.col("expiry") == date(2026, 8, 25)) & ((pl.col("strike") - snapshot.facts["spot"]).abs() <= 500)
        gaps.append(options.filter(near).select((pl.col("iv") * 100 - pl.col("published")).abs()).to_series())
    gap = pl.concat(gaps).drop_nulls()
    assert gap.len() > 1000
    assert gap.median() <= 0.25


def test_the_forward_from_recorded_last_prices_is_as_calm_as_the_spot(
    minutes: list[tuple[Snapshot, pl.DataFrame]],
) -> None:
    greeks = Greeks(GreeksSettings())
    results = [greeks.compute(snapshot) for snapshot, _ in minutes]
    assert all(r.expiries["forward_source"].to_list() == ["parity"] * 4 for r in results)
    basis = pl.Series([r.expiries["forward"][1] - r.facts["spot"] for r in results])
    assert 0 < basis.median() < 80
    assert basis.std() < 10


@pytest.mark.parametrize("name", ["NIFTY_2025-07-17_1530", "FINNIFTY_2025-07-17_1530", "BANKNIFTY_2023-05-03_1530"])
def test_the_nse_convention_on_nses_option_chain(shared_data: Path, as_snapshot: AsSnapshot, name: str) -> None:
    records = json.loads(gzip.decompress((shared_data / "nse_option_chain" / f"{name}.json.gz").read_bytes()))[
        "records"
    ]
    rows = [
        (entry["expiryDate"], float(entry["strikePrice"]), right, float(entry[right]["lastPrice"]), *traded)
        for entry in records["data"]
        for right in ("CE", "PE")
        if right in entry
        for traded in [(float(entry[right]["totalTradedVolume"]), float(entry[right]["impliedVolatility"]))]
    ]
    columns = ["expiry", "strike", "right", "last_price", "volume", "published"]
    chain = pl.DataFrame(rows, schema=columns, orient="row").with_columns(pl.col("expiry").str.to_date("%d-%b-%Y"))
    chain = chain.sort("expiry", "strike", "right")
    ts = datetime.strptime(records["timestamp"], "%d-%b-%Y %H:%M:%S").replace(tzinfo=IST).astimezone(ZoneInfo("UTC"))
    spot = records["underlyingValue"]
    result = Greeks(GreeksSettings(convention="nse")).compute(as_snapshot(chain.drop("volume", "published"), ts, spot))
    options = result.options.with_columns(chain["published"], traded=chain["volume"])
    week, quarter = ts.date().toordinal() + 2, ts.date().toordinal() + 60
    liquid = options.filter(
        pl.col("published") > 0,
        pl.col("traded") > 100,
        ((pl.col("strike") / spot).log().abs() < 0.04),
        pl.col("expiry").is_between(date.fromordinal(week), date.fromordinal(quarter)),
    )
    assert liquid.height > 20
    assert (liquid["iv"] * 100 - liquid["published"]).abs().median() <= 0.25

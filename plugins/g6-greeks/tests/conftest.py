"""Recorded data and chains that are priced by the model itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from g6_greeks import black76

from g6core import Snapshot
from g6core.exchange import Calendar
from g6core.snapshot import EXPIRIES, OPTIONS, conform

RATE = 0.065
NOW = datetime(2026, 11, 17, 5, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    repository = Path(__file__).parents[3]
    place = Path(os.environ.get("G6_SHARED_DATA") or repository.parent / "shared" / "data")
    if not place.is_dir():
        pytest.skip(f"no recorded market data at {place}; set G6_SHARED_DATA")
    return place


@pytest.fixture(scope="session")
def as_snapshot() -> Callable[..., Snapshot]:
    """`as_snapshot(options, ts, spot)`: a snapshot of rows with expiry, strike, right and some quotes."""
    calendar = Calendar.load()

    def made(options: pl.DataFrame, ts: datetime, spot: float | None) -> Snapshot:
        dates = options["expiry"].unique().sort().to_list()
        strikes = options["strike"].unique()
        atm = None if spot is None else strikes[(strikes - spot).abs().arg_min() or 0]
        closes = [calendar.closes_at("NFO", day) for day in dates]
        expiries = pl.DataFrame({"expiry": dates, "expires_at": closes, "atm_strike": [atm] * len(dates)})
        return Snapshot(
            "NIFTY",
            ts,
            "recorded",
            conform(options, OPTIONS, who="test").sort("expiry", "strike", "right"),
            conform(expiries, EXPIRIES, who="test"),
            {} if spot is None else {"spot": spot},
        )

    return made


@pytest.fixture
def market(as_snapshot: Callable[..., Snapshot]) -> Callable[..., Snapshot]:
    """`market(carry=…)`: NIFTY, 41 strikes and two expiries, with prices, bids and asks exactly around the model's."""

    def made(
        spot: float = 24012.0,
        carry: float = 0.05,
        rate: float = RATE,
        ts: datetime = NOW,
        expiries: Sequence[date] = (date(2026, 11, 23), date(2026, 12, 29)),
        half_spread: float = 0.05,
    ) -> Snapshot:
        strikes = [23000.0 + 50 * i for i in range(41)]
        rows = [(day, strike, right) for day in expiries for strike in strikes for right in ("CE", "PE")]
        options = pl.DataFrame(rows, schema=["expiry", "strike", "right"], orient="row")
        blank = as_snapshot(options.with_columns(tick_size=0.05), ts, spot)
        t = np.repeat(years(blank), len(strikes) * 2)
        strike, call = blank.options["strike"].to_numpy(), (blank.options["right"] == "CE").to_numpy()
        forward = spot * np.exp(carry * t)
        iv = 0.12 + 0.4 * np.log(strike / forward) ** 2
        value = black76.price(forward, strike, t, iv, np.exp(-rate * t), call)
        quotes = {"last_price": value, "bid": value - half_spread, "ask": value + half_spread}
        return blank.replace(options=blank.options.with_columns(**{n: pl.Series(v) for n, v in quotes.items()}))

    return made


def years(snapshot: Snapshot) -> np.ndarray:
    left = snapshot.expiries["expires_at"] - snapshot.ts
    return left.dt.total_microseconds().to_numpy() / (365 * 86400e6)

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from g6_greeks.analytics.greeks import Greeks
from g6_greeks.settings import GreeksSettings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g6core import Snapshot

Market = Callable[..., Snapshot]
SPOT, CARRY, RATE = 24012.0, 0.05, 0.065


def years(snapshot: Snapshot) -> np.ndarray:
    left = snapshot.expiries["expires_at"] - snapshot.ts
    return left.dt.total_microseconds().to_numpy() / (365 * 86400e6)


def forwards(snapshot: Snapshot, **chosen: object) -> tuple[np.ndarray, list[str | None]]:
    expiries = Greeks(GreeksSettings(**chosen)).compute(snapshot).expiries
    return expiries["forward"].to_numpy(), expiries["forward_source"].to_list()


def truth(snapshot: Snapshot, carry: float = CARRY) -> np.ndarray:
    return SPOT * np.exp(carry * years(snapshot))


def change(snapshot: Snapshot, strike: float, right: str, **columns: pl.Expr) -> Snapshot:
    """The contracts of one strike and right with other quotes."""
    here = (pl.col("strike") == strike) & (pl.col("right") == right)
    new = {name: pl.when(here).then(value).otherwise(pl.col(name)) for name, value in columns.items()}
    return snapshot.replace(options=snapshot.options.with_columns(**new))


def test_parity_finds_the_forward_that_the_spot_does_not_know(market: Market) -> None:
    found, source = forwards(market())
    assert found == pytest.approx(truth(market()), abs=1e-6)
    assert source == ["parity", "parity"]


def test_parity_works_from_last_prices_alone(market: Market) -> None:
    snapshot = market()
    blind = snapshot.replace(options=snapshot.options.with_columns(bid=pl.lit(None), ask=pl.lit(None)))
    assert forwards(blind)[0] == pytest.approx(truth(snapshot), abs=1e-6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([23850.0, 23900.0, 23950.0, 24000.0, 24050.0, 24100.0, 24150.0]),
    st.sampled_from(["CE", "PE"]),
    st.floats(-0.9, 10.0),
    st.booleans(),
)
def test_a_stale_leg_does_not_bend_it(market: Market, strike: float, right: str, error: float, last: bool) -> None:
    snapshot = change(
        market(),
        strike,
        right,
        last_price=pl.col("last_price") * (1 + error),
        bid=None if last else pl.col("bid") * (1 + error),
        ask=None if last else pl.col("ask") * (1 + error),
    )
    assert np.abs(forwards(snapshot)[0] - truth(snapshot)).max() < 0.05


def test_three_stale_legs_among_noise_do_not_bend_it(market: Market) -> None:
    snapshot = market(half_spread=0.5)
    noise = pl.Series(np.random.default_rng(7).uniform(-0.5, 0.5, snapshot.options.height))
    snapshot = snapshot.replace(options=snapshot.options.with_columns(pl.col("bid", "ask") + noise))
    for strike in (23900.0, 24000.0, 24100.0):
        snapshot = change(snapshot, strike, "CE", bid=pl.col("bid") + 40, ask=pl.col("ask") + 40)
    assert np.abs(forwards(snapshot)[0] - truth(snapshot)).max() < 0.7


def test_a_wide_spread_counts_less_than_a_narrow_one(market: Market) -> None:
    snapshot = market()
    for strike in (23900.0, 23950.0, 24050.0):
        snapshot = change(snapshot, strike, "CE", ask=pl.col("ask") + 3.0)
    assert np.abs(forwards(snapshot)[0] - truth(snapshot)).max() < 0.01


def test_another_interest_rate_in_the_market_does_not_move_it(market: Market) -> None:
    snapshot = market(rate=0.12)
    assert forwards(snapshot, rate=RATE)[0] == pytest.approx(truth(snapshot), abs=1e-6)


def test_fewer_than_three_strikes_with_both_legs_leave_the_spot(market: Market) -> None:
    snapshot = market()
    snapshot = snapshot.replace(options=snapshot.options.filter(pl.col("strike").is_in([24000.0, 24050.0])))
    found, source = forwards(snapshot)
    assert found == pytest.approx(truth(snapshot, RATE), abs=1e-9)
    assert source == ["spot", "spot"]


def test_prices_that_do_not_keep_parity_leave_the_spot(market: Market) -> None:
    snapshot = market()
    flat = snapshot.replace(
        options=snapshot.options.with_columns(pl.lit(100.0).alias(c) for c in ("last_price", "bid", "ask"))
    )
    assert forwards(flat)[1] == ["spot", "spot"]


def test_without_strikes_and_spot_there_is_no_forward(market: Market) -> None:
    snapshot = market()
    bare = snapshot.replace(
        facts={}, options=snapshot.options.with_columns(pl.lit(None).alias(c) for c in ("last_price", "bid", "ask"))
    )
    result = Greeks(GreeksSettings()).compute(bare)
    assert result.expiries["forward"].null_count() == 2
    assert result.expiries["forward_source"].to_list() == [None, None]
    assert result.options["iv_reason"].unique().to_list() == ["nan"]


def test_an_expiry_without_quotes_does_not_touch_the_other(market: Market) -> None:
    snapshot = market()
    first = pl.col("expiry") == snapshot.expiries["expiry"][0]
    half = snapshot.replace(
        options=snapshot.options.with_columns(
            pl.when(first).then(None).otherwise(pl.col(c)).alias(c) for c in ("last_price", "bid", "ask")
        )
    )
    found, source = forwards(half)
    assert source == ["spot", "parity"]
    assert found[1] == forwards(snapshot)[0][1]

from __future__ import annotations

from collections.abc import Callable
from datetime import date

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
    # A trifle of the tilt is taken for noise: prices on ticks could not show it.
    assert forwards(snapshot, rate=RATE)[0] == pytest.approx(truth(snapshot), abs=0.002)


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


PRICES = ("last_price", "bid", "ask")


def unquoted(snapshot: Snapshot, expiry: int) -> Snapshot:
    """Without any price of that expiry."""
    there = pl.col("expiry") == snapshot.expiries["expiry"][expiry]
    blanked = [pl.when(~there).then(pl.col(name)).alias(name) for name in PRICES]
    return snapshot.replace(options=snapshot.options.with_columns(blanked))


def with_future(snapshot: Snapshot, *prices: float | None) -> Snapshot:
    future = pl.Series("future", prices, dtype=pl.Float64)
    return snapshot.replace(expiries=snapshot.expiries.with_columns(future))


def late_calls(market: Market, move: float) -> Snapshot:
    """The whole call side from before the spot moved."""
    before, now = market(spot=SPOT - move), market()
    is_call = pl.col("right") == "CE"
    late = [pl.when(is_call).then(before.options[name]).otherwise(pl.col(name)).alias(name) for name in PRICES]
    return now.replace(options=now.options.with_columns(late))


def test_without_parity_the_listed_future_of_the_expiry_is_the_forward(market: Market) -> None:
    snapshot = with_future(unquoted(unquoted(market(), 0), 1), None, 24135.5)
    found, source = forwards(snapshot)
    assert source == ["spot", "future"]
    assert found[1] == 24135.5
    assert found[0] == pytest.approx(truth(snapshot, RATE)[0])


def test_parity_outranks_the_future(market: Market) -> None:
    found, source = forwards(with_future(market(), 1.0, 1.0))
    assert source == ["parity", "parity"]
    assert found == pytest.approx(truth(market()), abs=1e-6)


def test_the_nse_convention_takes_the_spot_whatever_the_future_is(market: Market) -> None:
    assert forwards(with_future(market(), 1.0, 1.0), convention="nse")[1] == ["spot", "spot"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_up_to_five_of_twelve_strikes_may_be_wrong_by_whatever_they_like(market: Market, data: st.DataObject) -> None:
    snapshot = market(expiries=[date(2026, 12, 29)])
    strikes = data.draw(st.lists(st.sampled_from(range(23900, 24401, 50)), min_size=1, max_size=5, unique=True))
    for strike in strikes:
        error = data.draw(st.floats(3.0, 500.0)) * data.draw(st.sampled_from([-1, 1]))
        right = data.draw(st.sampled_from(["CE", "PE"]))
        wrong = (pl.col("last_price") + error).clip(0.05)
        snapshot = change(snapshot, float(strike), right, last_price=wrong, bid=wrong - 0.05, ask=wrong + 0.05)
    found, source = forwards(snapshot)
    assert source == ["parity"]
    assert abs(found[0] - truth(snapshot)[0]) < 0.1


@pytest.mark.parametrize(("move", "seen"), [(-150.0, 2), (-60.0, 1), (60.0, 1), (150.0, 2)])
def test_a_whole_side_that_is_late_is_no_parity(market: Market, move: float, seen: int) -> None:
    # The further the expiry, the less do neighbouring strikes differ in what they missed.
    assert forwards(late_calls(market, move))[1][:seen] == ["spot"] * seen


def test_a_side_that_is_late_by_a_moment_is_still_nearer_than_nothing(market: Market) -> None:
    found, source = forwards(late_calls(market, 5.0))
    assert source == ["parity", "parity"]
    assert np.abs(found - truth(market())).max() < 5.0


def test_last_prices_that_are_known_to_be_old_are_not_asked(market: Market) -> None:
    snapshot = late_calls(market, 15.0)
    age = pl.when(pl.col("right") == "CE").then(pl.duration(minutes=16)).otherwise(pl.duration(seconds=1))
    blind = snapshot.options.with_columns(bid=None, ask=None, exchange_ts=pl.lit(snapshot.ts) - age)
    dated = with_future(snapshot.replace(options=blind), None, 24135.5)
    assert forwards(dated)[1] == ["spot", "future"]
    assert forwards(dated, max_age="17m")[1] == ["parity", "parity"]


@pytest.mark.parametrize("first", [23600.0, 24300.0])
def test_three_imprecise_strikes_off_the_money_do_not_run_away_with_it(market: Market, first: float) -> None:
    snapshot = market(half_spread=2.0)
    strikes = pl.col("strike").is_in([first, first + 50, first + 100])
    few = snapshot.replace(options=snapshot.options.filter(strikes))
    bent = change(few, first, "CE", bid=pl.col("bid") + 2.0, ask=pl.col("ask") + 2.0)
    found, source = forwards(bent)
    assert source == ["parity", "parity"]
    assert np.abs(found - truth(few)).max() < 2.0


def test_calls_without_puts_leave_the_spot(market: Market) -> None:
    snapshot = market()
    calls = snapshot.replace(options=snapshot.options.filter(pl.col("right") == "CE"))
    assert forwards(calls)[1] == ["spot", "spot"]


def test_a_strike_that_is_listed_twice_pairs_a_call_with_a_put(market: Market) -> None:
    snapshot = market()
    twice = pl.concat([snapshot.options, snapshot.options]).sort("expiry", "strike", "right")
    assert forwards(snapshot.replace(options=twice))[0] == pytest.approx(truth(snapshot), abs=1e-6)


def test_the_residual_is_that_of_the_strikes_used(market: Market) -> None:
    def rmse(snapshot: Snapshot) -> list[float | None]:
        return Greeks(GreeksSettings()).compute(snapshot).expiries["parity_rmse"].to_list()

    snapshot = market()
    assert rmse(snapshot) == pytest.approx([0.0, 0.0], abs=1e-3)
    assert rmse(unquoted(snapshot, 0))[0] is None
    # A call is dearer by 0.2 at every other strike, so parity is missed by 0.1 at each.
    odd = (pl.col("right") == "CE") & (pl.col("strike") % 100 == 0)
    raised = [pl.when(odd).then(pl.col(name) + 0.2).otherwise(pl.col(name)).alias(name) for name in PRICES]
    zigzag = snapshot.replace(options=snapshot.options.with_columns(raised))
    assert rmse(zigzag) == pytest.approx([0.1, 0.1], abs=0.01)
    spoiled = change(zigzag, 24050.0, "PE", bid=pl.col("bid") + 80.0, ask=pl.col("ask") + 80.0)
    assert rmse(spoiled) == pytest.approx([0.1, 0.1], abs=0.01)


@pytest.mark.filterwarnings("error")
def test_an_expired_expiry_has_neither_forward_nor_discount(market: Market) -> None:
    snapshot = with_future(market(), 24012.0, 24135.5)
    expiries = Greeks(GreeksSettings()).compute(snapshot.replace(ts=snapshot.expiries["expires_at"][0])).expiries
    for name in ("forward", "forward_source", "discount", "parity_rmse"):
        assert expiries[name].is_null().to_list() == [True, False], name

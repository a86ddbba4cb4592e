from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from g6_greeks import black76
from g6_greeks.analytics.atm import AtTheMoney
from g6_greeks.analytics.greeks import Greeks
from g6_greeks.settings import GreeksSettings
from pydantic import ValidationError

from g6core import Snapshot

Market = Callable[..., Snapshot]
EXPIRY_DAY = date(2026, 11, 23)
RATE = 0.065


def years(snapshot: Snapshot) -> np.ndarray:
    left = snapshot.expiries["expires_at"] - snapshot.ts
    return left.dt.total_microseconds().to_numpy() / (365 * 86400e6)


def computed(snapshot: Snapshot, **chosen: object) -> Snapshot:
    return Greeks(GreeksSettings(**chosen)).compute(snapshot)


def with_first_row(snapshot: Snapshot, **values: float | None) -> Snapshot:
    first = pl.int_range(pl.len()) == 0
    return snapshot.replace(
        options=snapshot.options.with_columns(
            pl.when(first).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in values.items()
        )
    )


def test_volatilities_of_the_market_come_back(market: Market) -> None:
    options = computed(market()).options
    forward = computed(market()).expiries["forward"].to_numpy()
    sure = options["delta"].abs().is_between(0.02, 0.98)
    truth = 0.12 + 0.4 * np.log(options["strike"].to_numpy() / np.repeat(forward, 82)) ** 2
    assert (options["iv"] - pl.Series(truth)).abs().filter(sure).max() < 1e-9
    assert options["iv_source"].unique().to_list() == ["mid"]


def test_greeks_come_in_the_units_of_a_trader(market: Market) -> None:
    snapshot = computed(market())
    row = snapshot.options.row(82 + 41, named=True)
    forward, t = snapshot.expiries["forward"][1], snapshot.expiries["t"][1]
    raw = black76.greeks(row["iv"], forward, row["strike"], t, np.exp(-RATE * t), RATE, row["right"] == "CE")
    assert row["delta"] == pytest.approx(raw["delta"])
    assert row["gamma"] == pytest.approx(raw["gamma"])
    assert row["theta"] == pytest.approx(raw["theta"] / 365)
    assert row["vega"] == pytest.approx(raw["vega"] / 100)
    assert row["rho"] == pytest.approx(raw["rho"] / 100)


def test_delta_to_the_spot_is_the_slope_along_the_spot(market: Market) -> None:
    snapshot = market(carry=RATE)
    by_spot = computed(snapshot, delta="spot").options
    t = np.repeat(years(snapshot), 82)
    strike, call, iv = (by_spot[c].to_numpy() for c in ("strike", "right", "iv"))
    known = np.isfinite(iv)

    def value(spot: float, t: np.ndarray, rate: float) -> np.ndarray:
        return black76.price(spot * np.exp(rate * t), strike, t, iv, np.exp(-rate * t), call == "CE")

    slopes = {
        "delta": (value(24013.0, t, RATE) - value(24011.0, t, RATE)) / 2,
        "gamma": value(24013.0, t, RATE) - 2 * value(24012.0, t, RATE) + value(24011.0, t, RATE),
        "theta": (value(24012.0, t - 1e-6, RATE) - value(24012.0, t + 1e-6, RATE)) / 2e-6 / 365,
        "rho": (value(24012.0, t, RATE + 1e-5) - value(24012.0, t, RATE - 1e-5)) / 2e-5 / 100,
    }
    for name, expected in slopes.items():
        assert by_spot[name].to_numpy()[known] == pytest.approx(expected[known], rel=1e-3, abs=2e-5), name


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"last_price": None}, "nan"),
        ({"last_price": 0.0}, "non_positive"),
        ({"last_price": -5.0}, "non_positive"),
        ({"last_price": 900.0}, "below_intrinsic"),
        ({"last_price": 30000.0}, "above_maximum"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_bad_price_is_null_with_a_reason_and_touches_no_neighbour(
    market: Market, values: dict[str, float | None], reason: str
) -> None:
    good = computed(market(), price="last").options
    bad = computed(with_first_row(market(), **values), price="last").options
    assert bad["iv_reason"][0] == reason
    assert bad.row(0, named=True)["iv"] is None
    assert bad.row(0, named=True)["rho"] is None
    assert bad[1:].equals(good[1:])


def test_auto_takes_the_mid_of_a_sane_book_and_else_the_last_price(market: Market) -> None:
    def source(**values: float | None) -> str | None:
        return computed(with_first_row(market(), **values)).options["iv_source"][0]

    assert source() == "mid"
    assert source(bid=None) == "last"
    assert source(bid=0.0) == "last"
    assert source(bid=1100.0, ask=1000.0) == "last"
    assert source(bid=800.0, ask=1200.0) == "last"
    assert source(bid=0.05, ask=0.15) == "mid"
    assert source(bid=None, last_price=None) is None


def test_mid_alone_says_one_sided_where_there_is_no_mid(market: Market) -> None:
    options = computed(with_first_row(market(), bid=None), price="mid").options
    assert options.row(0, named=True)["iv_reason"] == "one_sided"
    assert options.row(0, named=True)["iv_source"] is None
    nothing = computed(with_first_row(market(), bid=None, ask=None, last_price=None), price="mid").options
    assert nothing["iv_reason"][0] == "nan"


def test_time_runs_to_the_second_of_the_close(market: Market) -> None:
    closes = market().expiries["expires_at"][0]
    last_second = market(spot=24000.2, ts=closes - timedelta(seconds=1))
    result = computed(last_second)
    assert result.expiries["t"][0] == pytest.approx(1 / (365 * 86400))
    assert result.expiries["dte"].to_list() == [0, 36]
    near = result.options.filter((pl.col("expiry") == EXPIRY_DAY) & (pl.col("strike") == 24000))
    assert near["iv"].to_list() == pytest.approx([0.12, 0.12], abs=1e-4)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("late", [timedelta(0), timedelta(hours=2)])
def test_at_the_close_an_option_is_expired_and_the_next_expiry_goes_on(market: Market, late: timedelta) -> None:
    at_close = market().replace(ts=market().expiries["expires_at"][0] + late)
    result = AtTheMoney().compute(computed(at_close))
    for day, options in result.options.partition_by("expiry", as_dict=True).items():
        expired = day == (EXPIRY_DAY,)
        assert (options["iv_reason"] == "expired").any() == expired
        assert (options["iv"].null_count() == options.height) == expired
    assert result.expiries["atm_iv"].is_null().to_list() == [True, False]


def test_days_are_counted_in_india(market: Market) -> None:
    before_midnight = datetime(2026, 11, 17, 18, 29, tzinfo=UTC)
    assert computed(market().replace(ts=before_midnight)).expiries["dte"].to_list() == [6, 42]
    assert computed(market().replace(ts=before_midnight + timedelta(minutes=1))).expiries["dte"].to_list() == [5, 41]


def test_nse_is_black_scholes_on_the_spot_at_ten_percent_in_whole_days(market: Market) -> None:
    snapshot = computed(market(), convention="nse")
    t = np.array([6, 42]) / 365
    assert snapshot.expiries["t"].to_numpy() == pytest.approx(t)
    assert snapshot.expiries["forward"].to_numpy() == pytest.approx(24012.0 * np.exp(0.10 * t))
    assert snapshot.expiries["forward_source"].to_list() == ["spot", "spot"]
    row = snapshot.options.row(82 + 41, named=True)
    forward = 24012.0 * np.exp(0.10 * t[1])
    back = black76.price(forward, row["strike"], t[1], row["iv"], np.exp(-0.10 * t[1]), row["right"] == "CE")
    assert back == pytest.approx(row["last_price"])
    assert snapshot.options["iv_source"].unique().to_list() == ["last"]


@pytest.mark.parametrize("chosen", [{"rate": 0.07}, {"price": "mid"}, {"delta": "forward"}])
def test_nse_leaves_nothing_to_choose(chosen: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=f"fixes {next(iter(chosen))}"):
        GreeksSettings(convention="nse", **chosen)


def test_a_column_that_is_there_already_is_refused(market: Market) -> None:
    with pytest.raises(pl.exceptions.DuplicateError):
        computed(computed(market()))

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
CENTRE = 40
"""The row of a call at the money."""


def years(snapshot: Snapshot) -> np.ndarray:
    left = snapshot.expiries["expires_at"] - snapshot.ts
    return left.dt.total_microseconds().to_numpy() / (365 * 86400e6)


def computed(snapshot: Snapshot, **chosen: object) -> Snapshot:
    return Greeks(GreeksSettings(**chosen)).compute(snapshot)


def with_row(snapshot: Snapshot, row: int, **values: float | None) -> Snapshot:
    here = pl.int_range(pl.len()) == row
    changed = [
        pl.when(here).then(pl.lit(value, pl.Float64)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    ]
    return snapshot.replace(options=snapshot.options.with_columns(changed))


def with_first_row(snapshot: Snapshot, **values: float | None) -> Snapshot:
    return with_row(snapshot, 0, **values)


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


def rows_of(snapshot: Snapshot, **chosen: object) -> list[tuple[float | None, str | None, str | None]]:
    return list(computed(snapshot, **chosen).options.select("iv", "iv_source", "iv_reason").iter_rows())


def test_iv_err_is_what_half_a_tick_does_to_the_volatility(market: Market) -> None:
    snapshot = market()
    up = snapshot.replace(options=snapshot.options.with_columns(last_price=pl.col("last_price") + 0.025))
    plain, raised = (computed(s, price="last").options for s in (snapshot, up))
    sure = plain["delta"].abs().is_between(0.2, 0.8)
    moved = raised["iv"] - plain["iv"]
    assert sure.sum() > 20
    assert moved.filter(sure).to_list() == pytest.approx(plain["iv_err"].filter(sure).to_list(), rel=0.03)
    assert (plain["iv_err"].is_null() == plain["iv"].is_null()).all()


def test_iv_err_is_large_where_a_quote_carries_no_volatility(market: Market) -> None:
    options = computed(market()).options.filter(pl.col("iv").is_not_null())
    near = options.filter(pl.col("delta").abs().is_between(0.3, 0.7))
    deep = options.filter(pl.col("delta").abs() > 0.985)
    assert deep.height
    assert deep["iv_err"].min() > 10 * near["iv_err"].max()


def test_iv_err_is_absent_where_the_tick_is_not_known(market: Market) -> None:
    row = computed(with_row(market(), CENTRE, tick_size=None)).options.row(CENTRE, named=True)
    assert row["iv"] is not None and row["iv_err"] is None
    assert computed(market()).options["iv_err"][CENTRE] is not None


def test_bid_and_ask_have_volatilities_of_their_own_on_request(market: Market) -> None:
    snapshot = with_first_row(market(half_spread=0.5), bid=None)
    options = computed(snapshot, bid_ask=True).options
    between = options.filter(pl.col("delta").abs().is_between(0.05, 0.95))
    assert (between["iv_bid"] < between["iv"]).all() and (between["iv"] < between["iv_ask"]).all()
    width = between["iv_ask"] - between["iv_bid"]
    assert width.to_list() == pytest.approx((0.01 / between["vega"]).to_list(), rel=0.05)
    assert options["iv_bid"][0] is None
    assert not {"iv_bid", "iv_ask"} & set(computed(snapshot).options.columns)


def test_the_discount_factor_is_that_of_the_rate(market: Market) -> None:
    expiries = computed(market(), rate=0.08).expiries
    assert expiries["discount"].to_list() == pytest.approx((-0.08 * expiries["t"]).exp().to_list())


@pytest.mark.parametrize(
    ("age", "values", "expected"),
    [
        (timedelta(minutes=15), {"bid": None}, ("last", None)),
        (timedelta(minutes=15, seconds=1), {"bid": None}, (None, "stale")),
        (timedelta(minutes=15, seconds=1), {"bid": None, "last_price": None}, (None, "nan")),
        (timedelta(minutes=15, seconds=1), {}, ("mid", None)),
        (timedelta(seconds=-5), {"bid": None}, ("last", None)),
        (None, {"bid": None}, ("last", None)),
    ],
)
def test_an_old_last_price_is_stale_and_a_mid_never_is(
    market: Market, age: timedelta | None, values: dict[str, None], expected: tuple[str | None, str | None]
) -> None:
    snapshot = with_row(market(), CENTRE, **values)
    stamp = pl.lit(None, pl.Datetime("us", "UTC")) if age is None else pl.lit(snapshot.ts - age)
    dated = snapshot.replace(options=snapshot.options.with_columns(exchange_ts=stamp))
    iv, source, reason = rows_of(dated)[CENTRE]
    assert (source, reason) == expected
    assert (iv is None) == (reason is not None)


def test_how_old_is_too_old_can_be_set_and_nse_asks_for_no_age(market: Market) -> None:
    snapshot = market()
    old = snapshot.replace(options=snapshot.options.with_columns(exchange_ts=pl.lit(snapshot.ts - timedelta(hours=1))))
    assert {reason for _, _, reason in rows_of(old, price="last")} == {"stale"}
    assert rows_of(old, price="last", max_age="1h")[CENTRE][2] is None
    assert rows_of(old, convention="nse")[CENTRE][2] is None
    with pytest.raises(ValidationError, match="fixes max_age"):
        GreeksSettings(convention="nse", max_age="1h")


@pytest.mark.filterwarnings("error")
def test_of_several_reasons_the_first_counts(market: Market) -> None:
    """expired, stale or one_sided, nan, non_positive, below_intrinsic, above_maximum."""
    old, close = market().ts - timedelta(hours=1), market().expiries["expires_at"][0]

    def reason(
        ts: datetime | None = None, use: str = "last", stamp: datetime | None = None, **values: float | None
    ) -> str:
        row = with_row(market(), CENTRE, **values)
        dated = row.options.with_columns(exchange_ts=pl.lit(stamp, pl.Datetime("us", "UTC")))
        return str(rows_of(row.replace(ts=ts or row.ts, options=dated), price=use)[CENTRE][2])

    assert reason(last_price=1e6) == "above_maximum"
    assert reason(strike=20000.0, last_price=0.05) == "below_intrinsic"
    assert reason(strike=20000.0, last_price=-1.0) == "non_positive"
    assert reason(strike=20000.0, last_price=None) == "nan"
    assert reason(stamp=old, last_price=-1.0) == "stale"
    assert reason(use="mid", bid=None, last_price=-1.0) == "one_sided"
    assert reason(use="mid", bid=None, ask=None, last_price=None) == "nan"
    for values in ({"last_price": 1e6}, {"last_price": -1.0}, {"last_price": None}, {"stamp": old}):
        assert reason(ts=close, **values) == "expired"
    assert reason(ts=close, use="mid", bid=None) == "expired"


@pytest.mark.filterwarnings("error")
def test_up_to_the_last_second_there_is_volatility_and_then_none(market: Market) -> None:
    close = market().expiries["expires_at"][0]
    last = market(spot=24000.2, ts=close - timedelta(seconds=1))
    before, after = computed(last), computed(last.replace(ts=close))
    numbers = ["iv", "iv_err", "delta", "gamma", "theta", "vega", "rho"]
    expired = pl.col("expiry") == EXPIRY_DAY
    near = before.options.filter(expired & (pl.col("strike") == 24000))
    assert near.select(pl.col(numbers).is_not_null().all()).row(0) == (True,) * len(numbers)
    gone = after.options.filter(expired)
    assert gone.select(pl.col(numbers).is_null().all()).row(0) == (True,) * len(numbers)
    assert gone["iv_reason"].unique().to_list() == ["expired"]
    assert after.options.filter(~expired)["iv"].is_not_null().any()

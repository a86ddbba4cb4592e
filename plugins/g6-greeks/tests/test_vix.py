from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from g6_greeks import black76, g6_analytics
from g6_greeks.analytics.vix import Vix
from g6_greeks.chain import Strip, pair_forward, vix_index, vix_variance
from g6_greeks.settings import GreeksSettings, VixSettings
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import Analytic, AnalyticSpec, Snapshot
from g6core.testing import AnalyticContract, snapshot

SPECS = {spec.name: spec for spec in g6_analytics()}
YEAR_MINUTES = 525_600

Chain = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def chain(*tables: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Chain:
    """Rows, strike, call and price of expiries that are given as strikes, call prices and put prices."""
    rows = np.repeat(np.arange(len(tables)), [2 * strikes.size for strikes, _, _ in tables])
    strike = np.concatenate([np.repeat(strikes, 2) for strikes, _, _ in tables])
    price = np.concatenate([np.column_stack((calls, puts)).ravel() for _, calls, puts in tables])
    return rows, strike, np.arange(rows.size) % 2 == 0, price


def flat(forward: float, sigma: float, t: float, reach: float = 9.0, step: float = 50.0, rate: float = 0.065) -> Chain:
    """One expiry without a smile, with strikes to `reach` standard deviations on both sides."""
    far = reach * sigma * math.sqrt(t)
    strikes = np.arange(math.ceil(forward * math.exp(-far) / step), forward * math.exp(far) / step) * step
    calls, puts = (
        black76.price(forward, strikes, t, sigma, math.exp(-rate * t), np.full(strikes.size, side))
        for side in (True, False)
    )
    return chain((strikes, calls, puts))


def of_flat(forward: float, sigma: float, t: float, **more: float) -> Strip:
    return vix_variance(*flat(forward, sigma, t, **more), *(np.array([x]) for x in (forward, t, math.exp(-0.065 * t))))


def coarseness(forward: float, sigma: float, t: float, step: float = 50.0) -> float:
    """The relative error of a sum over strikes in the place of an integral.

    The trapezoid rule errs by step²/12 * the change of slope, which at the forward is 1: step²/(6*forward²*t) of
    variance, or less where the forward lies between two strikes.
    """
    return (step / (forward * sigma)) ** 2 / (6 * t) * 1.1


def test_the_example_of_cboes_white_paper(shared_data: Path) -> None:
    tables = []
    for name in ("near", "next"):
        quotes = np.loadtxt(shared_data / "reference" / f"vix_whitepaper_{name}.tsv")
        bid, ask = quotes[:, [1, 3]], quotes[:, [2, 4]]
        calls, puts = np.where(bid > 0, (bid + ask) / 2, np.nan).T
        tables.append((quotes[:, 0], calls, puts))
    rows, strike, call, price = chain(*tables)
    t = np.array([0.0683486, 0.0882686])
    discount = np.exp(-np.array([0.000305, 0.000286]) * t)
    forward = pair_forward(rows, strike, price, discount)
    strip = vix_variance(rows, strike, call, price, forward, t, discount)
    assert forward == pytest.approx([1962.89996, 1962.40006], abs=1e-5)
    assert strip.variance == pytest.approx([0.0184629, 0.0188210], abs=5e-8)
    assert vix_index(strip.variance, np.array([35_924, 46_394]) / YEAR_MINUTES) == pytest.approx(13.6858, abs=1e-4)
    assert (strip.missing < 0.03).all()


@pytest.fixture(scope="module")
def monthlies(shared_data: Path) -> pl.DataFrame:
    """NSE's closing prices of 2025-01-07, NIFTY options of January and February 2025."""
    day = pl.read_csv(shared_data / "nse_bhavcopy_udiff" / "fo_index_2025-01-07.csv.gz", try_parse_dates=True)
    return day.filter(
        pl.col("TckrSymb") == "NIFTY",
        pl.col("FinInstrmTp") == "IDO",
        pl.col("XpryDt").is_in([date(2025, 1, 30), date(2025, 2, 27)]),
    ).select(
        expiry="XpryDt",
        strike=pl.col("StrkPric").cast(pl.Float64),
        right="OptnTp",
        last_price=pl.col("ClsPric").cast(pl.Float64),
        volume="TtlTradgVol",
        spot=pl.col("UndrlygPric").cast(pl.Float64),
    )


def computed(
    options: pl.DataFrame, as_snapshot: Callable[..., Snapshot], codes: tuple[str, ...] = ("this_month", "next_month")
) -> Snapshot:
    close = datetime(2025, 1, 7, 10, 0, tzinfo=UTC)
    blank = as_snapshot(options.drop("spot"), close, options["spot"][0])
    blank = blank.replace(expiries=blank.expiries.with_columns(codes=pl.Series([[code] for code in codes])))
    ready = with_greeks(blank, GreeksSettings(price="last"))
    return Vix(VixSettings(price="last", expiries="monthly")).compute(ready)


def test_closing_prices_of_traded_monthlies_give_the_recorded_india_vix(
    monthlies: pl.DataFrame, as_snapshot: Callable[..., Snapshot]
) -> None:
    """India VIX closed at 14.66; its own inputs are mids of the last minutes and the futures, so 0.1 is allowed."""
    result = computed(monthlies, as_snapshot)
    assert result.facts["vix_30d"] == pytest.approx(14.66, abs=0.1)
    assert result.expiries["vix_strikes"].to_list() == pytest.approx([99, 85], abs=5)


def test_a_window_too_narrow_for_the_index_is_told_and_gives_none(
    monthlies: pl.DataFrame, as_snapshot: Callable[..., Snapshot]
) -> None:
    """Within 500 points of the spot the index would be 10.85, a quarter too low."""
    result = computed(monthlies.filter((pl.col("strike") - pl.col("spot")).abs() <= 500), as_snapshot)
    assert "vix_30d" not in result.facts
    assert result.expiries["vix_variance"].is_not_null().all()
    assert (result.expiries["vix_missing"] > 0.3).all()


def test_the_index_of_the_monthlies_leaves_weeklies_out(
    monthlies: pl.DataFrame, as_snapshot: Callable[..., Snapshot]
) -> None:
    assert "vix_30d" not in computed(monthlies, as_snapshot, ("this_week", "next_month")).facts


@settings(max_examples=60, deadline=None)
@given(st.floats(20_000, 20_050), st.floats(0.08, 0.6), st.floats(7 / 365, 90 / 365))
def test_a_flat_smile_gives_back_its_volatility(forward: float, sigma: float, t: float) -> None:
    strip = of_flat(forward, sigma, t)
    assert strip.variance[0] == pytest.approx(sigma**2, rel=coarseness(forward, sigma, t))
    assert strip.missing[0] < 1e-6


@settings(max_examples=60, deadline=None)
@given(st.floats(20_000, 20_050), st.floats(0.08, 0.6), st.floats(7 / 365, 90 / 365), st.floats(1.0, 3.0))
def test_a_narrow_strip_has_too_little_and_says_at_least_how_much(
    forward: float, sigma: float, t: float, reach: float
) -> None:
    strip = of_flat(forward, sigma, t, reach=reach)
    missing, coarse = 1.0 - strip.variance[0] / sigma**2, coarseness(forward, sigma, t)
    assert -coarse < missing < strip.missing[0] + coarse


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 100.0))
def test_the_currency_is_of_no_matter(unit: float) -> None:
    rows, strike, call, price = flat(20_013.0, 0.15, 0.1)
    forward, t, discount = np.array([20_013.0]), np.array([0.1]), np.array([0.99])
    here = vix_variance(rows, strike, call, price, forward, t, discount)
    there = vix_variance(rows, strike * unit, call, price * unit, forward * unit, t, discount)
    assert there.variance == pytest.approx(here.variance)
    assert there.missing == pytest.approx(here.missing)


# One expiry, strikes 90 to 110 in steps of 5; the forward is 101, so K0 is 100.
STRIKES = np.array([90.0, 95, 100, 105, 110])
CALLS = np.array([12.0, 8.0, 4.0, 2.0, 1.0])
PUTS = np.array([1.0, 1.5, 3.0, 6.0, 10.0])


def of(
    calls: np.ndarray, puts: np.ndarray, forward: float = 101.0, t: float = 0.1, strikes: np.ndarray = STRIKES
) -> Strip:
    """Of two expiries, of which the first is always sound."""
    both = chain((STRIKES, CALLS, PUTS), (strikes, calls, puts))
    strip = vix_variance(*both, np.array([101.0, forward]), np.array([0.1, t]), np.ones(2))
    assert strip.variance[0] == by_hand([1.0, 1.5, 3.5, 2.0, 1.0], STRIKES)
    return strip


def by_hand(prices: list[float], strikes: np.ndarray) -> object:
    widths = [strikes[1] - strikes[0], *(strikes[2:] - strikes[:-2]) / 2, strikes[-1] - strikes[-2]]
    strip = sum(w * q / k**2 for w, q, k in zip(widths, prices, strikes, strict=True))
    return pytest.approx(20 * strip - 10 * (101 / 100 - 1) ** 2)


def test_in_the_money_prices_do_not_count() -> None:
    strip = of(np.where(STRIKES < 100, 77.0, CALLS), np.where(STRIKES > 100, 77.0, PUTS))
    assert strip.variance[1] == strip.variance[0]
    assert strip.strikes.tolist() == [5, 5]


def test_a_strike_without_a_price_leaves_its_width_to_its_neighbours() -> None:
    strip = of(np.where(STRIKES == 105, np.nan, CALLS), PUTS)
    assert strip.variance[1] == by_hand([1.0, 1.5, 3.5, 1.0], STRIKES[[0, 1, 2, 4]])
    assert strip.strikes[1] == 4


def test_two_strikes_in_a_row_without_a_price_end_the_wing() -> None:
    strikes = np.array([80.0, 85, 90, 95, 100, 105, 110, 115, 120])
    calls = np.array([20.0, 16, 12, 8, 4, 2, np.nan, np.nan, 0.9])
    puts = np.array([0.9, 0.0, np.nan, 1.5, 3, 6, 10, 14, 19])
    strip = of(calls, puts, strikes=strikes)
    assert strip.variance[1] == by_hand([1.5, 3.5, 2.0], strikes[[3, 4, 5]])
    one_gap = of(calls, np.where(strikes == 90, 1.2, puts), strikes=strikes)
    assert one_gap.variance[1] == by_hand([0.9, 1.2, 1.5, 3.5, 2.0], strikes[[0, 2, 3, 4, 5]])


def test_the_middle_is_the_highest_strike_below_the_forward_with_both_prices() -> None:
    strip = of(CALLS, np.where(STRIKES == 100, np.nan, PUTS), forward=101.0)
    widths, prices, strikes = [5.0, 5, 5, 5, 5], [1.0, (8 + 1.5) / 2, 4.0, 2.0, 1.0], STRIKES
    expected = 20 * np.sum(np.array(widths) * prices / strikes**2) - 10 * (101 / 95 - 1) ** 2
    assert strip.variance[1] == pytest.approx(expected)


@pytest.mark.parametrize(
    "calls, puts, forward, t",
    [
        (np.full(5, np.nan), PUTS, 101.0, 0.1),
        (np.where(STRIKES > 100, np.nan, CALLS), PUTS, 101.0, 0.1),
        (CALLS, np.where(STRIKES < 100, np.nan, PUTS), 101.0, 0.1),
        (CALLS, PUTS, np.nan, 0.1),
        (CALLS, PUTS, 89.0, 0.1),
        (CALLS, PUTS, 101.0, 0.0),
        (CALLS, PUTS, 101.0, -0.1),
        (np.where(STRIKES > 100, 50.0, CALLS), PUTS, 101.0, 0.1),  # wings that rise outwards
        (CALLS / 1000, PUTS / 1000, 104.0, 0.1),  # cheaper than parity with such a forward allows
    ],
)
def test_what_cannot_be_known_is_not_and_spoils_no_other_expiry(
    calls: np.ndarray, puts: np.ndarray, forward: float, t: float
) -> None:
    strip = of(calls, puts, forward, t)
    assert np.isnan(strip.variance[1])
    assert np.isnan(strip.missing[1])
    assert strip.strikes[1] == 0


def test_cboes_forward_is_that_of_the_closest_pair() -> None:
    rows, strike, _, price = chain((STRIKES, CALLS, PUTS), (STRIKES, np.full(5, np.nan), PUTS))
    forward = pair_forward(rows, strike, price, np.array([0.5, 0.5]))
    assert forward[0] == 100 + (4.0 - 3.0) / 0.5
    assert np.isnan(forward[1])


def days(*numbers: float) -> np.ndarray:
    return np.array(numbers) / 365


@settings(max_examples=100, deadline=None)
@given(st.floats(0.5, 29.9), st.floats(30.1, 400), st.floats(0.001, 1), st.floats(0.001, 1))
def test_the_index_is_linear_in_total_variance(near: float, after: float, v1: float, v2: float) -> None:
    part = (after - 30) / (after - near)
    expected = math.sqrt((part * near * v1 + (1 - part) * after * v2) / 30) * 100
    assert vix_index(np.array([v1, v2]), days(near, after)) == pytest.approx(expected)


def test_the_index_is_of_the_two_expiries_around_and_of_no_other() -> None:
    assert vix_index(np.array([9.0, 0.04, 0.04, np.nan]), days(2, 20, 40, 60)) == pytest.approx(20.0)
    assert vix_index(np.array([9.0, 0.09, 9.0]), days(2, 30, 40)) == pytest.approx(30.0)
    assert vix_index(np.array([0.04, 0.04]), days(2, 20), days=10) == pytest.approx(20.0)


@pytest.mark.parametrize(
    "variance, t",
    [
        ([0.04, 0.04], days(31, 60)),
        ([0.04, 0.04], days(2, 29)),
        ([0.04, 0.04], days(0, 40)),
        ([0.04, np.nan, 0.04], days(2, 20, 40)),
        ([0.04, np.nan, 0.04], days(20, 40, 60)),
        ([], days()),
    ],
)
def test_the_index_is_never_extrapolated(variance: list[float], t: np.ndarray) -> None:
    assert math.isnan(vix_index(np.array(variance), t))


def with_greeks(given: Snapshot, of: GreeksSettings | None = None) -> Snapshot:
    return SPECS["greeks"].build(of or GreeksSettings()).compute(given)


class TestVix(AnalyticContract):
    chosen = VixSettings()

    @pytest.fixture
    def spec(self) -> AnalyticSpec:
        return SPECS["vix"]

    @pytest.fixture
    def build(self, spec: AnalyticSpec) -> Callable[[], Analytic]:
        return lambda: spec.build(self.chosen)

    @pytest.fixture
    def snapshot(self) -> Snapshot:
        return with_greeks(snapshot(strikes=161, expiries=5))


class TestVixOfLastPrices(TestVix):
    chosen = VixSettings(price="last", forward="cboe", expiries="monthly")


@pytest.mark.parametrize("bid", [0.0, None])
def test_options_without_a_bid_are_as_if_they_were_not_there(bid: float | None) -> None:
    market, vix = with_greeks(snapshot(strikes=161, expiries=5)), Vix(VixSettings())
    far = (market.options["right"] == "CE") & (market.options["offset"] > 20)
    silent = market.options.with_columns(bid=pl.when(far).then(pl.lit(bid, pl.Float64)).otherwise(pl.col("bid")))
    result = vix.compute(market.replace(options=silent))
    assert result.expiries.equals(vix.compute(market.replace(options=market.options.filter(~far))).expiries)
    assert (result.expiries["vix_strikes"] < vix.compute(market).expiries["vix_strikes"]).all()


def test_last_prices_of_an_earlier_day_do_not_count() -> None:
    market = with_greeks(snapshot(strikes=161, expiries=5))
    untraded = market.replace(options=market.options.with_columns(volume=pl.lit(0, pl.Int64)))
    unknown = market.replace(options=market.options.with_columns(volume=pl.lit(None, pl.Int64)))
    vix = Vix(VixSettings(price="last"))
    assert vix.compute(untraded).expiries["vix_variance"].null_count() == 5
    assert vix.compute(unknown).expiries.equals(vix.compute(market).expiries)

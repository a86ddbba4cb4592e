from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from g6_greeks import black76
from g6_greeks.black76 import Status
from hypothesis import given, settings
from hypothesis import strategies as st

GREEKS = ("delta", "gamma", "theta", "vega", "rho")
Value = np.typing.ArrayLike


def discount(rate: Value, t: Value) -> np.ndarray:
    return np.exp(-np.asarray(rate) * np.asarray(t))


def price(forward: Value, strike: Value, t: Value, rate: Value, iv: Value, call: Value) -> np.ndarray:
    return black76.price(forward, strike, t, iv, discount(rate, t), call)


def greeks(forward: Value, strike: Value, t: Value, rate: Value, iv: Value, call: Value) -> dict[str, np.ndarray]:
    return black76.greeks(iv, forward, strike, t, discount(rate, t), rate, call)


def implied_volatility(value: Value, forward: Value, strike: Value, t: Value, rate: Value, call: Value) -> tuple:
    found = black76.implied_volatility(value, forward, strike, t, discount(rate, t), call)
    return found["iv"], found["status"]


def iv_greeks(value: Value, forward: Value, strike: Value, t: Value, rate: Value, call: Value) -> dict[str, np.ndarray]:
    return black76.iv_greeks(value, forward, strike, t, discount(rate, t), rate, call)


@pytest.mark.parametrize(
    ("spot", "strike", "q", "r", "t", "iv", "call", "value"),
    [
        (60, 65, 0.0, 0.08, 0.25, 0.30, True, 2.1334),
        (100, 95, 0.05, 0.10, 0.5, 0.20, False, 2.4648),
        (19, 19, 0.10, 0.10, 0.75, 0.28, False, 1.7011),
        (75, 70, 0.05, 0.10, 0.5, 0.35, False, 4.0870),
        (42, 40, 0.08, 0.04, 0.75, 0.35, True, 5.0975),
    ],
)
def test_prices_of_haug_1998(
    spot: float, strike: float, q: float, r: float, t: float, iv: float, call: bool, value: float
) -> None:
    assert price(spot * np.exp((r - q) * t), strike, t, r, iv, call) == pytest.approx(value, abs=6e-5)


def test_prices_of_haugs_tables(shared_data: Path) -> None:
    table = pl.read_csv(shared_data / "reference" / "haug_values.csv")
    spot, strike, q, r, t, vol, value = (table[c].to_numpy() for c in ("spot", "strike", "q", "r", "t", "vol", "value"))
    forward = spot * np.exp((r - q) * t)
    computed = price(forward, strike, t, r, vol, (table["type"] == "call").to_numpy())
    # Three values of the print are off by up to 1.5 units of its last digit.
    assert np.abs(computed - value).max() < 1e-4
    assert np.median(np.abs(computed - value)) < 5e-5


def test_greeks_of_haugs_tables(shared_data: Path) -> None:
    table = pl.read_csv(shared_data / "reference" / "haug_greeks.csv")
    for greek, right, strike, spot, q, r, t, vol, value in table.iter_rows():
        f = spot * np.exp((r - q) * t)
        g = greeks(f, strike, t, r, vol, right == "call")
        # The table's are Greeks to the spot: the forward moves with spot, time and rate.
        to_spot = {
            "delta": g["delta"] * np.exp((r - q) * t),
            "gamma": g["gamma"] * np.exp(2 * (r - q) * t),
            "vega": g["vega"],
            "theta": g["theta"] - (r - q) * f * g["delta"],
            "rho": g["rho"] + t * f * g["delta"],
            "dividend_rho": -t * f * g["delta"],
        }
        to_spot["theta_per_day"] = to_spot["theta"] / 365
        to_spot["elasticity"] = to_spot["delta"] * spot / price(f, strike, t, r, vol, right == "call")
        assert to_spot[greek] == pytest.approx(value, abs=6e-5), greek


def test_an_indian_web_calculator() -> None:
    spot, t, r = 24500.0, 7 / 365, 0.065
    call, growth = np.array([True, False]), np.exp(r * t)
    g = greeks(spot * growth, spot, t, r, 0.15, call)
    assert price(spot * growth, spot, t, r, 0.15, call) == pytest.approx([218.53, 188.01], abs=0.005)
    assert g["delta"] * growth == pytest.approx([0.5281, -0.4719], abs=5e-5)
    assert g["gamma"] * growth**2 == pytest.approx([0.000782] * 2, abs=5e-7)
    assert g["vega"] / 100 == pytest.approx([13.5021] * 2, abs=5e-5)
    assert (g["theta"] - r * spot * growth * g["delta"]) / 365 == pytest.approx([-16.7316, -12.3740], abs=5e-5)
    assert (g["rho"] + t * spot * growth * g["delta"]) / 100 == pytest.approx([2.4392, -2.2535], abs=6e-5)


def test_the_table_of_py_vollib(shared_data: Path) -> None:
    raw = json.loads((shared_data / "reference" / "py_vollib_test_data.json").read_text())
    row = {name: np.array([r[i] for r in raw["data"]]) for i, name in enumerate(raw["columns"][:-1])}
    spot, strike, r, t, iv = (row[c] for c in ("S", "K", "R", "t", "v"))
    growth = np.exp(r * t)
    for call, value, letter in ((True, row["bs_call"], "C"), (False, row["bs_put"], "P")):
        g = greeks(spot * growth, strike, t, r, iv, call)
        assert price(spot * growth, strike, t, r, iv, call) == pytest.approx(value, rel=1e-7, abs=1e-6)
        assert g["delta"] * growth == pytest.approx(row[letter + "D"], abs=1e-6)
        assert g["gamma"] * growth**2 == pytest.approx(row[letter + "G"], abs=1e-6)
        assert g["theta"] - r * spot * growth * g["delta"] == pytest.approx(row[letter + "T"], rel=1e-7, abs=1e-6)
        assert g["vega"] == pytest.approx(row[letter + "V"], rel=1e-7, abs=1e-6)
        assert g["rho"] + t * spot * growth * g["delta"] == pytest.approx(row[letter + "R"], rel=1e-7, abs=1e-6)


def test_the_greeks_of_a_venue(shared_data: Path) -> None:
    """Deribit, 2021: prices in coin, Black-76 on its underlying, no interest. It caps theta in the last day."""
    table = pl.read_csv(shared_data / "venue_greeks" / "deribit_BTC_ticker_2021-02-11.csv.gz", infer_schema_length=None)
    name = pl.col("instrument_name").str.split("-").list
    table = table.with_columns(
        strike=name.get(2).cast(pl.Float64),
        call=name.get(3) == "C",
        t=(
            name.get(1).str.to_titlecase().str.to_datetime("%d%b%y").dt.epoch("ms")
            + 8 * 3_600_000
            - pl.col("timestamp")
        )
        / (365 * 86_400_000),
    ).filter(pl.col("t") > 1 / 365)
    iv = table["mark_iv"].to_numpy() / 100
    t = table["t"].to_numpy()
    g = greeks(table["underlying_price"].to_numpy(), table["strike"].to_numpy(), t, 0.0, iv, table["call"].to_numpy())
    assert np.abs(g["delta"] - table["greeks.delta"].to_numpy()).max() < 1e-4
    assert np.abs(g["gamma"] - table["greeks.gamma"].to_numpy()).max() < 6e-6
    assert np.abs(g["vega"] / 100 - table["greeks.vega"].to_numpy()).max() < 0.02
    assert np.median(np.abs(g["theta"] / 365 - table["greeks.theta"].to_numpy())) < 0.01


def test_forty_digit_prices_give_back_volatility_and_greeks() -> None:
    table = pl.read_csv(Path(__file__).parent / "data" / "exact_prices.csv")
    a = {name: table[name].to_numpy() for name in table.columns}
    found = iv_greeks(a["price"], a["forward"], a["strike"], a["t"], a["rate"], a["is_call"])
    assert not found["status"].any()
    assert np.abs(found["iv"] - a["iv"]).max() < 1e-12
    for name in GREEKS:
        assert np.abs(found[name] / a[name] - 1).max() < 2e-12, name


options = {
    "moneyness": st.floats(-0.35, 0.35),
    "t": st.floats(1e-6, 2.0),
    "rate": st.floats(0.0, 0.15),
    "iv": st.floats(0.01, 3.0),
    "call": st.booleans(),
}


@settings(max_examples=300, deadline=None)
@given(**options)
def test_a_price_gives_back_its_volatility(moneyness: float, t: float, rate: float, iv: float, call: bool) -> None:
    forward, strike = 24000.0, 24000.0 * np.exp(moneyness)
    value = price(forward, strike, t, rate, iv, call)
    found, status = implied_volatility(value, forward, strike, t, rate, call)
    if status == Status.OK:
        # What one rounding of the price leaves of the volatility, deep in the money next to nothing, is the measure.
        vega = greeks(forward, strike, t, rate, iv, call)["vega"]
        assert abs(found - iv) <= 1e-11 + 4 * np.spacing(max(value, 24000.0 * np.spacing(1.0))) / max(vega, 1e-300)
        assert price(forward, strike, t, rate, found, call) == pytest.approx(value, rel=1e-11)
    else:
        assert status in (Status.NON_POSITIVE, Status.BELOW_INTRINSIC)
        assert price(forward, strike, t, rate, iv, not call) < 1e-9 or value == 0


@settings(max_examples=300, deadline=None)
@given(st.floats(-5, 5), st.floats(1e-300, 1.0, exclude_max=True))
def test_every_price_within_its_bounds_has_a_volatility(moneyness: float, part: float) -> None:
    strike = 100 * np.exp(moneyness)
    call = strike > 100
    value = part * min(100.0, strike)
    found, status = implied_volatility(value, 100, strike, 1.0, 0.0, call)
    assert status in (Status.OK, Status.ABOVE_MAXIMUM)
    if status == Status.OK and value < 0.999999 * min(100.0, strike):
        assert price(100, strike, 1.0, 0.0, found, call) == pytest.approx(value, rel=1e-11)


@settings(max_examples=100, deadline=None)
@given(st.floats(-0.1, 0.1), st.floats(0.02, 2.0), st.floats(0.0, 0.15), st.floats(0.08, 1.0), st.booleans())
def test_greeks_are_the_slopes_of_the_price(moneyness: float, t: float, rate: float, iv: float, call: bool) -> None:
    f, k = 100.0, 100.0 * float(np.exp(moneyness))
    g = greeks(f, k, t, rate, iv, call)

    def slope(low: object, high: object, width: float) -> float:
        return float((high - low) / (2 * width))  # type: ignore[operator]

    df, dt, dv = 1e-3, 1e-5 * t, 1e-5
    delta = slope(price(f - df, k, t, rate, iv, call), price(f + df, k, t, rate, iv, call), df)
    gamma = slope(*(greeks(f + d, k, t, rate, iv, call)["delta"] for d in (-df, df)), df)
    # Less time is left as time goes by.
    theta = slope(price(f, k, t + dt, rate, iv, call), price(f, k, t - dt, rate, iv, call), dt)
    vega = slope(price(f, k, t, rate, iv - dv, call), price(f, k, t, rate, iv + dv, call), dv)
    rho = slope(price(f, k, t, rate - dv, iv, call), price(f, k, t, rate + dv, iv, call), dv)
    for name, expected in (("delta", delta), ("gamma", gamma), ("theta", theta), ("vega", vega), ("rho", rho)):
        assert g[name] == pytest.approx(expected, rel=2e-5, abs=1e-6), name


@pytest.mark.parametrize(
    ("value", "forward", "strike", "t", "call", "status"),
    [
        (7.0, 100, 100, 1.0, True, Status.OK),
        (np.nan, 100, 100, 1.0, True, Status.NAN),
        (np.inf, 100, 100, 1.0, True, Status.NAN),
        (7.0, np.nan, 100, 1.0, True, Status.NAN),
        (7.0, np.inf, 100, 1.0, False, Status.NAN),
        (np.nan, 100, 100, 0.0, True, Status.NAN),
        (0.0, 100, 100, 1.0, True, Status.NON_POSITIVE),
        (-3.0, 100, 100, 1.0, True, Status.NON_POSITIVE),
        (7.0, -100, 100, 1.0, True, Status.NON_POSITIVE),
        (7.0, 100, 0, 1.0, True, Status.NON_POSITIVE),
        (7.0, 100, 100, 0.0, True, Status.EXPIRED),
        (7.0, 100, 100, -0.5, True, Status.EXPIRED),
        (9.0, 110, 100, 1.0, True, Status.BELOW_INTRINSIC),
        (9.0, 90, 100, 1.0, False, Status.BELOW_INTRINSIC),
        (10.0, 110, 100, 1.0, True, Status.BELOW_INTRINSIC),
        (100.0, 100, 120, 1.0, True, Status.ABOVE_MAXIMUM),
        (120.0, 100, 120, 1.0, False, Status.ABOVE_MAXIMUM),
    ],
)
def test_a_row_that_cannot_be_computed_has_a_status_and_no_number(
    value: float, forward: float, strike: float, t: float, call: bool, status: Status
) -> None:
    good = (7.0, 100.0, 100.0, 1.0, True)
    columns = [np.array(pair) for pair in zip((value, forward, strike, t, call), good, strict=True)]
    found = iv_greeks(*columns[:4], 0.0, columns[4])
    alone = iv_greeks(*good[:4], 0.0, True)
    assert list(found["status"]) == [status, Status.OK]
    for name in ("iv", *GREEKS):
        assert np.isnan(found[name][0]) == (status != Status.OK), name
        assert found[name][1] == alone[name], f"the neighbour's {name}"


def test_statuses_are_words() -> None:
    assert [s.word for s in Status] == ["ok", "nan", "non_positive", "expired", "below_intrinsic", "above_maximum"]


def test_arguments_broadcast_and_results_keep_the_shape() -> None:
    strike, call = np.array([[90.0], [110.0]]), np.array([True, False])
    value = price(100, strike, 1, 0.05, 0.2, call)
    assert value.shape == (2, 2)
    assert implied_volatility(value, 100, strike, 1, 0.05, call)[0] == pytest.approx(np.full((2, 2), 0.2))
    assert iv_greeks(value[0, 0], 100, 90, 1, 0.05, True)["delta"].shape == ()
    assert iv_greeks([], 100, [], 1, 0.05, [])["iv"].shape == (0,)


def test_without_volatility_or_time_the_price_is_intrinsic() -> None:
    assert price([110, 90], 100, [1, 0], 0.0, [0, 0.2], [True, False]) == pytest.approx([10, 10])
    assert np.isnan(price(100, 100, [-1, 1, np.nan], 0.0, [0.2, -0.2, 0.2], True)).all()
    assert np.isnan(greeks(100, 100, [0, 1], 0.0, [0.2, 0.0], True)["vega"]).all()


def chain(n: int = 50_000) -> tuple[np.ndarray, ...]:
    """price, forward, strike, t, discount, rate, is_call of n options, some of them senseless."""
    rng = np.random.default_rng(7)
    forward, strike = np.full(n, 24000.0), rng.uniform(18000, 30000, n)
    t, call, sigma = rng.uniform(1e-4, 1.0, n), rng.random(n) < 0.5, rng.uniform(0.05, 1.0, n)
    value = black76.price(forward, strike, t, sigma, discount(0.065, t), call)
    value[::97] = np.nan
    return value, forward, strike, t, discount(0.065, t), np.full(n, 0.065), call


def test_threads_change_no_number() -> None:
    columns = chain()
    one, three = black76.iv_greeks(*columns), black76.iv_greeks(*columns, threads=3)
    for name in one:
        np.testing.assert_array_equal(one[name], three[name], strict=True)


def test_results_go_where_they_are_asked_to() -> None:
    columns = chain(1000)
    fresh = black76.iv_greeks(*columns)
    out = {name: np.full_like(column, 1) for name, column in fresh.items()}
    given = black76.iv_greeks(*columns, out)
    for name, column in fresh.items():
        assert given[name] is out[name]
        np.testing.assert_array_equal(out[name], column)


def test_a_result_may_not_lie_where_something_else_does() -> None:
    columns = [np.array(column, dtype=np.float64) for column in chain(1000)[:-1]] + [chain(1000)[-1]]
    out = black76.iv_greeks(*columns)
    long = np.empty(1001)
    calls = np.array(columns[-1])
    overlaps = [{"iv": columns[0]}, {"gamma": out["delta"]}, {"iv": long[1:], "delta": long[:-1]}]
    for overlap in [*overlaps, {"status": calls.view(np.uint8)}]:
        with pytest.raises(ValueError, match="shares memory"):
            black76.iv_greeks(*columns[:-1], calls, {**out, **overlap})


@pytest.mark.parametrize("words", [["CE", "PE"], [1, -1], [1.0, np.nan], [True, None]])
def test_what_is_neither_call_nor_put_is_refused(words: list[object]) -> None:
    with pytest.raises(ValueError, match="is_call"):
        black76.implied_volatility([218.53, 188.01], 24_530.0, 24_500.0, 7 / 365, 1.0, words)
    assert black76.price(100.0, 100.0, 1.0, 0.2, 1.0, [1, 0]).shape == (2,)


@pytest.mark.parametrize("threads", [0, -1])
def test_there_is_at_least_one_thread(threads: int) -> None:
    with pytest.raises(ValueError, match="threads"):
        black76.iv_greeks(*chain(10), threads=threads)


def test_an_array_that_cannot_be_written_is_refused() -> None:
    out = black76.iv_greeks(*chain(1000))
    out["vega"].flags.writeable = False
    with pytest.raises(ValueError, match="vega"):
        black76.iv_greeks(*chain(1000), out)


@pytest.mark.parametrize("spoilt", [{"iv": np.empty(3)}, {"status": np.empty(1000)}, {"vega": np.empty(2000)[::2]}])
def test_an_array_that_does_not_fit_is_refused_by_name(spoilt: dict[str, np.ndarray]) -> None:
    columns = chain(1000)
    out = {**black76.iv_greeks(*columns), **spoilt}
    with pytest.raises(ValueError, match=next(iter(spoilt))):
        black76.iv_greeks(*columns, out)
    del out["iv"]
    with pytest.raises(ValueError, match="iv"):
        black76.iv_greeks(*columns, out)


@pytest.mark.parametrize("strike", [90.0, 130.0, 400.0])
def test_a_rate_that_is_not_known_leaves_no_greek(strike: float) -> None:
    value = black76.price(100, strike, 1, 0.5, 1.0, True)
    found = black76.iv_greeks(value, 100, strike, 1, 1.0, np.nan, True)
    assert found["status"] == Status.NAN
    assert all(np.isnan(found[name]) for name in ("iv", *GREEKS))


def test_greeks_of_a_senseless_row_have_the_reason() -> None:
    sigma, t = np.array([0.2, np.nan, 0.0, 0.2, np.inf]), np.array([1, 1, 1, 0, 1])
    found = black76.greeks(sigma, 100, 100, t, 1.0, 0.0, True)
    assert list(found["status"]) == [Status.OK, Status.NAN, Status.NON_POSITIVE, Status.EXPIRED, Status.NAN]
    for name in GREEKS:
        assert list(np.isnan(found[name])) == [False, True, True, True, True]

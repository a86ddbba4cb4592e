"""The analytic `smile`, on whole snapshots."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from g6_greeks import black76, g6_analytics
from g6_greeks.analytics.greeks import Greeks
from g6_greeks.analytics.smile import Smile
from g6_greeks.chain.smile import svi_variance
from g6_greeks.settings import GreeksSettings

from g6core import AnalyticSpec, Snapshot
from g6core.testing import AnalyticContract
from g6core.testing import snapshot as sound_snapshot

Market = Callable[..., Snapshot]


def computed(snapshot: Snapshot) -> Snapshot:
    return Smile().compute(Greeks(GreeksSettings()).compute(snapshot))


def with_price(snapshot: Snapshot, expiry: date, strike: float, right: str, factor: float) -> Snapshot:
    here = (pl.col("expiry") == expiry) & (pl.col("strike") == strike) & (pl.col("right") == right)
    names = ("last_price", "bid", "ask")
    changed = (pl.when(here).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name) for name in names)
    return snapshot.replace(options=snapshot.options.with_columns(changed))


def test_the_curve_goes_through_a_sound_market(market: Market) -> None:
    result = computed(market())
    assert set(result.expiries["smile_status"]) <= {"free", "constrained"}
    assert result.expiries["smile_rmse"].max() < 0.002
    assert result.expiries["smile_butterfly"].min() >= 0
    assert result.expiries["smile_calendar"].is_null().to_list() == [True, False]
    assert result.expiries["smile_calendar"][1] > 0
    assert result.options["smile_flag"].null_count() == result.options.height
    known = result.options.drop_nulls(["iv_fit", "iv"])
    assert known.height > 40
    assert (known["iv_fit"] - known["iv"]).abs().filter(known["delta"].abs().is_between(0.02, 0.98)).max() < 0.005


def test_both_rights_of_a_strike_have_one_fitted_volatility_within_the_range_of_used_strikes(market: Market) -> None:
    options = computed(market()).options
    calls, puts = options.filter(pl.col("right") == "CE"), options.filter(pl.col("right") == "PE")
    assert calls["iv_fit"].to_list() == puts["iv_fit"].to_list()
    week = calls.filter(pl.col("expiry") == calls["expiry"][0])
    inside = week.filter(pl.col("iv_fit").is_not_null())["strike"]
    assert inside.len() < week.height, "the outermost strikes of this week are worth less than their ticks"
    assert week["iv_fit"].is_not_null().sum() == week["strike"].is_between(inside.min(), inside.max()).sum()


def test_volatilities_from_prices_on_ticks_come_back_within_what_a_tick_leaves_open(market: Market) -> None:
    snapshot = market(expiries=(date(2026, 12, 29),))
    made = Greeks(GreeksSettings()).compute(snapshot)
    forward, t = made.expiries["forward"][0], made.expiries["t"][0]
    strike, call = snapshot.options["strike"].to_numpy(), (snapshot.options["right"] == "CE").to_numpy()
    truth = np.sqrt(svi_variance(np.log(strike / forward), np.array([0.0008, 0.02, -0.4, 0.01, 0.04])) / t)
    price = black76.price(forward, strike, t, truth, np.exp(-0.065 * t), call)
    ticked = np.round(price / 0.05) * 0.05
    options = snapshot.options.with_columns(last_price=pl.Series(ticked), bid=None, ask=None)
    result = computed(snapshot.replace(options=options.cast({"bid": pl.Float64, "ask": pl.Float64})))
    assert result.expiries["smile_status"].to_list() == ["free"]
    assert result.expiries["smile_points"].to_list() == [41]
    error = np.abs(result.options["iv_fit"].to_numpy() - truth)
    # What the forward of prices on ticks is off by comes on top of what each price is.
    assert (error <= result.options["iv_err"].to_numpy() + 2e-5)[np.isfinite(result.options["iv"].to_numpy())].all()


def test_a_stale_quote_is_flagged_and_leaves_the_curve_as_it_was(market: Market) -> None:
    day, strike = date(2026, 12, 29), 24500.0
    good, bad = computed(market()), computed(with_price(market(), day, strike, "CE", 1.5))
    here = (bad.options["expiry"] == day) & (bad.options["strike"] == strike) & (bad.options["right"] == "CE")
    assert bad.options.filter(here)["smile_flag"].to_list() in (["butterfly"], ["monotone"])
    assert bad.options.filter((pl.col("expiry") != day) | (pl.col("right") == "PE"))["smile_flag"].is_null().all()
    moved = (bad.options["iv_fit"] - good.options["iv_fit"]).abs().max()
    assert moved < 1e-4
    assert bad.expiries["smile_points"][1] == good.expiries["smile_points"][1] - 1


def test_a_later_expiry_that_is_too_cheap_is_flagged(market: Market) -> None:
    snapshot = market(expiries=(date(2026, 12, 28), date(2026, 12, 29)))
    names = ("last_price", "bid", "ask")
    later = pl.col("expiry") == date(2026, 12, 29)

    def repriced(part: float) -> Snapshot:
        """The later expiry at that part of the earlier one's prices, wherever there is little but time value."""
        earlier = (pl.when(later).then(pl.col(n).shift(82)).otherwise(pl.col(n)).alias(n) for n in names)
        options = snapshot.options.with_columns(earlier)
        cheap = later & (pl.col("ask") < 350)
        less = (pl.when(cheap).then(pl.col(n) * part).otherwise(pl.col(n)).alias(n) for n in names)
        return computed(snapshot.replace(options=options.with_columns(less)))

    assert "calendar" not in repriced(1.0).options["smile_flag"].to_list()
    flagged = repriced(0.9).options.filter(pl.col("smile_flag") == "calendar")
    assert flagged.height > 10
    assert flagged["expiry"].unique().to_list() == [date(2026, 12, 29)]
    assert repriced(0.9).expiries["smile_calendar"][1] < 0


@pytest.mark.filterwarnings("error")
def test_without_a_fit_the_reason_is_all_there_is(market: Market) -> None:
    expired = market().replace(ts=market().expiries["expires_at"][0] + timedelta(hours=1))
    result = computed(expired)
    gone = result.expiries.row(0, named=True)
    assert gone["smile_status"] == "too_few"
    assert all(
        value is None for name, value in gone.items() if name.startswith(("svi_", "smile_")) and value != "too_few"
    )
    assert result.expiries["smile_status"][1] in ("free", "constrained")
    assert result.options.filter(pl.col("expiry") == gone["expiry"])["iv_fit"].is_null().all()


class TestContract(AnalyticContract):
    @pytest.fixture
    def spec(self) -> AnalyticSpec:
        return next(spec for spec in g6_analytics() if spec.name == "smile")

    @pytest.fixture
    def build(self) -> Callable[[], Smile]:
        return Smile

    @pytest.fixture
    def snapshot(self) -> Snapshot:
        """With the volatilities that it needs, and a price that is out of order."""
        sound = sound_snapshot(strikes=41)
        middle = sound.options.filter(pl.col("right") == "CE")["strike"].median()
        return Greeks(GreeksSettings()).compute(with_price(sound, sound.options["expiry"][-1], middle, "CE", 3.0))


def test_a_recorded_expiry_day_is_fitted_throughout(shared_data: Path, as_snapshot: Callable[..., Snapshot]) -> None:
    day = pl.read_csv(shared_data / "minute_option_chain" / "NIFTY_2026-08-18.csv.gz").with_columns(
        pl.col("expiry").str.to_date("%d-%b-%Y"), right=pl.col("option_type"), last_price=pl.col("ltp"), tick_size=0.05
    )
    facts = []
    for (stamp,), chain in list(day.partition_by("timestamp", as_dict=True, maintain_order=True).items())[::16]:
        ts = datetime.strptime(str(stamp), "%Y%m%d%H%M").replace(tzinfo=ZoneInfo("Asia/Kolkata"))
        quotes = chain.select("expiry", "strike", "right", "last_price", "tick_size")
        facts.append(computed(as_snapshot(quotes, ts.astimezone(ZoneInfo("UTC")), chain["spot"][0])).expiries)
    days = pl.concat(facts).partition_by("expiry", maintain_order=True)
    assert len(days) == 4
    for later in days[1:]:
        assert later["smile_status"].unique().to_list() == ["free"]
        assert later["smile_rmse"].max() < 0.006
        assert later["smile_calendar"].min() > 0
    assert set(days[0]["smile_status"]) <= {"free", "constrained"}
    assert days[0]["smile_rmse"].median() < 0.02

"""Forward and volatility against the simulator, which knows the truth behind its ticked prices."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from g6_greeks import black76
from g6_greeks.analytics.greeks import Greeks
from g6_greeks.settings import GreeksSettings
from g6_sim import Settings
from g6_sim.provider import Sim

from g6core import Context, NoSettings, Snapshot
from g6core.collector import Collector, Plan
from g6core.exchange import Calendar
from g6core.expiry import CODES
from g6core.history import History
from g6core.strategies import All
from g6core.testing import ManualClock

TICK = 0.05
INDICES = ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "SENSEX", "BANKEX")
AFTER_AN_EXPIRY = datetime(2026, 10, 30, 5, 0, tzinfo=UTC)
EXPIRIES = (("NFO", date(2026, 11, 23)), ("BFO", date(2026, 11, 26)))
BEFORE_CLOSE = [timedelta(seconds=1), timedelta(seconds=59), timedelta(hours=1), timedelta(days=3)]

Observed = list[tuple[Snapshot, pl.DataFrame]]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Snapshots of the six indices with their Greeks, and the truth row for row."""
    calendar, clock, sim = Calendar.load(), ManualClock(AFTER_AN_EXPIRY), Sim(Settings())
    place = tmp_path_factory.mktemp("truth")
    sim.open(Context(place, clock, calendar, History(place)))
    collector = Collector("sim", sim, [Plan(index, All(NoSettings()), CODES) for index in INDICES], calendar)
    greeks = Greeks(GreeksSettings(rate=sim.rate))
    closes = [calendar.closes_at(exchange, day) for exchange, day in EXPIRIES]
    found = []
    for ts in (AFTER_AN_EXPIRY, *(close - before for close in closes for before in BEFORE_CLOSE)):
        clock.set(ts)
        for raw in collector.collect(ts).values():
            assert raw.snapshot is not None, raw.reason
            snapshot = greeks.compute(raw.snapshot)
            found.append((snapshot, sim.truth(snapshot.options)))
    return found


def test_the_forward_is_right_within_a_tick(observed: Observed) -> None:
    for snapshot, truth in observed:
        true = truth["forward"].filter(snapshot.options["expiry"].is_first_distinct())
        assert (snapshot.expiries["forward"] - true).abs().max() <= TICK, (snapshot.index, snapshot.ts)
        assert set(snapshot.expiries["forward_source"]) == {"parity"}, (snapshot.index, snapshot.ts)
    t = pl.concat([snapshot.expiries["t"] for snapshot, _ in observed])
    assert t.min() * 365 * 86400 == pytest.approx(1.0) and t.max() * 365 > 59


def bound(options: pl.DataFrame, truth: pl.DataFrame, found: np.ndarray) -> np.ndarray:
    """How far a volatility may be from the truth when the price is off by half a tick and the forward is off too.

    With P(F, v) Black's price, the recorded price p and the true one P(F0, v0) differ by half a tick at most, and
    P(F, v) = p. So |P(F, v) - P(F, v0)| <= tick/2 + |P(F0, v0) - P(F, v0)|. The left side is |v - v0| times vega
    somewhere between v and v0, and vega has one hill, so no less than the lower one of its values at the ends. The last
    term is |F - F0| times delta somewhere between, which is monotone in F, so no more than the larger one at the ends.
    Nothing here is a linear approximation.
    """
    strike, call = options["strike"].to_numpy(), (options["right"] == "CE").to_numpy()
    true, iv, t = (truth[name].to_numpy() for name in ("forward", "iv", "t"))
    discount = np.exp(-Sim.rate * t)

    def greek(name: str, volatility: np.ndarray, forward: np.ndarray) -> np.ndarray:
        return np.abs(black76.greeks(volatility, forward, strike, t, discount, Sim.rate, call)[name])

    vega = np.minimum(greek("vega", options["iv"].to_numpy(), found), greek("vega", iv, found))
    delta = np.maximum(greek("delta", iv, found), greek("delta", iv, true))
    with np.errstate(divide="ignore", over="ignore"):
        return (TICK / 2 + delta * np.abs(found - true)) / vega


def test_the_volatility_is_as_right_as_the_ticks_allow(observed: Observed) -> None:
    worst, rows = 0.0, 0
    for snapshot, truth in observed:
        forward = snapshot.expiries.select("expiry", found="forward")
        both = snapshot.options.join(forward, on="expiry", maintain_order="left")
        # What is worth less than half a tick has no price near it: nothing trades below one tick.
        known = (both["iv"].is_not_null() & (truth["price"] > TICK / 2)).to_numpy()
        both, true = both.filter(known), truth.filter(known)
        allowed = bound(both, true, both["found"].to_numpy())
        error = (both["iv"] - true["iv"]).abs().to_numpy()
        assert (error <= allowed * (1 + 1e-6) + 1e-12).all(), (snapshot.index, snapshot.ts)
        worst, rows = max(worst, (error / allowed).max()), rows + both.height
    assert worst > 0.9, "a bound that nothing comes near is none"
    assert rows > 10_000


def test_iv_err_alone_is_the_bound_where_the_forward_hardly_counts(observed: Observed) -> None:
    """Out of the money, where the volatility is sure to a tenth of itself: half a tick, and little for the forward."""
    for snapshot, truth in observed[: len(INDICES)]:
        both = snapshot.options.hstack([truth["forward"], truth["iv"].alias("truth"), truth["price"].alias("value")])
        outside = (pl.col("strike") >= pl.col("forward")) == (pl.col("right") == "CE")
        sure = both.filter(outside, pl.col("iv_err") < 0.1 * pl.col("iv"), pl.col("value") > TICK / 2)
        assert sure.height > 50
        assert ((sure["iv"] - sure["truth"]).abs() / sure["iv_err"]).max() < 1.25

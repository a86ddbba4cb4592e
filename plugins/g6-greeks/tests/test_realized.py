from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from g6_greeks import g6_analytics
from g6_greeks.analytics.realized import Realized
from g6_greeks.chain import last_of_minutes, realized_volatility, sound_bars, yang_zhang
from g6_greeks.settings import RealizedSettings
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import Analytic, AnalyticSpec, Context, Snapshot
from g6core.journal import Journal
from g6core.testing import AnalyticContract, snapshot
from g6core.testing.component_contract import lent_context

SPEC = next(spec for spec in g6_analytics() if spec.name == "realized")
SESSION = 375 * 60.0
YEAR = 252 * SESSION
MINUTE = timedelta(minutes=1)


def path(sigma: float, seed: int, every: float = 1.0, drift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A day of geometric Brownian motion, seen every so many seconds."""
    seconds = np.arange(0.0, SESSION + every, every)
    steps = np.random.default_rng(seed).normal(drift * every / YEAR, sigma * math.sqrt(every / YEAR), seconds.size - 1)
    return seconds, 24_000.0 * np.exp(np.concatenate(([0.0], np.cumsum(steps))))


@pytest.mark.parametrize("every", [1.0, 15.0, 60.0, 300.0])
@pytest.mark.parametrize("sigma", [0.05, 0.14, 0.6])
def test_brownian_motion_comes_back_whatever_the_interval(every: float, sigma: float) -> None:
    """Ten days: the mean is within three standard errors, each day within four."""
    found = np.array([realized_volatility(*path(sigma, seed, every), SESSION) for seed in range(10)])
    error = sigma / math.sqrt(2 * SESSION / max(every, 60.0))
    assert np.abs(found - sigma).max() < 4 * error
    assert abs(found.mean() - sigma) < 3 * error / math.sqrt(10)


def test_minutes_that_are_missing_are_no_calm() -> None:
    """Half the minutes lost, in stretches: the mean of fifty days stays where it was."""
    found = []
    for seed in range(50):
        seconds, spot = path(0.14, seed, 60.0)
        there = np.random.default_rng(seed).random(seconds.size // 5 + 1).repeat(5)[: seconds.size] < 0.5
        found.append(realized_volatility(seconds[there], spot[there], SESSION))
    assert np.mean(found) == pytest.approx(0.14, rel=0.03)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.0, SESSION), unique=True, max_size=60))
def test_the_last_spot_of_a_minute_is_the_only_one_that_counts(moments: list[float]) -> None:
    seconds = np.array(sorted(moments))
    last = last_of_minutes(seconds)
    assert sorted({s // 60 for s in moments}) == [s // 60 for s in seconds[last]]
    assert all(seconds[i] == max(s for s in moments if s // 60 == seconds[i] // 60) for i in last)


def test_by_hand() -> None:
    seconds = np.array([0.0, 59.0, 60.0, 119.0, 300.0, 310.0, 360.0])
    spot = np.array([1.0, 100.0, 7.0, 101.0, 102.0, np.nan, 99.0])
    squares = sum(math.log(b / a) ** 2 for a, b in ((100, 101), (101, 102), (102, 99)))
    expected = math.sqrt(squares / (360 - 59) * YEAR)
    assert realized_volatility(seconds, spot, SESSION) == pytest.approx(expected)
    assert realized_volatility(seconds, spot, SESSION, shortest=301) == pytest.approx(expected)
    assert math.isnan(realized_volatility(seconds, spot, SESSION, shortest=302))


@pytest.mark.parametrize("spot", [[], [100.0], [100.0, 101.0], [np.nan, np.nan, 100.0], [0.0, 0.0, 0.0, 0.0, 100.0]])
def test_one_minute_shows_no_volatility(spot: list[float]) -> None:
    assert math.isnan(realized_volatility(np.arange(len(spot)) * 20.0, np.array(spot), SESSION))


def days(n: int, sigma: float, drift: float, jump: float, seed: int) -> np.ndarray:
    """Previous close, open, high, low and close of n days, (5, n): volatility within the session, jumps at its opening.

    Highs and lows are exact: between two points of a path the extreme of a Brownian bridge is drawn from its law.
    """
    rng, points = np.random.default_rng(seed), 40
    variance = sigma**2 / 252 / points
    start = rng.normal(0.0, jump, n)
    steps = rng.normal(drift / 252 / points, math.sqrt(variance), (points, n))
    ends = start + np.cumsum(steps, axis=0)
    begins = ends - steps
    reach = np.sqrt(steps**2 - 2 * variance * np.log(rng.random((2, points, n))))
    high, low = ((begins + ends + reach[0]) / 2).max(axis=0), ((begins + ends - reach[1]) / 2).min(axis=0)
    return 24_000.0 * np.exp(np.array([np.zeros(n), start, high, low, ends[-1]]))


def by_the_formula(bars: np.ndarray) -> float:
    """Yang & Zhang 2000, equations 8 and 9, with their Rogers-Satchell term, word for word."""
    o = [math.log(open / before) for before, open, _, _, _ in bars.T]
    u = [math.log(high / open) for _, open, high, _, _ in bars.T]
    d = [math.log(low / open) for _, open, _, low, _ in bars.T]
    c = [math.log(close / open) for _, open, _, _, close in bars.T]
    n = len(o)
    rogers_satchell = sum(u[i] * (u[i] - c[i]) + d[i] * (d[i] - c[i]) for i in range(n)) / n
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    daily = statistics.variance(o) + k * statistics.variance(c) + (1 - k) * rogers_satchell
    return math.sqrt(252 * daily)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.floats(0.01, 1.0), st.floats(-3, 3), st.floats(0, 0.05), st.integers(0, 10_000))
def test_yang_zhang_is_its_formula(n: int, sigma: float, drift: float, jump: float, seed: int) -> None:
    bars = days(n, sigma, drift, jump, seed)
    assert yang_zhang(*bars) == pytest.approx(by_the_formula(bars), rel=1e-9)


@pytest.mark.parametrize("drift", [-4.0, 0.0, 4.0])
def test_yang_zhang_finds_volatility_and_jumps_whatever_the_drift(drift: float) -> None:
    """20,000 days; a drift of 4 a year would add 40 % to a volatility of 0.14 that takes no mean off."""
    bars = days(20_000, 0.14, drift, 0.006, 7)
    expected = math.sqrt(0.14**2 + 252 * 0.006**2)
    assert yang_zhang(*bars) == pytest.approx(expected, rel=0.01)
    found = np.array([yang_zhang(*bars[:, i : i + 20]) for i in range(0, 20_000, 20)])
    assert np.sqrt(np.mean(found**2)) == pytest.approx(expected, rel=0.02)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(0, 1000), st.floats(0.001, 1000.0))
def test_yang_zhang_knows_neither_order_nor_currency(n: int, seed: int, unit: float) -> None:
    bars = days(n, 0.2, 0.0, 0.01, seed)
    shuffled = bars[:, np.random.default_rng(seed).permutation(n)]
    assert yang_zhang(*(shuffled * unit)) == pytest.approx(yang_zhang(*bars), rel=1e-6)


@pytest.mark.parametrize(
    "row, wrong", [(0, np.nan), (0, -1.0), (1, np.inf), (2, 23_000.0), (3, 25_000.0), (3, 0.0), (4, np.nan)]
)
def test_a_bar_that_cannot_be_is_none(row: int, wrong: float) -> None:
    bars = days(5, 0.1, 0.0, 0.001, 1)
    bars[row, 2] = wrong
    assert sound_bars(*bars).tolist() == [True, True, False, True, True]
    assert math.isnan(yang_zhang(*bars))
    assert math.isnan(yang_zhang(*bars[:, :1]))


# NFO, July 2026: the session was 09:15 to 15:30 IST, 03:45 to 10:00 UTC.
OPENS = datetime(2026, 7, 14, 3, 45, tzinfo=UTC)
CLOSES = timedelta(hours=6, minutes=15)


MADE = snapshot(ts=OPENS, strikes=3)
MADE = MADE.replace(expiries=MADE.expiries.with_columns(atm_iv=pl.lit(0.2)))


def at(ts: datetime, spot: float | None, **facts: float) -> Snapshot:
    known = {} if spot is None else {"spot": spot}
    return MADE.replace(ts=ts, facts={**known, **facts})


def walk(seed: int, minutes: int, opens: datetime = OPENS) -> list[Snapshot]:
    _, spot = path(0.14, seed, 60.0)
    return [at(opens + i * MINUTE, float(spot[i])) for i in range(minutes)]


def record(place: Path, snapshots: Iterable[Snapshot]) -> None:
    journal = Journal(place, [])
    for s in snapshots:
        encoded = journal.encode(s)
        journal.append(encoded.path, [encoded])
    journal.close()


def analytic(place: Path, **chosen: int) -> Realized:
    made = Realized(RealizedSettings(**{"minutes": 1, "days": 3, **chosen}))
    made.open(lent_context(place))
    return made


def answers(realized: Realized, snapshots: Iterable[Snapshot]) -> list[tuple[dict[str, float], list[float | None]]]:
    return [(dict(r.facts), r.expiries["iv_premium"].to_list()) for r in map(realized.compute, snapshots)]


def weekdays(n: int, last: date = date(2026, 7, 13)) -> list[date]:
    """The n trading days up to the day before OPENS; July 2026 has no holiday before it, June one."""
    found = [last - timedelta(days=i) for i in range(3 * n)]
    return sorted([day for day in found if day.weekday() < 5 and day != date(2026, 6, 26)][:n])


def bars_of(n: int) -> np.ndarray:
    """Open, high, low and close, (n, 4), days that follow one another."""
    return days(n, 0.15, 0.0, 0.004, 3)[1:].T


def last_of(day: date, bar: np.ndarray, before_close: timedelta = timedelta(0)) -> Snapshot:
    """The last snapshot of a day; its fact `close`, the close of the day before, is nonsense on purpose."""
    ts = datetime(day.year, day.month, day.day, 3, 45, tzinfo=UTC) + CLOSES - before_close
    open, high, low, close = map(float, bar)
    return at(ts, close, open=open, high=high, low=low, close=1.0)


def test_a_restart_in_mid_day_changes_no_number(tmp_path: Path) -> None:
    dates, bars = weekdays(4), bars_of(4)
    record(tmp_path, map(last_of, dates, bars))
    today = walk(1, 60)
    whole = answers(analytic(tmp_path), today)
    record(tmp_path, today)
    assert answers(analytic(tmp_path), today[30:]) == whole[30:]
    assert [answers(analytic(tmp_path), [s])[0] for s in today[::7]] == whole[::7]
    assert {"rv_intraday", "rv_daily"} <= set(whole[-1][0])


def test_a_late_answer_sees_nothing_later_and_is_seen_from_then_on(tmp_path: Path) -> None:
    """Three snapshots a minute; the second of a minute comes after the third."""
    today = [s.replace(ts=OPENS + i * MINUTE / 3) for i, s in enumerate(walk(2, 40))]
    record(tmp_path, today)
    in_order = answers(analytic(tmp_path), today)
    (tmp_path / "live").mkdir()
    live, found = analytic(tmp_path / "live"), {}
    for i in [*range(22), 23, 22, *range(24, 40)]:
        found[i] = answers(live, [today[i]])[0]
        record(tmp_path / "live", [today[i]])
    assert [found[i] for i in range(40) if i != 23] == [in_order[i] for i in range(40) if i != 23]


def test_the_day_is_that_of_its_spots(tmp_path: Path) -> None:
    today = walk(3, 376)
    result = analytic(tmp_path)
    found = [result.compute(s).facts.get("rv_intraday") for s in today]
    spot = np.array([s.facts["spot"] for s in today])
    assert found[0] is None
    for i in (1, 17, 375):
        assert found[i] == pytest.approx(realized_volatility(np.arange(i + 1) * 60.0, spot[: i + 1], SESSION))


def test_neither_the_night_nor_what_lies_outside_the_session_is_in_it(tmp_path: Path) -> None:
    today = walk(4, 376)
    quiet = answers(analytic(tmp_path), today)[-1][0]["rv_intraday"]
    outside = [at(OPENS - 5 * MINUTE, 20_000.0), *today, at(OPENS + CLOSES + MINUTE, 30_000.0)]
    realized = analytic(tmp_path)
    answers(realized, walk(9, 100, OPENS - timedelta(days=1)))
    found = answers(realized, outside)
    assert "rv_intraday" not in found[0][0]
    assert found[-2][0]["rv_intraday"] == found[-1][0]["rv_intraday"] == quiet


def test_spots_that_are_unknown_are_left_out(tmp_path: Path) -> None:
    today = walk(5, 60)
    gaps = [at(s.ts, None) if i % 3 else s for i, s in enumerate(today)]
    found = answers(analytic(tmp_path), gaps)
    expected = answers(analytic(tmp_path), today[::3])
    assert found[57][0]["rv_intraday"] == expected[19][0]["rv_intraday"]


def test_the_first_minutes_are_too_few(tmp_path: Path) -> None:
    found = answers(analytic(tmp_path, minutes=30), walk(6, 40))
    assert ["rv_intraday" in facts for facts, _ in found] == [False] * 30 + [True] * 10


@pytest.mark.parametrize("ts", [datetime(2026, 7, 18, 5, 0, tzinfo=UTC), datetime(2026, 6, 26, 5, 0, tzinfo=UTC)])
def test_a_day_without_a_session_has_none(tmp_path: Path, ts: datetime) -> None:
    found = answers(analytic(tmp_path), [at(ts + i * MINUTE, 100.0 + i) for i in range(5)])
    assert all("rv_intraday" not in facts for facts, _ in found)


def test_the_daily_one_is_yang_zhangs_over_the_recorded_days(tmp_path: Path) -> None:
    dates, bars = weekdays(8), bars_of(8)
    record(tmp_path, map(last_of, dates, bars))
    facts = analytic(tmp_path, days=5).compute(at(OPENS, 24_000.0)).facts
    used = np.vstack((bars[2:-1, 3], bars[3:].T))
    assert facts["rv_daily"] == pytest.approx(by_the_formula(used), rel=1e-9)


def test_the_daily_one_waits_for_one_day_more_than_it_is_of(tmp_path: Path) -> None:
    dates, bars = weekdays(6), bars_of(6)
    record(tmp_path, map(last_of, dates, bars))
    now = at(OPENS, 24_000.0)
    assert "rv_daily" in analytic(tmp_path, days=5).compute(now).facts
    assert "rv_daily" not in analytic(tmp_path, days=6).compute(now).facts


def test_a_day_that_is_missing_or_ended_early_is_not_bridged(tmp_path: Path) -> None:
    """It costs two bars, its own and the next one's, which has no close to open from; earlier days stand in."""
    dates, bars = weekdays(8), bars_of(8)
    whole = np.vstack((bars[:-1, 3], bars[1:].T))
    now = at(OPENS, 24_000.0)
    minutes = [11 if i == 5 else 9 for i in range(8)]
    early = [last_of(d, bar, m * MINUTE) for d, bar, m in zip(dates, bars, minutes, strict=True)]
    gap = [last_of(d, bar) for d, bar in zip(dates, bars, strict=True) if d != dates[5]]
    for name, days_recorded in (("early", early), ("gap", gap)):
        place = tmp_path / name
        place.mkdir()
        record(place, days_recorded)
        assert analytic(place, days=5).compute(now).facts["rv_daily"] == pytest.approx(
            by_the_formula(whole[:, [0, 1, 2, 3, 6]])
        )
        assert "rv_daily" not in analytic(place, days=6).compute(now).facts


def test_today_and_the_future_are_not_in_the_daily_one(tmp_path: Path) -> None:
    dates, bars = weekdays(4), bars_of(8)
    record(tmp_path, map(last_of, dates, bars[:4]))
    now = at(OPENS, 24_000.0)
    before = analytic(tmp_path).compute(now).facts["rv_daily"]
    later = [OPENS.date() + timedelta(days=i) for i in range(3)]
    record(tmp_path, map(last_of, later, bars[4:7]))
    assert analytic(tmp_path).compute(now).facts["rv_daily"] == before
    next_day = analytic(tmp_path).compute(at(OPENS + timedelta(days=1), 24_000.0)).facts["rv_daily"]
    assert next_day != before


def test_one_instance_over_several_days_is_one_for_each(tmp_path: Path) -> None:
    dates, bars = weekdays(5), bars_of(5)
    record(tmp_path, map(last_of, dates, bars))
    two = [walk(1, 40, OPENS - timedelta(days=1)), walk(2, 40)]
    kept = analytic(tmp_path)
    for day in two:
        assert answers(kept, day) == answers(analytic(tmp_path), day)


def test_the_premium_is_above_the_days_and_on_the_last_day_above_the_day(tmp_path: Path) -> None:
    """14 July 2026 is an expiry day. Of a year's 8760 hours 1575 are in session, so 0.1 by those is 0.2358 by all."""
    record(tmp_path, map(last_of, weekdays(4), bars_of(4)))
    result = analytic(tmp_path).compute(walk(7, 31)[30])
    assert "rv_intraday" not in result.facts
    assert result.expiries["expiry"][0] == OPENS.date()
    assert result.expiries["iv_premium"].to_list() == [None, pytest.approx(0.2 - result.facts["rv_daily"])]
    kept = analytic(tmp_path)
    result = [kept.compute(s) for s in walk(7, 31)][-1]
    clock = math.sqrt(365 * 24 / (252 * 6.25))
    assert result.expiries["iv_premium"].to_list() == pytest.approx(
        [0.2 - clock * result.facts["rv_intraday"], 0.2 - result.facts["rv_daily"]]
    )


class TestRealized(AnalyticContract):
    @pytest.fixture
    def spec(self) -> AnalyticSpec:
        return SPEC

    @pytest.fixture
    def build(self, spec: AnalyticSpec) -> Callable[[], Analytic]:
        return lambda: spec.build(RealizedSettings(days=3, minutes=5))

    @pytest.fixture
    def context(self, tmp_path: Path) -> Context:
        """With four days and half an hour recorded."""
        record(tmp_path, [*map(last_of, weekdays(4), bars_of(4)), *walk(1, 30)])
        return lent_context(tmp_path)

    @pytest.fixture
    def snapshot(self) -> Snapshot:
        return at(OPENS + 30 * MINUTE, 24_100.0)

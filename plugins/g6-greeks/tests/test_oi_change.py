"""Open interest compared with the day's first snapshot and with the last, seen or recorded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from g6_greeks.analytics.oi_change import OpenInterestChange
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import Snapshot
from g6core.journal import Journal
from g6core.testing import START, snapshot, snapshots
from g6core.testing.component_contract import lent_context

STRIKES = 6
"""Of the fake market, two expiries of it; a chain holds some of them in a row."""

COLUMNS = ["oi_change", "oi_change_day"]


def chain(base: Snapshot, lowest: int, height: int, seed: int) -> Snapshot:
    """The snapshot with some of its strikes, and open interest of which a part is not known."""
    rng = np.random.default_rng(seed)
    place = pl.Series(np.arange(base.options.height) // 2 % STRIKES)
    options = base.options.filter(place.is_between(lowest, lowest + height - 1))
    lots = rng.integers(0, 1000, options.height)
    known = rng.random(options.height) > 0.15
    oi = [65 * int(n) if k else None for n, k in zip(lots, known, strict=True)]
    return base.replace(options=options.with_columns(oi=pl.Series(oi, dtype=pl.Int64)))


@cache
def bases() -> list[Snapshot]:
    return snapshots(5, strikes=STRIKES, expiries=2)


windows = st.tuples(st.integers(0, STRIKES - 1), st.integers(1, STRIKES), st.integers(0, 2**32 - 1))
days = st.lists(windows, min_size=1, max_size=5).map(
    lambda drawn: [chain(base, *window) for base, window in zip(bases(), drawn, strict=False)]
)


@contextmanager
def recorded(day: Sequence[Snapshot]) -> Iterator[Path]:
    """A data directory whose journal holds the snapshots."""
    with tempfile.TemporaryDirectory() as place:
        record(Path(place), day)
        yield Path(place)


def record(data_dir: Path, day: Sequence[Snapshot]) -> None:
    journal = Journal(data_dir, [])
    for s in day:
        encoded = journal.encode(s)
        journal.append(encoded.path, [encoded])
    journal.close()


def opened(data_dir: Path) -> OpenInterestChange:
    analytic = OpenInterestChange()
    analytic.open(lent_context(data_dir))
    return analytic


def known(s: Snapshot) -> dict[str, int]:
    return {symbol: oi for symbol, oi in s.options.select("symbol", "oi").iter_rows() if oi is not None}


def same(a: Snapshot, b: Snapshot) -> bool:
    return a.options.equals(b.options) and a.expiries.equals(b.expiries)


@settings(max_examples=30, deadline=None)
@given(days)
def test_a_change_is_the_difference_to_what_the_same_contract_had(day: list[Snapshot]) -> None:
    analytic = OpenInterestChange()
    results = [analytic.compute(s) for s in day]
    for n, result in enumerate(results):
        now, first, last = known(day[n]), known(day[0]), known(day[n - 1]) if n else {}
        for symbol, change, since_first in result.options.select("symbol", *COLUMNS).iter_rows():
            assert change == (now[symbol] - last[symbol] if symbol in now and symbol in last else None)
            assert since_first == (now[symbol] - first[symbol] if symbol in now and symbol in first else None)


@settings(max_examples=30, deadline=None)
@given(days)
def test_the_changes_of_a_contract_add_up_to_that_of_the_day(day: list[Snapshot]) -> None:
    analytic = OpenInterestChange()
    results = [analytic.compute(s).options for s in day]
    all_day = set.intersection(*(set(known(s)) for s in day))
    steps = [dict(r.select("symbol", "oi_change").iter_rows()) for r in results[1:]]
    of_the_day = dict(results[-1].select("symbol", "oi_change_day").iter_rows())
    for symbol in all_day:
        assert sum(step[symbol] for step in steps) == of_the_day[symbol]


@settings(max_examples=10, deadline=None)
@given(days)
def test_a_restart_in_mid_day_and_a_recomputation_change_no_number(day: list[Snapshot]) -> None:
    with recorded(day) as data_dir:
        live = OpenInterestChange()
        expected = [live.compute(s) for s in day]
        for restart in range(len(day)):
            analytic = opened(data_dir)
            for s, answer in list(zip(day, expected, strict=True))[restart:]:
                assert same(analytic.compute(s), answer)


@settings(max_examples=10, deadline=None)
@given(days, st.lists(st.integers(0, 4), max_size=6))
def test_going_back_and_asking_twice_changes_no_number(day: list[Snapshot], ways: list[int]) -> None:
    with recorded(day) as data_dir:
        live, analytic = OpenInterestChange(), opened(data_dir)
        expected = [live.compute(s) for s in day]
        place = 0
        for way in ways:
            assert same(analytic.compute(day[place]), expected[place])
            assert same(analytic.compute(day[place]), expected[place])
            place = way if way < place else min(place + 1, len(day) - 1)


def test_the_first_snapshot_of_a_day_knows_of_no_change_since_the_last(tmp_path: Path) -> None:
    yesterday, today = (snapshot(ts=snapshot().ts + timedelta(days=n)) for n in range(2))
    record(tmp_path, [yesterday])
    analytic = opened(tmp_path)
    analytic.compute(yesterday)
    for first in (analytic.compute(today), opened(tmp_path).compute(today)):
        assert first.options["oi_change"].null_count() == first.options.height
        assert set(first.options["oi_change_day"]) == {0, None}


def test_each_index_is_compared_with_itself() -> None:
    analytic = OpenInterestChange()
    for s in snapshots(3):
        other = analytic.compute(snapshot("BANKNIFTY", s.ts))
        assert set(analytic.compute(s).options["oi_change_day"]) == {0, None}
        assert set(other.options["oi_change_day"]) == {0, None}


def with_oi(ts: datetime, oi: Sequence[int | None]) -> Snapshot:
    """Two strikes of two expiries, call before put."""
    made = snapshot(ts=ts, strikes=2, expiries=2)
    return made.replace(options=made.options.with_columns(oi=pl.Series(oi, dtype=pl.Int64)))


def test_an_expiry_shows_its_sides_in_units_and_only_what_is_known() -> None:
    ts = snapshot().ts
    analytic = OpenInterestChange()
    analytic.compute(with_oi(ts, [65, 130, None, 195, 0, None, 0, None]))
    after = analytic.compute(with_oi(ts + timedelta(minutes=1), [130, 65, 650, None, 0, 65, 65, None])).expiries
    assert after["oi_calls"].to_list() == [780, 65]
    assert after["oi_puts"].to_list() == [65, 65]
    assert after["oi_change_day_calls"].to_list() == [65, 65]
    assert after["oi_change_day_puts"].to_list() == [-65, None]
    assert after.schema["oi_calls"] == after.schema["oi_change_day_puts"] == pl.Int64


def test_a_symbol_that_stands_twice_is_not_compared() -> None:
    ts = snapshot().ts
    first, second = (with_oi(ts + timedelta(minutes=n), [65] * 8) for n in range(2))
    twice = pl.Series("symbol", [first.options["symbol"][1], *first.options["symbol"][1:]])
    analytic = OpenInterestChange()
    analytic.compute(first.replace(options=first.options.with_columns(twice)))
    assert analytic.compute(second).options["oi_change"].to_list() == [None, None, *[0] * 6]


def test_after_a_late_snapshot_everything_is_compared_with_what_was_before_it(tmp_path: Path) -> None:
    day = [chain(s, 0, STRIKES, n) for n, s in enumerate(snapshots(4, strikes=STRIKES))]
    live, analytic = OpenInterestChange(), opened(tmp_path)
    expected = [live.compute(s) for s in day]
    answers = {}
    for n in (0, 2, 1, 3):
        answers[n] = analytic.compute(day[n])
        record(tmp_path, [day[n]])
    assert all(same(answers[n], expected[n]) for n in (0, 1, 3))


@pytest.mark.parametrize("order", [(4, 0, 1, 2, 3, 5), (0, 4, 1, 2, 5, 3), (3, 4, 1, 0, 2, 5)])
def test_several_late_snapshots_in_a_row_change_nothing_either(tmp_path: Path, order: Sequence[int]) -> None:
    day = [chain(s, 0, STRIKES, n) for n, s in enumerate(snapshots(6, strikes=STRIKES))]
    analytic, seen = opened(tmp_path), []
    for n in order:
        answer = analytic.compute(day[n])
        record(tmp_path, [day[n]])
        seen.append(n)
        alone = OpenInterestChange()
        earlier = [alone.compute(day[m]) for m in sorted(seen) if m <= n]
        assert same(answer, earlier[-1])


def test_on_a_recorded_day_the_changes_are_those_that_nse_published(
    shared_data: Path, as_snapshot: Callable[..., Snapshot]
) -> None:
    """NSE counts from the day before, in lots; from the first snapshot on that must be the same change."""
    day = pl.read_csv(shared_data / "minute_option_chain" / "NIFTY_2026-08-18.csv.gz").with_columns(
        pl.col("expiry").str.to_date("%d-%b-%Y"),
        right=pl.col("option_type"),
        symbol=pl.format("NIFTY{}{}{}", "expiry", "strike", "option_type"),
    )
    chains = [c.sort("expiry", "strike", "right") for c in day.partition_by("timestamp", maintain_order=True)[::24]]
    analytic, compared = OpenInterestChange(), 0
    opening = dict(chains[0].select("symbol", "oi_chg").iter_rows())
    for n, recorded_chain in enumerate(chains):
        snapshot = as_snapshot(recorded_chain, START + timedelta(minutes=24 * n), None)
        changes = analytic.compute(snapshot).options["oi_change_day"].to_list()
        for symbol, published, change in zip(*recorded_chain.select("symbol", "oi_chg"), changes, strict=True):
            assert change == (published - opening[symbol] if symbol in opening else None)
            compared += change is not None
    assert compared > 5000

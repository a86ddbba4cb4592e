"""Coverage of a day: what is missing is named with its minutes and contracts, and nothing else is called missing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from g6_kite.candles import Instrument, micros
from g6_kite.candlestore import CandleStore
from g6_kite.coverage import Coverage, State, coverage, runs, session_minutes, through_holes
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from g6core import Context, DataError, Snapshot
from g6core.exchange import Calendar
from g6core.history import History
from g6core.journal import Journal
from g6core.testing import ManualClock, snapshot

DAY = date(2026, 8, 17)
OPEN = datetime(2026, 8, 17, 3, 45, tzinfo=UTC)
EVENING = datetime(2026, 8, 17, 15, 0, tzinfo=UTC)
CALENDAR = Calendar.load()


def at(minute: int, second: int = 0) -> datetime:
    return OPEN + timedelta(minutes=minute, seconds=second)


@cache
def _chain(index: str) -> Snapshot:
    """Two expiries of some strikes, each contract with a quote."""
    s = snapshot(index, OPEN, strikes=11)
    return s.replace(options=s.options.filter(pl.any_horizontal(pl.col("last_price", "bid", "ask").is_not_null())))


def recorded(minute: int, second: int = 0, index: str = "NIFTY", *, without: Iterable[str] = ()) -> Snapshot:
    s = _chain(index).replace(ts=at(minute, second))
    return s.replace(options=s.options.filter(~pl.col("symbol").is_in(list(without)))) if without else s


def unquoted(s: Snapshot, symbols: Iterable[str]) -> Snapshot:
    here = pl.col("symbol").is_in(list(symbols))
    prices = [pl.when(~here).then(pl.col(name)).alias(name) for name in ("last_price", "bid", "ask")]
    return s.replace(options=s.options.with_columns(prices))


def keep(place: Path, snapshots: Iterable[Snapshot]) -> None:
    journal = Journal(place, ())
    encoded = [journal.encode(s) for s in snapshots]
    for path in {e.path for e in encoded}:
        journal.append(path, [e for e in encoded if e.path == path])
    journal.close()


def asked(place: Path, now: datetime = EVENING, indices: tuple[str, ...] = ()) -> list[Coverage]:
    return coverage(Context(place, ManualClock(now), CALENDAR, History(place)), DAY, indices)


def state(c: Coverage, symbol: str, minute: int) -> State:
    (row,) = [n for n, i in enumerate(c.instruments) if i.symbol == symbol]
    return State(int(c.states[row, minute]))


def test_a_disconnect_of_ten_minutes_is_one_gap_of_all_contracts_and_the_index(tmp_path: Path) -> None:
    keep(tmp_path, [recorded(m) for m in range(385) if not 57 <= m < 67])
    (c,) = asked(tmp_path)
    (gap,) = c.gaps()
    assert (gap.first, gap.last, gap.minutes, gap.contracts, gap.spot) == (at(57), at(66), 10, 42, True)
    assert c.states.shape == (43, 385)
    assert c.snapshots == 375
    for expiry, (n, tally) in c.counts().items():
        assert tally[State.GAP] == 10 * n
        assert tally[State.PRESENT] == 375 * n
        assert sum(tally.values()) == 385 * n, expiry


def test_a_whole_day_has_no_gap(tmp_path: Path) -> None:
    keep(tmp_path, [recorded(m) for m in range(385)])
    (c,) = asked(tmp_path)
    assert c.gaps() == []
    assert (c.states == State.PRESENT).all()


def test_a_recorder_that_starts_late_and_stops_early_leaves_two_gaps(tmp_path: Path) -> None:
    keep(tmp_path, [recorded(m) for m in range(5, 100)])
    (c,) = asked(tmp_path, now=at(120, 30))
    assert [(g.first, g.last, g.contracts) for g in c.gaps()] == [(at(0), at(4), 42), (at(100), at(119), 42)]


def test_minutes_that_are_not_over_are_no_gap(tmp_path: Path) -> None:
    keep(tmp_path, [recorded(m) for m in range(5)])
    (c,) = asked(tmp_path, now=at(5, 59))
    assert c.minutes.tolist() == [micros(at(m)) for m in range(5)]
    assert c.gaps() == []


def test_a_contract_without_a_quote_is_a_gap_of_its_own(tmp_path: Path) -> None:
    full = [recorded(m) for m in range(30)]
    two = full[0].options["symbol"].to_list()[:2]
    keep(tmp_path, [unquoted(s, two) if 10 <= m < 13 else s for m, s in enumerate(full)])
    (c,) = asked(tmp_path, now=at(30))
    (gap,) = c.gaps()
    assert (gap.first, gap.minutes, gap.contracts, gap.spot) == (at(10), 3, 2, False)


def test_one_quote_in_a_minute_is_enough(tmp_path: Path) -> None:
    full = [recorded(0, second) for second in (0, 15, 30, 45)]
    every = full[0].options["symbol"].to_list()
    keep(tmp_path, [unquoted(s, every) if n != 2 else s for n, s in enumerate(full)])
    (c,) = asked(tmp_path, now=at(1))
    assert c.gaps() == []


def test_what_the_strategy_had_not_selected_is_not_missing(tmp_path: Path) -> None:
    late = "NIFTY2681824600CE"
    keep(tmp_path, [recorded(m, without=(late,) if m < 20 else ()) for m in range(60) if not 30 <= m < 40])
    (c,) = asked(tmp_path, now=at(60))
    assert {state(c, late, m) for m in range(20)} == {State.NOT_WATCHED}
    assert {state(c, late, m) for m in (*range(20, 30), *range(40, 60))} == {State.PRESENT}
    (gap,) = c.gaps()
    assert (gap.first, gap.minutes, gap.contracts) == (at(30), 10, 42)


def test_in_a_hole_what_was_watched_on_either_side_is_missing(tmp_path: Path) -> None:
    left, right = "NIFTY2681824600CE", "NIFTY2681824600PE"
    before = [recorded(m, without=(right,)) for m in range(5)]
    after = [recorded(m, without=(left,)) for m in range(10, 15)]
    keep(tmp_path, [*before, *after])
    (c,) = asked(tmp_path, now=at(15))
    assert {state(c, symbol, m) for symbol in (left, right) for m in range(5, 10)} == {State.GAP}
    assert {state(c, left, m) for m in range(10, 15)} == {state(c, right, m) for m in range(5)} == {State.NOT_WATCHED}


def test_what_kite_answered_is_no_gap_any_more(tmp_path: Path) -> None:
    keep(tmp_path, [recorded(m) for m in range(30) if not 10 <= m < 20])
    row = recorded(0).options.row(0, named=True)
    one = Instrument(*(row[n] for n in ("index", "exchange", "symbol", "token", "expiry", "strike", "right")))
    ts = [at(10), at(11), at(25)]
    found = pl.DataFrame({"ts": ts, **{n: [1.0] * 3 for n in ("open", "high", "low", "close")}, "volume": [75, 0, 75]})
    found = found.with_columns(oi=pl.lit(None, pl.Int64))
    with CandleStore(tmp_path) as store:
        store.write(DAY, one, found, [(micros(at(10)), micros(at(15)))], EVENING)
    (c,) = asked(tmp_path, now=at(30))
    assert state(c, one.symbol, 10) == State.BACK_FILLED
    assert {state(c, one.symbol, m) for m in range(11, 16)} == {State.NO_TRADE}
    assert {state(c, one.symbol, m) for m in range(16, 20)} == {State.GAP}
    assert state(c, one.symbol, 25) == State.PRESENT


def test_a_day_that_was_only_filled_up_has_a_coverage_too(tmp_path: Path) -> None:
    one = Instrument("NIFTY", "NFO", "NIFTY2681824600CE", 1, date(2026, 8, 18), 24600.0, "CE")
    found = pl.DataFrame({"ts": [at(0)], **{n: [1.0] for n in ("open", "high", "low", "close")}, "volume": [75]})
    with CandleStore(tmp_path) as store:
        store.write(DAY, one, found.with_columns(oi=pl.lit(None, pl.Int64)), [], EVENING)
    (c,) = asked(tmp_path)
    assert state(c, one.symbol, 0) == State.BACK_FILLED
    assert c.counts()[one.expiry][1][State.NOT_WATCHED] == 384
    assert c.gaps() == []


def test_the_session_is_that_of_the_exchange_and_the_day() -> None:
    new = session_minutes(CALENDAR, "NFO", date(2026, 8, 3), EVENING)
    old = session_minutes(CALENDAR, "NFO", date(2026, 7, 31), EVENING)
    assert (new.size, old.size) == (385, 375)
    assert session_minutes(CALENDAR, "BFO", DAY, EVENING).size == 375
    assert session_minutes(CALENDAR, "NFO", date(2026, 8, 16), EVENING).size == 0
    assert session_minutes(CALENDAR, "NFO", DAY, OPEN - timedelta(hours=1)).size == 0


def test_indices_of_two_exchanges_have_a_session_each(tmp_path: Path) -> None:
    keep(tmp_path, [recorded(m, index=i) for i in ("NIFTY", "SENSEX") for m in (0, 374, 376)])
    nifty, sensex = asked(tmp_path)
    assert (nifty.index, nifty.minutes.size, sensex.index, sensex.minutes.size) == ("NIFTY", 385, "SENSEX", 375)
    assert [g.minutes for g in nifty.gaps() if g.spot] == [373, 1, 8]
    assert [g.minutes for g in sensex.gaps() if g.spot] == [373]
    assert [c.index for c in asked(tmp_path, indices=("SENSEX",))] == ["SENSEX"]


def test_snapshots_outside_the_session_say_nothing_about_it(tmp_path: Path) -> None:
    keep(tmp_path, [recorded(m) for m in (-3, -1, 385, 400)])
    (c,) = asked(tmp_path)
    assert (c.states == State.NOT_WATCHED).all()
    assert c.gaps() == []


def test_more_contracts_than_there_was_room_for(tmp_path: Path) -> None:
    wide = [snapshot("NIFTY", at(m), strikes=201, expiries=2) for m in range(3)]
    keep(tmp_path, wide)
    (c,) = asked(tmp_path, now=at(3))
    assert c.states.shape == (805, 3)
    assert {s for s in c.states[:, 1].tolist()} == {State.PRESENT, State.GAP}
    assert (c.states == State.GAP).sum() == 3 * int(
        wide[0].options.select(pl.all_horizontal(pl.col("last_price", "bid", "ask").is_null()).sum()).item()
    )


def test_a_day_that_nobody_recorded_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError) as told:
        asked(tmp_path)
    assert told.value.code == "no-such-day"


def test_reading_changes_nothing(tmp_path: Path) -> None:
    keep(tmp_path, [recorded(m) for m in range(3)])
    before = {p.name: p.read_bytes() for p in tmp_path.rglob("*.db")}
    asked(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.rglob("*.db")} == before
    with sqlite3.connect(tmp_path / "journal" / f"{DAY}.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 40)))


@given(MASKS)
def test_runs_are_the_mask_itself(mask: np.ndarray) -> None:
    again = np.zeros_like(mask)
    for row, start, end in runs(mask):
        assert start < end
        assert not again[row, start:end].any()
        assert (start == 0 or not mask[row, start - 1]) and (end == mask.shape[1] or not mask[row, end])
        again[row, start:end] = True
    assert (again == mask).all()


@given(MASKS, st.data())
def test_a_hole_takes_what_stands_on_its_edges(watched: np.ndarray, data: st.DataObject) -> None:
    seen = data.draw(arrays.arrays(np.bool_, watched.shape[1]))
    watched &= seen
    filled = through_holes(watched, seen)
    assert (filled[:, seen] == watched[:, seen]).all()
    for minute in np.flatnonzero(~seen):
        edges = [*np.flatnonzero(seen[:minute])[-1:], *(minute + np.flatnonzero(seen[minute:])[:1])]
        expected = watched[:, edges].any(axis=1) if edges else np.zeros(len(watched), np.bool_)
        assert (filled[:, minute] == expected).all()

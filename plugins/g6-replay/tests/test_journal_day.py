from __future__ import annotations

import gc
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from g6_replay.provider import Replay
from g6_replay.settings import Settings

from g6core import Context, DataError, Snapshot
from g6core.journal import Journal
from g6core.snapshot import CONTRACTS, QUOTES
from g6core.testing import snapshots

Replays = Callable[..., Any]


def record(root: Path, *days: Snapshot) -> Path:
    journal = Journal(root, [])
    for snapshot in days:
        encoded = journal.encode(snapshot)
        journal.append(encoded.path, [encoded])
    journal.close()
    return encoded.path


@pytest.fixture
def taken() -> list[Snapshot]:
    return snapshots(4)


def test_each_instant_comes_back_as_it_was_recorded(replay: Replays, tmp_path: Path, taken: list[Snapshot]) -> None:
    day = replay(record(tmp_path / "a", *taken))
    assert list(day.timeline()) == [s.ts for s in taken]
    assert list(day.indices()) == ["NIFTY"]
    for snapshot in taken:
        day.at(snapshot.ts)
        asked = snapshot.options.select(CONTRACTS.keys())
        assert day.quotes(asked).equals(snapshot.options.select(QUOTES.keys()))
        assert day.spots(["NIFTY"])["NIFTY"].last == snapshot.facts["spot"]
        assert set(day.contracts("NIFTY")["symbol"]) >= set(asked["symbol"])


def test_columns_of_analytics_are_computed_again_and_those_of_the_exchange_kept(
    replay: Replays, tmp_path: Path, taken: list[Snapshot]
) -> None:
    more = taken[0].options.with_columns(iv=pl.lit(0.2), delta=pl.lit(0.5), exchange_iv=pl.lit(0.19))
    day = replay(record(tmp_path / "a", taken[0].replace(options=more)))
    quotes = day.quotes(day.contracts("NIFTY"))
    assert quotes.columns == [*QUOTES, "exchange_iv"]
    assert quotes["exchange_iv"].unique().to_list() == [0.19]


def test_futures_are_those_of_the_instant_and_none_where_none_was_recorded(
    replay: Replays, tmp_path: Path, taken: list[Snapshot]
) -> None:
    bare = taken[1].replace(expiries=taken[1].expiries.drop("future"))
    day = replay(record(tmp_path / "a", taken[0], bare, taken[2]))
    for snapshot, known in ((taken[0], True), (bare, False), (taken[2], True)):
        futures = day.at(snapshot.ts).futures(["NIFTY", "BANKNIFTY"])
        assert futures == ({"NIFTY": {date(2026, 8, 25): snapshot.facts["spot"]}} if known else {})
    assert day.at(taken[0].ts + timedelta(seconds=1)).futures(["NIFTY"]) == {}


def test_simulated_stays_simulated(replay: Replays, tmp_path: Path, taken: list[Snapshot]) -> None:
    real = taken[0].replace(facts={"spot": 24600.0})
    assert replay(record(tmp_path / "a", taken[0].replace(facts={"simulated": 1.0}))).simulated
    assert not replay(record(tmp_path / "b", real)).simulated


def test_facts_of_the_day_and_the_vix_come_back(replay: Replays, tmp_path: Path, taken: list[Snapshot]) -> None:
    facts = {"spot": 5.0, "open": 4.0, "high": 6.0, "low": 3.0, "close": 2.0, "vix": 12.5}
    spots = replay(record(tmp_path / "a", taken[0].replace(facts=facts))).spots(["NIFTY"])
    nifty = spots["NIFTY"]
    assert (nifty.last, nifty.open, nifty.high, nifty.low, nifty.close) == (5, 4, 6, 3, 2)
    assert spots["INDIAVIX"].last == 12.5


def test_the_contracts_of_the_day_are_the_union(replay: Replays, tmp_path: Path, taken: list[Snapshot]) -> None:
    first, second = taken[0].options, taken[1].options
    path = record(
        tmp_path / "a", taken[0].replace(options=first.head(10)), taken[1].replace(options=second.slice(8, 10))
    )
    day = replay(path)
    assert set(day.contracts("NIFTY")["symbol"]) == set(first["symbol"][:10]) | set(second["symbol"][8:18])
    assert day.quotes(day.contracts("NIFTY"))["exchange_ts"].count() <= 10


def test_instants_may_be_asked_for_in_any_order(replay: Replays, tmp_path: Path, taken: list[Snapshot]) -> None:
    day = replay(record(tmp_path / "a", *taken))
    asked = taken[0].options.select(CONTRACTS.keys())
    for snapshot in (taken[3], taken[0], taken[2], taken[2], taken[1]):
        assert day.at(snapshot.ts).quotes(asked).equals(snapshot.options.select(QUOTES.keys()))


def test_a_day_recorded_with_the_clock_going_back_is_replayed_in_order(
    replay: Replays, tmp_path: Path, taken: list[Snapshot]
) -> None:
    day = replay(record(tmp_path / "a", taken[1], taken[0], taken[2]))
    assert list(day.timeline()) == [s.ts for s in taken[:3]]
    assert [day.at(s.ts).spots(["NIFTY"])["NIFTY"].last for s in taken[:3]] == [s.facts["spot"] for s in taken[:3]]


def test_between_instants_nothing_is_known(replay: Replays, tmp_path: Path, taken: list[Snapshot]) -> None:
    day = replay(record(tmp_path / "a", *taken[:2]))
    contracts = day.contracts("NIFTY")
    day.at(taken[3].ts)
    assert day.spots(["NIFTY"]) == {}
    quotes = day.quotes(contracts)
    assert quotes.height == contracts.height
    assert quotes.null_count().row(0) == (contracts.height,) * quotes.width


def test_another_day_has_no_contracts(replay: Replays, tmp_path: Path, taken: list[Snapshot]) -> None:
    day = replay(record(tmp_path / "a", taken[0]))
    assert day._recording.contracts("NIFTY", date(2020, 1, 1)).is_empty()


def test_it_may_be_read_in_one_thread_and_closed_in_another(
    replay: Replays, tmp_path: Path, taken: list[Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    day = replay(record(tmp_path / "a", *taken))
    reader = threading.Thread(target=day.spots, args=(["NIFTY"],))
    reader.start()
    reader.join()
    day.close()
    gc.collect()
    assert lost == []


def test_a_file_that_is_no_journal_is_named(replay: Replays, tmp_path: Path) -> None:
    path = tmp_path / "2026-08-18.db"
    path.write_text("not a database, but long enough to be taken for one" * 100)
    with pytest.raises(DataError, match=r"2026-08-18\.db"):
        replay(path)


def test_a_damaged_snapshot_is_an_error(replay: Replays, tmp_path: Path, taken: list[Snapshot]) -> None:
    path = record(tmp_path / "a", taken[0])
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE snapshots SET options = x'00'")
        db.commit()
    with pytest.raises(DataError) as e:
        replay(path)
    assert e.value.code == "replay-unreadable"


def test_a_day_without_snapshots_is_an_error(replay: Replays, tmp_path: Path, taken: list[Snapshot]) -> None:
    path = record(tmp_path / "a", taken[0])
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM snapshots")
        db.commit()
    with pytest.raises(DataError) as e:
        replay(path)
    assert e.value.code == "replay-empty"


def test_the_original_is_left_as_it_was(g6_context: Context, tmp_path: Path, taken: list[Snapshot]) -> None:
    path = record(tmp_path / "a", *taken)
    before = path.read_bytes()
    provider = Replay(Settings(path=path))
    provider.open(g6_context)
    provider.close()
    assert path.read_bytes() == before

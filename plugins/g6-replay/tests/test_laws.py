"""Laws: whatever a CSV holds comes back, and no byte of garbage stops the replay of the rest."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from g6_replay.normalise import IST
from g6_replay.settings import Settings
from g6_replay.sources import load
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import DataError

START = datetime(2026, 8, 18, 3, 45, tzinfo=UTC)
QUOTES = st.fixed_dictionaries(
    {
        "last_price": st.none() | st.integers(1, 10**7).map(lambda ticks: ticks / 20),
        "bid": st.none() | st.integers(1, 10**7).map(lambda ticks: ticks / 20),
        "oi": st.none() | st.integers(0, 10**12),
    }
)
KEYS = st.tuples(st.integers(0, 5), st.integers(1, 8), st.sampled_from(["CE", "PE"]))
BOARDS = st.dictionaries(KEYS, QUOTES, min_size=1, max_size=30)


def lines(board: dict[tuple[int, int, str], dict[str, Any]]) -> list[str]:
    rows = ["ts,index,expiry,strike,right,last_price,bid,oi"]
    for (minute, strike, right), quote in board.items():
        cells = ["" if quote[name] is None else str(quote[name]) for name in ("last_price", "bid", "oi")]
        key = [str(START + timedelta(minutes=minute)), "NIFTY", "2026-08-25", str(strike), right]
        rows.append(",".join(key + cells))
    return rows


@given(BOARDS)
@settings(max_examples=40, deadline=None)
def test_every_quote_comes_back_at_its_instant_and_at_no_other(board: dict[Any, Any]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chain.csv"
        path.write_text("\n".join(lines(board)))
        recording = load(Settings(path=path))
    assert recording.instants == sorted({START + timedelta(minutes=minute) for minute, _, _ in board})
    assert recording.set_aside == []
    for instant in recording.instants:
        contracts = recording.contracts("NIFTY", date(2026, 8, 18))
        strikes = contracts.select("symbol", "strike", "right")
        rows = recording.rows(instant).join(strikes, on="symbol")
        found = {
            ((instant - START) // timedelta(minutes=1), int(r["strike"]), r["right"]): {
                name: r[name] for name in ("last_price", "bid", "oi")
            }
            for r in rows.iter_rows(named=True)
        }
        assert found == {key: quote for key, quote in board.items() if START + timedelta(minutes=key[0]) == instant}


@given(BOARDS, st.data())
@settings(max_examples=40, deadline=None)
def test_garbage_between_the_rows_costs_no_good_row(board: dict[Any, Any], data: st.DataObject) -> None:
    rows = lines(board)
    junk = st.text(st.characters(exclude_characters='\n\r"'), min_size=1, max_size=40)
    for _ in range(data.draw(st.integers(1, 4))):
        rows.insert(data.draw(st.integers(1, len(rows))), data.draw(junk))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chain.csv"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8", errors="replace")
        recording = load(Settings(path=path))
    assert sum(recording.rows(t).height for t in recording.instants) == len(board)


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_clear_refusal(junk: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chain.csv"
        path.write_bytes(b"ts,index,expiry,strike,right,last_price\n" + junk)
        try:
            load(Settings(path=path))
        except DataError as e:
            assert e.code.startswith("replay-")


def test_the_zone_of_a_trading_day_is_india() -> None:
    assert pl.Series([START]).dt.convert_time_zone(IST).dt.hour().item() == 9

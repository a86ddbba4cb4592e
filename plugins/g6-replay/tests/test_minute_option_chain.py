from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from g6core.snapshot import QUOTES

HEADER = "timestamp,symbol,expiry,strike,option_type,spot,ltp,volume,oi,oi_chg,iv\n"
FIRST = HEADER + "202608181043,NIFTY50,25-Aug-2026,24200.0,CE,24212.8,101.5,18,52,-8,12.5\n"
Replays = Callable[..., Any]


def test_a_recorded_day_is_replayed_whole(replay: Replays, recorded: Callable[[str], Path]) -> None:
    day = replay(recorded("minute_option_chain/NIFTY_2026-08-18.csv.gz"))
    instants = list(day.timeline())
    assert (len(instants), instants[0], instants[-1]) == (
        288,
        datetime(2026, 8, 18, 5, 13, tzinfo=UTC),
        datetime(2026, 8, 18, 10, 0, tzinfo=UTC),
    )
    assert list(day.indices()) == ["NIFTY"]
    assert day.set_aside == []
    contracts = day.contracts("NIFTY")
    quoted = [day.at(t).quotes(contracts)["last_price"].count() for t in instants]
    assert sum(quoted) == 153_990
    assert min(quoted) == 517


def test_every_recorded_value_comes_back_in_our_units(replay: Replays, recorded: Callable[[str], Path]) -> None:
    path = recorded("minute_option_chain/NIFTY_2026-08-18.csv.gz")
    raw = pl.read_csv(path).filter(pl.col("timestamp") == 202608181200).sort("expiry", "strike", "option_type")
    day = replay(path).at(datetime(2026, 8, 18, 6, 30, tzinfo=UTC))
    board = day.board("NIFTY").filter(pl.col("last_price").is_not_null())
    board = board.sort(pl.col("expiry").dt.to_string("%d-%b-%Y"), "strike", "right")
    assert board["last_price"].to_list() == raw["ltp"].cast(pl.Float64).to_list()
    assert board["oi"].to_list() == (raw["oi"] * 65).to_list()
    assert board["volume"].to_list() == (raw["volume"] * 65).to_list()
    assert board["exchange_iv"].to_list() == pytest.approx((raw["iv"] / 100).to_list(), abs=1e-12)
    assert day.spots(["NIFTY"])["NIFTY"].last == raw["spot"][0]


def test_the_header_alone_selects_the_preset(replay: Replays, tmp_path: Path) -> None:
    path = tmp_path / "chain.csv"
    path.write_text(FIRST)
    day = replay(path)
    row = day.board("NIFTY").row(0, named=True)
    assert row["symbol"] == "NIFTY 2026-08-25 24200 CE"
    assert (row["exchange"], row["expiry"], row["lot_size"], row["token"]) == ("NFO", date(2026, 8, 25), 65, None)
    assert (row["last_price"], row["oi"], row["volume"], row["exchange_iv"]) == (101.5, 52 * 65, 18 * 65, 0.125)
    assert (row["bid"], row["ask"], row["exchange_ts"]) == (None, None, None)
    assert set(day.quotes(day.contracts("NIFTY")).columns) == {*QUOTES, "exchange_iv"}


def test_a_setting_is_stronger_than_the_preset(replay: Replays, tmp_path: Path) -> None:
    path = tmp_path / "chain.csv"
    path.write_text(FIRST)
    assert replay(path, oi_unit="units").board("NIFTY")["oi"].item() == 52
    assert replay(path, lot_sizes={"NIFTY": 75}).board("NIFTY")["oi"].item() == 52 * 75


def test_an_iv_of_zero_is_absent(replay: Replays, tmp_path: Path) -> None:
    path = tmp_path / "chain.csv"
    path.write_text(FIRST.replace("12.5", "0"))
    assert replay(path).board("NIFTY")["exchange_iv"].item() is None


def test_a_missing_spot_is_left_out(replay: Replays, tmp_path: Path) -> None:
    path = tmp_path / "chain.csv"
    path.write_text(FIRST.replace("24212.8", "") + "202608181044,NIFTY50,25-Aug-2026,24200,CE,24212.8,99,19,53,1,12\n")
    day = replay(path)
    assert day.spots(["NIFTY"]) == {}
    assert day.at(list(day.timeline())[1]).spots(["NIFTY"])["NIFTY"].last == 24212.8

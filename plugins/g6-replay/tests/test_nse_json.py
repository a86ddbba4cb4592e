from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from g6core import DataError

Replays = Callable[..., Any]


def chain(time: str = "17-Jul-2025 15:30:00", strike: float = 25000, **side: Any) -> dict[str, Any]:
    given = {
        "strikePrice": strike,
        "expiryDate": "31-Jul-2025",
        "underlying": "NIFTY",
        "identifier": f"OPTIDXNIFTY31-07-2025CE{strike:.2f}",
        "openInterest": 4,
        "totalTradedVolume": 7,
        "impliedVolatility": 12.34,
        "lastPrice": 250.5,
        "bidprice": 250,
        "bidQty": 75,
        "askPrice": 251,
        "askQty": 150,
    }
    entry = {"strikePrice": strike, "expiryDate": "31-Jul-2025", "CE": {**given, **side}}
    return {"records": {"timestamp": time, "underlyingValue": 25111.45, "data": [entry]}}


def write(path: Path, document: object) -> Path:
    text = json.dumps(document).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize(
    ("name", "index", "spot", "sides", "with_iv"),
    [
        ("NIFTY_2025-07-17_1530.json.gz", "NIFTY", 25111.45, 1395, 799),
        ("FINNIFTY_2025-07-17_1530.json.gz", "FINNIFTY", 26809.45, 223, 106),
        ("BANKNIFTY_2023-05-03_1530.json.gz", "BANKNIFTY", 43312.7, 1170, 485),
    ],
)
def test_a_recorded_chain_is_replayed_whole(
    replay: Replays, recorded: Callable[[str], Path], name: str, index: str, spot: float, sides: int, with_iv: int
) -> None:
    day = replay(recorded(f"nse_option_chain/{name}"))
    board = day.board(index)
    assert (board.height, board["exchange_iv"].count(), day.set_aside) == (sides, with_iv, [])
    assert day.spots([index])[index].last == spot
    assert board["symbol"].str.starts_with(f"OPTIDX{index}").all()
    assert board["lot_size"].null_count() == 0
    quantities = board.filter(pl.col("bid_qty").is_not_null())
    assert (quantities["bid_qty"] % quantities["lot_size"] == 0).all()


def test_lots_follow_the_expiry(replay: Replays, recorded: Callable[[str], Path]) -> None:
    board = replay(recorded("nse_option_chain/BANKNIFTY_2023-05-03_1530.json.gz")).board("BANKNIFTY")
    lots = dict(board.select("expiry", "lot_size").unique().iter_rows())
    assert lots[date(2023, 7, 27)] == 15
    assert {lot for day, lot in lots.items() if day != date(2023, 7, 27)} == {25}


def test_fractions_of_a_lot_are_whole_units(replay: Replays, tmp_path: Path) -> None:
    day = replay(write(tmp_path / "chain.json", chain(openInterest=4.333333333333333)))
    assert day.board("NIFTY")["oi"].item() == 325


def test_a_row_comes_in_our_units(replay: Replays, tmp_path: Path) -> None:
    row = replay(write(tmp_path / "chain.json", chain())).board("NIFTY").row(0, named=True)
    assert row["symbol"] == "OPTIDXNIFTY31-07-2025CE25000.00"
    assert (row["expiry"], row["strike"]) == (date(2025, 7, 31), 25000)
    assert (row["last_price"], row["bid"], row["ask"]) == (250.5, 250, 251)
    assert (row["bid_qty"], row["ask_qty"]) == (75, 150)
    assert (row["volume"], row["oi"]) == (7 * 75, 4 * 75)
    assert row["exchange_iv"] == pytest.approx(0.1234)
    assert row["exchange_ts"] == datetime(2025, 7, 17, 10, 0, tzinfo=UTC)


def test_a_zero_is_no_quote(replay: Replays, tmp_path: Path) -> None:
    names = ("lastPrice", "bidprice", "bidQty", "impliedVolatility", "openInterest", "totalTradedVolume")
    row = replay(write(tmp_path / "chain.json", chain(**dict.fromkeys(names, 0)))).board("NIFTY").row(0, named=True)
    assert [row[name] for name in ("last_price", "bid", "bid_qty", "exchange_iv")] == [None] * 4
    assert (row["ask"], row["oi"], row["volume"]) == (251, 0, 0)


def test_a_directory_is_several_instants(replay: Replays, tmp_path: Path) -> None:
    for minute, price in ((32, 3.0), (30, 1.0), (31, 2.0)):
        suffix = ".json.gz" if minute == 31 else ".json"
        write(tmp_path / f"at{minute}{suffix}", chain(f"17-Jul-2025 12:{minute}:00", lastPrice=price))
    day = replay(tmp_path)
    seen = [day.at(t).board("NIFTY")["last_price"].item() for t in day.timeline()]
    assert seen == [1.0, 2.0, 3.0]


def test_the_contracts_of_a_day_are_those_of_all_its_instants(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path / "a.json", chain("17-Jul-2025 12:30:00", 25000))
    write(tmp_path / "b.json", chain("17-Jul-2025 12:31:00", 25050))
    write(tmp_path / "c.json", chain("18-Jul-2025 12:31:00", 25100))
    day = replay(tmp_path)
    board = day.board("NIFTY")
    assert board["strike"].to_list() == [25000, 25050]
    assert board["last_price"].to_list() == [250.5, None]
    assert day.at(list(day.timeline())[2]).contracts("NIFTY")["strike"].to_list() == [25100]


def test_a_file_that_is_no_chain_is_set_aside_and_named(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path / "a.json", chain())
    (tmp_path / "b.json").write_text('{"records": {"da')
    write(tmp_path / "c.json", {})
    day = replay(tmp_path)
    assert day.board("NIFTY").height == 1
    assert [Path(entry.first).name for entry in day.set_aside] == ["b.json", "c.json"]
    assert "not an NSE option chain" in day.set_aside[1].reason


def test_only_files_that_are_no_chain_are_an_error(replay: Replays, tmp_path: Path) -> None:
    with pytest.raises(DataError) as e:
        replay(write(tmp_path / "c.json", {}))
    assert e.value.code == "replay-garbage"
    assert "not an NSE option chain" in e.value.render()


def test_a_torn_entry_is_set_aside_and_numbered(replay: Replays, tmp_path: Path) -> None:
    document = chain()
    document["records"]["data"] += [None, {"strikePrice": 1}, {"CE": {"strikePrice": "x", "expiryDate": "31-Jul-2025"}}]
    day = replay(write(tmp_path / "chain.json", document))
    assert day.board("NIFTY").height == 1
    assert [(entry.count, entry.first.rpartition(":")[2]) for entry in day.set_aside] == [(2, "2"), (1, "4")]

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from g6core import DataError

Replays = Callable[..., Any]

HEADER = (
    "timestamp,index,expiry_tag,expiry_date,offset,index_price,atm,strike,ce,pe,tp,"
    "avg_ce,avg_pe,avg_tp,ce_vol,pe_vol,ce_oi,pe_oi,ce_iv,pe_iv"
)
ROW = (
    "29-09-2025 12:22:30,NIFTY,this_week,2025-09-30,0,24648.95,24650,24650,93.85,51.15,145.0,"
    "134.79,36.38,171.17,7500,15000,750,1500,0.0,0.25"
)


def tree(root: Path, *rows: str, header: str = HEADER, tag: str = "this_week", offset: str = "0") -> Path:
    folder = root / "NIFTY" / tag / offset
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "2025-09-29.csv").write_text("\n".join([header, *rows]) + "\n")
    return root


def test_the_recorded_tree_is_replayed_once_per_contract(replay: Replays, recorded: Callable[[str], Path]) -> None:
    root = recorded("g6_native_csv")
    day = replay(root)
    files = [p for p in root.rglob("2025-09-29.csv") if "overview" not in p.parts]
    legs = sum(2 * (len(p.read_text().splitlines()) - 1) for p in files)
    boards = pl.concat(day.at(t).board(index) for t in day.timeline() for index in day.indices())
    assert list(day.indices()) == ["FINNIFTY", "NIFTY"]
    assert list(day.timeline()) == [datetime(2025, 9, 29, h, m, 30, tzinfo=UTC) for h, m in ((6, 52), (7, 3))]
    count = sum(count for count, _ in day.reasons().values())
    assert boards.height == legs - count
    assert 0.3 < count / legs < 0.35
    assert boards.filter(pl.col("last_price").is_null()).select("volume", "oi").null_count().row(0) == (14, 14)


def test_a_row_becomes_a_call_and_a_put(replay: Replays, tmp_path: Path) -> None:
    day = replay(tree(tmp_path, ROW))
    call, put = day.board("NIFTY").rows(named=True)
    assert (call["right"], call["last_price"], call["average_price"]) == ("CE", 93.85, 134.79)
    assert (put["right"], put["last_price"], put["average_price"]) == ("PE", 51.15, 36.38)
    assert (call["volume"], put["volume"], call["oi"], put["oi"]) == (7500, 15000, 750, 1500)
    assert call["symbol"] == "NIFTY 2025-09-30 24650 CE"
    assert list(day.timeline()) == [datetime(2025, 9, 29, 6, 52, 30, tzinfo=UTC)]
    assert day.spots(["NIFTY"])["NIFTY"].last == 24648.95
    assert not [name for name in call if name.endswith("_iv")]


def test_a_leg_of_zeros_is_absent(replay: Replays, tmp_path: Path) -> None:
    zeros = ROW.replace("93.85", "0.0").replace("134.79", "0.0").replace("7500,", "0,", 1).replace(",750,", ",0,")
    call, put = replay(tree(tmp_path, zeros)).board("NIFTY").rows(named=True)
    assert (call["last_price"], call["volume"], call["oi"]) == (None, None, None)
    assert (put["last_price"], put["volume"], put["oi"]) == (51.15, 15000, 1500)


def test_a_contract_under_two_tags_counts_once(replay: Replays, tmp_path: Path) -> None:
    tree(tmp_path, ROW)
    day = replay(tree(tmp_path, ROW.replace("this_week", "this_month"), tag="this_month"))
    assert day.board("NIFTY").height == 2
    assert [entry.count for entry in day.set_aside] == [2]


def test_other_files_of_the_tree_are_not_read(replay: Replays, tmp_path: Path) -> None:
    tree(tmp_path, ROW)
    folder = tmp_path / "NIFTY" / "this_week"
    (folder / "2025-09-29_debug.json").write_text("{}")
    (folder / "0" / "2025-09-29.csv.lock").write_text("")
    assert replay(tmp_path).set_aside == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (ROW.replace("93.85,51.15", "1000.0,1000.0"), "every leg is 1000.0"),
        (ROW.replace("24648.95", "24800.0"), "stand-in price"),
    ],
)
def test_fabricated_rows_are_set_aside(replay: Replays, tmp_path: Path, row: str, reason: str) -> None:
    day = replay(tree(tmp_path, ROW, row))
    assert day.board("NIFTY").height == 2
    (entry,) = day.set_aside
    assert (entry.count, reason in entry.reason) == (1, True)
    assert entry.first.endswith("2025-09-29.csv:3")


def test_one_leg_at_1000_is_a_price(replay: Replays, tmp_path: Path) -> None:
    assert replay(tree(tmp_path, ROW.replace("93.85", "1000.0"))).board("NIFTY")["last_price"][0] == 1000


def without(column: str) -> tuple[str, str]:
    names, cells = HEADER.split(","), ROW.split(",")
    at = names.index(column)
    return ",".join(names[:at] + names[at + 1 :]), ",".join(cells[:at] + cells[at + 1 :])


def test_rows_without_an_expiry_date_take_it_from_the_setting(replay: Replays, tmp_path: Path) -> None:
    header, row = without("expiry_date")
    day = replay(tree(tmp_path, row, header=header), expiries={"this_week": date(2025, 9, 30)})
    assert day.board("NIFTY")["expiry"].unique().to_list() == [date(2025, 9, 30)]


def test_rows_without_an_expiry_date_are_never_given_a_made_up_one(replay: Replays, tmp_path: Path) -> None:
    header, row = without("expiry_date")
    with pytest.raises(DataError) as e:
        replay(tree(tmp_path, row, header=header))
    assert "`expiries`" in (e.value.note or "")


def test_the_oldest_header_calls_the_strike_offset_price(replay: Replays, tmp_path: Path) -> None:
    names = {"index_price": "strike", "strike": "offset_price"}
    header = ",".join(names.get(name, name) for name in HEADER.split(","))
    day = replay(tree(tmp_path, ROW, header=header))
    assert day.board("NIFTY")["strike"].unique().to_list() == [24650]
    assert day.spots(["NIFTY"])["NIFTY"].last == 24648.95


def test_one_file_of_the_tree_is_replayed_alone(replay: Replays, tmp_path: Path) -> None:
    tree(tmp_path, ROW)
    assert replay(tmp_path / "NIFTY" / "this_week" / "0" / "2025-09-29.csv").board("NIFTY").height == 2


def test_a_file_of_another_layout_is_set_aside(replay: Replays, tmp_path: Path) -> None:
    tree(tmp_path, ROW)
    tree(tmp_path, "2025-09-14T09:15:00,50.7,50.01", header="timestamp,ce,pe", offset="ATM")
    day = replay(tmp_path)
    assert day.board("NIFTY").height == 2
    assert "no column `strike`" in day.set_aside[0].reason


def test_the_real_legs_agree_with_the_files(replay: Replays, recorded: Callable[[str], Path]) -> None:
    root = recorded("g6_native_csv")
    row = pl.read_csv(root / "NIFTY" / "this_week" / "0" / "2025-09-29.csv").row(1, named=True)
    board = replay(root).at(datetime(2025, 9, 29, 7, 3, 30, tzinfo=UTC)).board("NIFTY")
    legs = board.filter((pl.col("strike") == row["strike"]) & (pl.col("expiry") == date(2025, 9, 30)))
    again = pl.read_csv(root / "NIFTY" / "this_month" / "0" / "2025-09-29.csv").row(1, named=True)
    later = again if again["pe_vol"] > row["pe_vol"] else row
    assert legs["last_price"].to_list() == [row["ce"], later["pe"]]
    assert legs["oi"].to_list() == [row["ce_oi"], row["pe_oi"]]

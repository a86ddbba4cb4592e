from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from g6_replay.provider import Replay
from g6_replay.settings import Settings
from pydantic import ValidationError

from g6core import ConfigError, Context, DataError, G6Error

Replays = Callable[..., Any]

HEADER = "ts,index,expiry,strike,right,last_price,bid,volume"
GOOD = "2026-08-18 09:15:00,NIFTY,2026-08-25,24200,CE,101.5,101,6500"


@pytest.fixture
def chain(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: str, header: str = HEADER, name: str = "chain.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


def refusal(replay: Replays, path: Path, **settings: Any) -> G6Error:
    with pytest.raises((ConfigError, DataError)) as e:
        replay(path, **settings)
    return e.value


def test_a_missing_file(replay: Replays, tmp_path: Path) -> None:
    e = refusal(replay, tmp_path / "nothing.csv")
    assert (e.code, "nothing.csv" in e.message) == ("replay-missing", True)


def test_a_file_of_an_unknown_kind(replay: Replays, chain: Callable[..., Path]) -> None:
    e = refusal(replay, chain(GOOD, name="chain.xlsx"))
    assert (e.code, "`format`" in (e.hint or "")) == ("replay-format", True)


def test_the_kind_may_be_told(replay: Replays, chain: Callable[..., Path]) -> None:
    assert replay(chain(GOOD, name="chain.txt"), format="csv").board("NIFTY").height == 1


@pytest.mark.parametrize("contents", [b"", b"\n \n", gzip.compress(b"", mtime=0)], ids=["no byte", "blanks", "gzip"])
def test_an_empty_file(replay: Replays, tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "chain.csv"
    path.write_bytes(contents)
    assert refusal(replay, path).code == "replay-empty"


def test_a_header_without_rows(replay: Replays, chain: Callable[..., Path]) -> None:
    e = refusal(replay, chain())
    assert (e.code, "no rows" in e.message) == ("replay-empty", True)


def test_an_empty_directory(replay: Replays, tmp_path: Path) -> None:
    assert refusal(replay, tmp_path).code == "replay-empty"


def test_a_torn_gzip(replay: Replays, tmp_path: Path) -> None:
    path = tmp_path / "chain.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{GOOD}\n".encode())[:-9])
    e = refusal(replay, path)
    assert (e.code, str(path) in e.where) == ("replay-unreadable", True)


def test_a_parquet_file_that_is_none(replay: Replays, chain: Callable[..., Path]) -> None:
    assert refusal(replay, chain(GOOD, name="chain.parquet")).code == "replay-unreadable"


@pytest.mark.parametrize("missing", ["ts", "expiry", "strike", "right"])
def test_a_missing_column(replay: Replays, chain: Callable[..., Path], missing: str) -> None:
    path = chain(GOOD, header=HEADER.replace(missing, "other", 1))
    e = refusal(replay, path)
    assert e.code == "replay-columns"
    assert list(e.where) == [f"{path}:1"]
    assert ("timestamp" if missing == "ts" else missing) in e.message
    assert "other" in (e.note or "")
    assert f"`columns = {{ {missing} = " in (e.hint or "")


def test_no_price_column(replay: Replays, chain: Callable[..., Path]) -> None:
    path = chain(GOOD, header=HEADER.replace("last_price", "x").replace("bid", "y"))
    assert "`last_price`" in refusal(replay, path).message


def test_a_named_column_that_is_not_there(replay: Replays, chain: Callable[..., Path]) -> None:
    e = refusal(replay, chain(GOOD), columns={"oi": "open_interest"})
    assert "no column `open_interest` for `oi`" in e.message


def test_a_column_twice(replay: Replays, chain: Callable[..., Path]) -> None:
    assert "`bid` twice" in refusal(replay, chain(GOOD, header=HEADER.replace("last_price", "bid"))).message


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (GOOD.replace("2026-08-18 09:15:00", "yesterday"), "time is not readable"),
        (GOOD.replace("2026-08-18 09:15:00", ""), "time is not readable"),
        (GOOD.replace("2026-08-25", "2026-13-45"), "expiry is not readable"),
        (GOOD.replace("24200", "at the money"), "strike is not a positive number"),
        (GOOD.replace("24200", "-50"), "strike is not a positive number"),
        (GOOD.replace("24200", "0"), "strike is not a positive number"),
        (GOOD.replace("24200", "inf"), "strike is not a positive number"),
        (GOOD.replace("NIFTY", ""), "without an index"),
        (GOOD.replace("CE", "FUT"), "right is neither CE nor PE"),
        (GOOD.replace("101.5", "#REF!"), "`last_price` is not a number"),
        (GOOD.replace("101.5", "inf"), "`last_price` is not a number"),
        (GOOD.replace("101.5", "1e30"), "`last_price` is not a number"),
        (GOOD[:40], "not as many fields"),
        (GOOD + ",7", "not as many fields"),
        ("\x00\xff\x01,,,,,,,", "time is not readable"),
    ],
)
def test_a_garbage_row_is_set_aside_with_its_line(
    replay: Replays, chain: Callable[..., Path], caplog: pytest.LogCaptureFixture, bad: str, reason: str
) -> None:
    path = chain(GOOD, bad, GOOD.replace("24200", "24250"))
    with caplog.at_level(logging.WARNING, "g6.replay"):
        day = replay(path)
    assert day.board("NIFTY")["strike"].to_list() == [24200, 24250]
    (entry,) = day.set_aside
    assert reason in entry.reason
    assert (entry.count, entry.first) == (1, f"{path}:3")
    assert [record.getMessage() for record in caplog.records] == [str(entry)]


def test_garbage_is_counted_by_reason_with_the_first_line(replay: Replays, chain: Callable[..., Path]) -> None:
    bad = [GOOD.replace("24200", "x"), GOOD.replace("CE", "XX"), GOOD.replace("24200", "y")]
    day = replay(chain(GOOD, *bad))
    assert sorted((e.count, e.first.rpartition(":")[2]) for e in day.set_aside) == [(1, "4"), (2, "3")]


def test_nothing_but_garbage_is_an_error(replay: Replays, chain: Callable[..., Path]) -> None:
    path = chain(GOOD.replace("2026-08-18 09:15:00", "18/08/26 09.15"))
    e = refusal(replay, path)
    assert e.code == "replay-garbage"
    assert list(e.where) == [f"{path}:2"]
    assert "time is not readable" in (e.note or "")
    assert "`timestamp_format`" in (e.hint or "")


@pytest.mark.parametrize(("column", "value"), [("last_price", "-101.5"), ("bid", "-1"), ("volume", "-5")])
def test_a_negative_value_is_absent_and_counted(
    replay: Replays, chain: Callable[..., Path], column: str, value: str
) -> None:
    cells = GOOD.split(",")
    cells[HEADER.split(",").index(column)] = value
    day = replay(chain(GOOD.replace("CE", "PE"), ",".join(cells)))
    call = day.board("NIFTY").row(0, named=True)
    assert call[column] is None
    assert sum(call[name] is not None for name in ("last_price", "bid", "volume")) == 2
    ((reason, (count, first)),) = day.reasons().items()
    assert (f"negative `{column}`" in reason, count, first.rpartition(":")[2]) == (True, 1, "3")


def test_a_volume_that_is_no_number_costs_only_itself(replay: Replays, chain: Callable[..., Path]) -> None:
    day = replay(chain(GOOD.replace("6500", "many")))
    assert day.board("NIFTY").select("last_price", "volume").row(0) == (101.5, None)
    assert "`volume` that is not a number" in day.set_aside[0].reason


@pytest.mark.parametrize("nothing", ["", "0", "nan", "NaN"])
def test_an_absent_price_is_null_and_no_complaint(replay: Replays, chain: Callable[..., Path], nothing: str) -> None:
    day = replay(chain(GOOD.replace("101.5", nothing)))
    assert day.board("NIFTY")["last_price"].item() is None
    assert day.set_aside == []


def test_the_last_of_repeated_rows_counts(replay: Replays, chain: Callable[..., Path]) -> None:
    day = replay(chain(GOOD, GOOD.replace("101.5", "102.5")))
    assert day.board("NIFTY")["last_price"].to_list() == [102.5]
    assert [(e.count, e.first.rpartition(":")[2]) for e in day.set_aside] == [(1, "2")]


def test_rows_out_of_order_are_put_in_order(replay: Replays, chain: Callable[..., Path]) -> None:
    day = replay(chain(GOOD.replace("09:15", "09:17"), GOOD, GOOD.replace("09:15", "09:16")))
    assert [t.minute for t in day.timeline()] == [45, 46, 47]


def test_an_unknown_lot_is_an_error_that_names_the_setting(replay: Replays, chain: Callable[..., Path]) -> None:
    e = refusal(replay, chain(GOOD.replace("NIFTY", "MYINDEX")), volume_unit="contracts")
    assert (e.code, "lot_sizes = { MYINDEX = " in (e.hint or "")) == ("replay-lot-size", True)


def test_an_unknown_lot_is_no_matter_where_nothing_is_counted(replay: Replays, chain: Callable[..., Path]) -> None:
    path = chain(GOOD.replace("NIFTY", "MYINDEX").replace("6500", ""))
    assert replay(path, volume_unit="contracts").board("MYINDEX")["lot_size"].item() is None


def test_the_lot_that_the_file_gives_counts(replay: Replays, chain: Callable[..., Path]) -> None:
    path = chain(GOOD + ",20", header=HEADER + ",lot_size")
    assert replay(path, volume_unit="contracts").board("NIFTY").select("volume", "lot_size").row(0) == (130_000, 20)


def test_an_index_that_nobody_names(replay: Replays, chain: Callable[..., Path]) -> None:
    path = chain(GOOD.replace("NIFTY", ""))
    assert refusal(replay, path).code == "replay-index"
    assert replay(path, index="SENSEX").board("SENSEX")["exchange"].item() == "BFO"


def test_an_impossible_time_format(replay: Replays, chain: Callable[..., Path]) -> None:
    e = refusal(replay, chain(GOOD), timestamp_format="%Q")
    assert (e.code, "`timestamp_format`" in (e.hint or "")) in (("replay-format", True), ("replay-garbage", True))


def test_settings_refuse_what_is_not_ours() -> None:
    with pytest.raises(ValidationError, match="no column of ours is called price"):
        Settings(path=Path("x"), columns={"price": "ltp"})
    with pytest.raises(ValidationError, match="no such time zone"):
        Settings(path=Path("x"), timezone="Asia/Bombay2")
    with pytest.raises(ValidationError):
        Settings(path=Path("x"), lot_sizes={"NIFTY": 0})


def test_times_with_a_zone_and_without(replay: Replays, chain: Callable[..., Path]) -> None:
    times = ["2026-08-18T09:15:00+05:30", "2026-08-18 09:16:00", "2026-08-18T03:47:00Z", "2026-08-18T09:18"]
    day = replay(chain(*(GOOD.replace("2026-08-18 09:15:00", t) for t in times)))
    assert [t.strftime("%H:%M") for t in day.timeline()] == ["03:45", "03:46", "03:47", "03:48"]
    assert replay(chain(GOOD), timezone="UTC").timeline()[0].hour == 9


def test_quoted_fields_crlf_and_a_byte_order_mark(replay: Replays, tmp_path: Path) -> None:
    path = tmp_path / "chain.csv"
    path.write_bytes(f"\ufeff{HEADER}\r\n{GOOD.replace('NIFTY', chr(34) + 'NIFTY' + chr(34))}\r\n".encode())
    assert replay(path).board("NIFTY").select("last_price", "volume").row(0) == (101.5, 6500)
    path.write_bytes(f"\ufeff{HEADER}\r\n{GOOD}\r\n".encode())
    assert replay(path).board("NIFTY").select("last_price", "volume").row(0) == (101.5, 6500)


def test_a_csv_of_another_make_with_a_column_map(replay: Replays, chain: Callable[..., Path]) -> None:
    path = chain("18/08/2026 09:15,25/08/2026,24200,call,101.5", header="when,exp,k,type,px")
    day = replay(
        path,
        index="NIFTY",
        columns={"ts": "when", "expiry": "exp", "strike": "k", "right": "type", "last_price": "px"},
        timestamp_format="%d/%m/%Y %H:%M",
        expiry_format="%d/%m/%Y",
    )
    assert day.board("NIFTY").select("expiry", "right", "last_price").row(0) == (date(2026, 8, 25), "CE", 101.5)


def test_a_parquet_file_in_its_own_types(replay: Replays, tmp_path: Path) -> None:
    path = tmp_path / "chain.parquet"
    rows = {
        "ts": [datetime(2026, 8, 18, 9, 15, tzinfo=ZoneInfo("Asia/Kolkata"))],
        "index": ["NIFTY"],
        "symbol": ["NIFTY2682524200CE"],
        "expiry": [date(2026, 8, 25)],
        "strike": [24200],
        "right": ["CE"],
        "last_price": [101.5],
        "oi": [130],
        "exchange_iv": [0.12],
    }
    pl.DataFrame(rows).with_columns(pl.col("ts").dt.cast_time_unit("ms")).write_parquet(path)
    day = replay(path)
    assert day.timeline()[0].strftime("%H:%M %Z") == "03:45 UTC"
    row = day.board("NIFTY").row(0, named=True)
    assert (row["symbol"], row["last_price"], row["oi"], row["exchange_iv"]) == ("NIFTY2682524200CE", 101.5, 130, 0.12)


def test_doctor_tells_what_is_in_a_recording_and_what_is_wrong(
    g6_context: Context, chain: Callable[..., Path], tmp_path: Path
) -> None:
    found = list(Replay(Settings(path=chain(GOOD, GOOD.replace("CE", "XX")))).diagnose(g6_context))
    assert [f.level for f in found] == ["ok", "warning"]
    assert "NIFTY, 1 instants, 2026-08-18 09:15:00 to 2026-08-18 09:15:00 IST" in found[0].message
    assert [f.level for f in Replay(Settings(path=tmp_path / "no.csv")).diagnose(g6_context)] == ["error"]

"""What stands where: paths, headers, cells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from g6_csv.settings import Settings
from g6_csv.sink import CsvSink
from pydantic import ValidationError

from g6core import Context, Rejected, Snapshot, Unavailable
from g6core.testing import START, snapshot

WIDE = (
    "timestamp,index,expiry_code,expiry,offset,strike,atm_strike,spot,forward,dte,"
    "call_symbol,call_last_price,call_average_price,call_bid,call_ask,call_volume,call_oi,"
    "call_iv,call_delta,call_gamma,call_theta,call_vega,call_rho,"
    "put_symbol,put_last_price,put_average_price,put_bid,put_ask,put_volume,put_oi,"
    "put_iv,put_delta,put_gamma,put_theta,put_vega,put_rho,straddle_price"
)
OVERVIEW = (
    "timestamp,index,spot,open,high,low,close,day_width,vix,"
    "pcr_this_week,pcr_next_week,pcr_this_month,pcr_next_month,"
    "expiries_expected,expiries_collected,expected_mask,collected_mask,missing_mask"
)
DAY = (
    "timestamp,index,expiry,strike,right,expiry_code,offset,exchange,symbol,token,lot_size,tick_size,"
    "spot,atm_strike,forward,dte,last_price,average_price,bid,ask,bid_qty,ask_qty,volume,oi,exchange_ts,received_ts,"
    "iv,delta,gamma,theta,vega,rho"
)
AT_THE_MONEY = "options/NIFTY/this_week/0/2026-08-17.csv"
OVERVIEW_FILE = "overview/NIFTY/2026-08-17.csv"

Open = Callable[..., CsvSink]
Tree = Callable[[], dict[str, bytes]]
Cells = Callable[[str], list[dict[str, str]]]
Minutes = Callable[..., list[Snapshot]]


def header(data: bytes) -> str:
    return data.decode().splitlines()[0]


def test_a_file_per_expiry_code_and_offset_and_an_overview(opened: Open, tree: Tree, minutes: Minutes) -> None:
    opened().write(minutes(2, offsets=(-1, 0, 1)))
    assert list(tree()) == [
        "options/NIFTY/this_week/-1/2026-08-17.csv",
        "options/NIFTY/this_week/0/2026-08-17.csv",
        "options/NIFTY/this_week/1/2026-08-17.csv",
        OVERVIEW_FILE,
    ]


def test_the_headers_are_the_documented_ones(opened: Open, tree: Tree, minutes: Minutes) -> None:
    opened().write(minutes(1))
    assert header(tree()[AT_THE_MONEY]) == WIDE
    assert header(tree()[OVERVIEW_FILE]) == OVERVIEW
    opened(layout="day").write(minutes(1))
    assert header(tree()["options/NIFTY/2026-08-17.csv"]) == DAY


def test_a_row_holds_both_legs(opened: Open, tree: Tree, minutes: Minutes) -> None:
    (given,) = minutes(1, offsets=(0,))
    call, put = given.options.to_dicts()
    opened().write([given])
    row = tree()[AT_THE_MONEY].decode().splitlines()[1].split(",")
    shared = ["2026-08-17T09:30:00+05:30", "NIFTY", "this_week", "2026-08-18", "0", "24700.0", "24700.0"]
    assert row[:10] == [*shared, str(given.facts["spot"]), "24690.5", "1.25"]
    for leg, cells in ((call, row[10:23]), (put, row[23:36])):
        names = ("symbol", "last_price", "average_price", "bid", "ask", "volume", "oi")
        assert cells == [*(str(leg[name]) for name in names), "0.125", "1.125", "2.125", "3.125", "4.125", "5.125"]
    assert float(row[36]) == pytest.approx(call["last_price"] + put["last_price"], abs=1e-9)


def test_a_number_is_written_in_its_shortest_form(opened: Open, cells: Cells, minutes: Minutes) -> None:
    (s,) = minutes(1, offsets=(0,))
    prices = pl.Series("last_price", [100.05, 99.1])
    opened().write([s.replace(options=s.options.with_columns(prices, iv=0.1 + 0.2))])
    (row,) = cells(AT_THE_MONEY)
    assert (row["call_last_price"], row["put_last_price"], row["straddle_price"]) == ("100.05", "99.1", "199.15")
    assert float(row["call_iv"]) == 0.1 + 0.2


def test_absent_is_empty(opened: Open, cells: Cells) -> None:
    s = snapshot(strikes=3, expiries=1)
    quotes = ("last_price", "average_price", "bid", "ask", "volume", "oi")
    bare = s.options.with_columns(pl.lit(None, s.options.schema[name]).alias(name) for name in quotes)
    opened().write([s.replace(options=bare, facts={})])
    (row,) = cells(AT_THE_MONEY)
    known = {"timestamp", "index", "expiry_code", "expiry", "offset", "strike", "atm_strike"}
    assert {name for name, cell in row.items() if cell} == known | {"call_symbol", "put_symbol"}
    (row,) = cells(OVERVIEW_FILE)
    counts = ("expiries_expected", "expiries_collected", "expected_mask", "collected_mask", "missing_mask")
    assert {name: cell for name, cell in row.items() if cell} == {
        "timestamp": "2026-08-17T09:30:00+05:30",
        "index": "NIFTY",
        **dict(zip(counts, ("1", "1", "1", "1", "0"), strict=True)),
    }


@pytest.mark.parametrize(("right", "there", "missing"), [("CE", "call", "put"), ("PE", "put", "call")])
def test_a_strike_with_one_leg_has_a_row(
    opened: Open, cells: Cells, minutes: Minutes, right: str, there: str, missing: str
) -> None:
    (s,) = minutes(1, offsets=(-1, 0, 1))
    alone = (pl.col("offset") != 0) | (pl.col("right") == right)
    opened().write([s.replace(options=s.options.filter(alone))])
    (row,) = cells(AT_THE_MONEY)
    assert row[f"{there}_last_price"]
    assert not any(cell for name, cell in row.items() if name.startswith(missing))
    assert row["straddle_price"] == ""
    for offset in (-1, 1):
        (row,) = cells(f"options/NIFTY/this_week/{offset}/2026-08-17.csv")
        assert row["call_symbol"]
        assert row["put_symbol"]


def test_legs_of_neighbouring_strikes_are_not_mixed(opened: Open, cells: Cells, minutes: Minutes) -> None:
    (s,) = minutes(1)
    call_below_put_above = (pl.col("offset") == 0) == (pl.col("right") == "CE")
    opened().write([s.replace(options=s.options.filter(call_below_put_above))])
    below, above = cells(AT_THE_MONEY)[0], cells("options/NIFTY/this_week/1/2026-08-17.csv")[0]
    assert (bool(below["call_symbol"]), bool(below["put_symbol"])) == (True, False)
    assert (bool(above["call_symbol"]), bool(above["put_symbol"])) == (False, True)


def test_contracts_without_an_offset_have_a_folder_of_their_own(opened: Open, cells: Cells, minutes: Minutes) -> None:
    (s,) = minutes(1)
    opened().write([s.replace(options=s.options.with_columns(offset=pl.lit(None, pl.Int64)))])
    rows = cells("options/NIFTY/this_week/none/2026-08-17.csv")
    assert [(row["offset"], row["strike"]) for row in rows] == [("", "24700.0"), ("", "24750.0")]


def test_the_file_is_of_the_date_in_india(opened: Open, tree: Tree) -> None:
    opened().write([snapshot(ts=datetime(2026, 8, 17, 18, 29, 59, tzinfo=UTC))])
    opened().write([snapshot(ts=datetime(2026, 8, 17, 18, 30, 0, tzinfo=UTC))])
    assert {path[-14:] for path in tree()} == {"2026-08-17.csv", "2026-08-18.csv"}


def test_two_times_within_a_second_stay_two(opened: Open, cells: Cells, minutes: Minutes) -> None:
    (s,) = minutes(1)
    times = [s.ts, s.ts + timedelta(microseconds=1), s.ts + timedelta(milliseconds=250), s.ts + timedelta(seconds=1)]
    opened().write([s.replace(ts=ts) for ts in times])
    opened().write([s.replace(ts=ts) for ts in reversed(times)])
    assert [row["timestamp"] for row in cells(AT_THE_MONEY)] == [
        "2026-08-17T09:30:00+05:30",
        "2026-08-17T09:30:00.000001+05:30",
        "2026-08-17T09:30:00.250000+05:30",
        "2026-08-17T09:30:01+05:30",
    ]


def test_the_overview_counts_codes_and_fills_every_one(opened: Open, cells: Cells) -> None:
    """One expiry with two codes, one that was not quoted, and one date named outright."""
    s = snapshot(expiries=3)
    codes = pl.Series("codes", [["this_week", "this_month"], ["next_month"], ["2026-12-29"]])
    expiries = s.expiries.with_columns(
        codes, pl.Series("pcr_oi", [0.75, None, 1.5]), quoted=pl.Series([40, 0, 12], dtype=pl.Int64)
    )
    opened().write([s.replace(expiries=expiries)])
    (row,) = cells(OVERVIEW_FILE)
    assert [row[f"pcr_{code}"] for code in ("this_week", "next_week", "this_month", "next_month")] == [
        *("0.75", "", "0.75", ""),
    ]
    assert (row["expiries_expected"], row["expiries_collected"]) == ("4", "3")
    assert (row["expected_mask"], row["collected_mask"], row["missing_mask"]) == ("13", "5", "8")


def test_the_overview_has_the_facts(opened: Open, cells: Cells, minutes: Minutes) -> None:
    (s,) = minutes(1)
    facts = {"spot": 24_650.0, "open": 24_600.5, "high": 24_700.1, "low": 24_599.4, "close": 24_580.0, "vix": 13.5}
    opened().write([s.replace(facts=facts)])
    (row,) = cells(OVERVIEW_FILE)
    assert {name: float(row[name]) for name in facts} == facts
    assert row["day_width"] == "100.7"


def test_bid_and_ask_can_be_left_out(opened: Open, tree: Tree, minutes: Minutes) -> None:
    opened(bid_ask=False).write(minutes(1))
    names = WIDE.split(",")
    assert header(tree()[AT_THE_MONEY]).split(",") == [n for n in names if not n.endswith(("_bid", "_ask"))]
    opened(bid_ask=False, layout="day").write(minutes(1))
    names = DAY.split(",")
    written = header(tree()["options/NIFTY/2026-08-17.csv"]).split(",")
    assert written == [n for n in names if not n.startswith(("bid", "ask"))]


def test_further_columns_stand_at_the_end(opened: Open, tree: Tree, cells: Cells, minutes: Minutes) -> None:
    extra = ["iv_source", "exchange_ts", "nobody_adds_this"]
    opened(extra=extra).write(minutes(1))
    ends = ",".join(f"{side}_{name}" for name in extra for side in ("call", "put"))
    assert header(tree()[AT_THE_MONEY]) == f"{WIDE},{ends}"
    (row,) = cells(AT_THE_MONEY)
    assert (row["call_iv_source"], row["put_iv_source"], row["call_nobody_adds_this"]) == ("mid", "mid", "")
    assert row["put_exchange_ts"] == "2026-08-17T09:29:59+05:30"
    opened(layout="day", extra=["iv_source"]).write(minutes(1))
    assert header(tree()["options/NIFTY/2026-08-17.csv"]) == f"{DAY},iv_source"


def test_the_day_layout_has_a_row_per_contract(opened: Open, cells: Cells) -> None:
    given = [snapshot(), snapshot(ts=START + timedelta(minutes=1))]
    opened(layout="day").write(given)
    rows = cells("options/NIFTY/2026-08-17.csv")
    assert [row["symbol"] for row in rows] == [symbol for s in given for symbol in s.options["symbol"]]
    wanted = given[1].options.row(7, named=True)
    row = rows[given[0].options.height + 7]
    for name in ("last_price", "bid", "ask_qty", "oi", "lot_size", "tick_size", "strike", "expiry"):
        assert row[name] == ("" if wanted[name] is None else str(wanted[name])), name
    assert row["received_ts"] == row["timestamp"] == "2026-08-17T09:31:00+05:30"
    assert len(cells(OVERVIEW_FILE)) == 2


def test_the_directory_can_be_set(opened: Open, tmp_path: Path, minutes: Minutes) -> None:
    opened(dir=tmp_path / "elsewhere").write(minutes(1))
    assert (tmp_path / "elsewhere" / AT_THE_MONEY).is_file()
    assert Settings.model_json_schema()["properties"]["dir"]["env"] == "G6_CSV_BASE_DIR"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"extra": ["iv"]}, "`call_iv` twice"),
        ({"extra": ["a", "a"]}, "`call_a` twice"),
        ({"extra": ["oi"], "layout": "day"}, "`oi` twice"),
        ({"extra": ["a,b"]}, "'a,b' is not a column name"),
        ({"layout": "long"}, "'wide' or 'day'"),
        ({"directory": "x"}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Settings(**settings)


@pytest.mark.parametrize("text", ["two\nlines", "two\rlines"])
def test_a_text_that_would_tear_its_row_is_rejected(opened: Open, tree: Tree, minutes: Minutes, text: str) -> None:
    (s,) = minutes(1)
    with pytest.raises(Rejected, match="line break"):
        opened(extra=["note"]).write([s.replace(options=s.options.with_columns(note=pl.lit(text)))])
    assert tree() == {}


def test_a_column_that_is_no_cell_is_rejected(opened: Open, tree: Tree, minutes: Minutes) -> None:
    (s,) = minutes(1)
    with pytest.raises(Rejected, match="do not fit into CSV"):
        opened(extra=["depth"]).write([s.replace(options=s.options.with_columns(depth=pl.concat_list("bid", "ask")))])
    assert tree() == {}


def test_a_directory_that_cannot_be_made_is_named(opened: Open, tmp_path: Path, context: Context) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable) as caught:
        opened(dir=tmp_path / "file" / "tree")
    assert caught.value.code == "not-writable"
    assert str(tmp_path) in caught.value.where[0]
    levels = [f.level for f in CsvSink(Settings(dir=tmp_path / "file" / "tree")).diagnose(context)]
    assert "error" in levels

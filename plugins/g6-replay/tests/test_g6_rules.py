"""Each rule of reading the earlier platform's tree, on the smallest tree that breaks it: what is replayed, and what is
told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from g6core import DataError, Remark

Replays = Callable[..., Any]

_COLUMNS = (
    "timestamp,index,expiry_tag,expiry_date,offset,index_price,atm,strike,ce,pe,tp,avg_ce,avg_pe,avg_tp,"
    "ce_vol,pe_vol,ce_oi,pe_oi,ce_iv,pe_iv,ce_delta,pe_delta,ce_theta,pe_theta,ce_vega,pe_vega,ce_gamma,pe_gamma,"
    "ce_rho,pe_rho,tp_net_change,tp_day_change"
)
COLUMNS = _COLUMNS.split(",")
_VALUES = (
    "29-09-2025 12:22:30,NIFTY,this_week,2025-09-30,0,24648.95,24650,24650,93.85,51.15,145.0,134.79,36.38,171.17,"
    "7500,15000,750,1500,0.12,0.13,0.5,-0.5,-9.0,-9.0,8.0,8.0,0.001,0.001,1.0,-1.0,2.5,-3.5"
)
VALUES = _VALUES.split(",")
DAY = "2025-09-29"
NOON = datetime(2025, 9, 29, 6, 52, 30, tzinfo=UTC)


def row(columns: Sequence[str] = COLUMNS, **changes: object) -> str:
    values = {**dict(zip(COLUMNS, VALUES, strict=True)), **{name: str(value) for name, value in changes.items()}}
    return ",".join(values[name] for name in columns)


def write(root: Path, *rows: str, columns: Sequence[str] = COLUMNS, at: str = f"NIFTY/this_week/0/{DAY}.csv") -> Path:
    path = root / at
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([",".join(columns), *rows]) + "\n")
    return root


def read(day: Any) -> dict[str, Remark]:
    """What was odd, by reason, once the whole timeline was read."""
    list(day.timeline())
    return {remark.reason: remark for remark in day.report().remarks}


def the(remarks: dict[str, Remark], words: str) -> tuple[str, int, str]:
    (found,) = (remark for reason, remark in remarks.items() if words in reason)
    return found.action, found.count, found.first


@pytest.mark.parametrize("width", [29, 30, 32])
def test_every_header_gives_the_same_legs(replay: Replays, tmp_path: Path, width: int) -> None:
    columns = [name for name in COLUMNS[:30] if width > 29 or name != "expiry_date"] if width < 32 else COLUMNS
    assert len(columns) == width
    root = write(tmp_path, row(columns), columns=columns)
    day = replay(root, expiries={"this_week": date(2025, 9, 30)})
    legs = day.board("NIFTY").select("expiry", "strike", "right", "last_price", "average_price", "volume", "oi").rows()
    assert legs == [
        (date(2025, 9, 30), 24650.0, "CE", 93.85, 134.79, 7500, 750),
        (date(2025, 9, 30), 24650.0, "PE", 51.15, 36.38, 15000, 1500),
    ]


def test_a_row_of_a_later_layout_below_an_older_header_is_read_by_its_own(replay: Replays, tmp_path: Path) -> None:
    old = COLUMNS[:30]
    root = write(tmp_path, row(old), row(strike=24700), columns=old)
    day = replay(root)
    assert day.board("NIFTY")["strike"].unique().sort().to_list() == [24650, 24700]
    assert the(read(day), "read by its own layout") == ("repaired", 1, f"NIFTY/this_week/0/{DAY}.csv:3")


def test_a_header_in_the_middle_names_the_columns_below_it(replay: Replays, tmp_path: Path) -> None:
    old = COLUMNS[:30]
    other = [*COLUMNS[:9], "pe", *COLUMNS[10:]]
    root = write(tmp_path, row(old), ",".join(other), row(strike=24700), columns=old)
    day = replay(root)
    assert day.board("NIFTY").height == 4
    assert the(read(day), "header again") == ("repaired", 1, f"NIFTY/this_week/0/{DAY}.csv:3")


@pytest.mark.parametrize("fields", [1, 12, 29, 30, 31])
def test_a_torn_line_is_set_aside(replay: Replays, tmp_path: Path, fields: int) -> None:
    root = write(tmp_path, row(), ",".join(row(strike=24700).split(",")[:fields]))
    day = replay(root)
    assert day.board("NIFTY")["strike"].unique().to_list() == [24650]
    assert the(read(day), "torn line") == ("set aside", 1, f"NIFTY/this_week/0/{DAY}.csv:3")


def test_lines_that_make_up_for_one_another_are_both_torn(replay: Replays, tmp_path: Path) -> None:
    short, long = ",".join(row().split(",")[:31]), row() + ",7"
    root = write(tmp_path, row(), short, long)
    assert the(read(replay(root)), "torn line")[1] == 2


def test_both_places_of_the_options_are_read(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row(), at=f"options/NIFTY/this_week/0/{DAY}.csv")
    write(tmp_path, row(strike=24700), at=f"NIFTY/this_week/+50/{DAY}.csv")
    write(tmp_path, row(strike=24600), at=f"NIFTY/this_week/OTM_1/{DAY}.csv")
    assert replay(tmp_path).board("NIFTY")["strike"].unique().sort().to_list() == [24600, 24650, 24700]


@pytest.mark.parametrize("below", [(), ("NIFTY",), ("NIFTY", "this_week"), ("NIFTY", "this_week", "0")])
def test_a_part_of_the_tree_says_what_it_is_of(replay: Replays, tmp_path: Path, below: tuple[str, ...]) -> None:
    columns = [name for name in COLUMNS if name not in ("index", "expiry_tag")]
    write(tmp_path, row(columns), columns=columns)
    day = replay(tmp_path.joinpath(*below))
    assert day.board("NIFTY").height == 2
    assert the(read(day), "does not name its index")[:2] == ("repaired", 1)


def test_other_files_are_counted(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row())
    for name in ("NIFTY/this_week/x_debug.json", f"NIFTY/this_week/0/{DAY}.csv.lock", "notes.txt"):
        (tmp_path / name).write_text("{}")
    write(tmp_path, "1", columns=["a"], at="weekday_master/Monday/NIFTY_this_week_ATM.csv")
    write(tmp_path, row(), at="NIFTY/this_week/0/2025-13-45.csv")
    write(tmp_path, row(), at=f"stray/{DAY}.csv")
    remarks = read(replay(tmp_path))
    assert the(remarks, "debug file") == ("not taken", 1, "NIFTY/this_week/x_debug.json")
    assert the(remarks, "lock file") == ("not taken", 1, f"NIFTY/this_week/0/{DAY}.csv.lock")
    assert the(remarks, "another kind") == ("not taken", 1, "notes.txt")
    assert the(remarks, "overlay") == ("set aside", 1, "weekday_master/Monday/NIFTY_this_week_ATM.csv")
    assert the(remarks, "no date") == ("set aside", 1, "NIFTY/this_week/0/2025-13-45.csv")
    assert the(remarks, "INDEX/TAG/OFFSET") == ("set aside", 1, f"stray/{DAY}.csv")


def test_a_linked_folder_is_told_and_not_followed(replay: Replays, tmp_path: Path) -> None:
    root = write(tmp_path / "tree", row())
    (root / "NIFTY" / "again").symlink_to(root)
    assert the(read(replay(root)), "linked folder") == ("set aside", 1, "NIFTY/again")


def test_two_names_of_an_index_are_one(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row(), at=f"NIFTY/this_week/0/{DAY}.csv")
    write(tmp_path, row(index="NIFTY 50"), at=f"nifty50/this_month/0/{DAY}.csv")
    day = replay(tmp_path)
    assert list(day.indices()) == ["NIFTY"]
    assert day.board("NIFTY").height == 2
    assert the(read(day), "with the same numbers")[1] == 2


@pytest.mark.parametrize(("contents", "words"), [(b"", "empty file"), (b"\x1f\x8b\x00", "cannot be read")])
def test_a_bad_file_costs_only_itself(replay: Replays, tmp_path: Path, contents: bytes, words: str) -> None:
    write(tmp_path, row())
    bad = tmp_path / f"NIFTY/this_week/+50/{DAY}.csv"
    bad.parent.mkdir()
    bad.write_bytes(contents)
    day = replay(tmp_path)
    assert day.board("NIFTY").height == 2
    assert the(read(day), words) == ("set aside", 1, f"NIFTY/this_week/+50/{DAY}.csv")


def test_the_copy_of_the_higher_volume_is_kept(replay: Replays, tmp_path: Path) -> None:
    """The later quote, whichever folder comes last; the calls differ, the puts are the same."""
    write(tmp_path, row(ce=94.5, ce_vol=9000), at=f"NIFTY/next_week/0/{DAY}.csv")
    write(tmp_path, row(), at=f"NIFTY/this_month/0/{DAY}.csv")
    write(tmp_path, row(ce=93.0, ce_vol=7000), at=f"NIFTY/this_week/0/{DAY}.csv")
    day = replay(tmp_path)
    assert day.board("NIFTY").select("last_price", "volume").rows() == [(94.5, 9000), (51.15, 15000)]
    remarks = read(day)
    assert the(remarks, "with other numbers")[:2] == ("repaired", 2)
    assert the(remarks, "with the same numbers")[:2] == ("repaired", 2)


def test_a_copy_without_a_price_never_wins(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row(ce=0.0, ce_vol=99000), at=f"NIFTY/this_week/0/{DAY}.csv")
    write(tmp_path, row(), at=f"NIFTY/this_month/0/{DAY}.csv")
    assert replay(tmp_path).board("NIFTY")["last_price"].to_list() == [93.85, 51.15]


def test_its_implied_volatilities_are_counted_and_not_taken(replay: Replays, tmp_path: Path) -> None:
    ivs = [(0.0, 0.25), (0.01, 3.0), (5.0, 0.14), (0.25, 0.0)]
    rows = [row(strike=24600 + 50 * at, ce_iv=call, pe_iv=put) for at, (call, put) in enumerate(ivs)]
    day = replay(write(tmp_path, *rows))
    remarks = read(day)
    place = f"NIFTY/this_week/0/{DAY}.csv"
    assert the(remarks, "implied volatility 0 ") == ("not taken", 2, f"{place}:2")
    assert the(remarks, "exactly 0.25") == ("not taken", 2, f"{place}:2")
    assert the(remarks, "bounds of its solver") == ("not taken", 3, f"{place}:3")
    assert the(remarks, "any other implied") == ("not taken", 1, f"{place}:4")
    assert not [name for name in day.board("NIFTY").columns if name.endswith("_iv") or "delta" in name]


def test_fabricated_rows_are_set_aside(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row(), row(strike=24700, ce=1000.0, pe=1000), row(strike=24750, index_price=24800))
    day = replay(tmp_path)
    assert day.board("NIFTY")["strike"].unique().to_list() == [24650]
    remarks = read(day)
    assert the(remarks, "every leg is 1000.0") == ("set aside", 1, f"NIFTY/this_week/0/{DAY}.csv:3")
    assert the(remarks, "stand-in price") == ("set aside", 1, f"NIFTY/this_week/0/{DAY}.csv:4")


def test_the_stand_in_of_another_index_is_a_price(replay: Replays, tmp_path: Path) -> None:
    at = f"BANKNIFTY/this_month/0/{DAY}.csv"
    write(tmp_path, row(index="BANKNIFTY", index_price=24800, strike=24800), at=at)
    assert replay(tmp_path).board("BANKNIFTY").height == 2


def test_a_leg_of_zeros_is_no_quote(replay: Replays, tmp_path: Path) -> None:
    day = replay(write(tmp_path, row(ce=0.0, avg_ce=0.0, ce_vol=0, ce_oi=0)))
    assert day.board("NIFTY").select("last_price", "volume", "oi").rows() == [(None, None, None), (51.15, 15000, 1500)]
    assert the(read(day), "nothing but zeros") == ("not taken", 1, f"NIFTY/this_week/0/{DAY}.csv:2")


@pytest.mark.parametrize(
    ("price", "words", "kept"),
    [
        ("-5.0", "negative", 2),
        ("nan", "NaN", 2),
        ("NaN", "NaN", 2),
        ("inf", "not a number", 1),
        ("x", "not a number", 1),
    ],
)
def test_a_price_that_is_none(replay: Replays, tmp_path: Path, price: str, words: str, kept: int) -> None:
    day = replay(write(tmp_path, row(ce=price)))
    legs = dict(day.board("NIFTY").select("right", "last_price").iter_rows())
    assert (len(legs), legs.get("CE"), legs["PE"]) == (kept, None, 51.15)
    action, count, first = the(read(day), words)
    assert (action, count, first) == ("repaired" if kept == 2 else "set aside", 1, f"NIFTY/this_week/0/{DAY}.csv:2")


def test_a_time_of_another_date_than_the_files(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row(), row(timestamp="28-09-2025 12:22:30"), row(timestamp="30-09-2025 09:15:00"))
    day = replay(tmp_path)
    assert list(day.timeline()) == [NOON]
    assert the(read(day), "not of its file's date") == ("set aside", 2, f"NIFTY/this_week/0/{DAY}.csv:3")


def test_a_time_that_nobody_can_read(replay: Replays, tmp_path: Path) -> None:
    day = replay(write(tmp_path, row(), row(timestamp="noon")))
    assert the(read(day), "time is not readable") == ("set aside", 1, f"NIFTY/this_week/0/{DAY}.csv:3")


def test_times_are_of_india(replay: Replays, tmp_path: Path) -> None:
    assert list(replay(write(tmp_path, row())).timeline()) == [NOON]


def test_a_row_of_another_index_than_its_folder(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row(), row(index="BANKNIFTY", strike=55000))
    day = replay(tmp_path)
    assert list(day.indices()) == ["NIFTY"]
    assert the(read(day), "another index") == ("set aside", 1, f"NIFTY/this_week/0/{DAY}.csv:3")


def test_a_tag_of_another_folder_is_only_noticed(replay: Replays, tmp_path: Path) -> None:
    day = replay(write(tmp_path, row(expiry_tag="next_month")))
    assert day.board("NIFTY").height == 2
    assert the(read(day), "tag is not that of its folder")[:2] == ("noticed", 1)


def test_a_contract_that_had_ended(replay: Replays, tmp_path: Path) -> None:
    at = "NIFTY/this_week/0/2025-09-30.csv"
    times = [f"30-09-2025 15:{rest}" for rest in ("29:30", "30:00", "30:30")]
    write(tmp_path, *(row(timestamp=time) for time in times), row(timestamp=times[0], expiry_date=DAY), at=at)
    day = replay(tmp_path)
    assert [t.strftime("%H:%M:%S") for t in day.timeline()] == ["09:59:30", "10:00:00"]
    remarks = read(day)
    assert the(remarks, "last session had closed") == ("set aside", 2, f"{at}:4")
    assert the(remarks, "had expired") == ("set aside", 2, f"{at}:5")


OLD = [name for name in COLUMNS[:30] if name != "expiry_date"]


def test_rows_without_an_expiry_date_are_set_aside(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row(OLD), columns=OLD)
    write(tmp_path, row(), at=f"NIFTY/this_month/0/{DAY}.csv")
    assert the(read(replay(tmp_path)), "without an expiry date") == ("set aside", 1, f"NIFTY/this_week/0/{DAY}.csv:2")


@pytest.mark.parametrize(
    ("tag", "day", "expiries", "expiry"),
    [
        ("this_week", "2025-09-29", "2025-09-30", date(2025, 9, 30)),
        ("this_week", "2025-09-30", "2025-09-30", date(2025, 9, 30)),
        ("this_week", "2025-09-01", "2025-09-30", None),
        ("this_month", "2025-09-01", "2025-09-30", date(2025, 9, 30)),
        ("this_month", "2025-07-01", "2025-09-30", None),
        ("next_week", "2025-09-29", "2025-10-07", date(2025, 10, 7)),
        ("this_week", "2025-09-24", "2025-09-23,2025-09-30,2025-10-07", date(2025, 9, 30)),
        ("next_week", "2025-09-24", "2025-09-23,2025-09-30,2025-10-07", date(2025, 10, 7)),
        ("next_week", "2025-10-01", "2025-09-23,2025-09-30,2025-10-07", None),
        ("some_day", "2025-09-29", "2025-09-30", None),
    ],
)
def test_an_expiry_is_named_per_tag_and_never_guessed(
    replay: Replays, tmp_path: Path, tag: str, day: str, expiries: str, expiry: date | None
) -> None:
    time = f"{date.fromisoformat(day):%d-%m-%Y} 12:22:30"
    write(tmp_path, row(OLD, timestamp=time, expiry_tag=tag), columns=OLD, at=f"NIFTY/{tag}/0/{day}.csv")
    if expiry is None:
        with pytest.raises(DataError, match="no row"):
            list(replay(tmp_path, expiries={tag: expiries}).timeline())
    else:
        board = replay(tmp_path, expiries={tag: expiries}).board("NIFTY")
        assert board["expiry"].unique().to_list() == [expiry]


_OVERVIEW = (
    "timestamp,index,pcr_this_week,pcr_next_week,pcr_this_month,pcr_next_month,day_width,"
    "index_price,index_net_change,index_day_change,VIX,"
    "expiries_expected,expiries_collected,expected_mask,collected_mask,missing_mask"
)
OVERVIEW = _OVERVIEW.split(",")
NARROW = {7: OVERVIEW[:7], 11: OVERVIEW[:11], 12: [*OVERVIEW[:7], *OVERVIEW[11:]], 16: OVERVIEW}
AT = f"overview/NIFTY/{DAY}.csv"


def seen(width: int, time: str = "12:22:30", **changes: object) -> str:
    values = dict.fromkeys(OVERVIEW, "1.0") | {
        "timestamp": f"29-09-2025 {time}",
        "index": "NIFTY",
        "index_price": "24650.5",
        "VIX": "11.37",
        "expected_mask": "1",
        "collected_mask": "1",
        "missing_mask": "0",
    }
    return ",".join({**values, **{name: str(value) for name, value in changes.items()}}[n] for n in NARROW[width])


@pytest.mark.parametrize("header", [7, 11, 12, 16])
def test_shapes_of_the_overview_mix_within_a_file(replay: Replays, tmp_path: Path, header: int) -> None:
    times = [f"12:2{minute}:00" for minute in range(4)]
    write(tmp_path, *(row(timestamp=f"29-09-2025 {time}", index_price="") for time in times))
    shapes = zip((7, 11, 12, 16), times, strict=True)
    write(tmp_path, *(seen(width, time) for width, time in shapes), columns=NARROW[header], at=AT)
    day = replay(tmp_path)
    instants = list(day.timeline())
    known = [day.at(instant).spots(["NIFTY"]) for instant in instants]
    assert [sorted(spots) for spots in known] == [[], ["INDIAVIX", "NIFTY"], [], ["INDIAVIX", "NIFTY"]]
    assert (known[1]["INDIAVIX"].last, known[3]["NIFTY"].last) == (11.37, 24650.5)
    assert the(read(day), "taken from the overview") == ("repaired", 2, f"{AT}:3")


def test_the_options_own_index_price_goes_before_the_overviews(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row(), row(strike=24700, index_price=""))
    write(tmp_path, seen(16), columns=OVERVIEW, at=AT)
    spots = replay(tmp_path).spots(["NIFTY"])
    assert (spots["NIFTY"].last, spots["INDIAVIX"].last) == (24648.95, 11.37)


@pytest.mark.parametrize("bad", ["0.0", "nan", "-1", "x", ""])
def test_a_vix_that_is_none_is_absent(replay: Replays, tmp_path: Path, bad: str) -> None:
    write(tmp_path, row())
    write(tmp_path, seen(16, VIX=bad), columns=OVERVIEW, at=AT)
    assert sorted(replay(tmp_path).spots(["NIFTY"])) == ["NIFTY"]


def test_the_overviews_invented_index_price_is_not_taken(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row(index_price=""))
    write(tmp_path, seen(16, index_price="24800.0"), columns=OVERVIEW, at=AT)
    day = replay(tmp_path)
    assert sorted(day.spots(["NIFTY"])) == ["INDIAVIX"]
    assert the(read(day), "stand-in") == ("not taken", 1, f"{AT}:2")


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ((3, 3, 0), "counts `next_week` as collected"),
        ((0, 0, 0), "does not count `this_week`"),
        ((5, 1, 4), "`this_month` was expected and not collected"),
        ((1, 1, 8), "missing_mask"),
    ],
)
def test_what_the_masks_say_is_compared(
    replay: Replays, tmp_path: Path, masks: tuple[int, int, int], words: str
) -> None:
    write(tmp_path, row())
    names = ("expected_mask", "collected_mask", "missing_mask")
    write(tmp_path, seen(12, **dict(zip(names, masks, strict=True))), columns=NARROW[12], at=AT)
    remarks = read(replay(tmp_path))
    assert the(remarks, words) == ("noticed", 1, f"{AT}:2")
    assert sum(remark.action == "noticed" for remark in remarks.values()) == 1


def test_masks_that_agree_are_no_news(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row())
    write(tmp_path, seen(16), seen(16, "12:50:00"), columns=OVERVIEW, at=AT)
    remarks = read(replay(tmp_path))
    assert [r.first for r in remarks.values() if r.action == "noticed"] == [f"{AT}:3"]
    assert the(remarks, "at whose time no row")[1] == 1


def test_every_leg_is_accounted_for(replay: Replays, tmp_path: Path) -> None:
    write(tmp_path, row(), row(), row(strike=24700, ce="inf"), row(strike=24750, pe="-1"), row(ce=1000, pe=1000))
    day = replay(tmp_path)
    remarks = read(day)
    counts = day.report().counts
    lost = sum(
        r.count for reason, r in remarks.items() if reason.startswith("leg") and r.action in ("repaired", "set aside")
    )
    assert counts["legs of usable rows"] == 8
    assert counts["legs of usable rows"] - lost == counts["distinct legs"] == day.board("NIFTY").height


def test_days_are_read_one_at_a_time_and_told_once(replay: Replays, tmp_path: Path) -> None:
    for day in ("26", "29"):
        line = row(timestamp=f"{day}-09-2025 12:22:30", ce_iv=0, pe_iv=0)
        write(tmp_path, line, line, at=f"NIFTY/this_week/0/2025-09-{day}.csv")
    both = replay(tmp_path)
    instants = list(both.timeline())
    prices = [both.at(instant).board("NIFTY")["last_price"].to_list() for instant in (*instants, *reversed(instants))]
    assert prices == [[93.85, 51.15]] * 4
    assert the(read(both), "with the same numbers") == ("repaired", 4, "NIFTY/this_week/0/2025-09-26.csv:2")
    assert both.report().counts["rows of options"] == 4


def test_nothing_usable_is_an_error_that_says_why(replay: Replays, tmp_path: Path) -> None:
    with pytest.raises(DataError) as e:
        replay(write(tmp_path, row(ce=1000, pe=1000)))
    assert e.value.code == "replay-garbage"
    assert "every leg is 1000.0" in (e.value.note or "")


def test_the_invented_sample_is_refused_with_reasons(replay: Replays, recorded: Callable[[str], Path]) -> None:
    with pytest.raises(DataError) as e:
        replay(recorded("g6_native_sample_overlay"))
    assert "8 x file of an overlay" in (e.value.note or "")
    assert "8 x file that has no column `strike`" in (e.value.note or "")

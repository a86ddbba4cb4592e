"""Which listed expiries the codes name."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from g6core.expiry import CODES, resolve
from g6core.snapshot import CONTRACTS, conform


def listing(index: str, **expiries: str) -> pl.DataFrame:
    """Two strikes each of `_2026_11_23="26NOV"`: the expiry and what stands in the symbol between name and strike."""
    rows = [
        {"index": index, "symbol": f"{index}{form}{strike}{right}", "expiry": date(*map(int, day[1:].split("_")))}
        for day, form in expiries.items()
        for strike in (25000, 25050)
        for right in ("CE", "PE")
    ]
    return conform(pl.DataFrame(rows), CONTRACTS, who="the test")


def codes_of(contracts: pl.DataFrame, today: date, *codes: str) -> dict[str, list[str]]:
    return {str(day): names for day, names in resolve(contracts, today, codes or CODES).items()}


NOVEMBER = listing(
    "NIFTY", _2026_11_17="26N17", _2026_11_23="26NOV", _2026_12_01="26D01", _2026_12_08="26D08", _2026_12_29="26DEC"
)


def test_codes_of_a_listing_with_weeklies() -> None:
    assert codes_of(NOVEMBER, date(2026, 11, 17)) == {
        "2026-11-17": ["this_week"],
        "2026-11-23": ["next_week", "this_month"],
        "2026-12-29": ["next_month"],
    }


def test_the_monthly_moved_by_a_holiday_is_this_week_too() -> None:
    assert codes_of(NOVEMBER, date(2026, 11, 21)) == {
        "2026-11-23": ["this_week", "this_month"],
        "2026-12-01": ["next_week"],
        "2026-12-29": ["next_month"],
    }


def test_after_the_monthly_this_month_is_the_next_one() -> None:
    assert codes_of(NOVEMBER, date(2026, 11, 24)) == {
        "2026-12-01": ["this_week"],
        "2026-12-08": ["next_week"],
        "2026-12-29": ["this_month"],
    }


def test_no_weekly_codes_where_only_monthlies_are_listed() -> None:
    listed = listing("BANKNIFTY", _2026_11_23="26NOV", _2026_12_29="26DEC", _2027_03_30="27MAR")
    assert codes_of(listed, date(2026, 11, 21)) == {"2026-11-23": ["this_month"], "2026-12-29": ["next_month"]}


def test_a_weekly_after_the_monthly_within_its_month_stays_a_weekly() -> None:
    listed = listing("BANKNIFTY", _2024_01_25="24JAN", _2024_01_31="24131", _2024_02_07="24207", _2024_02_29="24FEB")
    assert codes_of(listed, date(2024, 1, 25)) == {
        "2024-01-25": ["this_week", "this_month"],
        "2024-01-31": ["next_week"],
        "2024-02-29": ["next_month"],
    }
    assert codes_of(listed, date(2024, 1, 26)) == {
        "2024-01-31": ["this_week"],
        "2024-02-07": ["next_week"],
        "2024-02-29": ["this_month"],
    }


def test_a_listing_cut_before_its_monthly_has_no_monthly_codes() -> None:
    listed = listing("NIFTY", _2026_12_01="26D01", _2026_12_08="26D08", _2026_12_15="26D15")
    assert codes_of(listed, date(2026, 12, 1)) == {"2026-12-01": ["this_week"], "2026-12-08": ["next_week"]}


@pytest.mark.parametrize("form", ["26N03", "26O27", "26D08", "26901"])
def test_every_month_of_a_weekly_symbol_is_read(form: str) -> None:
    listed = listing("NIFTY", _2026_10_27=form)
    assert codes_of(listed, date(2026, 10, 1)) == {"2026-10-27": ["this_week"]}


def test_one_readable_symbol_tells_for_its_expiry_and_an_unreadable_expiry_has_no_code() -> None:
    listed = listing("BANKNIFTY", _2026_11_23="26NOV", _2026_12_29="-ODD-", _2027_03_30="27MAR")
    odd = listed.with_columns(symbol=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("X")).otherwise("symbol"))
    assert codes_of(odd, date(2026, 11, 21)) == {"2026-11-23": ["this_month"], "2027-03-30": ["next_month"]}
    assert codes_of(odd, date(2026, 11, 21), "2026-12-29") == {"2026-12-29": ["2026-12-29"]}


def test_symbols_of_another_form_leave_it_to_the_last_expiry_of_a_month() -> None:
    listed = listing("NIFTY", _2026_08_18="-A-", _2026_08_25="-B-", _2026_09_01="-C-", _2026_09_08="-D-")
    assert codes_of(listed, date(2026, 8, 18)) == {
        "2026-08-18": ["this_week"],
        "2026-08-25": ["next_week", "this_month"],
    }


def test_symbols_may_be_absent() -> None:
    listed = listing("NIFTY", _2026_08_18="", _2026_08_25="").with_columns(symbol=pl.lit(None, pl.String))
    assert codes_of(listed, date(2026, 8, 18)) == {
        "2026-08-18": ["this_week"],
        "2026-08-25": ["next_week", "this_month"],
    }


def test_codes_keep_the_order_of_the_settings() -> None:
    first = ("this_month", "2026-11-23", "this_week", "this_month")
    assert codes_of(NOVEMBER, date(2026, 11, 21), *first) == {
        "2026-11-23": ["this_month", "2026-11-23", "this_week"],
    }


def test_a_date_names_itself_when_it_is_listed() -> None:
    assert codes_of(NOVEMBER, date(2026, 11, 21), "2026-12-08", "2026-12-09") == {"2026-12-08": ["2026-12-08"]}


def test_past_expiries_have_no_code() -> None:
    assert codes_of(NOVEMBER, date(2026, 11, 18), "2026-11-17", "this_week") == {"2026-11-23": ["this_week"]}


def test_all_names_what_no_other_code_names() -> None:
    assert codes_of(NOVEMBER, date(2026, 11, 21), "all", "this_month") == {
        "2026-11-23": ["this_month"],
        "2026-12-01": ["2026-12-01"],
        "2026-12-08": ["2026-12-08"],
        "2026-12-29": ["2026-12-29"],
    }


def test_nothing_listed_resolves_to_nothing() -> None:
    assert codes_of(NOVEMBER.clear(), date(2026, 11, 21), *CODES, "all") == {}

"""Expiry codes, strike steps and selections on recorded instrument dumps of all six indices."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from g6core.expiry import CODES, resolve
from g6core.snapshot import CONTRACTS, conform
from g6core.specs import NoSettings
from g6core.strategies import All, AtmWindow, AtmWindowSettings
from g6core.strikes import listed_strikes, strike_step

NFO_2024, NFO_2025, BFO_2025 = "nfo_2024-04-02_index_rows", "nfo_2025-09-24_full", "bfo_2025-09_full"
DAYS = {NFO_2024: date(2024, 4, 2), NFO_2025: date(2025, 9, 24), BFO_2025: date(2025, 9, 9)}


def listing(shared_data: Path, dump: str, index: str) -> pl.DataFrame:
    path = shared_data / "kite_instruments" / f"{dump}.csv.gz"
    rows = pl.read_csv(path, infer_schema=False).filter(
        pl.col("name") == index, pl.col("instrument_type").is_in(["CE", "PE"])
    )
    day = pl.coalesce(pl.col("expiry").str.to_date(form, strict=False) for form in ("%Y-%m-%d", "%d-%m-%Y"))
    names = {"name": "index", "tradingsymbol": "symbol", "instrument_token": "token", "instrument_type": "right"}
    frame = conform(rows.with_columns(expiry=day).rename(names), CONTRACTS, who=dump)
    return frame.select(*CONTRACTS).sort("expiry", "strike", "right")


@pytest.mark.parametrize(
    ("dump", "index", "expected"),
    [
        (NFO_2024, "NIFTY", ["04-04", "04-10", "04-25", "05-30"]),
        (NFO_2024, "BANKNIFTY", ["04-03", "04-10", "04-24", "05-29"]),
        (NFO_2024, "FINNIFTY", ["04-02", "04-09", "04-30", "05-28"]),
        (NFO_2024, "MIDCPNIFTY", ["04-08", "04-15", "04-29", "05-27"]),
        (NFO_2025, "NIFTY", ["09-30", "10-07", "09-30", "10-28"]),
        (NFO_2025, "BANKNIFTY", [None, None, "09-30", "10-28"]),
        (NFO_2025, "FINNIFTY", [None, None, "09-30", "10-28"]),
        (NFO_2025, "MIDCPNIFTY", [None, None, "09-30", "10-28"]),
        (BFO_2025, "SENSEX", ["09-11", "09-18", "09-25", "10-30"]),
        (BFO_2025, "BANKEX", [None, None, "09-25", "10-30"]),
    ],
)
def test_codes(shared_data: Path, dump: str, index: str, expected: list[str | None]) -> None:
    found = resolve(listing(shared_data, dump, index), DAYS[dump], CODES)
    named = {code: f"{day:%m-%d}" for day, codes in found.items() for code in codes}
    assert [named.get(code) for code in CODES] == expected


def test_a_weekly_follows_the_monthly_in_april_2024(shared_data: Path) -> None:
    found = resolve(listing(shared_data, NFO_2024, "BANKNIFTY"), date(2024, 4, 25), CODES)
    assert found == {
        date(2024, 4, 30): ["this_week"],
        date(2024, 5, 29): ["next_week", "this_month"],
        date(2024, 6, 26): ["next_month"],
    }


ALL_SIX = [
    (NFO_2024, "NIFTY", 22453.3, 50, 50),
    (NFO_2024, "BANKNIFTY", 47545.45, 100, 15),
    (NFO_2024, "FINNIFTY", 21044.4, 50, 40),
    (NFO_2024, "MIDCPNIFTY", 10895.0, 25, 75),
    (NFO_2025, "NIFTY", 25056.9, 50, 75),
    (NFO_2025, "BANKNIFTY", 55121.5, 100, 35),
    (NFO_2025, "FINNIFTY", 26400.0, 50, 65),
    (NFO_2025, "MIDCPNIFTY", 13050.0, 25, 140),
    (BFO_2025, "SENSEX", 81101.3, 100, 20),
    (BFO_2025, "BANKEX", 60700.0, 100, 30),
]


@pytest.mark.parametrize(("dump", "index", "spot", "step", "lot"), ALL_SIX)
def test_steps_and_lots(shared_data: Path, dump: str, index: str, spot: float, step: float, lot: int) -> None:
    contracts = listing(shared_data, dump, index)
    assert strike_step(min(listed_strikes(contracts).items())[1]) == step
    assert contracts["lot_size"].unique().to_list() == [lot]


def test_far_expiries_have_wider_steps(shared_data: Path) -> None:
    chains = listed_strikes(listing(shared_data, NFO_2025, "NIFTY"))
    assert {strike_step(chains[date(2025, 12, 30)]), strike_step(chains[date(2030, 6, 25)])} == {500, 1000}


@pytest.mark.parametrize(("dump", "index", "spot", "step", "lot"), ALL_SIX)
def test_every_strike_of_an_expiry_has_its_own_offset(
    shared_data: Path, dump: str, index: str, spot: float, step: float, lot: int
) -> None:
    contracts = listing(shared_data, dump, index)
    labelled = All(NoSettings()).select(contracts, spot, DAYS[dump], contracts.clear())
    assert labelled["offset"].null_count() == 0
    assert not labelled.select("expiry", "offset", "right").is_duplicated().any()


@pytest.mark.parametrize(
    ("dump", "index", "other"), [(BFO_2025, "SENSEX", "SENSEX50"), (NFO_2025, "NIFTY", "NIFTYNXT50")]
)
def test_indices_with_a_common_beginning_are_apart(shared_data: Path, dump: str, index: str, other: str) -> None:
    codes = ["this_month", "this_week"]
    assert [*resolve(listing(shared_data, dump, other), DAYS[dump], codes).values()] == [["this_month"]]
    assert len(resolve(listing(shared_data, dump, index), DAYS[dump], ["all"])) > 3


def test_a_window_on_a_recorded_listing(shared_data: Path) -> None:
    contracts = listing(shared_data, NFO_2025, "NIFTY").filter(expiry=date(2025, 9, 30))
    window = AtmWindow(AtmWindowSettings(below=10, above=10))
    selected = window.select(contracts, 25056.9, DAYS[NFO_2025], contracts.clear())
    assert selected.height == 42
    assert selected["strike"].unique().sort().to_list() == [24550.0 + 50 * n for n in range(21)]

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from g6_sim.provider import Sim
from g6_sim.table import terms

from g6core import DataError
from g6core.expiry import resolve
from g6core.snapshot import CONTRACTS
from g6core.testing import ManualClock

Make = Callable[..., Sim]


def expiries(sim: Sim, index: str) -> list[date]:
    return sim.contracts(index)["expiry"].unique().sort().to_list()


def days(*texts: str) -> list[date]:
    return [date.fromisoformat(text) for text in texts]


def read_options(file: Path) -> pl.DataFrame:
    """The options of a recorded instrument dump."""
    numbers = {"strike": pl.Float64, "tick_size": pl.Float64, "lot_size": pl.Int64, "instrument_token": pl.Int64}
    text = pl.read_csv(file, infer_schema=False).filter(pl.col("instrument_type").is_in(["CE", "PE"]))
    return text.cast(numbers).with_columns(pl.col("expiry").str.to_date())


def test_contracts_have_the_core_s_columns_in_order(sim: Sim) -> None:
    for index in sim.indices():
        contracts = sim.contracts(index)
        assert contracts.schema == CONTRACTS
        assert contracts.equals(contracts.sort("expiry", "strike", "right"))
        assert contracts.null_count().sum_horizontal().item() == 0
        assert set(contracts["index"]) == {index}


def test_an_expiry_on_a_holiday_moves_to_the_day_before(sim: Sim) -> None:
    moved = sim.contracts("NIFTY").filter(pl.col("expiry") == date(2026, 11, 23))
    assert moved["symbol"].str.contains("^NIFTY26NOV").all()
    for index in ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY"):
        assert expiries(sim, index)[0] == date(2026, 11, 23)


def test_weeklies_and_monthlies_are_listed_as_the_table_says(sim: Sim) -> None:
    assert expiries(sim, "NIFTY") == days(
        "2026-11-23", "2026-12-01", "2026-12-08", "2026-12-15", "2026-12-22", "2026-12-29", "2027-01-26"
    )
    assert expiries(sim, "BANKNIFTY") == days("2026-11-23", "2026-12-29", "2027-01-26")
    assert expiries(sim, "SENSEX") == days(
        "2026-11-26", "2026-12-03", "2026-12-10", "2026-12-17", "2026-12-24", "2026-12-31", "2027-01-28"
    )
    assert expiries(sim, "BANKEX") == days("2026-11-26", "2026-12-31", "2027-01-28")


def test_the_core_s_codes_find_their_expiries(sim: Sim) -> None:
    codes = ["this_week", "next_week", "this_month", "next_month"]
    today = date(2026, 11, 20)
    assert resolve(sim.contracts("NIFTY"), today, codes) == {
        date(2026, 11, 23): ["this_week", "this_month"],
        date(2026, 12, 1): ["next_week"],
        date(2026, 12, 29): ["next_month"],
    }
    assert resolve(sim.contracts("BANKEX"), today, codes) == {
        date(2026, 11, 26): ["this_month"],
        date(2026, 12, 31): ["next_month"],
    }


def test_settings_choose_how_many_expiries_are_listed(make: Make) -> None:
    few = make(weeks=0, months=1)
    assert expiries(few, "NIFTY") == days("2026-11-23")
    many = make(weeks=12, months=12)
    assert len(expiries(many, "BANKNIFTY")) == 12
    assert len(expiries(many, "NIFTY")) == 12 + 12 - 3
    every = pl.concat(many.contracts(index) for index in many.indices())
    assert every["token"].n_unique() == every["symbol"].n_unique() == every.height
    assert every["token"].max() < 2**32  # type: ignore[operator]


def test_an_expired_contract_is_not_listed(sim: Sim, clock: ManualClock) -> None:
    clock.set(datetime.fromisoformat("2026-11-23T15:39:59+05:30"))
    assert expiries(sim, "NIFTY")[0] == date(2026, 11, 23)
    clock.set(datetime.fromisoformat("2026-11-23T15:40:00+05:30"))
    assert expiries(sim, "NIFTY")[0] == date(2026, 12, 1)
    clock.set(datetime.fromisoformat("2026-11-26T15:30:00+05:30"))
    assert expiries(sim, "BANKEX")[0] == date(2026, 12, 31)


def test_a_contract_stays_listed_until_it_expires(sim: Sim, clock: ManualClock) -> None:
    before = sim.contracts("NIFTY")
    clock.set(datetime.fromisoformat("2026-11-27T10:00:00+05:30"))
    alive = before.filter(pl.col("expiry") > date(2026, 11, 27))
    assert alive.join(sim.contracts("NIFTY"), on=list(CONTRACTS), how="anti").is_empty()


def test_the_step_is_the_table_s_around_the_money(sim: Sim) -> None:
    spots = sim.spots(sim.indices())
    for index in sim.indices():
        for _, chain in sim.contracts(index).group_by("expiry"):
            strikes = chain["strike"].unique().sort()
            near = strikes.filter((strikes / spots[index].last - 1).abs() < 0.05)
            assert near.len() > 10
            assert set(near.diff().drop_nulls()) == {terms()[index].step}


def test_an_unknown_index_is_refused_with_the_known_ones(sim: Sim) -> None:
    with pytest.raises(DataError, match="NIFTYNXT50") as refused:
        sim.contracts("NIFTYNXT50")
    assert refused.value.code == "unknown-index"
    assert "BANKNIFTY" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("file", "today", "indices"),
    [
        ("nfo_2025-09-24_full.csv.gz", "2025-09-24", ["NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY"]),
        ("bfo_2025-09_full.csv.gz", "2025-09-10", ["SENSEX", "BANKEX"]),
    ],
)
def test_expiries_symbols_and_steps_are_those_of_a_real_listing(
    sim: Sim, clock: ManualClock, shared_data: Path, file: str, today: str, indices: list[str]
) -> None:
    clock.set(datetime.fromisoformat(f"{today}T11:00:00+05:30"))
    real = read_options(shared_data / "kite_instruments" / file)
    for index in indices:
        listed = real.filter(pl.col("name") == index)
        mine = sim.contracts(index)
        assert set(mine["expiry"]) <= set(listed["expiry"])
        keys = {"expiry": "expiry", "strike": "strike", "right": "instrument_type"}
        both = mine.join(listed, left_on=list(keys), right_on=list(keys.values()), how="inner", suffix="_real")
        assert both.height > 300
        assert (both["symbol"] == both["tradingsymbol"]).all()
        assert (both["exchange"] == both["exchange_real"]).all()
        assert (both["tick_size"] == both["tick_size_real"]).all()
        assert (both["token"] % 256 == both["instrument_token"] % 256).all()


def test_lot_sizes_are_those_in_force(sim: Sim, shared_data: Path) -> None:
    day = pl.read_csv(shared_data / "nse_bhavcopy_udiff" / "fo_index_2026-03-24.csv.gz", infer_schema_length=None)
    for index in ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY"):
        lots = day.filter((pl.col("TckrSymb") == index) & (pl.col("FinInstrmTp") == "IDO"))["NewBrdLotQty"]
        assert set(sim.contracts(index)["lot_size"]) == set(lots)
    listing = read_options(shared_data / "kite_instruments" / "bfo_2025-09_full.csv.gz")
    for index in ("SENSEX", "BANKEX"):
        lots = listing.filter(pl.col("name") == index)["lot_size"]
        assert set(sim.contracts(index)["lot_size"]) == set(lots)

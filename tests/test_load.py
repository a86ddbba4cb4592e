"""Recorded days in a notebook: whole, in India's time, wherever they lie, and by name where they do not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest
from g6_parquet.archive import ParquetArchive
from g6_parquet.settings import Settings
from polars.testing import assert_frame_equal

from g6core import IST, DataError, G6Error, Snapshot, load, make_context
from g6core.testing import START, ManualClock, snapshots
from g6core.testing.archive_contract import same
from tests.test_fill import record

FIRST = date(2026, 8, 17)


def taken(days: int = 3) -> dict[date, list[Snapshot]]:
    return {FIRST + timedelta(days=n): snapshots(5, ts=START + timedelta(days=n), strikes=3) for n in range(days)}


@pytest.fixture(scope="module")
def days() -> dict[date, list[Snapshot]]:
    return taken()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, days: dict[date, list[Snapshot]]) -> Path:
    """A journal of NIFTY on three days, and of BANKNIFTY on the last."""
    place = tmp_path_factory.mktemp("loaded")
    for found in days.values():
        record(place, *found)
    record(place, *snapshots(2, "BANKNIFTY", START + timedelta(days=2), strikes=3))
    return place


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory without settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("G6_PLUGINS", "G6_DATA_DIR", "G6_SECRETS_FILE"):
        monkeypatch.delenv(name, raising=False)
    yield


def test_a_day_is_all_that_was_recorded_of_the_index(place: Path, days: dict[date, list[Snapshot]]) -> None:
    day = load("nifty", "2026-08-17", data_dir=place)
    assert (day.index, day.days, day.simulated) == ("NIFTY", (FIRST,), True)
    assert repr(day) == "NIFTY, 2026-08-17, SIMULATED"
    wanted = days[FIRST]
    for found, snapshot in zip(day.snapshots, wanted, strict=True):
        same(found, snapshot)
    assert day.options.height == sum(s.options.height for s in wanted)
    assert day.expiries.height == sum(s.expiries.height for s in wanted)
    assert day.facts["spot"].to_list() == [s.facts["spot"] for s in wanted]
    assert day.facts["source"].unique().to_list() == ["fake"]
    first = day.options.filter(ts=wanted[0].ts.astimezone(IST))
    assert_frame_equal(first["last_price", "oi", "symbol"], wanted[0].options["last_price", "oi", "symbol"])


def test_times_are_those_of_india(place: Path) -> None:
    day = load("NIFTY", FIRST, data_dir=place)
    for table in (day.options, day.expiries, day.facts):
        zones = {dtype.time_zone for dtype in table.schema.values() if isinstance(dtype, pl.Datetime)}
        assert zones == {"Asia/Kolkata"}
        assert table["ts"].min() == START
        assert str(table["ts"].min()).startswith("2026-08-17 09:30:00+05:30")


def test_a_range_is_its_days_one_after_the_other(place: Path, days: dict[date, list[Snapshot]]) -> None:
    both = load("NIFTY", "2026-08-18", "2026-12-31", data_dir=str(place))
    assert both.days == (date(2026, 8, 18), date(2026, 8, 19))
    assert repr(both) == "NIFTY, 2026-08-18 to 2026-08-19, SIMULATED"
    assert both.facts["ts"].to_list() == [s.ts for day in both.days for s in days[day]]
    assert load("BANKNIFTY", "2026-08-01", "2026-08-31", data_dir=place).days == (date(2026, 8, 19),)


@pytest.mark.parametrize(
    "at",
    ["09:32", "9:32:30".zfill(8), "2026-08-19 09:32", "2026-08-19T04:02:00+00:00", time(9, 32),
     datetime(2026, 8, 19, 9, 32, tzinfo=IST), datetime(2026, 8, 19, 4, 2, tzinfo=UTC)],
)  # fmt: skip
def test_a_chain_is_that_of_the_newest_snapshot_until_then(
    at: datetime | time | str, place: Path, days: dict[date, list[Snapshot]]
) -> None:
    chain = load("NIFTY", FIRST, "2026-08-19", data_dir=place).chain(at, columns=("oi", "last_price"))
    assert chain.columns == ["call_oi", "call_last_price", "strike", "put_last_price", "put_oi"]
    snapshot = days[date(2026, 8, 19)][2]
    nearest = snapshot.options.filter(pl.col("expiry") == snapshot.expiries["expiry"][0])
    for right, side in (("CE", "call"), ("PE", "put")):
        wanted = nearest.filter(right=right).sort("strike")
        assert chain["strike"].to_list() == wanted["strike"].to_list()
        assert chain[f"{side}_last_price"].to_list() == wanted["last_price"].to_list()
        assert chain[f"{side}_oi"].to_list() == wanted["oi"].to_list()


def test_a_chain_is_of_the_expiry_that_is_named(place: Path, days: dict[date, list[Snapshot]]) -> None:
    day = load("NIFTY", FIRST, data_dir=place)
    row = days[FIRST][-1].expiries.row(1, named=True)
    by_code, by_date = day.chain(expiry=row["codes"][0]), day.chain(expiry=row["expiry"])
    assert_frame_equal(by_code, by_date)
    assert not by_code.equals(day.chain())
    assert by_code["call_iv"].null_count() == by_code.height, "no analytic ran: null, and no number"
    assert day.chain(around=0).height == 1
    with pytest.raises(DataError) as found:
        day.chain(expiry="next_year")
    assert found.value.code == "no-such-expiry"


def test_sql_asks_the_three_tables(place: Path) -> None:
    day = load("NIFTY", FIRST, data_dir=place)
    found = day.sql('SELECT "right", count(*) AS n FROM options GROUP BY "right" ORDER BY "right"')
    assert dict(found.iter_rows()) == {"CE": day.options.height // 2, "PE": day.options.height // 2}
    assert day.sql("SELECT count(*) AS n FROM expiries JOIN facts USING (ts)").item() == day.expiries.height
    for condition in ("strftime(ts, '%H:%M') > '09:32'", "ts > '2026-08-17 09:32'"):
        late = day.sql(f"SELECT ts FROM facts WHERE {condition}")
        assert late["ts"].dt.strftime("%H:%M").to_list() == ["09:33", "09:34"], "times are India's there as well"


def test_tables_become_pandas_and_arrow(place: Path) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    facts = load("NIFTY", FIRST, data_dir=place).facts
    assert str(facts.to_pandas()["ts"].dt.tz) == "Asia/Kolkata"
    assert facts.to_arrow().num_rows == facts.height


def test_columns_that_come_and_go_are_null_where_they_are_not(tmp_path: Path) -> None:
    first, second = snapshots(2, strikes=3)
    edge = second.add(options=[pl.Series("edge", [1.5] * second.options.height)], facts={"edge": 2.5})
    record(tmp_path / "d", first, edge)
    day = load("NIFTY", FIRST, data_dir=tmp_path / "d")
    assert day.options["edge"].null_count() == first.options.height
    assert day.facts["edge"].to_list() == [None, 2.5]


def test_a_missing_day_names_those_that_there_are(place: Path, tmp_path: Path) -> None:
    def refused(*which: str, index: str = "NIFTY", data_dir: Path = place) -> G6Error:
        with pytest.raises(DataError) as found:
            load(index, *which, data_dir=data_dir)
        return found.value

    for which in (("2026-08-16",), ("2026-08-20", "2026-08-25"), ("2026-08-19", "2026-08-17")):
        error = refused(*which)
        assert error.code == "no-such-day"
        assert error.message.endswith("; there is 2026-08-17, 2026-08-18, 2026-08-19")
    assert refused("yesterday").code == "no-such-day"
    assert "`g6 run` records" in str(refused("2026-08-17", data_dir=tmp_path / "none").hint)
    error = refused("2026-08-19", index="NIFTI")
    assert (error.code, error.message) == (
        "nothing-recorded",
        "nothing is recorded of NIFTI; there is BANKNIFTY, NIFTY",
    )


def test_an_instant_before_the_first_snapshot_has_no_chain(place: Path) -> None:
    day = load("NIFTY", FIRST, data_dir=place)
    for at in ("09:29:59", "2026-08-19 10:00", "half past ten"):
        with pytest.raises(DataError) as found:
            day.chain(at)
        assert found.value.code == "nothing-recorded"


def test_days_that_the_journal_no_longer_holds_come_from_an_archive(
    tmp_path: Path, days: dict[date, list[Snapshot]]
) -> None:
    archive = ParquetArchive(Settings())
    archive.open(make_context(tmp_path / "data", ManualClock()))
    for found in days.values():
        archive.write(found)
    archive.close()
    record(tmp_path / "data", *days[date(2026, 8, 19)])
    with pytest.raises(DataError):
        load("NIFTY", FIRST)
    (tmp_path / "g6.toml").write_text('plugins = ["parquet"]\n')
    archived = load("NIFTY", FIRST)
    for one, wanted in zip(archived.snapshots, days[FIRST], strict=True):
        same(one, wanted)
    assert archived.chain("09:32").height == 3
    assert load("NIFTY", "2026-08-01", "2026-08-31").days == tuple(days)
    with pytest.raises(DataError, match="there is NIFTY"):
        load("SENSEX", FIRST)
    with pytest.raises(DataError) as refused:
        load("NIFTY", "2026-08-16")
    assert str(refused.value).endswith("; there is 2026-08-17, 2026-08-18, 2026-08-19")

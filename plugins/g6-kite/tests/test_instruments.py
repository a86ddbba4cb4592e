"""Contracts, futures and spots out of lists of instruments: recorded ones of all six indices, and made ones."""

from __future__ import annotations

import gzip
import json
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from g6_kite.instruments import EXCHANGES, LIST, SPOTS, Instruments, Listed, parse
from g6_kite.settings import KiteSettings
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import CONTRACTS, IST, QUOTES, AuthExpired, Context, DataError, Provider, Spot, Unavailable
from g6core.collector import Collector, Plan
from g6core.exchange import Calendar
from g6core.expiry import CODES
from g6core.history import History
from g6core.specs import NoSettings
from g6core.strategies import All
from g6core.strikes import listed_strikes, strike_step
from g6core.testing import ManualClock

HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange"
)
MORNING = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
"""Friday, 09:30 in India."""


@pytest.fixture(scope="session")
def dumps() -> Path:
    data = Path(os.environ.get("G6_SHARED_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
    if not data.is_dir():
        pytest.skip(f"no recorded market data at {data}; set G6_SHARED_DATA")
    return data / "kite_instruments"


def as_kite_sends_it(place: Path, name: str) -> bytes:
    """A recorded list; one went through a spreadsheet, one through a program that writes JSON."""
    if name == NFO_2024:
        table = pl.read_csv(place / f"{name}.csv.gz", infer_schema=False)
        return table.with_columns(pl.col("expiry").str.to_date("%d-%m-%Y").dt.to_string()).write_csv().encode()
    if name == BFO_LATER:
        rows = json.loads(gzip.decompress((place / f"{name}.json.gz").read_bytes()))
        return pl.DataFrame(rows).select(HEADER.split(",")).write_csv().encode()
    return gzip.decompress((place / f"{name}.csv.gz").read_bytes())


NFO_2024, NFO_2025 = "nfo_2024-04-02_index_rows", "nfo_2025-09-24_full"
BFO_2025, BFO_LATER = "bfo_2025-09_full", "g6_instruments_universe_2025-09-25_BFO"


class FakeRest:
    """Gives the lists it has, and counts. trouble: what to raise instead."""

    def __init__(self, **lists: bytes) -> None:
        self.lists, self.asked = lists, list[str]()
        self.trouble: Exception | None = None

    def instruments_csv(self, exchange: str) -> bytes:
        self.asked.append(exchange)
        if self.trouble:
            raise self.trouble
        if exchange not in self.lists:
            raise Unavailable(f"Kite gave no instruments of {exchange}: HTTP 502")
        return self.lists[exchange]


def context(place: Path, now: datetime = MORNING) -> Context:
    return Context(place, ManualClock(now), Calendar.load(), History(place))


def instruments(rest: FakeRest, where: Context, **options: Any) -> Instruments:
    return Instruments(rest, KiteSettings(api_key="k", **options), where)


def set_time(where: Context, now: datetime) -> None:
    where.clock.set(now)  # type: ignore[attr-defined]


def row(symbol: str, expiry: str = "2026-11-23", *, token: int = 1, name: str = "NIFTY", **other: Any) -> str:
    kind = other.get("kind", symbol[-2:] if symbol[-2:] in ("CE", "PE") else "FUT")
    exchange = other.get("exchange", "NFO")
    segment = other.get("segment", f"{exchange}-{'FUT' if kind == 'FUT' else 'OPT'}")
    strike, tick, lot = other.get("strike", 25000), other.get("tick", 0.05), other.get("lot", 65)
    return f'{token},{token // 256},{symbol},"{name}",0,{expiry},{strike},{tick},{lot},{kind},{segment},{exchange}'


def csv(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


class OfDump(Provider):
    """A provider whose contracts are those of a list, and whose quotes say nothing but a price."""

    def __init__(self, listed: Instruments, spot: float) -> None:
        self._listed, self._spot = listed, spot

    def contracts(self, index: str) -> pl.DataFrame:
        return self._listed.contracts(index)

    def spots(self, indices: Sequence[str]) -> Mapping[str, Spot]:
        return {index: Spot(self._spot) for index in indices}

    def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame({n: [1.0 if n == "last_price" else None] * contracts.height for n in QUOTES})


def codes(listed: Instruments, index: str, now: datetime, spot: float = 25000.0) -> dict[str, str]:
    """What the collector makes of it: the day that each expiry code names."""
    plan = Plan(index, All(NoSettings()), CODES)
    raw = Collector("kite", OfDump(listed, spot), [plan], Calendar.load()).collect(now)[index]
    assert raw.snapshot, raw.reason
    assert raw.notes == ()
    rows = raw.snapshot.expiries.select("expiry", "codes").iter_rows()
    return {code: f"{day:%Y-%m-%d}" for day, named in rows for code in named}


# ---- recorded lists -------------------------------------------------------------------------------------------------

SEP_24, SEP_9, SEP_25 = date(2025, 9, 24), date(2025, 9, 9), date(2025, 9, 25)
WEEKLY_AND_MONTHLY = [
    (NFO_2024, date(2024, 4, 2), "NIFTY", ["2024-04-04", "2024-04-10", "2024-04-25", "2024-05-30"]),
    (NFO_2024, date(2024, 4, 2), "BANKNIFTY", ["2024-04-03", "2024-04-10", "2024-04-24", "2024-05-29"]),
    (NFO_2024, date(2024, 4, 2), "FINNIFTY", ["2024-04-02", "2024-04-09", "2024-04-30", "2024-05-28"]),
    (NFO_2024, date(2024, 4, 2), "MIDCPNIFTY", ["2024-04-08", "2024-04-15", "2024-04-29", "2024-05-27"]),
    (NFO_2025, SEP_24, "NIFTY", ["2025-09-30", "2025-10-07", "2025-09-30", "2025-10-28"]),
    (NFO_2025, SEP_24, "BANKNIFTY", [None, None, "2025-09-30", "2025-10-28"]),
    (NFO_2025, SEP_24, "FINNIFTY", [None, None, "2025-09-30", "2025-10-28"]),
    (NFO_2025, SEP_24, "MIDCPNIFTY", [None, None, "2025-09-30", "2025-10-28"]),
    (BFO_2025, SEP_9, "SENSEX", ["2025-09-11", "2025-09-18", "2025-09-25", "2025-10-30"]),
    (BFO_2025, SEP_9, "BANKEX", [None, None, "2025-09-25", "2025-10-30"]),
    (BFO_LATER, SEP_25, "SENSEX", ["2025-09-25", "2025-10-01", "2025-09-25", "2025-10-30"]),
    (BFO_LATER, SEP_25, "BANKEX", [None, None, "2025-09-25", "2025-10-30"]),
]


def recorded(dumps: Path, name: str, tmp_path: Path, day: date) -> tuple[Instruments, datetime]:
    now = datetime(day.year, day.month, day.day, 10, 0, tzinfo=IST).astimezone(UTC)
    exchange = "NFO" if name.startswith("nfo") else "BFO"
    return instruments(FakeRest(**{exchange: as_kite_sends_it(dumps, name)}), context(tmp_path, now)), now


@pytest.mark.parametrize(("name", "day", "index", "expected"), WEEKLY_AND_MONTHLY)
def test_expiry_codes(
    dumps: Path, tmp_path: Path, name: str, day: date, index: str, expected: list[str | None]
) -> None:
    listed, now = recorded(dumps, name, tmp_path, day)
    found = codes(listed, index, now)
    assert [found.get(code) for code in CODES] == expected


def test_when_the_day_s_expiry_has_closed_the_codes_go_on(dumps: Path, tmp_path: Path) -> None:
    listed, _ = recorded(dumps, BFO_LATER, tmp_path, SEP_25)
    after = datetime(2025, 9, 26, 10, 0, tzinfo=IST).astimezone(UTC)
    assert codes(listed, "SENSEX", after) == {
        "this_week": "2025-10-01",
        "next_week": "2025-10-09",
        "this_month": "2025-10-30",
        "next_month": "2025-11-27",
    }


@pytest.mark.parametrize(
    ("name", "day", "index", "count", "lot", "step"),
    [
        (NFO_2024, date(2024, 4, 2), "NIFTY", 1478, 50, 50),
        (NFO_2024, date(2024, 4, 2), "BANKNIFTY", 1435, 15, 100),
        (NFO_2024, date(2024, 4, 2), "FINNIFTY", 1127, 40, 50),
        (NFO_2024, date(2024, 4, 2), "MIDCPNIFTY", 1415, 75, 25),
        (NFO_2025, SEP_24, "NIFTY", 1527, 75, 50),
        (NFO_2025, SEP_24, "BANKNIFTY", 924, 35, 100),
        (NFO_2025, SEP_24, "FINNIFTY", 439, 65, 50),
        (NFO_2025, SEP_24, "MIDCPNIFTY", 665, 140, 25),
        (BFO_2025, SEP_9, "SENSEX", 3407, 20, 100),
        (BFO_2025, SEP_9, "BANKEX", 1057, 30, 100),
    ],
)
def test_lots_steps_and_numbers_of_contracts(
    dumps: Path, tmp_path: Path, name: str, day: date, index: str, count: int, lot: int, step: float
) -> None:
    listed, _ = recorded(dumps, name, tmp_path, day)
    contracts = listed.contracts(index)
    assert contracts.schema == CONTRACTS and contracts.null_count().sum_horizontal().item() == 0
    assert contracts["lot_size"].unique().to_list() == [lot]
    assert contracts["tick_size"].unique().to_list() == [0.05]
    assert strike_step(min(listed_strikes(contracts).items())[1]) == step
    futures = listed.futures(index)
    assert contracts.height + len(futures) == count and len(futures) == 3
    assert set(contracts["index"]) == {index} and set(contracts["exchange"]) == {EXCHANGES[index]}
    assert contracts.equals(contracts.sort("expiry", "strike", "right"))


@pytest.mark.parametrize(
    ("name", "day", "other", "count"), [(NFO_2025, SEP_24, "NIFTYNXT50", 901), (BFO_2025, SEP_9, "SENSEX50", 345)]
)
@pytest.mark.parametrize("named", [True, False])
def test_indices_whose_names_begin_alike_are_apart(
    dumps: Path, name: str, day: date, other: str, count: int, named: bool
) -> None:
    """Also in a list without names, where the symbols alone tell."""
    data = as_kite_sends_it(dumps, name)
    exchange = name[:3].upper()
    told = parse(data, exchange)
    if not named:
        without = pl.read_csv(data, infer_schema=False).with_columns(name=pl.lit("")).write_csv().encode()
        told, by_name = parse(without, exchange), told
        of_six = pl.col("index").is_in([*EXCHANGES, other])
        assert told.filter(of_six).equals(by_name.filter(of_six))
    assert told.filter(index=other).height == count
    assert told.filter(index=other)["symbol"].str.starts_with(other).all()
    for index in EXCHANGES:
        assert not told.filter(index=index)["symbol"].str.starts_with(other).any()


@pytest.mark.parametrize("name", [BFO_2025, NFO_2025])
def test_it_is_what_the_official_client_reads(dumps: Path, name: str) -> None:
    from kiteconnect import KiteConnect

    lines = as_kite_sends_it(dumps, name).split(b"\n")
    some = b"\n".join([lines[0], *lines[1::7]]).rstrip() + b"\n"
    theirs = KiteConnect("k")._parse_instruments(some)
    names = {"name": "index", "tradingsymbol": "symbol", "instrument_token": "token", "instrument_type": "kind"}
    expected = pl.DataFrame(theirs).rename(names).select(*LIST).with_columns(pl.col("strike").replace(0.0, None))
    assert parse(some, name[:3].upper()).equals(expected)


def test_spots_of_a_recorded_list(dumps: Path, tmp_path: Path) -> None:
    rest = FakeRest(NSE=(dumps / "nse_indices_2026-08-05.csv").read_bytes())
    listed = instruments(rest, context(tmp_path))
    for index, usual in SPOTS.items():
        if usual.exchange == "NSE":
            assert listed.spot(index) == usual
    assert rest.asked == ["NSE"]


# ---- made lists -----------------------------------------------------------------------------------------------------


def chain(index: str, *expiries: tuple[str, str], strikes: Sequence[int] = (25000, 25050, 25100)) -> list[str]:
    """Calls and puts of (expiry, what stands in the symbol between name and strike)."""
    wanted = [(day, form, k, right) for day, form in expiries for k in strikes for right in ("CE", "PE")]
    return [
        row(f"{index}{form}{k}{right}", day, token=256 * n + 2, name=index, strike=k)
        for n, (day, form, k, right) in enumerate(wanted, 1)
    ]


def test_a_weekly_after_the_monthly_does_not_become_the_monthly(tmp_path: Path) -> None:
    """January 2024: BANKNIFTY's monthly on Thursday the 25th, then a weekly on Wednesday the 31st."""
    expiries = [("2024-01-25", "24JAN"), ("2024-01-31", "24131"), ("2024-02-07", "24207"), ("2024-02-29", "24FEB")]
    data = csv(*chain("BANKNIFTY", *expiries, strikes=(45000, 45100, 45200)))
    now = datetime(2024, 1, 24, 5, 0, tzinfo=UTC)
    listed = instruments(FakeRest(NFO=data), context(tmp_path, now))
    assert codes(listed, "BANKNIFTY", now, 45100.0) == {
        "this_week": "2024-01-25",
        "next_week": "2024-01-31",
        "this_month": "2024-01-25",
        "next_month": "2024-02-29",
    }
    later = datetime(2024, 1, 29, 5, 0, tzinfo=UTC)
    assert codes(listed, "BANKNIFTY", later, 45100.0) == {
        "this_week": "2024-01-31",
        "next_week": "2024-02-07",
        "this_month": "2024-02-29",
    }


MOVED = [("2026-11-23", "26NOV"), ("2026-12-01", "26D01"), ("2026-12-08", "26D08"), ("2026-12-29", "26DEC")]


def test_the_monthly_that_a_holiday_moved_to_a_monday(tmp_path: Path) -> None:
    """Tuesday 24 November 2026 is a holiday. The new codes begin with the close of Monday's session."""
    listed = instruments(FakeRest(NFO=csv(*chain("NIFTY", *MOVED))), context(tmp_path))
    before = {
        "this_week": "2026-11-23",
        "next_week": "2026-12-01",
        "this_month": "2026-11-23",
        "next_month": "2026-12-29",
    }
    assert codes(listed, "NIFTY", MORNING) == before
    assert codes(listed, "NIFTY", datetime(2026, 11, 23, 15, 39, tzinfo=IST).astimezone(UTC)) == before
    assert codes(listed, "NIFTY", datetime(2026, 11, 25, 9, 30, tzinfo=IST).astimezone(UTC)) == {
        "this_week": "2026-12-01",
        "next_week": "2026-12-08",
        "this_month": "2026-12-29",
    }


def test_old_and_new_lots_stand_side_by_side(tmp_path: Path) -> None:
    data = csv(
        row("NIFTY25DEC25000CE", "2025-12-30", lot=75, token=1), row("NIFTY26JAN25000CE", "2026-01-27", lot=65, token=2)
    )
    listed = instruments(FakeRest(NFO=data), context(tmp_path))
    assert listed.contracts("NIFTY")["lot_size"].to_list() == [75, 65]


def test_futures_by_expiry(tmp_path: Path) -> None:
    data = csv(
        row("NIFTY26DECFUT", "2026-12-29", token=514, strike=0),
        row("NIFTY26NOVFUT", "2026-11-23", token=258, strike=0),
        row("BANKNIFTY26NOVFUT", "2026-11-23", token=770, strike=0, name="BANKNIFTY"),
        row("NIFTY26NOV25000CE", token=1026),
    )
    listed = instruments(FakeRest(NFO=data), context(tmp_path))
    futures = listed.futures("NIFTY")
    assert list(futures.items()) == [
        (date(2026, 11, 23), Listed("NFO", "NIFTY26NOVFUT", 258)),
        (date(2026, 12, 29), Listed("NFO", "NIFTY26DECFUT", 514)),
    ]
    assert futures[date(2026, 11, 23)].key == "NFO:NIFTY26NOVFUT"


SYMBOLS = {
    "SENSEX502591126150CE": "SENSEX50",  # a weekly, which read as SENSEX would be of the year 2050
    "SENSEX5025SEP26150CE": "SENSEX50",
    "SENSEX5026SEPFUT": "SENSEX50",
    "SENSEX2591180700CE": "SENSEX",
    "SENSEX25O0180700PE": "SENSEX",
    "NIFTYNXT5025SEP69700CE": "NIFTYNXT50",
    "NIFTY25O0725000CE": "NIFTY",
    "NIFTY26NOV25000.5CE": "NIFTY",
    "BANKNIFTY18JAN23500CE": "BANKNIFTY",
    "BANKNIFTY2413137500CE": "BANKNIFTY",
    "MIDCPNIFTY2450610000CE": "MIDCPNIFTY",
    "FINNIFTY24APR17000PE": "FINNIFTY",
    "BANKEX26APR63000PE": "BANKEX",
    "NIFTYMID5018JAN5000CE": None,
    "NIFTYBEES": None,
    "RELIANCE25SEP1400CE": None,
    "NIFTY 50": None,
}


@pytest.mark.parametrize(("symbol", "index"), SYMBOLS.items())
def test_a_list_without_names_is_told_by_its_symbols(symbol: str, index: str | None) -> None:
    assert parse(csv(row(symbol, name="")), "NFO")["index"].to_list() == [index]


def test_the_name_decides_where_there_is_one() -> None:
    data = csv(row("NIFTY26NOV25000CE", name="OTHER"), row("NIFTY26NOV25050CE", name=""))
    assert parse(data, "NFO")["index"].to_list() == ["OTHER", "NIFTY"]


def test_what_is_unknown_is_null_and_harms_no_neighbour() -> None:
    data = csv(
        row("NIFTY26NOV25000CE", token=11, strike="", tick=0, lot=0),
        row("NIFTY26NOV25050CE", "23-11-2026", token=12, strike="many", lot="x"),
        row("NIFTY26NOV25100CE", "", token=13, lot="65.0"),
        "half,a,row",
        row("NIFTY26NOV25150CE", token=14),
    )
    told = parse(data, "NFO")
    assert told["token"].to_list() == [11, 12, 13, 14]
    assert told["strike"].to_list() == [None, None, 25000, 25000]
    assert told["lot_size"].to_list() == [None, None, 65, 65]
    assert told["tick_size"].to_list() == [None, 0.05, 0.05, 0.05]
    assert told["expiry"].to_list() == [date(2026, 11, 23), None, None, date(2026, 11, 23)]


def test_line_ends_marks_and_other_exchanges() -> None:
    plain = csv(row("GOLD26DECFUT", exchange="MCX", name="GOLD"), row("NIFTY26NOV25000CE"))
    assert parse(plain, "NFO")["symbol"].to_list() == ["NIFTY26NOV25000CE"]
    assert parse(b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n"), "NFO").equals(parse(plain, "NFO"))
    assert parse(plain.rstrip(), "NFO").equals(parse(plain, "NFO"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>maintenance</html>",
        b"instrument_token,exchange\n1,NFO\n",
        csv(),
        csv(row("NIFTY26NOV25000CE"), row("NIFTY26NOV25050CE"))[:-4],
        csv(row("NIFTY26NOV25000CE"), row("NIFTY26NOV25050CE"))[:-40],
    ],
)
def test_what_is_no_list_or_was_cut_short_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match="instruments of NFO") as caught:
        parse(data, "NFO")
    assert caught.value.code == "kite-instruments"


words = st.text("ABCXYZ&-019", min_size=1, max_size=12)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 2**32),
            words,
            words,
            st.dates(date(2017, 1, 1), date(2035, 1, 1)),
            st.integers(1, 10**7),
            st.integers(1, 10**5),
            st.sampled_from(["CE", "PE", "FUT", "EQ"]),
        ),
        min_size=1,
    )
)
def test_every_list_is_read_as_it_was_written(rows: list[tuple[int, str, str, date, int, int, str]]) -> None:
    lines = [
        row(symbol, str(day), token=token, name=name, strike=strike / 100, lot=lot, kind=kind)
        for token, symbol, name, day, strike, lot, kind in rows
    ]
    columns = ("token", "symbol", "index", "expiry", "strike", "lot_size", "kind")
    expected = [(token, symbol, name, day, k / 100, lot, kind) for token, symbol, name, day, k, lot, kind in rows]
    assert parse(csv(*lines), "NFO").select(columns).rows() == expected


def test_a_contract_listed_twice_is_one(tmp_path: Path) -> None:
    data = csv(row("NIFTY26NOV25000CE", token=1), row("NIFTY26NOV25000CE", token=2))
    assert instruments(FakeRest(NFO=data), context(tmp_path)).contracts("NIFTY")["token"].to_list() == [1]


def test_an_index_that_kite_does_not_have(tmp_path: Path) -> None:
    listed = instruments(FakeRest(), context(tmp_path))
    for ask in (listed.contracts, listed.futures, listed.spot):
        with pytest.raises(DataError, match="NOSUCH") as caught:
            ask("NOSUCH")
        assert caught.value.code == "unknown-index"


# ---- kept for the day -----------------------------------------------------------------------------------------------

NIFTY = csv(row("NIFTY26NOV25000CE", token=258))
ANOTHER = csv(row("NIFTY26NOV25000CE", token=514))
SENSEX = csv(row("SENSEX26NOV81000CE", "2026-11-26", name="SENSEX", exchange="BFO", token=5))


def token(listed: Instruments, index: str = "NIFTY") -> int:
    return int(listed.contracts(index)["token"][0])


def test_only_the_exchanges_needed_are_fetched_and_once(tmp_path: Path) -> None:
    rest = FakeRest(NFO=NIFTY, BFO=SENSEX)
    listed = instruments(rest, context(tmp_path))
    for _ in range(3):
        listed.contracts("NIFTY")
        listed.futures("BANKNIFTY")
    assert rest.asked == ["NFO"]
    assert token(listed, "SENSEX") == 5
    assert rest.asked == ["NFO", "BFO"]


def test_the_next_day_has_a_list_of_its_own(tmp_path: Path) -> None:
    rest, where = FakeRest(NFO=NIFTY), context(tmp_path)
    listed = instruments(rest, where)
    assert token(listed) == 258
    rest.lists["NFO"] = ANOTHER
    set_time(where, MORNING + timedelta(days=3))
    assert token(listed) == 514


@pytest.mark.parametrize(
    ("fetched", "asked", "again"),
    [
        ((9, 30), (15, 29), False),
        ((9, 30), (15, 30), True),
        ((8, 35), (9, 15), False),
        ((7, 0), (8, 0), False),
        ((8, 0), (9, 15), True),  # what Kite gave at 8:00 was yesterday's
        ((10, 0), (9, 0), True),  # the clock went back
    ],
)
def test_a_second_process_takes_the_list_from_the_disk_for_six_hours(
    tmp_path: Path, fetched: tuple[int, int], asked: tuple[int, int], again: bool
) -> None:
    rest = FakeRest(NFO=NIFTY)
    where = context(tmp_path, datetime(2026, 11, 20, *fetched, tzinfo=IST).astimezone(UTC))
    instruments(rest, where).contracts("NIFTY")
    rest.lists["NFO"] = ANOTHER
    set_time(where, datetime(2026, 11, 20, *asked, tzinfo=IST).astimezone(UTC))
    assert token(instruments(rest, where)) == (514 if again else 258)
    assert len(rest.asked) == (2 if again else 1)


def test_how_long_is_a_setting(tmp_path: Path) -> None:
    rest, where = FakeRest(NFO=NIFTY), context(tmp_path)
    instruments(rest, where).contracts("NIFTY")
    rest.lists["NFO"] = ANOTHER
    set_time(where, MORNING + timedelta(minutes=2))
    assert token(instruments(rest, where, instruments_max_age="1m")) == 514


def test_an_old_list_of_today_is_better_than_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rest, where = FakeRest(NFO=NIFTY), context(tmp_path)
    instruments(rest, where).contracts("NIFTY")
    set_time(where, MORNING + timedelta(hours=6))
    rest.trouble = Unavailable("Kite gave no instruments of NFO: HTTP 502")
    with caplog.at_level(logging.WARNING, "g6.kite"):
        assert token(instruments(rest, where)) == 258
    assert "HTTP 502" in caplog.text
    rest.trouble, rest.lists["NFO"] = None, b"<html>"
    assert token(instruments(rest, where)) == 258


def test_yesterday_s_list_is_not_taken_for_today_s(tmp_path: Path) -> None:
    rest, where = FakeRest(NFO=NIFTY), context(tmp_path)
    instruments(rest, where).contracts("NIFTY")
    set_time(where, MORNING + timedelta(days=3))
    rest.trouble = Unavailable("down")
    with pytest.raises(Unavailable, match="down"):
        instruments(rest, where).contracts("NIFTY")


def test_a_login_is_asked_for_whatever_is_on_disk(tmp_path: Path) -> None:
    rest, where = FakeRest(NFO=NIFTY), context(tmp_path)
    instruments(rest, where).contracts("NIFTY")
    set_time(where, MORNING + timedelta(hours=6))
    rest.trouble = AuthExpired("Kite wants a login")
    with pytest.raises(AuthExpired):
        instruments(rest, where).contracts("NIFTY")


@pytest.mark.parametrize("damage", [b"", b"junk", b"\x1f\x8b\x08"])
def test_a_damaged_file_is_fetched_anew(tmp_path: Path, damage: bytes) -> None:
    rest, where = FakeRest(NFO=NIFTY), context(tmp_path)
    instruments(rest, where).contracts("NIFTY")
    (file,) = (tmp_path / "cache" / "kite").iterdir()
    assert file.name == "NFO-2026-11-20.csv.gz" and gzip.decompress(file.read_bytes()) == NIFTY
    file.write_bytes(damage)
    os.utime(file, (MORNING.timestamp(), MORNING.timestamp()))
    assert token(instruments(rest, where)) == 258
    assert len(rest.asked) == 2


def test_a_disk_that_cannot_be_written_costs_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("in the way")
    with caplog.at_level(logging.WARNING, "g6.kite"):
        assert token(instruments(FakeRest(NFO=NIFTY), context(tmp_path))) == 258
    assert "cannot be kept" in caplog.text


def test_files_do_not_pile_up(tmp_path: Path) -> None:
    rest, where = FakeRest(NFO=NIFTY, BFO=SENSEX), context(tmp_path)
    for _ in range(10):
        instruments(rest, where).contracts("NIFTY")
        set_time(where, where.clock.now() + timedelta(days=1))
    names = sorted(file.name for file in (tmp_path / "cache" / "kite").iterdir())
    assert len(names) == 7 and names[-1] == "NFO-2026-11-29.csv.gz"


def test_the_lists_of_a_simulator_are_not_kept(tmp_path: Path) -> None:
    rest = FakeRest(NFO=NIFTY)
    instruments(rest, context(tmp_path), address="http://127.0.0.1:8900").contracts("NIFTY")
    assert not (tmp_path / "cache").exists()


def test_a_list_that_cannot_be_had_is_not_asked_for_in_each_cycle(tmp_path: Path) -> None:
    rest = FakeRest(NFO=NIFTY, BFO=b"<html>")
    listed = instruments(rest, context(tmp_path))
    for _ in range(3):
        with pytest.raises(DataError):
            listed.contracts("SENSEX")
        assert token(listed) == 258, "one exchange's trouble is its own"
    assert rest.asked == ["BFO", "NFO"]


# ---- spots ----------------------------------------------------------------------------------------------------------


def index_row(symbol: str, number: int, **other: Any) -> str:
    options = {"exchange": "NSE", "kind": "EQ", "segment": "INDICES", "strike": 0, "tick": 0, "lot": 0, **other}
    return row(symbol, "", token=number, name=symbol, **options)


def test_the_exchange_s_list_goes_before_the_usual_token(tmp_path: Path) -> None:
    stock = index_row("NIFTY BANK", 777, segment="NSE")
    rest = FakeRest(NSE=csv(index_row("NIFTY 50", 999), stock))
    listed = instruments(rest, context(tmp_path))
    assert listed.spot("NIFTY") == Listed("NSE", "NIFTY 50", 999)
    assert listed.spot("BANKNIFTY") == Listed("NSE", "NIFTY BANK", 260105)
    assert listed.spot("INDIAVIX").key == "NSE:INDIA VIX"


def test_without_the_exchange_s_list_the_usual_token_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rest = FakeRest()
    listed = instruments(rest, context(tmp_path))
    with caplog.at_level(logging.WARNING, "g6.kite"):
        for _ in range(3):
            assert [listed.spot(index) for index in SPOTS] == list(SPOTS.values())
    assert rest.asked == ["NSE", "BSE"], "asked once a day and exchange, not in each cycle"
    assert "HTTP 502" in caplog.text


def test_the_usual_tokens_are_of_the_exchanges_segments() -> None:
    """Kite's token is the exchange's number and, in its last byte, the segment: 9 for indices of both exchanges."""
    assert {listed.token & 0xFF for listed in SPOTS.values()} == {9}

"""Listed futures: recorded where the provider gives them, and never at the cost of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from g6core import Context, NoSettings
from g6core.collector import Collector, Plan, Raw
from g6core.days import read_day
from g6core.errors import AuthExpired, Unavailable
from g6core.exchange import Calendar
from g6core.expiry import CODES
from g6core.history import History
from g6core.journal import Journal
from g6core.snapshot import EXPIRIES, OPTIONS, completed
from g6core.strategies import All
from g6core.testing import START, FakeMarket, ManualClock, snapshot

MONTHLY = date(2026, 8, 25)


def collected(market: FakeMarket, place: Path) -> dict[str, Raw]:
    calendar = Calendar.load()
    market.open(Context(place, ManualClock(START), calendar, History(place)))
    plans = [Plan(index, All(NoSettings()), CODES) for index in market.indices()]
    return Collector("fake", market, plans, calendar).collect(START)


def future_of(raw: Raw) -> dict[date, float | None]:
    assert raw.snapshot is not None
    return dict(raw.snapshot.expiries.select("expiry", "future").iter_rows())


def test_the_future_stands_beside_the_expiry_it_shares(tmp_path: Path) -> None:
    market = FakeMarket()
    for index, raw in collected(market, tmp_path).items():
        assert raw.snapshot is not None and raw.notes == ()
        assert list(raw.snapshot.expiries.schema.items()) == list(EXPIRIES.items())
        known = {day: price for day, price in future_of(raw).items() if price is not None}
        assert known == {MONTHLY: raw.snapshot.facts["spot"], **{d: p for d, p in known.items() if d > MONTHLY}}, index
    assert market.calls["futures"] == 1
    assert None in future_of(collected(market, tmp_path)["NIFTY"]).values()


@pytest.mark.parametrize(
    "error", [AuthExpired("log in"), Unavailable("no answer"), KeyError("x"), pl.exceptions.PanicException("x")]
)
def test_futures_that_fail_cost_nothing_but_themselves(tmp_path: Path, error: Exception) -> None:
    market = FakeMarket()
    market.fail("futures", error)
    raws = collected(market, tmp_path)
    assert set(raws) == {"NIFTY", "BANKNIFTY"}
    for raw in raws.values():
        assert set(future_of(raw).values()) == {None}
        assert len(raw.notes) == 1 and raw.notes[0].startswith("no futures: ")
        assert raw.snapshot is not None and raw.snapshot.options["last_price"].is_not_null().any()


class Oddly(FakeMarket):
    """Gives what it is told to as futures."""

    given: Any = None

    def futures(self, indices: Sequence[str]) -> Mapping[str, Mapping[date, float]]:
        return self.given


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf"), "no number", [1.0], 10**400])
def test_a_price_that_is_none_is_null_with_a_note(tmp_path: Path, price: Any) -> None:
    market = Oddly()
    market.given = {"NIFTY": {MONTHLY: price}}
    raws = collected(market, tmp_path)
    assert set(future_of(raws["NIFTY"]).values()) == {None}
    assert raws["NIFTY"].notes == ("the provider's price of the future of 2026-08-25 is none",)
    assert raws["BANKNIFTY"].notes == ()


@pytest.mark.parametrize("given", [None, 7, {"NIFTY": 7}, {"NIFTY": [1.0]}, ["NIFTY"]])
def test_an_answer_of_the_wrong_form_is_a_note(tmp_path: Path, given: Any) -> None:
    market = Oddly(("NIFTY",))
    market.given = given
    (raw,) = collected(market, tmp_path).values()
    assert set(future_of(raw).values()) == {None}
    assert len(raw.notes) == 1


def test_any_kind_of_number_will_do_and_what_is_not_asked_is_not_kept(tmp_path: Path) -> None:
    market = Oddly(("NIFTY",))
    market.given = {"NIFTY": {MONTHLY: Decimal("24600.05"), date(2030, 1, 1): -1.0}, "OTHER": {MONTHLY: 1.0}}
    (raw,) = collected(market, tmp_path).values()
    assert raw.notes == ()
    assert [price for price in future_of(raw).values() if price is not None] == [24600.05]


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A day whose snapshot was recorded before the columns `future` and `average_price` existed."""
    now = snapshot().replace(source="older")
    before = now.replace(
        options=now.options.drop("average_price").with_columns(iv=0.1), expiries=now.expiries.drop("future")
    )
    journal = Journal(tmp_path, [])
    encoded = journal.encode(before)
    journal.append(encoded.path, [encoded])
    journal.close()
    return encoded.path


def test_a_day_from_before_a_column_existed_is_read_with_nulls(older: Path) -> None:
    ((_, read),) = read_day(older)
    assert read.expiries.schema == pl.Schema(EXPIRIES)
    assert read.expiries["future"].null_count() == read.expiries.height > 0
    assert read.options.schema == pl.Schema({**OPTIONS, "iv": pl.Float64})
    assert read.options["average_price"].null_count() == read.options.height
    assert read.options.drop("average_price", "iv").equals(snapshot().options.drop("average_price"))


def test_a_day_that_has_every_column_is_handed_on_as_it_is() -> None:
    frame = snapshot().expiries
    assert completed(frame, EXPIRIES) is frame

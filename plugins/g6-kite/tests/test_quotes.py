"""From a quote of Kite's REST answer to G6's columns."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from g6_kite.quotes import COLUMNS, Table, instant, spot

ITEM = {
    "instrument_token": 13824258,
    "timestamp": "2026-11-20 10:30:01",
    "last_trade_time": "2026-11-20 10:29:58",
    "last_price": 101.5,
    "volume": 650,
    "average_price": 99.85,
    "oi": 1300,
    "ohlc": {"open": 90.0, "high": 110.0, "low": 88.0, "close": 95.0},
    "depth": {
        "buy": [{"price": 101.4, "quantity": 130, "orders": 2}] + [{"price": 0, "quantity": 0, "orders": 0}] * 4,
        "sell": [{"price": 0, "quantity": 0, "orders": 0}] * 5,
    },
}


def row(item: dict[str, object]) -> dict[str, object]:
    table = Table(2)
    table.put_item(1, item, 1_795_149_002_000_000)
    assert table.frame()[0].null_count().sum_horizontal().item() == len(COLUMNS)
    return table.frame().row(1, named=True)


def test_a_quote_with_one_side_of_a_book() -> None:
    assert row(ITEM) == {
        "last_price": 101.5,
        "average_price": 99.85,
        "bid": 101.4,
        "ask": None,
        "bid_qty": 130,
        "ask_qty": None,
        "volume": 650,
        "oi": 1300,
        "exchange_ts": datetime(2026, 11, 20, 5, 0, 1, tzinfo=UTC),
        "received_ts": datetime(2026, 11, 20, 4, 30, 2, tzinfo=UTC),
        "last_trade_ts": datetime(2026, 11, 20, 4, 59, 58, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("change", "column", "expected"),
    [
        ({"last_price": 0}, "last_price", None),
        ({"average_price": 0.0}, "average_price", None),
        ({"volume": 0}, "volume", 0),
        ({"oi": 0}, "oi", 0),
        ({"last_trade_time": None}, "last_trade_ts", None),
        ({"timestamp": "soon"}, "exchange_ts", None),
        ({"depth": {"buy": [], "sell": []}}, "bid", None),
        ({"depth": None}, "ask_qty", None),
    ],
)
def test_what_is_absent_is_null_and_a_count_of_zero_is_a_count(
    change: dict[str, object], column: str, expected: object
) -> None:
    assert row({**ITEM, **change})[column] == expected


def test_an_index_has_levels_and_no_book() -> None:
    index = {"last_price": 25_411.3, "timestamp": "2026-11-20 10:30:01", "ohlc": {**ITEM["ohlc"], "open": 0}}  # type: ignore[dict-item]
    found = spot(index)
    assert found is not None
    assert (found.last, found.open, found.high, found.ts) == (
        25_411.3,
        None,
        110.0,
        datetime(2026, 11, 20, 5, 0, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "item",
    [None, {"last_price": "?"}, {"last_price": [1]}, {**ITEM, "depth": {"buy": [None]}}, {**ITEM, "volume": "many"}],
)
def test_an_item_that_is_no_quote_is_none_and_costs_no_other(item: Any) -> None:
    table = Table(2)
    table.put_item(0, item, 1)
    table.put_item(1, ITEM, 1)
    assert table.frame()["last_price"].to_list() == [None, 101.5]
    assert table.frame()["received_ts"].null_count() == 1


@pytest.mark.parametrize("item", [None, [], {"last_price": "?"}, {"last_price": 0}, {}])
def test_an_index_without_a_price_is_not_known(item: Any) -> None:
    assert spot(item) is None


def test_a_time_without_a_zone_is_indias() -> None:
    assert instant(datetime(2026, 11, 20, 10, 30)) == datetime(2026, 11, 20, 5, tzinfo=UTC)  # noqa: DTZ001
    assert instant("") is None and instant(None) is None and instant(5) is None


def test_zerodhas_own_sample() -> None:
    repository = Path(__file__).parents[3]
    place = Path(os.environ.get("G6_SHARED_DATA") or repository.parent / "shared" / "data") / "kite_mocks"
    if not place.is_dir():
        pytest.skip(f"no samples at {place}; set G6_SHARED_DATA")
    ((_, item),) = json.loads((place / "quote.json").read_text())["data"].items()
    found = row(item)
    assert found["last_price"] == item["last_price"] and found["volume"] == item["volume"]
    assert found["bid"] == (item["depth"]["buy"][0]["price"] or None)

"""What stands in the tables afterwards, over both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest
from g6_sql.sink import SqlSink
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g6core import Alert, Rejected, Snapshot
from g6core.testing import START, snapshot, snapshots

from .conftest import Query, instant

Open = Callable[..., SqlSink]


def small(at: datetime = START, /, **columns: Any) -> Snapshot:
    """Two contracts of one expiry, with further columns in the options."""
    s = snapshot(ts=at, strikes=1, expiries=1)
    return s.replace(options=s.options.with_columns(**columns))


def test_a_contract_is_stored_with_its_values(opened: Open, query: Query) -> None:
    s = snapshot(strikes=3)
    opened().write([s])
    wanted = s.options.drop_nulls().row(0, named=True)
    names = [name for name, kind in s.options.schema.items() if kind not in (pl.Date, pl.Datetime)]
    listed = ", ".join(f'"{name}"' for name in names)
    (row,) = query(f"SELECT {listed} FROM options WHERE symbol = :symbol", symbol=wanted["symbol"])
    assert dict(zip(names, row, strict=True)) == {name: wanted[name] for name in names}
    (times,) = query("SELECT expiry, ts, exchange_ts, received_ts FROM options WHERE symbol = :s", s=wanted["symbol"])
    assert date.fromisoformat(str(times[0])) == wanted["expiry"]
    assert [instant(t) for t in times[1:]] == [s.ts, wanted["exchange_ts"], wanted["received_ts"]]


def test_an_expiry_has_all_its_codes(opened: Open, query: Query, url: str) -> None:
    s = snapshot()
    opened().write([s])
    each = "json_each(codes)" if url.startswith("sqlite") else "jsonb_array_elements_text(codes) AS code(value)"
    found = query(f"SELECT expiry, value FROM expiries, {each}")
    wanted = {(d, code) for d, codes in s.expiries.select("expiry", "codes").iter_rows() for code in codes}
    assert {(date.fromisoformat(str(d)), code) for d, code in found} == wanted


def test_a_snapshot_and_its_facts(opened: Open, query: Query) -> None:
    s = snapshot(pcr=None, odd=-1.5)
    opened().write([s])
    ((ts, *rest),) = query('SELECT ts, "index", source, simulated, options, quoted, expiries FROM snapshots')
    quoted = s.expiries["quoted"].sum()
    assert (instant(ts), *rest) == (s.ts, "NIFTY", "fake", True, s.options.height, quoted, 2)
    assert dict(query("SELECT name, value FROM facts")) == dict(s.facts)


def test_a_snapshot_without_rows_is_known_by_its_facts(opened: Open, query: Query) -> None:
    s = snapshot()
    opened().write([s.replace(options=s.options.clear(), expiries=s.expiries.clear(), facts={"spot": 1.0})])
    assert [tuple(row) for row in query("SELECT options, expiries FROM snapshots")] == [(0, 0)]
    assert [tuple(row) for row in query("SELECT name, value FROM facts")] == [("spot", 1.0)]


def test_absent_is_null_and_an_empty_text_is_not(opened: Open, query: Query) -> None:
    nothing = {"iv": pl.lit(float("nan")), "bid": pl.lit(None, pl.Float64), "flags": pl.lit(None, pl.String)}
    opened().write([small(**nothing, iv_reason=pl.lit(""), note=pl.lit(""), other=pl.lit(None, pl.String))])
    rows = query("SELECT iv, bid, flags, iv_reason, note, other FROM options")
    assert [tuple(row) for row in rows] == [(None, None, None, "", "", None)] * 2


@pytest.mark.parametrize(
    "value", [1, 0.5, True, "x", date(2026, 8, 17), START, ["a"]], ids=lambda value: type(value).__name__
)
def test_what_is_absent_in_some_rows_or_the_next_time_is_null(opened: Open, query: Query, value: Any) -> None:
    sink, there = opened(), pl.Series("x", [value, None])
    sink.write([small(x=there)])
    assert sorted(row[0] is None for row in query("SELECT x FROM options")) == [False, True]
    sink.write([small(x=there.clear(2))])
    assert [tuple(row) for row in query("SELECT x FROM options")] == [(None,)] * 2


@pytest.mark.parametrize("number", [0.1, -0.0, 1e300, 5e-324, float("inf"), 24_684.949999999997])
def test_a_number_comes_back_exactly(opened: Open, query: Query, number: float) -> None:
    opened().write([small(last_price=pl.lit(number), x=pl.lit(number))])
    assert {tuple(row) for row in query("SELECT last_price, x FROM options")} == {(number, number)}


AWAY = datetime(2026, 8, 17, 9, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=5, minutes=30)))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pl.lit(2**63 - 1), 2**63 - 1),
        (pl.lit(7, pl.UInt8), 7),
        (pl.lit(0.5, pl.Float32), 0.5),
        (pl.lit(True), True),
        (pl.lit("x").cast(pl.Categorical), "x"),
        (pl.lit(timedelta(seconds=1.5)), 1_500_000),
        (pl.lit(date(2026, 8, 17)), "2026-08-17"),
        (pl.lit(datetime(2026, 8, 17, 9)), "2026-08-17 09:00:00.000000"),  # noqa: DTZ001 - it has no zone
        (pl.lit(AWAY), AWAY.astimezone(UTC)),
        (pl.concat_list(pl.lit("a"), pl.lit('b"')), '["a","b\\""]'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_new_column_gets_the_type_of_its_values(opened: Open, query: Query, values: pl.Expr, wanted: Any) -> None:
    opened().write([small(x=values)])
    found = query("SELECT x FROM options")[0][0]
    if isinstance(wanted, datetime):
        found = instant(found)
    elif isinstance(found, list | date):
        found = str(found).replace("'", '"').replace('"b""', '"b\\""')
    if isinstance(wanted, str):
        found, wanted = str(found).replace(" ", ""), wanted.replace(" ", "")
    assert found == wanted


def test_columns_that_come_in_the_middle_of_the_day_and_go(opened: Open, query: Query) -> None:
    sink = opened()
    first, second, third, fourth = (START + timedelta(minutes=n) for n in range(4))
    sink.write([small(first)])
    sink.write([small(second, mine=pl.lit(0.5))])
    sink.write([small(third)])
    opened().write([small(fourth, mine=pl.lit(1.5), **{'odd "%s :x': pl.lit("b")})])
    rows = query('SELECT DISTINCT ts, mine, "odd ""%s \\:x" FROM options ORDER BY ts')
    assert [tuple(row)[1:] for row in rows] == [(None, None), (0.5, None), (None, None), (1.5, "b")]


def test_a_column_that_another_process_added_meanwhile(opened: Open, query: Query) -> None:
    one, other = opened(), opened()
    one.write([small()])
    other.write([small(START + timedelta(minutes=1), x=pl.lit(1.0))])
    one.write([small(START + timedelta(minutes=2), x=pl.lit(2), y=pl.lit(3))])
    assert [tuple(r) for r in query("SELECT DISTINCT x, y FROM options WHERE x IS NOT NULL ORDER BY x")] == [
        (1.0, None),
        (2.0, 3),
    ]


def test_a_column_without_any_value_is_not_made(opened: Open, query: Query) -> None:
    opened().write([small(x=pl.lit(None))])
    with pytest.raises(Exception, match="x"):
        query("SELECT x FROM options")


@pytest.mark.parametrize(
    "spoilt",
    [
        {"x": pl.lit("text")},
        {"iv": pl.lit("0.15")},
        {"volume": pl.lit(1.5)},
        {"ts": pl.lit(1)},
        {"IV": pl.lit(0.5)},
        {"a" * 64: pl.lit(1)},
        {"tab\t": pl.lit(1)},
        {"x": pl.lit(b"bytes")},
        {"volume": pl.lit(2**64 - 1, pl.UInt64)},
        {"exchange": pl.lit(None, pl.String)},
        {"symbol": pl.lit("ONE")},
    ],
    ids=lambda spoilt: next(iter(spoilt))[:5],
)
def test_what_has_no_place_is_rejected_whole_and_named(opened: Open, query: Query, spoilt: dict[str, pl.Expr]) -> None:
    sink = opened()
    sink.write([small(x=pl.lit(0.5))])
    with pytest.raises(Rejected) as caught:
        sink.write([small(START + timedelta(minutes=n), **(spoilt if n == 2 else {})) for n in (1, 2)])
    assert len(caught.value.message) > 20
    assert [tuple(row) for row in query("SELECT count(*) FROM snapshots")] == [(1,)]
    later = small(START + timedelta(minutes=3))
    sink.write([later])
    assert [tuple(row) for row in query("SELECT count(*) FROM options")] == [(4,)]


def test_an_alert_is_there_once_with_its_labels(opened: Open, query: Query, url: str) -> None:
    alert = Alert("pcr_high", "NIFTY", START, "PCR 1.6 über 1.5 ₹", key="a", labels={"expiry": "this_week"})
    other = Alert("pcr_high", "NIFTY", START, "again", key="b")
    sink = opened()
    sink.write_alerts([alert, other, alert])
    sink.write_alerts([alert])
    label = "json_extract(labels, '$.expiry')" if url.startswith("sqlite") else "labels ->> 'expiry'"
    rows = query(f'SELECT rule, "index", key, severity, state, summary, {label} FROM alerts ORDER BY key')
    assert [tuple(row) for row in rows] == [
        ("pcr_high", "NIFTY", "a", "warning", "firing", alert.summary, "this_week"),
        ("pcr_high", "NIFTY", "b", "warning", "firing", "again", None),
    ]


def test_a_batch_of_more_than_one_transaction(opened: Open, query: Query) -> None:
    batch = [snapshot(ts=START + timedelta(minutes=n), strikes=401, expiries=4) for n in range(7)]
    assert sum(s.options.height for s in batch) > 20_000
    opened().write([*batch, batch[0]])
    assert [tuple(row) for row in query("SELECT count(*), count(DISTINCT ts) FROM options")] == [
        (sum(s.options.height for s in batch), 7)
    ]


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["", "\\.", "\n\\.\n", "NULL", '"', "\\N", ",", "\r\n", " a ", "%s", "ऑप्शन"]
)


@pytest.fixture
def sink(opened: Open) -> SqlSink:
    return opened()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_texts_in_any_batches_leave_one_copy_of_the_last(sink: SqlSink, query: Query, data: st.DataObject) -> None:
    """However snapshots are cut into batches, repeated and reordered, and whatever texts they hold."""
    texts = data.draw(st.lists(st.none() | TEXTS, min_size=4, max_size=4))
    plain = [small(START + timedelta(minutes=n), x=pl.lit(text, pl.String)) for n, text in enumerate(texts)]
    order = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=8)) + list(range(4))
    for table in ("options", "expiries", "facts", "snapshots"):
        query(f"DELETE FROM {table}")
    at = 0
    while at < len(order):
        size = data.draw(st.integers(1, 4))
        sink.write([plain[n] for n in order[at : at + size]])
        at += size
    rows = query("SELECT ts, symbol, x FROM options ORDER BY ts, symbol")
    wanted = sorted(
        (s.ts, symbol, text) for s, text in zip(plain, texts, strict=True) for symbol in s.options["symbol"]
    )
    assert [(instant(ts), symbol, text) for ts, symbol, text in rows] == wanted
    assert query("SELECT count(*) FROM snapshots")[0][0] == 4


def test_the_last_writing_of_a_snapshot_counts(opened: Open, query: Query) -> None:
    s, later = snapshots(2)
    sink = opened()
    sink.write([s, later])
    sink.write([s.replace(options=s.options.with_columns(last_price=pl.lit(1.25)), facts={**s.facts, "spot": 2.5})])
    rows = query(
        "SELECT ts, count(*), count(CASE WHEN last_price = 1.25 THEN 1 END) FROM options GROUP BY ts ORDER BY ts"
    )
    height = s.options.height
    assert [(n, changed) for _, n, changed in rows] == [(height, height), (later.options.height, 0)]
    assert query("SELECT value FROM facts WHERE name = 'spot' ORDER BY ts")[0][0] == 2.5

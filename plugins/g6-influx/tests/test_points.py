"""What stands where: measurements, tags, fields."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
from g6_influx.bodies import ROWS, Encoder
from g6_influx.sink import InfluxSink
from hypothesis import given, settings
from hypothesis import strategies as st
from influx_stub import Point, Stub, parse

from g6core import Alert, Rejected, Snapshot
from g6core.testing import START, snapshot, snapshots

Open = Callable[..., InfluxSink]
MICROS = 1_786_939_200_000_000
"""START."""
IDENTITY = {"symbol", "expiry", "lot_size"}


def written(*given: Snapshot, wide: bool = False) -> list[Point]:
    return [p for body in Encoder(wide).bodies(given) for p in parse(body)]


def of(points: list[Point], measurement: str) -> list[Point]:
    return [p for p in points if p.measurement == measurement]


def small(index: str = "NIFTY", **facts: float) -> Snapshot:
    """Two strikes of one expiry."""
    s = snapshot(index, expiries=1, **facts)
    return s.replace(options=s.options.filter(pl.col("offset").is_in([0, 1])))


def test_a_point_per_contract() -> None:
    s = small()
    rows = s.options.to_dicts()
    points = of(written(s), "options")
    assert len(points) == len(rows) == 4
    for point, row in zip(points, rows, strict=True):
        assert point.tags == {
            "index": "NIFTY",
            "expiry_code": "this_week",
            "offset": str(row["offset"]),
            "dte": "1",
            "strike": f"{row['strike']:.0f}",
            "right": row["right"],
        }
        assert point.micros == MICROS
        times = {name: int(row[name].timestamp() * 1e6) for name in ("exchange_ts", "received_ts")}
        left_out = {"exchange", "token", "tick_size", *point.tags}
        wanted = {name: value for name, value in row.items() if name not in left_out and value is not None}
        assert point.fields == {**wanted, "expiry": row["expiry"].isoformat(), **times}


def test_a_point_per_strike_with_both_legs() -> None:
    s = small()
    points = of(written(s, wide=True), "options")
    assert [p.tags for p in points] == [
        {"index": "NIFTY", "expiry_code": "this_week", "offset": o, "dte": "1", "strike": k}
        for o, k in (("0", "24700"), ("1", "24750"))
    ]
    for n, point in enumerate(points):
        call, put = s.options.slice(2 * n, 2).to_dicts()
        assert point.fields["expiry"] == "2026-08-18"
        for side, row in (("call_", call), ("put_", put)):
            for name in ("symbol", "average_price", "last_price", "bid", "ask_qty", "volume", "oi", "lot_size"):
                assert point.fields[side + name] == row[name], side + name


def test_every_strike_of_every_snapshot_keeps_its_own_legs() -> None:
    """Also where a leg is missing, and where a batch has different selections."""
    first, second = snapshots(2)
    holes = second.options.filter((pl.col("offset") % 3 == 0) | (pl.col("right") == "PE"))
    other = snapshot("BANKNIFTY")
    batch = [first, second.replace(options=holes), other]
    points = of(written(*batch, wide=True), "options")
    found = {
        (p.micros, p.fields[f"{side}_symbol"]) for p in points for side in ("call", "put") if f"{side}_oi" in p.fields
    }
    wanted = {(int(s.ts.timestamp() * 1e6), symbol) for s in batch for symbol in s.options.drop_nulls("oi")["symbol"]}
    assert found == wanted
    for p in points:
        for side, right in (("call", "CE"), ("put", "PE")):
            symbol = p.fields.get(f"{side}_symbol")
            assert symbol is None or str(symbol).endswith(f"{p.tags['strike']}{right}")
    assert len(points) == sum(s.options.select("expiry", "strike").n_unique() for s in batch)


@pytest.mark.parametrize("wide", [False, True])
@settings(max_examples=5, deadline=None)
@given(order=st.lists(st.integers(0, 7), max_size=8))
def test_a_batch_is_its_snapshots(wide: bool, order: list[int]) -> None:
    """In any order, with columns that come and go, over days: what a point says is not a matter of its neighbours."""
    market = [
        *snapshots(3, strikes=3),
        snapshot("SENSEX", strikes=3),
        snapshot(ts=START + timedelta(days=1), strikes=3),
    ]
    market += [
        s.replace(options=s.options.with_columns(x=x)) for s, x in zip(market, (1, 1.5, pl.lit("a")), strict=False)
    ]
    batch = [market[n] for n in order]
    together = [p for body in Encoder(wide).bodies(batch) for p in parse(body)]
    alone = [p for s in batch for body in Encoder(wide).bodies([s]) for p in parse(body)]
    assert sorted(map(str, together)) == sorted(map(str, alone))


def test_tags_follow_a_selection_that_moves() -> None:
    """Contracts are the same; the offset moves, then the day, then the code."""
    encoder = Encoder(False)
    s = small()
    moved = s.replace(options=s.options.with_columns(pl.col("offset") - 1))
    next_day = s.replace(ts=s.ts + timedelta(days=1))
    coded = s.replace(options=s.options.with_columns(expiry_code=pl.lit("next_week")))
    tags = []
    for given_ in (s, moved, s, next_day, coded):
        (body,) = encoder.bodies([given_])
        tags.append([parse(body)[0].tags[name] for name in ("offset", "dte", "expiry_code")])
    assert tags == [
        *(["0", "1", "this_week"], ["-1", "1", "this_week"], ["0", "1", "this_week"]),
        *(["0", "0", "this_week"], ["0", "1", "next_week"]),
    ]


@pytest.mark.parametrize("wide", [False, True])
def test_what_is_not_known_is_left_out(wide: bool) -> None:
    s = small()
    quotes = [pl.lit(None, s.options.schema[name]).alias(name) for name in ("last_price", "oi", "received_ts")]
    labels = [pl.lit(None, pl.Int64).alias("offset"), pl.lit(None, pl.String).alias("expiry_code")]
    odd = [pl.lit(float("nan")).alias("iv"), pl.lit(float("inf")).alias("bid"), pl.lit(None, pl.String).alias("note")]
    points = of(written(s.replace(options=s.options.with_columns(*quotes, *labels, *odd)), wide=wide), "options")
    for point in points:
        assert "offset" not in point.tags
        assert "expiry_code" not in point.tags
        bare = {name.removeprefix("call_").removeprefix("put_") for name in point.fields}
        assert not bare & {"last_price", "oi", "received_ts", "iv", "bid", "note"}
        assert {"ask", "volume", "symbol"} <= bare


def test_a_row_without_any_quote_keeps_what_it_is() -> None:
    s = small()
    empty = s.options.with_columns(
        pl.lit(None, pl.Float64).alias(n) for n in ("last_price", "average_price", "bid", "ask")
    )
    for point in of(written(s.replace(options=empty)), "options"):
        assert point.fields.keys() >= IDENTITY


def test_a_column_called_like_a_tag_or_the_time_has_another_name() -> None:
    s = small()
    options = s.options.with_columns(dte=1.25, time=pl.lit(3), codes=pl.lit([["a"]]))
    expiries = s.expiries.with_columns(dte=1.25, forward=24_690.5, forward_source=pl.lit("parity"))
    points = written(s.replace(options=options, expiries=expiries))
    for point in of(points, "options"):
        assert (point.tags["dte"], point.fields["dte_value"], point.fields["time_value"]) == ("1", 1.25, 3)
        assert "codes" not in point.fields
    (point,) = of(points, "expiries")
    assert point.tags == {"index": "NIFTY", "code": "this_week", "dte": "1"}
    assert (point.fields["dte_value"], point.fields["forward"], point.fields["forward_source"]) == (
        1.25,
        24_690.5,
        "parity",
    )
    assert (point.fields["expiry"], point.fields["contracts"]) == ("2026-08-18", 22)


def test_the_overview_has_every_fact_and_what_follows_from_them() -> None:
    s = snapshot(expiries=3, high=24_700.1, low=24_599.4, gex=-1.5e9)
    codes = pl.Series("codes", [["this_week", "this_month"], ["next_month"], ["2026-12-29"]])
    expiries = s.expiries.with_columns(
        codes, pl.Series("pcr_oi", [0.75, None, 1.5]), quoted=pl.Series([40, 0, 12], dtype=pl.Int64)
    )
    (point,) = of(written(s.replace(expiries=expiries)), "overview")
    assert (point.tags, point.micros) == ({"index": "NIFTY"}, MICROS)
    assert point.fields == {
        **s.facts,
        "day_width": 100.7,
        "pcr_this_week": 0.75,
        "pcr_this_month": 0.75,
        "pcr_2026-12-29": 1.5,
        "expiries_expected": 4,
        "expiries_collected": 3,
        "expected_mask": 13,
        "collected_mask": 5,
        "missing_mask": 8,
    }


def test_a_fact_that_is_a_whole_number_is_a_float_all_the_same() -> None:
    (point,) = of(written(small(spot=24_650)), "overview")
    assert type(point.fields["spot"]) is float


def test_alerts_are_points_of_their_own(opened: Open, stub: Stub) -> None:
    alert = Alert("pcr_high", "NIFTY", START, 'PCR 1.6 "über" 1.5 ₹', key="this_week", labels={"b": "x\\y", "a": "1,2"})
    other = Alert("pcr_high", "NIFTY", START, "PCR 1.7", key="next_week")
    sink = opened()
    for batch in ([alert, other], [other], []):
        sink.write_alerts(batch)
    points = {p.tags["key"]: p for p in stub.of("alerts")}
    assert points.keys() == {"this_week", "next_week"}
    assert points["this_week"] == Point(
        "alerts",
        {"index": "NIFTY", "rule": "pcr_high", "severity": "warning", "state": "firing", "key": "this_week"},
        {"summary": alert.summary, "labels": '{"a": "1,2", "b": "x\\\\y"}'},
        MICROS,
    )


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pl.lit(None, pl.String).alias("symbol"), "no symbol"),
        (pl.lit(None, pl.Date).alias("expiry"), "no expiry"),
        (pl.lit(float("nan")).alias("strike"), "no proper strike"),
        (pl.lit("a\\").alias("expiry_code"), "can be no tag"),
        (pl.lit(1.0).alias("two\nlines"), "can be no tag"),
    ],
)
@pytest.mark.parametrize("form", ["long", "wide"])
def test_what_has_no_form_is_rejected_and_nothing_of_it_sent(
    opened: Open, stub: Stub, column: pl.Expr, says: str, form: str
) -> None:
    s = small()
    with pytest.raises(Rejected, match=says):
        opened(form=form).write([s.replace(options=s.options.with_columns(column))])
    assert stub.asked == []


def test_no_text_makes_a_point_of_its_own() -> None:
    """VictoriaMetrics ends a line at a line feed within quotes; the parser does so too."""
    s = small()
    evil = 'x"\noverview,index=NIFTY spot=1 1\noptions a="'
    points = written(s.replace(options=s.options.with_columns(note=pl.lit(evil))))
    assert len(points) == 4 + 1 + 1
    assert {p.fields["note"] for p in of(points, "options")} == {evil.replace("\n", "\u2028")}


def test_bodies_are_bounded() -> None:
    batch = snapshots(40, strikes=101)
    bodies = list(Encoder(False).bodies(batch))
    rows = [body.count(b"\noptions,") + 1 for body in bodies]
    assert sum(rows) == sum(s.options.height for s in batch)
    assert len(bodies) > 1
    assert max(rows) <= ROWS


def test_the_number_of_series_is_the_documented_one() -> None:
    """Strike and offset pairs: each position of the at-the-money strike has a window of its own."""
    window, positions, expiries = 11, 7, 2
    first = snapshot(strikes=41, expiries=expiries)
    series = set()
    for moved in range(positions):
        options = first.options.with_columns(pl.col("offset") - moved).filter(pl.col("offset").abs() <= window // 2)
        series |= {tuple(p.tags.items()) for p in of(written(first.replace(options=options)), "options")}
    assert len(series) == 2 * window * positions * expiries

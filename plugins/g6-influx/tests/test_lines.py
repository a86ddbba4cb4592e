"""What the encoder writes a strict parser reads back equal."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from g6_influx import lines
from g6_influx.bodies import cut
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from influx_stub import Bad, parse, parse_line

from g6core import Rejected

TEXT = st.text(max_size=12) | st.text('\\",= \n\r\t\0aé₹𝄞', max_size=12)
NAME = TEXT.filter(lambda t: t and not lines._UNFIT.search(t))
EARLY, LATE = datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2100-01-01")
MICROS = 1_786_939_200_000_001
COLUMNS = {
    pl.Float64: st.floats(),
    pl.Float32: st.floats(width=32),
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.UInt8: st.integers(0, 255),
    pl.UInt64: st.integers(0, 2**64 - 1),
    pl.Boolean: st.booleans(),
    pl.String: TEXT,
    pl.Date: st.dates(EARLY.date(), LATE.date()),
    pl.Datetime("us", "UTC"): st.datetimes(EARLY, LATE, timezones=st.just(UTC)),
    pl.Duration("us"): st.timedeltas(timedelta(-9999), timedelta(9999)),
    pl.Time: st.times(),
    pl.Null: st.none(),
}


def columns() -> st.SearchStrategy[pl.Series]:
    return st.sampled_from(list(COLUMNS)).flatmap(
        lambda dtype: st.builds(
            lambda name, values: pl.Series(name, values, dtype=dtype),
            NAME.filter(lambda name: name not in ("time", "expiry")),
            st.lists(st.none() | COLUMNS[dtype], min_size=3, max_size=3),
        )
    )


def as_read(value: Any) -> Any:
    """The value as it stands in the store."""
    match value:
        case str():
            return value.replace("\n", lines.LINE_BREAK)
        case datetime():
            return (value - lines.EPOCH) // lines.MICROSECOND
        case timedelta():
            return value // lines.MICROSECOND
        case date():
            return value.isoformat()
        case float() if not math.isfinite(value):
            return None
        case time():
            return ((value.hour * 60 + value.minute) * 60 + value.second) * 10**6 + value.microsecond
    return value


def same(found: Any, wanted: Any, dtype: Any) -> bool:
    if dtype == pl.Float32:
        return bool(pl.Series([found], dtype=pl.Float32)[0] == wanted)
    return bool(found == wanted) and type(found) is type(wanted)


@settings(max_examples=30, deadline=None)
@given(st.lists(columns(), max_size=5, unique_by=lambda c: c.name), TEXT)
def test_columns_are_read_back_equal(given_columns: list[pl.Series], index: str) -> None:
    assume(not lines._UNFIT.search(index))
    expiry = pl.Series([date(2026, 8, 18)] * 3)
    prefix = lines.prefix("options", {"index": pl.Series([index, None, "NIFTY"])}, expiry)
    written = lines.join(prefix, given_columns, pl.Series([MICROS] * 3)).to_list()
    points = parse("".join(f"{line}\n" for line in written).encode())
    assert [p.tags for p in points] == [{"index": index} if index else {}, {}, {"index": "NIFTY"}]
    for n, point in enumerate(points):
        assert point.micros == MICROS
        found = dict(point.fields)
        assert found.pop("expiry") == "2026-08-18"
        for column in given_columns:
            wanted = as_read(column[n])
            if wanted is None:
                assert column.name not in found
            else:
                assert same(found.pop(column.name), wanted, column.dtype)
        assert found == {}


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["index", "rule"]), TEXT.filter(lambda t: not lines._UNFIT.search(t)), max_size=3),
    st.dictionaries(NAME, st.none() | st.one_of(*COLUMNS.values()), max_size=5),
)
def test_a_line_is_read_back_equal(tags: dict[str, str], fields: dict[str, Any]) -> None:
    assume(not fields.keys() & {"index", "rule", "time"})
    wanted = {name: value for name, given_ in fields.items() if (value := as_read(given_)) is not None}
    written = lines.line("overview", tags, fields, MICROS)
    if not wanted:
        assert written == ""
        return
    point = parse_line(written.removesuffix("\n"))
    assert (point.tags, point.micros) == ({k: v for k, v in tags.items() if v}, MICROS)
    assert {name: str(value) for name, value in point.fields.items()} == {k: str(v) for k, v in wanted.items()}


@given(TEXT)
@example("a\\")
@example("a\\,b")
@example("two\nlines")
def test_a_tag_is_written_so_that_every_server_reads_it_or_refused(text: str) -> None:
    assume(text)
    if set(text) & {"\\", *map(chr, range(32))}:
        with pytest.raises(Rejected, match="no tag"):
            lines.name(text)
    else:
        assert parse_line(f"m,t={lines.name(text)} f=1i 1").tags == {"t": text}


@pytest.mark.parametrize(
    ("column", "written"),
    [
        (pl.Series([0.1 + 0.2]), "0.30000000000000004"),
        (pl.Series([24650.0]), "24650.0"),
        (pl.Series([-7], dtype=pl.Int16), "-7i"),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), "18446744073709551615u"),
        (pl.Series([Decimal("1.25")]), "1.25"),
        (pl.Series([10**20], dtype=pl.Int128), "1e+20"),
        (pl.Series(["mid"], dtype=pl.Categorical), '"mid"'),
        (pl.Series(["mid"], dtype=pl.Enum(["mid"])), '"mid"'),
        (pl.Series([True]), "true"),
        (pl.Series([datetime(2026, 8, 17, tzinfo=UTC)], dtype=pl.Datetime("ns", "UTC")), "1786924800000000i"),
    ],
)
def test_each_type_has_its_form(column: pl.Series, written: str) -> None:
    assert lines.has_field(column.dtype)
    prefix = lines.prefix("m", {}, pl.Series([date(2026, 8, 18)]))
    (line,) = lines.join(prefix, [column.alias("x")], pl.Series([1]))
    assert line == f'm expiry="2026-08-18",x={written} 1'


@pytest.mark.parametrize("dtype", [pl.List(pl.Float64), pl.Struct({"a": pl.Int64}), pl.Binary, pl.Object])
def test_lists_and_the_like_have_no_field(dtype: pl.DataType) -> None:
    assert not lines.has_field(dtype if isinstance(dtype, pl.DataType) else dtype())


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(1, 60))
def test_a_body_is_cut_between_lines(lengths: list[int], size: int) -> None:
    written = [b"x" * n + b"\n" for n in lengths]
    parts = list(cut(b"".join(written), size))
    assert b"".join(parts) == b"".join(written)
    for part in parts:
        assert part.endswith(b"\n")
        assert len(part) <= size or part.count(b"\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        "m f=1i 1",
        "m,a=b f=1.5 1",
        'm,a=b\\ c,d\\=e=f\\,g f="x \\"y\\" \\\\, =",g=t 1'.replace("g=t", "g=true"),
    ],
)
def test_the_parser_takes_what_is_right(line: str) -> None:
    assert parse_line(line).measurement == "m"


@pytest.mark.parametrize(
    "line",
    [
        "m 1",
        "m f=1i",
        "m f= 1",
        "m f=nan 1",
        "m f=inf 1",
        "m f=1.5i 1",
        "m f=1i,f=2i 1",
        "m,a= f=1i 1",
        "m,b=1,a=1 f=1i 1",
        "m,a=1 a=1i 1",
        "m time=1i 1",
        "m,a=x\\ f=1i 1",
        "m,a=x\\y f=1i 1",
        'm f="x\\y" 1',
        'm f="x 1',
        "m  f=1i 1",
        "m f=1i  1",
        "m f=1i 1.5",
    ],
)
def test_the_parser_refuses_what_is_odd(line: str) -> None:
    with pytest.raises((Bad, IndexError, ValueError)):
        parse_line(line)

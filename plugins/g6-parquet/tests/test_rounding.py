"""`digits`: what is computed loses digits that it does not need, and what is recorded loses nothing."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest
from g6_parquet.archive import ParquetArchive
from g6_parquet.compaction import compact
from g6_parquet.rounding import rounded
from g6_parquet.segments import places
from g6_parquet.settings import Settings
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from g6core import EXPIRIES, OPTIONS, Snapshot, trading_date
from g6core.testing import START, snapshots
from g6core.testing.archive_contract import same

Open = Callable[..., ParquetArchive]
Files = Callable[..., list[str]]
DIGITS = st.integers(4, 15)
NORMAL = st.floats(sys.float_info.min, allow_infinity=False) | st.floats(1e-9, 1e9)
ANY = st.floats() | NORMAL | NORMAL.map(lambda x: -x)
unhurried = settings(deadline=None)
COMPUTED = {"iv": 1 / 7, "delta": -2 / 3, "gamma": math.pi * 1e-5, "vega": 28 / 3}


def one(x: float, digits: int) -> float:
    return float(rounded(pl.DataFrame({"x": [x]}), digits)["x"][0])


def same_bits(a: float, b: float) -> bool:
    return struct.pack("d", a) == struct.pack("d", b)


@unhurried
@given(NORMAL, DIGITS)
@example(9.99999, 6)
@example(sys.float_info.max, 4)
@example(sys.float_info.min, 4)
def test_a_number_is_off_by_half_a_unit_of_the_last_digit_at_most(x: float, digits: int) -> None:
    assert abs(Fraction(one(x, digits)) - Fraction(x)) * 2 * 10**digits <= Fraction(x)


@unhurried
@given(NORMAL, DIGITS)
def test_the_nearest_is_taken_and_the_even_one_of_two(x: float, digits: int) -> None:
    significand, exponent = math.frexp(x)
    bits = math.ceil(digits * math.log2(10)) + 1
    near = round(Fraction(significand) * 2**bits) * Fraction(2) ** (exponent - bits)
    assume(near <= Fraction(sys.float_info.max))
    assert Fraction(one(x, digits)) == near


@unhurried
@given(st.data(), DIGITS)
def test_a_decimal_of_so_many_digits_is_read_again(data: st.DataObject, digits: int) -> None:
    whole = data.draw(st.integers(10 ** (digits - 1), 10**digits - 1))
    text = f"{whole}e{data.draw(st.integers(-40, 40))}"
    assert float(f"{one(float(text), digits):.{digits - 1}e}") == float(text)


@unhurried
@given(ANY, DIGITS)
def test_a_second_time_changes_nothing_and_the_sign_stays(x: float, digits: int) -> None:
    near = one(x, digits)
    assert same_bits(one(near, digits), near)
    assert same_bits(one(-x, digits), -near)
    assert math.copysign(1, near) == math.copysign(1, x)


@unhurried
@given(st.floats(allow_nan=False), st.floats(allow_nan=False), DIGITS)
def test_the_order_stays(a: float, b: float, digits: int) -> None:
    low, high = sorted((a, b))
    assert one(low, digits) <= one(high, digits)
    assert one(low, digits) <= one(math.nextafter(low, math.inf), digits)


@unhurried
@given(DIGITS)
def test_what_has_no_digits_to_lose_stays_as_it_is(digits: int) -> None:
    odd = [0.0, -0.0, math.inf, -math.inf, 5e-324, -2.2e-308, sys.float_info.max, -sys.float_info.max]
    nans = struct.unpack("3d", struct.pack("3Q", 0x7FF8 << 48, 2**63 - 1, 2**64 - 1))
    for x in (*odd, *nans):
        assert same_bits(one(x, digits), x)
    frame = pl.DataFrame({"x": [None, math.nan, 1.0, None], "y": [0.5, 1.0, 2.0, 4.0]})
    assert rounded(frame, digits).equals(frame)
    assert rounded(frame.clear(), digits).equals(frame.clear())


def day(n: int = 4) -> list[Snapshot]:
    """With computed numbers of each kind, some of them absent, and a number that the exchange computed."""
    there = pl.int_range(pl.len()) % 5 != 0
    computed = [pl.when(there).then(x + pl.col("strike") / 7e7).alias(name) for name, x in COMPUTED.items()]
    return [
        s.replace(
            options=s.options.with_columns(*computed, last_price=pl.col("strike") / 7, bid=1 / 3)
            .with_columns(exchange_iv=pl.col("iv"), iv_reason=pl.lit("wide"), oi_change=pl.col("oi") * 10**12 + 1)
            .sort("expiry", "strike", "right"),
            expiries=s.expiries.with_columns(atm_iv=pl.lit(1 / 7), future=pl.lit(1e5 / 3)),
            facts={**s.facts, "rv_daily": 1 / 7},
        )
        for s in snapshots(n, strikes=7, expiries=2)
    ]


def test_with_six_digits_what_is_recorded_is_whole_and_what_is_computed_is_near(opened: Open, root: Path) -> None:
    taken = day()
    archive = opened(digits=6, merge_files=2)
    for s in taken:
        archive.write([s])
    for _ in range(2):
        for found, s in zip(archive.read(trading_date(START)), taken, strict=True):
            whole = found.options.drop(COMPUTED)
            same(found.replace(options=whole), s.replace(options=s.options.select(whole.columns)))
            assert {*OPTIONS, "exchange_iv", "iv_reason", "oi_change"} <= {*whole.columns}
            assert {*EXPIRIES, "atm_iv"} <= {*found.expiries.columns} and found.facts["rv_daily"] == 1 / 7
            for name in COMPUTED:
                near, exact = found.options[name], s.options[name]
                assert near.is_null().equals(exact.is_null()) and exact.null_count()
                assert ((near - exact).abs() <= 0.5e-6 * exact.abs()).all()
                assert not near.equals(exact)
        for place in places(root):
            compact(place, Settings(digits=4))


def test_without_the_setting_every_bit_is_stored(opened: Open) -> None:
    taken = day()
    archive = opened()
    archive.write(taken)
    for found, s in zip(archive.read(trading_date(START)), taken, strict=True):
        same(found, s)
        assert all(found.options[name].equals(s.options[name]) for name in (*COMPUTED, "last_price", "exchange_iv"))


def test_what_is_stored_stays_as_it_was_stored(opened: Open, files: Files) -> None:
    first, *others = day()
    opened().write([first])
    again = opened(digits=6)
    for _ in range(2):
        again.write([first, *others])
        stored = files()
    again.write([first, *others])
    assert files() == stored
    kept, *shortened = again.read(trading_date(START))
    same(kept, first)
    assert len(shortened) == len(others)
    assert not any(a.options["iv"].equals(b.options["iv"]) for a, b in zip(shortened, others, strict=True))


@pytest.mark.parametrize(
    ("digits", "says"),
    [
        (3, "greater than or equal to 4"),
        (16, "less than or equal to 15"),
        ("six", "valid integer"),
        (6.5, "valid integer"),
    ],
)
def test_other_digits_are_refused(digits: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate({"digits": digits})

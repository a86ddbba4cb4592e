"""Strike steps, at-the-money strikes and offsets."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core.strikes import atm_strike, listed_strikes, strike_step, with_offsets

NEAR, FAR = date(2026, 11, 23), date(2026, 12, 29)


def contracts(**chains: list[float]) -> pl.DataFrame:
    names = {"near": NEAR, "far": FAR}
    rows = [
        (names[name], strike, right) for name, chain in chains.items() for strike in chain for right in ("CE", "PE")
    ]
    return pl.DataFrame(rows, {"expiry": pl.Date, "strike": pl.Float64, "right": pl.String}, orient="row")


def offsets(frame: pl.DataFrame) -> dict[date, list[int | None]]:
    calls = frame.filter(right="CE").group_by("expiry").agg("offset")
    return dict(calls.iter_rows())


def test_the_step_is_the_finest_of_a_chain_listed_wider_apart_in_places() -> None:
    assert strike_step([*range(9000, 20000, 1000), *range(20000, 23000, 100), *range(23000, 27001, 50), 28000]) == 50
    assert strike_step([18000, 18500, 19000, 20000, 21000, 21500, 22000, 23000, 24000, 25000]) == 500


def test_one_odd_strike_does_not_decide_on_the_step() -> None:
    assert strike_step([2700, 2750, 2800, 2843, 2850, 2900, 2950]) == 50


def test_the_step_needs_two_strikes() -> None:
    assert strike_step([25000.0]) is None
    assert strike_step([]) is None
    assert strike_step([25000.0, 25100.0]) == 100


def test_a_missing_strike_does_not_widen_the_step() -> None:
    assert strike_step([100, 105, 115, 120, 125]) == 5


def test_decimal_strikes_have_one_step() -> None:
    assert strike_step([n * 0.1 for n in range(10)]) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("spot", "strike"), [(25024.9, 25000), (25025, 25000), (25025.1, 25050), (1, 24950), (9e9, 25050)]
)
def test_the_nearest_strike_and_the_lower_of_two(spot: float, strike: float) -> None:
    assert atm_strike([24950.0, 25000.0, 25050.0], spot) == strike


def test_no_strikes_have_no_nearest() -> None:
    with pytest.raises(ValueError):
        atm_strike([], 25000)


def test_offsets_from_a_spot() -> None:
    frame = contracts(near=[24900.0, 24950.0, 25000.0, 25050.0], far=[24000.0, 25000.0, 26000.0])
    assert offsets(with_offsets(frame, 24990)) == {NEAR: [-2, -1, 0, 1], FAR: [-1, 0, 1]}


def test_offsets_from_centres_and_none_without() -> None:
    frame = contracts(near=[24900.0, 24950.0, 25000.0], far=[24000.0, 25000.0])
    assert offsets(with_offsets(frame, {NEAR: 24900.0})) == {NEAR: [0, 1, 2], FAR: [None, None]}


def test_a_single_strike_is_the_centre_or_has_no_offset() -> None:
    frame = contracts(near=[25000.0], far=[26000.0])
    assert offsets(with_offsets(frame, {NEAR: 25000.0, FAR: 25000.0})) == {NEAR: [0], FAR: [None]}


def test_a_selection_counts_in_steps_of_the_listing() -> None:
    listed = contracts(near=[24900.0 + 50 * n for n in range(10)])
    selected = listed.filter(pl.col("strike").is_in([24900.0, 25000.0, 25300.0]))
    assert offsets(with_offsets(selected, 25040.0, listed)) == {NEAR: [-3, -1, 5]}


def test_no_contracts_no_offsets() -> None:
    empty = with_offsets(contracts(), 25000)
    assert empty.is_empty()
    assert empty.schema["offset"] == pl.Int64


def test_listed_strikes_ascend_without_repeats() -> None:
    assert listed_strikes(contracts(near=[3.0, 1.0], far=[2.0])) == {NEAR: [1.0, 3.0], FAR: [2.0]}


@settings(deadline=None, max_examples=50)
@given(
    step=st.sampled_from([5.0, 25.0, 50.0, 100.0]),
    low=st.integers(10, 500),
    count=st.integers(2, 120),
    place=st.floats(-0.2, 1.2),
)
def test_offsets_are_the_distance_in_steps(step: float, low: int, count: int, place: float) -> None:
    strikes = [step * (low + n) for n in range(count)]
    spot = strikes[0] + place * (strikes[-1] - strikes[0])
    frame = contracts(near=strikes).sample(fraction=1.0, shuffle=True, seed=count)
    labelled = with_offsets(frame, spot)
    centre = atm_strike(strikes, spot)
    assert labelled.drop("offset").equals(frame)
    assert labelled["offset"].dtype == pl.Int64
    assert ((labelled["strike"] - centre) == labelled["offset"] * step).all()
    assert abs(spot - centre) <= step / 2 or not strikes[0] <= spot <= strikes[-1]

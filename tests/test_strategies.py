"""Which strikes the core's strategies watch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from g6core.components import Strategy
from g6core.snapshot import CONTRACTS, LABELS, conform
from g6core.specs import NoSettings
from g6core.strategies import All, AtmWindow, AtmWindowSettings, Percent, PercentSettings, g6_strategies
from g6core.testing import StrategyContract

TODAY, NEAR, FAR = date(2026, 11, 20), date(2026, 11, 23), date(2026, 12, 29)
NOTHING = pl.DataFrame(schema={**CONTRACTS, **LABELS})


def chain(day: date, strikes: range) -> pl.DataFrame:
    rows = [
        {"index": "NIFTY", "exchange": "NFO", "symbol": f"{day}{k}{right}", "expiry": day, "strike": k, "right": right}
        for k in strikes
        for right in ("CE", "PE")
    ]
    return conform(pl.DataFrame(rows), {**CONTRACTS, "expiry_code": pl.String}, who="the test")


LISTED = pl.concat([chain(NEAR, range(23000, 27001, 50)), chain(FAR, range(20000, 30001, 1000))])


def atm_window(**settings: Any) -> AtmWindow:
    return AtmWindow(AtmWindowSettings(**settings))


def select(
    strategy: Strategy, spot: float | None, held: pl.DataFrame = NOTHING, of: pl.DataFrame = LISTED
) -> pl.DataFrame:
    return strategy.select(of, spot, TODAY, held)


def strikes(selected: pl.DataFrame, right: str = "CE", day: date = NEAR) -> list[float]:
    return selected.filter(expiry=day, right=right)["strike"].to_list()


def centre(selected: pl.DataFrame, day: date = NEAR) -> float:
    return selected.filter(expiry=day, right="CE", offset=0)["strike"].item()


class TestAtmWindow(StrategyContract):
    @pytest.fixture
    def build(self) -> Callable[[], Strategy]:
        return atm_window


class TestPercent(StrategyContract):
    @pytest.fixture
    def build(self) -> Callable[[], Strategy]:
        return lambda: Percent(PercentSettings())


class TestAll(StrategyContract):
    @pytest.fixture
    def build(self) -> Callable[[], Strategy]:
        return lambda: All(NoSettings())


def test_the_window_counts_strikes_of_each_expiry() -> None:
    selected = select(atm_window(below=2, above=1), 25012)
    assert strikes(selected) == strikes(selected, "PE") == [24900, 24950, 25000, 25050]
    assert strikes(selected, day=FAR) == [23000, 24000, 25000, 26000]
    assert selected.filter(right="CE")["offset"].to_list() == [-2, -1, 0, 1] * 2


def test_a_window_beyond_the_listing_takes_what_is_listed() -> None:
    assert strikes(select(atm_window(below=3, above=3), 26990)) == [26850, 26900, 26950, 27000]
    assert strikes(select(atm_window(below=1, above=1), 40000)) == [26950, 27000]


def test_offsets_name_the_steps() -> None:
    assert strikes(select(atm_window(offsets=[5, -5, 0]), 25012)) == [24750, 25000, 25250]


def test_calls_and_puts_have_their_own_depths() -> None:
    selected = select(atm_window(calls={"below": 0, "above": 2}, puts={"below": 2, "above": 0}), 25012)
    assert strikes(selected, "CE") == [25000, 25050, 25100]
    assert strikes(selected, "PE") == [24900, 24950, 25000]


def test_one_side_may_differ_from_the_window() -> None:
    selected = select(atm_window(below=1, above=1, calls={"below": 0, "above": 2}), 25012)
    assert strikes(selected, "CE") == [25000, 25050, 25100]
    assert strikes(selected, "PE") == [24950, 25000, 25050]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"offsets": [0], "below": 5}, "take out `below`, or `offsets`"),
        ({"offsets": [0], "above": 5, "puts": {"below": 1, "above": 1}}, "take out `above` and `puts`, or `offsets`"),
        ({"above": 5, "calls": {"below": 1, "above": 1}, "puts": {"below": 1, "above": 1}}, "take out `above`, or one"),
        ({"calls": {"below": 1}}, "Field required"),
        ({"offsets": []}, "at least 1 item"),
        ({"below": -1}, "greater than or equal to 0"),
        ({"hysteresis": 0.5}, "less than 0.5"),
        ({"width": 5}, "Extra inputs"),
    ],
)
def test_settings_that_contradict_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        AtmWindowSettings(**settings)


@pytest.mark.parametrize(
    ("spot", "expected"), [(25025, 25000), (25034.9, 25000), (25035.1, 25050), (24965.1, 25000), (24964.9, 24950)]
)
def test_the_centre_moves_a_fifth_of_a_step_past_the_middle(spot: float, expected: float) -> None:
    held = select(atm_window(), 25000)
    assert centre(select(atm_window(), spot, held)) == expected


def test_the_centre_follows_a_jump() -> None:
    held = select(atm_window(), 25000)
    assert centre(select(atm_window(), 25231, held)) == 25250


def test_without_hysteresis_the_nearest_strike_is_the_centre() -> None:
    held = select(atm_window(hysteresis=0), 25000)
    assert centre(select(atm_window(hysteresis=0), 25025.1, held)) == 25050


def test_the_centre_is_remembered_where_offset_0_is_not_watched() -> None:
    sparse = atm_window(offsets=[-3, 4])
    held = select(sparse, 25000)
    assert strikes(select(sparse, 25030, held)) == [24850, 25200]
    assert strikes(select(sparse, 25036, held)) == [24900, 25250]


def test_a_gap_in_the_listing_has_hysteresis_too() -> None:
    gap = LISTED.filter(pl.col("strike") != 25050)
    held = select(atm_window(), 25000, of=gap)
    for spot in (25051, 25049, 25055):
        held = select(atm_window(), spot, held, of=gap)
        assert centre(held) == 25000
    assert centre(select(atm_window(), 25061, held, of=gap)) == 25100


@settings(deadline=None, max_examples=30)
@given(
    middle=st.integers(23100, 26900).map(lambda n: n // 50 * 50 + 25),
    swings=st.lists(st.floats(-9.9, 9.9), min_size=2, max_size=20),
)
def test_a_spot_around_the_middle_never_flaps(middle: int, swings: list[float]) -> None:
    strategy = atm_window(below=2, above=2)
    held = first = select(strategy, middle + swings[0])
    for swing in swings[1:]:
        held = select(strategy, middle + swing, held)
        assert held.filter(expiry=NEAR).equals(first.filter(expiry=NEAR))


@settings(deadline=None, max_examples=30)
@given(spots=st.lists(st.floats(22000, 28000), min_size=1, max_size=8), hysteresis=st.floats(0, 0.49))
def test_the_spot_is_never_far_from_the_centre(spots: list[float], hysteresis: float) -> None:
    strategy = atm_window(offsets=[0], hysteresis=hysteresis)
    held, listed = NOTHING, LISTED.filter(expiry=NEAR)
    for spot in spots:
        held = select(strategy, spot, held, listed)
        inside = min(max(spot, 23000), 27000)
        assert abs(inside - centre(held)) <= (0.5 + hysteresis) * 50 + 1e-6
        assert held.equals(select(atm_window(offsets=[0], hysteresis=hysteresis), spot, held, listed))


@pytest.mark.parametrize("strategy", [atm_window(), Percent(PercentSettings(percent=1)), All(NoSettings())])
def test_without_a_spot_what_was_held_stays(strategy: Strategy) -> None:
    held = select(strategy, 25012)
    assert select(strategy, None, held).equals(held)


@pytest.mark.parametrize("strategy", [atm_window(), Percent(PercentSettings(percent=1)), All(NoSettings())])
def test_without_a_spot_a_vanished_contract_leaves_alone(strategy: Strategy) -> None:
    held = select(strategy, 25012)
    listed = LISTED.filter(~pl.col("strike").is_in([24950.0, 25000.0]))
    expected = held.filter(~pl.col("strike").is_in([24950.0, 25000.0]))
    assert select(strategy, None, held, of=listed).equals(expected)


def test_without_a_spot_ever_only_all_selects_and_knows_no_offset() -> None:
    assert select(atm_window(), None).is_empty()
    assert select(Percent(PercentSettings()), None).is_empty()
    everything = select(All(NoSettings()), None)
    assert everything.height == LISTED.height
    assert everything["offset"].null_count() == LISTED.height


def test_a_vanished_centre_gives_way_to_the_nearest_strike() -> None:
    held = select(atm_window(), 25012)
    listed = LISTED.filter(pl.col("strike") != 25000)
    assert centre(select(atm_window(), 25012, held, of=listed)) == 25050
    assert centre(select(atm_window(), 24990, held, of=listed)) == 24950


def test_a_new_expiry_starts_at_its_nearest_strike() -> None:
    held = select(atm_window(), 25000).filter(expiry=FAR)
    assert centre(select(atm_window(), 25026, held)) == 25050


def test_percent_takes_both_sides_of_the_spot_inclusive() -> None:
    selected = select(Percent(PercentSettings(percent=1)), 25000)
    assert strikes(selected) == [24750, 24800, 24850, 24900, 24950, 25000, 25050, 25100, 25150, 25200, 25250]
    assert strikes(selected, day=FAR) == [25000]
    assert selected.filter(expiry=NEAR, right="PE")["offset"].to_list() == [*range(-5, 6)]


def test_all_takes_everything_in_its_order() -> None:
    selected = select(All(NoSettings()), 25012)
    assert selected.drop("offset").equals(LISTED)
    assert selected.filter(expiry=FAR, right="CE")["offset"].to_list() == [*range(-5, 6)]


def test_the_same_frames_give_the_same_object() -> None:
    strategy = atm_window()
    held = select(strategy, 25000)
    again = select(strategy, 25010, held)
    assert again is held
    assert select(strategy, 25100, again) is not held


def test_the_hook_offers_the_three() -> None:
    assert {spec.name: spec.build(spec.settings()).__class__ for spec in g6_strategies()} == {
        "atm_window": AtmWindow,
        "percent": Percent,
        "all": All,
    }

"""A pass by request: as few calls as Kite allows, and each contract asked once."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import pytest
from g6_kite.polling import Polling
from hypothesis import given
from hypothesis import strategies as st


class Kite:
    """Knows the keys that do not end in 7, as Kite knows nothing of a contract that never traded."""

    def __init__(self) -> None:
        self.calls: list[Sequence[str]] = []

    def __call__(self, keys: Sequence[str], *, within: float) -> dict[str, dict[str, Any]]:
        self.calls.append(list(keys))
        return {key: {"last_price": float(key[1:])} for key in keys if not key.endswith("7")}


def named(letter: str, count: int) -> list[str]:
    return [f"{letter}{n}" for n in range(1, count + 1)]


@given(st.integers(1, 40), st.integers(1, 300), st.integers(1, 60), st.integers(2, 5))
def test_a_pass_has_no_call_more_than_it_needs(first: int, contracts: int, batch: int, passes: int) -> None:
    kite, spots, options = Kite(), named("S", first), named("O", contracts)
    polling = Polling(kite, batch, lambda: 1)
    for _ in range(passes):
        kite.calls.clear()
        polling.begin(spots)
        known = {options[place]: item["last_price"] for place, item, _ in polling.ask(options)}
        asked = [key for call in kite.calls for key in call]
        assert sorted(asked) == sorted(spots + options)
        assert all(len(call) <= batch for call in kite.calls)
        assert known == {key: float(key[1:]) for key in options if not key.endswith("7")}
    # From the second pass on, when it is known what will be asked for.
    assert len(kite.calls) == ceil((first + contracts) / batch)


def test_contracts_that_were_asked_along_and_are_wanted_no_more_are_no_answer() -> None:
    kite = Kite()
    polling = Polling(kite, 10, lambda: 1)
    polling.begin(["S1"])
    assert len(list(polling.ask(named("O", 5)))) == 5
    polling.begin(["S1"])
    assert [place for place, _, _ in polling.ask(["O2", "O9"])] == [0, 1]
    assert kite.calls[-1] == ["O9"]
    assert polling.item("S1") == {"last_price": 1.0}


def test_quotes_are_given_before_the_next_call_is_made() -> None:
    kite, options = Kite(), named("O", 6)
    polling = Polling(kite, 2, lambda: len(kite.calls))
    polling.begin(())
    known = [(place, len(kite.calls), received) for place, _, received in polling.ask(options)]
    assert known == [(0, 1, 1), (1, 1, 1), (2, 2, 2), (3, 2, 2), (4, 3, 3), (5, 3, 3)]


def test_what_came_before_a_call_that_fails_is_known() -> None:
    kite = Kite()

    def failing(keys: Sequence[str], *, within: float) -> dict[str, dict[str, Any]]:
        if len(kite.calls) == 2:
            raise TimeoutError
        return kite(keys, within=within)

    polling, known = Polling(failing, 2, lambda: 1), []
    polling.begin(())
    with pytest.raises(TimeoutError):
        known.extend(place for place, _, _ in polling.ask(named("O", 6)))
    assert known == [0, 1, 2, 3]


def test_a_pass_knows_nothing_of_the_one_before() -> None:
    kite = Kite()
    polling = Polling(kite, 10, lambda: 1)
    polling.begin(["S1"])
    polling.begin(())
    assert polling.item("S1") is None and len(kite.calls) == 1

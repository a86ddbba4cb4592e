"""What a rule makes of a clock that is put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from g6_alerts.rule import Rule

from g6core import Alert, Snapshot

At = Callable[..., Snapshot]
Make = Callable[..., Rule]
Told = Callable[[Rule, Sequence[Snapshot]], list[Alert]]

HIGH, LOW = 200.0, 50.0


@pytest.mark.parametrize(
    ("given_settings", "before", "after", "expected"),
    [
        ({}, "H", "HHLH", ["60f", "2r", "3f"]),
        ({}, "L", "HHHH", ["1f"]),
        ({"for": "2m"}, "LH", "HHHHL", ["3f", "4r"]),
        ({"for": "2m"}, "HHH", "HHHLL", ["62f", "3r"]),
        ({"keep_firing_for": "2m"}, "HL", "HLLLL", ["60f", "3r"]),
        ({"repeat": "2m"}, "H", "HHHHH", ["60f", "3f"]),
    ],
)
def test_when_the_clock_went_back_time_goes_on_from_there(
    given_settings: dict, before: str, after: str, expected: list[str], rule: Make, at: At, told: Told
) -> None:
    """The first snapshot of an earlier time may be one that came late; from the second one on it is known."""
    minutes = [(60 + i, c) for i, c in enumerate(before)] + list(enumerate(after))
    days = [at(minute, spot={"H": HIGH, "L": LOW}[c]) for minute, c in minutes]
    raised = told(rule("spot > 100", **given_settings), days)
    assert [f"{(a.ts - at(0).ts).total_seconds() / 60:.0f}{a.state[0]}" for a in raised] == expected


def test_late_snapshots_of_one_time_do_not_put_the_clock_back(rule: Make, at: At, told: Told) -> None:
    days = [at(minute, spot=spot) for minute, spot in [(2, LOW), (1, HIGH), (1, HIGH), (3, LOW)]]
    assert told(rule("spot > 100"), days) == []


def test_a_window_knows_nothing_of_a_time_that_is_still_to_come(rule: Make, at: At, told: Told) -> None:
    days = [at(60 + i, spot=90) for i in range(4)] + [at(i, spot=spot) for i, spot in enumerate([1, 2, 3, 4])]
    for expr in ('avg(spot, "2m") < 50', 'change(spot, "2m") == 2'):
        assert [a.ts for a in told(rule(expr), days)] == [at(2).ts], expr

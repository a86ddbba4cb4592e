"""Calls keep their distance, whoever makes them."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from itertools import pairwise

import pytest
from g6_kite.limiter import Limiter
from hypothesis import given
from hypothesis import strategies as st

KITE = {"quote": 0.9, "candle": 2.7, "other": 9.0}
EXACT = 1e-9


class Time:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        self.slept += seconds


def limiter(clock: Time, per_minute: int | None = None) -> Limiter:
    return Limiter(KITE, per_minute, monotonic=clock.monotonic, sleep=clock.sleep)


idle = st.lists(st.floats(0.0, 3.0), min_size=2, max_size=30)
ways = st.lists(st.floats(0.0, 0.11), min_size=30, max_size=30)


@given(idle, ways, st.floats(0.0, 1.0))
def test_no_second_of_the_server_has_two_quote_calls(pauses: list[float], ways: list[float], phase: float) -> None:
    """Whenever its seconds begin, and when a call's way takes up to a tenth of a second longer than the next one's."""
    clock = Time()
    waits = limiter(clock)
    arrivals = []
    for pause, way in zip(pauses, ways, strict=False):
        clock.now += pause
        assert waits.wait("quote")
        arrivals.append(clock.now + way)
    assert max(Counter(math.floor(at + phase) for at in arrivals).values()) == 1


def test_calls_that_wait_for_nothing_else_come_at_the_full_rate() -> None:
    clock = Time()
    waits = limiter(clock)
    for _ in range(10):
        waits.wait("quote")
    assert clock.slept == pytest.approx(9 / 0.9)


def test_nothing_is_saved_up_while_nobody_calls() -> None:
    clock = Time()
    waits = limiter(clock)
    waits.wait("quote")
    clock.now += 60
    waits.wait("quote")
    assert clock.slept == 0
    waits.wait("quote")
    assert clock.slept == pytest.approx(1 / 0.9)


def test_classes_do_not_wait_for_one_another() -> None:
    clock = Time()
    waits = limiter(clock)
    for kind in ("quote", "candle", "other"):
        waits.wait(kind)
    assert clock.slept == 0
    waits.wait("other")
    assert clock.slept == pytest.approx(1 / 9)
    waits.wait("candle")
    assert clock.slept == pytest.approx(1 / 2.7)


def test_a_call_that_would_be_too_late_is_refused_at_once_and_not_counted() -> None:
    clock = Time()
    waits = limiter(clock)
    waits.wait("quote")
    assert not waits.wait("quote", until=clock.now + 1.0)
    assert clock.slept == 0
    assert waits.wait("quote", until=clock.now + 1.2)
    assert clock.slept == pytest.approx(1 / 0.9)


def test_a_held_class_waits_and_the_others_do_not() -> None:
    clock = Time()
    waits = limiter(clock)
    waits.hold("quote", 5.0)
    waits.wait("other")
    assert clock.slept == 0
    waits.wait("quote")
    assert clock.slept == pytest.approx(5.0)


def test_a_hold_never_shortens_a_wait() -> None:
    clock = Time()
    waits = limiter(clock)
    waits.wait("quote")
    waits.hold("quote", 0.1)
    waits.wait("quote")
    assert clock.slept == pytest.approx(1 / 0.9)


@given(st.lists(st.tuples(st.sampled_from(sorted(KITE)), st.floats(0.0, 20.0)), min_size=10, max_size=60))
def test_the_cap_holds_in_any_sixty_seconds_over_all_classes(calls: list[tuple[str, float]]) -> None:
    clock = Time()
    waits = limiter(clock, per_minute=7)
    made = []
    for kind, pause in calls:
        clock.now += pause
        waits.wait(kind)  # type: ignore[arg-type]
        made.append(clock.now)
    assert all(made[i + 7] - made[i] >= 60 - EXACT for i in range(len(made) - 7))


def test_threads_share_one_distance() -> None:
    waits = Limiter({"quote": 50.0, "candle": 1.0, "other": 1.0})
    made: list[float] = []

    def work() -> None:
        for _ in range(5):
            assert waits.wait("quote")
            made.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 20
    # Between leaving `wait` and reading the time a thread may be set aside, so single gaps say nothing; the whole does.
    assert max(made) - min(made) >= 18 / 50


def test_a_thread_that_wakes_late_is_not_followed_too_closely() -> None:
    clock = Time()

    def late(seconds: float) -> None:
        clock.sleep(seconds + 0.4)

    waits = Limiter(KITE, monotonic=clock.monotonic, sleep=late)
    made = []
    for _ in range(5):
        waits.wait("quote")
        made.append(clock.now)
    assert all(b - a >= 1 / 0.9 - EXACT for a, b in pairwise(made))

"""The laws of what goes out when: each alert once, the rate kept, no call at night."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

from g6_alerts.channels.policy import Waiting, plan, quiet_until
from g6_alerts.channels.settings import ChannelSettings
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import IST, Alert
from g6core.testing import START

SECOND = timedelta(seconds=1)
ARRIVALS = st.lists(
    st.tuples(st.integers(0, 1800), st.integers(0, 3600), st.sampled_from(["info", "warning", "critical"])),
    max_size=20,
)
"""(seconds until the next one, its age when it comes, its severity)."""


class Desk:
    """Somebody who does what the plan says, second by second where something is to be done."""

    def __init__(self, rules: ChannelSettings) -> None:
        self.rules = rules
        self.waiting: list[Waiting] = []
        self.messages: list[tuple[datetime, list[Waiting], bool]] = []

    def act(self, now: datetime) -> datetime | None:
        """Send what may be sent; when to look again."""
        _, period = self.rules.limit
        while True:
            sent = [at for at, _, _ in self.messages if now - period < at <= now]
            step = plan(self.waiting, self.rules, now, sent)
            held = {w.seq for w in step.hold}
            self.waiting = [replace(w, held=w.held or w.seq in held) for w in self.waiting]
            if not step.take:
                assert (step.wake is not None) == bool(self.waiting)
                return step.wake
            taken = {w.seq for w in step.take}
            self.messages.append((now, list(step.take), step.digest))
            self.waiting = [w for w in self.waiting if w.seq not in taken]

    def until(self, now: datetime, end: datetime | None) -> None:
        wake = self.act(now)
        while wake is not None and (end is None or wake < end):
            assert wake > now
            now = wake
            wake = self.act(now)


@settings(max_examples=60, deadline=None)
@given(
    ARRIVALS,
    st.sampled_from(["1/s", "2/min", "20/min", "3/h"]),
    st.sampled_from([None, "22:00-08:00", "09:00-10:30"]),
    st.integers(0, 23),
)
def test_each_alert_goes_out_once_within_the_rate_and_outside_quiet_hours(
    arrivals: list[tuple[int, int, str]], rate: str, quiet: str | None, hour: int
) -> None:
    rules = ChannelSettings(rate=rate, quiet=quiet)
    desk, now = Desk(rules), START + timedelta(hours=hour)
    for seq, (pause, age, severity) in enumerate(arrivals):
        alert = Alert("r", "NIFTY", now - age * SECOND, "s", severity, key=str(seq))
        desk.waiting = sorted([*desk.waiting, Waiting(seq, alert, False)], key=lambda w: (w.alert.ts, w.seq))
        desk.until(now, now + pause * SECOND)
        now += pause * SECOND
    desk.until(now, None)
    sent = [w.seq for _, taken, _ in desk.messages for w in taken]
    assert sorted(sent) == list(range(len(arrivals)))
    number, period = rules.limit
    times = [at for at, _, _ in desk.messages]
    assert all(later - earlier >= period for earlier, later in zip(times, times[number:], strict=False))
    for at, taken, digest in desk.messages:
        assert [w.alert.ts for w in taken] == sorted(w.alert.ts for w in taken)
        assert digest or len({w.alert.ts for w in taken}) == 1
        if quiet_until(rules.quiet_hours, at):
            assert all(w.alert.severity == "critical" for w in taken)


def test_a_night_with_many_alerts_costs_no_more_for_each() -> None:
    class Counted(Waiting):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return self is other

        __hash__ = Waiting.__hash__

    night = datetime(2026, 8, 17, 23, tzinfo=IST)
    waiting = [Counted(n, Alert("r", "NIFTY", night, "s", key=str(n)), True) for n in range(500)]
    waiting.append(Counted(500, Alert("r", "NIFTY", night, "s", "critical"), False))
    step = plan(waiting, ChannelSettings(quiet="22:00-08:00"), night, [])
    assert [w.seq for w in step.take] == [500]
    assert Counted.compared <= len(waiting)


def test_quiet_hours_over_midnight_and_within_a_day() -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=IST)

    night, noon = (time(22), time(8)), (time(12), time(13, 30))
    assert quiet_until(night, at("2026-08-17T22:00")) == at("2026-08-18T08:00")
    assert quiet_until(night, at("2026-08-18T07:59")) == at("2026-08-18T08:00")
    assert quiet_until(night, at("2026-08-18T08:00")) is None
    assert quiet_until(night, at("2026-08-17T21:59")) is None
    assert quiet_until(noon, at("2026-08-17T12:00")) == at("2026-08-17T13:30")
    assert quiet_until(noon, at("2026-08-17T13:30")) is None
    assert quiet_until(None, START) is None

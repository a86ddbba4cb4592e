"""Which of the waiting alerts go out together, and when: no clock, no network, no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from g6_alerts.channels.settings import ChannelSettings
from g6core import IST, Alert

SETTLE = timedelta(seconds=1)
"""What is late comes in batches, one behind the other: so long they wait for one another."""
LARGEST = 500
"""Alerts in one message."""


@dataclass(frozen=True)
class Waiting:
    """An alert in the outbox. held: it was kept back once, and comes in a digest."""

    seq: int
    alert: Alert
    held: bool


@dataclass(frozen=True)
class Plan:
    """take: what the next message is made of, none for no message. hold: what is kept back from now on.

    wake: when to look again at the latest; None when nothing waits.
    """

    take: Sequence[Waiting] = ()
    digest: bool = False
    hold: Sequence[Waiting] = ()
    wake: datetime | None = None


def plan(
    waiting: Sequence[Waiting],
    settings: ChannelSettings,
    now: datetime,
    sent: Sequence[datetime],
    settled: datetime | None = None,
) -> Plan:
    """waiting: by time. sent: when messages went out within the period of the rate, ascending. settled: until then
    more may come in of what is late.

    Critical alerts go out in quiet hours as well. A digest is one message like any other. What is older than
    `digest_after`, and what was held, comes in one digest, before anything newer.
    """
    if not waiting:
        return Plan()
    quiet = quiet_until(settings.quiet_hours, now)
    muted = [w for w in waiting if quiet and w.alert.severity != "critical"]
    kept = {w.seq for w in muted}
    free = [w for w in waiting if w.seq not in kept]
    if not free:
        return Plan(hold=_new(muted), wake=quiet)
    number, period = settings.limit
    if len(sent) >= number:
        return Plan(hold=_new([*muted, *free]), wake=sent[-number] + period)
    late = [w for w in free if w.held or now - w.alert.ts > settings.digest_after]
    if not late:
        ts = free[0].alert.ts
        return Plan([w for w in free if w.alert.ts == ts][:LARGEST], hold=_new(muted))
    if settled is not None and settled - SETTLE <= now < settled:
        return Plan(hold=_new(muted), wake=settled)
    return Plan(late[:LARGEST], digest=len(late) > 1, hold=_new(muted))


def quiet_until(hours: tuple[time, time] | None, now: datetime) -> datetime | None:
    """When the quiet hours end, if they are at the moment; None otherwise. hours: from and to, India's."""
    if hours is None:
        return None
    begin, end = hours
    local = now.astimezone(IST)
    clock = local.time()
    inside = begin <= clock < end if begin <= end else clock >= begin or clock < end
    if not inside:
        return None
    day = local.date() if clock < end else local.date() + timedelta(days=1)
    return datetime.combine(day, end, IST).astimezone(now.tzinfo)


def _new(held: Sequence[Waiting]) -> list[Waiting]:
    return [w for w in held if not w.held]

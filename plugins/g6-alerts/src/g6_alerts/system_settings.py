"""The settings of the rules over the recorder itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from g6_alerts.settings import Watch
from g6core import Duration

MINUTE = timedelta(minutes=1)
KEPT = "it has to be false for so long before it is resolved"
Severity = Literal["info", "warning", "critical"]


class Critical(Watch):
    severity: Severity = Field("critical", description="how bad it is")


class SessionEnded(Critical):
    pass


class NoData(Critical):
    cycles: int = Field(2, ge=1, description="cycles in a row that recorded nothing of an index")


class SilentFeed(Watch):
    age: Duration = Field(MINUTE, description="age of the newest quote; three cycles when those take longer")


class SinkBehind(Watch):
    behind: Duration = Field(5 * MINUTE, description="how long a sink has not got on, while something waits for it")


class DeadLetters(Watch):
    keep_firing_for: Duration = Field(15 * MINUTE, description=KEPT)


class DiskLow(Critical):
    keep_firing_for: Duration = Field(5 * MINUTE, description=KEPT)
    free: float = Field(2.0, gt=0, description="GB left on the disk of the data directory")


class ClockOff(Watch):
    keep_firing_for: Duration = Field(5 * MINUTE, description=KEPT)
    ahead: Duration = Field(timedelta(seconds=5), description="how far the newest quote is ahead of this machine")


class LoginReminder(Critical):
    repeat: Duration | None = Field(15 * MINUTE, description="told again after so long while nobody has logged in")
    before: Duration = Field(60 * MINUTE, description="how long before the market opens it begins")

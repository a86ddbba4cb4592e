"""What is told: by components to people, and by the engine to alert rules, screens and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from g6core.components import Alert
    from g6core.login import Session


@dataclass(frozen=True)
class Finding:
    """One line of `g6 doctor`. level: ok, warning or error; hint: what to type when it is not ok."""

    level: str
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class Remark:
    """One kind of oddity in a recording, and what a provider did with it.

    action: repaired, set aside (not used), not taken (a value that is never used) or noticed (used as it is). count:
    how many of what the reason speaks of. first: the place of the first one, `file:line`.
    """

    action: str
    reason: str
    count: int
    first: str

    def __str__(self) -> str:
        action = f", {self.action}" if self.action == "set aside" else ""
        return f"{self.count:,} x {self.reason}{action} (first at {self.first})"


@dataclass(frozen=True)
class ReadReport:
    """What a provider has read of a recording so far. counts: how many of what, in the order of telling."""

    counts: Mapping[str, int]
    remarks: Sequence[Remark]


@dataclass(frozen=True)
class IndexReport:
    """What one cycle did for one index. status: recorded, skipped or failed; reason says why when not recorded, and
    code is a stable word for it: of an error, or deadline, late, closed, no-quotes, duplicate.

    nearest: the row of `Snapshot.expiries` of the nearest expiry, with what analytics added to it. received: when the
    newest quote arrived, None where no quote says so.
    """

    status: str
    reason: str | None = None
    options: int = 0
    quoted: int = 0
    facts: Mapping[str, float] = field(default_factory=dict)
    nearest: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    notes: Sequence[str] = ()
    received: datetime | None = None
    expiries: int = 0
    code: str | None = None


@dataclass(frozen=True)
class CycleReport:
    """What one cycle did: `g6_cycle_finished` and every screen get it."""

    ts: datetime
    seconds: float
    indices: Mapping[str, IndexReport]
    alerts: Sequence[Alert] = ()


@dataclass(frozen=True)
class ProviderReport:
    """How a provider does. error: why it gives nothing at present, None when it does; code: of that error.

    session: how it stands with its broker, asked while the market is closed; None where there is no login or it is not
    known. age: seconds since the newest quote arrived; None where no quote says when.
    """

    error: str | None = None
    code: str | None = None
    session: Session | None = None
    age: float | None = None


@dataclass(frozen=True)
class SinkReport:
    """How a sink does. Counts are of this run. lag: snapshots of the day that it has still to get.

    behind: seconds since it last got on, while something waits. rejected: dead letters. error: why it takes nothing at
    present.
    """

    written: int = 0
    retried: int = 0
    rejected: int = 0
    lag: int = 0
    behind: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class RunReport:
    """How the recorder itself does at an instant, after a cycle or at a tick of a closed market.

    cycle: the cycle that just ended, None while the market is closed. opens: when it opens next, None while it is open.
    missed: cycles in a row that recorded nothing, by index. problem: why the journal cannot be written. free: bytes
    left on the disk of the data directory, None when nobody can tell.
    """

    ts: datetime
    cycle: CycleReport | None
    opens: datetime | None
    interval: timedelta
    missed: Mapping[str, int]
    providers: Mapping[str, ProviderReport]
    sinks: Mapping[str, SinkReport]
    problem: str | None = None
    free: int | None = None

"""What is sent: one or several alerts, in words."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from g6_alerts.channels.settings import rank
from g6core import IST, Alert

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def alert_id(alert: Alert) -> str:
    """32 hexadecimal digits, the same wherever and whenever: of (rule, index, ts, key), which make an alert one."""
    words = (alert.rule, alert.index, str((alert.ts - _EPOCH) // timedelta(microseconds=1)), alert.key)
    return hashlib.sha256("\x1f".join(words).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Message:
    """alerts: by time. digest: they come late and together. simulated: no market stands behind them.

    test: it is sent to see whether it arrives.
    """

    alerts: Sequence[Alert]
    digest: bool = False
    simulated: bool = False
    test: bool = False
    id: str = field(init=False)

    def __post_init__(self) -> None:
        together = "".join(alert_id(alert) for alert in self.alerts)
        object.__setattr__(self, "id", hashlib.sha256(together.encode()).hexdigest()[:32])

    @property
    def severity(self) -> str:
        """The worst of them."""
        return max((a.severity for a in self.alerts), key=rank)

    def subject(self) -> str:
        """One line."""
        marks = "".join(f"[{word}] " for word, holds in (("TEST", self.test), ("SIMULATED", self.simulated)) if holds)
        first, last = self.alerts[0], self.alerts[-1]
        if len(self.alerts) == 1:
            return marks + _line(first)
        if self.digest:
            return f"{marks}{len(self.alerts)} further alerts, {_time(first.ts)} to {_time(last.ts)}: {self.tally()}"
        return f"{marks}{len(self.alerts)} alerts at {_time(first.ts)}: {self.tally()}"

    def lines(self) -> list[str]:
        """A line for each alert, with its time."""
        return [f"{_time(alert.ts)}  {_line(alert)}" for alert in self.alerts]

    def tally(self) -> str:
        """How many of each rule, the most frequent first."""
        return tally(self.alerts)

    def document(self, channel: str) -> dict[str, Any]:
        """The same for a program. Times are UTC."""
        return {
            "v": 1,
            "id": self.id,
            "channel": channel,
            "digest": self.digest,
            "simulated": self.simulated,
            "test": self.test,
            "text": "\n".join([self.subject(), *(self.lines() if len(self.alerts) > 1 else ())]),
            "alerts": [document(alert) for alert in self.alerts],
        }


def tally(alerts: Sequence[Alert]) -> str:
    return ", ".join(f"{rule} {n}" for rule, n in Counter(a.rule for a in alerts).most_common())


def document(alert: Alert) -> dict[str, Any]:
    """An alert as JSON has it; ts is UTC."""
    return {
        "id": alert_id(alert),
        "rule": alert.rule,
        "index": alert.index,
        "key": alert.key,
        "ts": alert.ts.astimezone(UTC).isoformat(),
        "severity": alert.severity,
        "state": alert.state,
        "summary": alert.summary,
        "labels": dict(alert.labels),
    }


def _line(alert: Alert) -> str:
    about = " ".join(word for word in (alert.index, alert.key) if word)
    state = "resolved" if alert.state == "resolved" else alert.severity
    return " ".join(f"{state.upper()} {about + ': ' if about else ''}{alert.summary} ({alert.rule})".split())


def _time(ts: datetime) -> str:
    return f"{ts.astimezone(IST):%d %b %H:%M:%S} IST"

"""What `g6 alerts list` and `history` show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from g6_alerts.channels.message import document
from g6_alerts.silences import Silence, Silences
from g6core import IST, Alert, Context, Records, configured_all

PLUGIN = "alerts"


@dataclass(frozen=True)
class Wanted:
    """Which alerts: trading dates from and to, inclusive; None for no limit."""

    first: date | None = None
    last: date | None = None
    rule: str | None = None
    index: str | None = None

    @property
    def since(self) -> datetime | None:
        return _midnight(self.first) if self.first else None

    @property
    def until(self) -> datetime | None:
        """The last microsecond of the last day."""
        return _midnight(self.last + timedelta(days=1)) - timedelta(microseconds=1) if self.last else None

    def takes(self, alert: Alert) -> bool:
        return self.rule in (None, alert.rule) and self.index in (None, alert.index)


def rules(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each rule that is on, by name."""
    components, context = configured_all("alerts", plugin=PLUGIN, **options)
    states = Records(context.data_dir).rule_states()
    now = context.clock.now()
    silences = [s for s in Silences(context.data_dir).all() if s.since <= now < s.until]
    return [
        _row(one, marks(states.get(name, "")), [s for s in silences if s.rule == name])
        for name, one in sorted(components.items())
        if one.enabled
    ]


def marks(state: str) -> list[dict[str, Any]]:
    """What a rule of this plugin remembers: index, key, state, since. Nothing of what another plugin's says."""
    try:
        remembered = json.loads(state) if state else {}
        found = remembered.get("marks", [])
        return [{name: mark[name] for name in ("index", "key", "state", "since")} for mark in found]
    except (ValueError, AttributeError, KeyError, TypeError):
        return []


def found(options: Mapping[str, Any], wanted: Wanted) -> tuple[list[Alert], Context]:
    """The recorded alerts by time, and the context of the settings."""
    _, context = configured_all("alerts", plugin=PLUGIN, **options)
    raised = Records(context.data_dir).alerts(wanted.since, wanted.until, limit=10**9)
    return [alert for alert in raised if wanted.takes(alert)], context


def rows_of(raised: Sequence[Alert]) -> list[dict[str, Any]]:
    return [{**document(alert), "time": clock(alert.ts)} for alert in raised]


def clock(ts: datetime) -> str:
    """As India's clocks show it."""
    return f"{ts.astimezone(IST):%Y-%m-%d %H:%M:%S}"


def _row(one: Any, states: list[dict[str, Any]], silences: Sequence[Silence]) -> dict[str, Any]:
    expr = getattr(one.settings, "expr", None)
    words = [f"{' '.join(m[name] for name in ('index', 'key') if m[name])} {m['state']}".strip() for m in states]
    until = max((s.until for s in silences), default=None)
    if until:
        words.append(f"silenced until {clock(until)}")
    return {
        "name": one.name,
        "uses": one.spec.name,
        "severity": getattr(one.settings, "severity", None),
        "expr": expr,
        "states": states,
        "silenced_until": until.astimezone(UTC).isoformat() if until else None,
        "about": expr or one.spec.help,
        "told": ", ".join(words) or "inactive",
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), IST).astimezone(UTC)

"""What `g6 alerts test` does: a channel sends for once, a rule looks for once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

from g6_alerts.channels import g6_sinks, sender
from g6_alerts.channels.message import Message
from g6_alerts.showing import PLUGIN, clock
from g6_alerts.silencing import unknown
from g6core import Alert, ConfigError, Context, DataError, Records, Snapshot, configured_all

KINDS = {spec.name for spec in g6_sinks()}


def tried(name: str, options: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """(`channel` or `rule`, what came of it). Raises ConfigError when there is none of that name, and what failed."""
    sinks, context = configured_all("sinks", plugin=PLUGIN, **options)
    if name in sinks and sinks[name].spec.name in KINDS:
        return "channel", [_sent(sinks[name], context)]
    rules, context = configured_all("alerts", plugin=PLUGIN, **options)
    if name in rules:
        return "rule", _looked(rules[name], context)
    channels = {name: one for name, one in sinks.items() if one.spec.name in KINDS}
    raise unknown(name, "alert rule or channel", {**rules, **channels})


def _sent(one: Any, context: Context) -> dict[str, Any]:
    if not one.enabled:
        raise _off(one.name, "sinks")
    alert = Alert(
        "test", "", context.clock.now(), f"this is a TEST of the channel {one.name}, and nothing happened", "info"
    )
    made = sender(one.spec.name, one.settings)
    made.check()
    made.send(Message([alert], test=True), one.name)
    return {"where": made.diagnose()}


def _looked(one: Any, context: Context) -> list[dict[str, Any]]:
    """A row for each index of the newest recorded day."""
    if not one.enabled:
        raise _off(one.name, "alerts")
    newest = Records(context.data_dir).newest()
    if not newest:
        raise DataError("nothing is recorded that the rule could look at", code="nothing-recorded", hint="`g6 run`")
    return [_row(one, context, snapshot) for snapshot in newest]


def _row(one: Any, context: Context, snapshot: Snapshot) -> dict[str, Any]:
    # Without `for` it fires at once when it is true.
    changes = {"for": timedelta(0)} if hasattr(one.settings, "for") else {}
    rule = one.spec.build(one.settings.model_copy(update=changes))
    rule.open(replace(context, name=one.name))
    try:
        alerts = list(rule.check(snapshot, None))
        values = rule.values(snapshot) if hasattr(rule, "values") else {}
    finally:
        rule.close()
    result = "; ".join(alert.summary for alert in alerts) or "does not fire"
    return {
        "index": snapshot.index,
        "ts": snapshot.ts.astimezone(UTC).isoformat(),
        "time": clock(snapshot.ts),
        "fires": bool(alerts),
        "result": result,
        "values": {name: _plain(value) for name, value in values.items()},
        "told": ", ".join(f"{name} {_plain(value)}" for name, value in values.items()),
    }


def _plain(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


def _off(name: str, kind: str) -> ConfigError:
    return ConfigError(f"`{name}` is switched off", hint=f"take `enabled = false` out of [{kind}.{name}]")

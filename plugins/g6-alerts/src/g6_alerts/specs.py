"""The alert rules that this plugin brings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from g6_alerts import system_settings as system
from g6_alerts.market import market_specs
from g6_alerts.settings import RuleSettings
from g6core import AlertSpec

if TYPE_CHECKING:
    from g6_alerts.rule import Rule
    from g6_alerts.system import SystemRule


def _rule(settings: RuleSettings) -> Rule:
    from g6_alerts.rule import Rule

    return Rule(settings)


def _system(name: str) -> Callable[[Any], SystemRule]:
    def build(settings: Any) -> SystemRule:
        from g6_alerts.system import RULES

        return RULES[name](settings, name)

    return build


SYSTEM = {
    "session_ended": (system.SessionEnded, "a provider's session ended"),
    "no_data": (system.NoData, "cycles recorded nothing of an index while the market was open"),
    "silent_feed": (system.SilentFeed, "no quote has come for too long"),
    "sink_behind": (system.SinkBehind, "a sink does not get on"),
    "dead_letters": (system.DeadLetters, "a sink rejected something for good"),
    "disk_low": (system.DiskLow, "little room is left on the disk"),
    "clock_off": (system.ClockOff, "quotes are newer than this machine's clock"),
    "login_reminder": (system.LoginReminder, "nobody has logged in, and the market opens soon"),
}

SPECS = [
    AlertSpec("rule", _rule, RuleSettings, "a rule of one's own: `expr` over facts, expiries and options", False),
    *market_specs(),
    *(AlertSpec(name, _system(name), model, text) for name, (model, text) in SYSTEM.items()),
]

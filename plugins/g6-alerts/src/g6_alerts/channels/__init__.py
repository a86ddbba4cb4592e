"""The channels: sinks that tell people of alerts. Each is on only where the settings have a table for it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from g6_alerts.channels.settings import AppriseSettings, EmailSettings, TelegramSettings, WebhookSettings
from g6core import SinkSpec

if TYPE_CHECKING:
    from g6_alerts.channels.channel import Sender

_SENDERS = {
    "webhook": ("webhook", "Webhook"),
    "telegram": ("telegram", "Telegram"),
    "email": ("mail", "Mail"),
    "apprise": ("others", "Others"),
}


def g6_sinks() -> list[SinkSpec]:
    def channel(name: str, settings: Any, help: str) -> SinkSpec:
        return SinkSpec(name, _built(name), settings, help, by_default=False, in_replay=False)

    return [
        channel("webhook", WebhookSettings, "alerts by HTTP to an address of your own"),
        channel("telegram", TelegramSettings, "alerts by a Telegram bot"),
        channel("email", EmailSettings, "alerts by e-mail"),
        channel("apprise", AppriseSettings, "alerts by any service that apprise knows"),
    ]


def sender(kind: str, settings: Any) -> Sender:
    """What sends messages by that kind of channel (the name of a spec)."""
    module, name = _SENDERS[kind]
    made: Sender = getattr(import_module(f"g6_alerts.channels.{module}"), name)(settings)
    return made


def _built(kind: str) -> Callable[[Any], Any]:
    def build(settings: Any) -> Any:
        from g6_alerts.channels.channel import Channel

        return Channel(settings, sender(kind, settings))

    return build

"""Channel `apprise`: any service that the library apprise knows."""

from __future__ import annotations

import logging
import re
from typing import Any

from g6_alerts.channels.message import Message
from g6_alerts.channels.settings import AppriseSettings
from g6core import ConfigError, PluginError, Unavailable, hide

KINDS = {"info": "info", "warning": "warning", "critical": "failure"}


def _is_this_machine(part: str) -> bool:
    """What every other log line may have in it; a host may be a secret, as with `tgram://TOKEN/CHAT`."""
    return part == "localhost" or part.startswith("127.")


class Others:
    """apprise says only whether a message was taken: one that was not is sent again."""

    def __init__(self, settings: AppriseSettings) -> None:
        self._url = settings.url.get_secret_value()
        for part in (self._url, *re.split(r"[/:@?&=#,]", self._url)):
            if not _is_this_machine(part):
                hide(part)
        # What it logs may have the address in it, which holds the secret.
        logging.getLogger("apprise").disabled = True
        self._seconds = settings.timeout.total_seconds()

    def send(self, message: Message, channel: str) -> None:
        body = "\n".join(message.lines())
        taken = self._service().notify(
            title=f"G6: {message.subject()}", body=body, notify_type=KINDS.get(message.severity, "warning")
        )
        if not taken:
            raise Unavailable(
                "the service of the apprise address did not take the message",
                hint="`g6 alerts test NAME` tries again; check the address; nothing is lost meanwhile",
            )

    def check(self) -> None:
        self._service()

    def diagnose(self) -> str:
        return "apprise knows the service of the address"

    def _service(self) -> Any:
        try:
            import apprise
        except ImportError as e:
            raise PluginError(
                "the channel `apprise` needs the library apprise, which is not installed",
                hint='pip install "g6-alerts[apprise]"',
            ) from e
        service = apprise.Apprise()
        if not service.add(self._url):
            raise ConfigError("apprise knows no service of that address", where="[sinks.apprise] url")
        return service

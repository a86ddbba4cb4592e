"""Channel `webhook`: a JSON document by POST."""

from __future__ import annotations

from urllib.parse import urlsplit

from g6_alerts.channels.channel import Pause
from g6_alerts.channels.message import Message
from g6_alerts.channels.settings import WebhookSettings
from g6_alerts.channels.web import LATER, ask
from g6core import Rejected, Unavailable, hide

NEVER = {400, 413, 415, 422}
"""Statuses that are about the document; what else is refused, a person can mend."""


class Webhook:
    """Each message bears its id as `Idempotency-Key` and in the document: one that comes twice is told by it."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._url = settings.address
        parts = urlsplit(self._url)
        self._host = parts.netloc
        if settings.secret:
            hide(settings.secret.get_secret_value())
        if settings.secret_url:
            hide(self._url)
            hide(parts.path)

    def send(self, message: Message, channel: str) -> None:
        headers = {**self._settings.headers, "Idempotency-Key": message.id, "User-Agent": "g6-alerts"}
        if self._settings.secret:
            headers[self._settings.secret_header] = self._settings.secret.get_secret_value()
        seconds = self._settings.timeout.total_seconds()
        answer = ask(self._url, message.document(channel), headers, seconds, self._host)
        if 200 <= answer.status < 300:
            return
        said = f"{self._host} answers {answer.status}: {answer.words()}"
        if answer.status in NEVER:
            raise Rejected(said)
        if answer.pause():
            raise Pause(said, answer.pause())
        hint = None if answer.status in LATER else "mend the address or the secret; nothing is lost meanwhile"
        raise Unavailable(said, hint=hint)

    def check(self) -> None:
        """Its settings say all."""

    def diagnose(self) -> str:
        return f"alerts go to {self._host}"

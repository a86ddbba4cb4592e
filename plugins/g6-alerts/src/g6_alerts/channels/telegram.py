"""Channel `telegram`: a message of a bot."""

from __future__ import annotations

from html import escape
from typing import Any

from g6_alerts.channels.channel import Pause
from g6_alerts.channels.message import Message, tally
from g6_alerts.channels.settings import TelegramSettings
from g6_alerts.channels.web import LATER, LONGEST_PAUSE, Answer, ask
from g6core import Rejected, Unavailable, hide

LONGEST = 4096
"""Characters of a message, as Telegram counts them: UTF-16 units, without the marks of HTML."""
_ROOM = 200
"""Characters kept for the line that tells how many more there are."""
_TITLE = 1000
_LINE = 500


class Telegram:
    """Telegram knows no id of ours: a message whose answer was lost comes twice."""

    def __init__(self, settings: TelegramSettings) -> None:
        self._settings = settings
        token = settings.token.get_secret_value()
        hide(token)
        self._url = f"{settings.api.rstrip('/')}/bot{token}"

    def send(self, message: Message, channel: str) -> None:
        document = {
            "chat_id": self._settings.chat,
            "text": html(message),
            "parse_mode": "HTML",
            "disable_notification": message.severity == "info",
        }
        self._ask("sendMessage", document)

    def check(self) -> None:
        """Its settings say all."""

    def diagnose(self) -> str:
        self._ask("getMe", None)
        return f"alerts go to the Telegram chat {self._settings.chat}"

    def _ask(self, method: str, document: dict[str, Any] | None) -> None:
        answer = ask(f"{self._url}/{method}", document, {}, self._settings.timeout.total_seconds(), "Telegram")
        said = answer.json()
        if answer.status != 200 or not (isinstance(said, dict) and said.get("ok") is True):
            raise _refusal(answer)


def html(message: Message) -> str:
    """The message with its subject in bold, never longer than Telegram takes; what does not fit is counted by rule."""
    text = f"<b>{escape(_cut(message.subject(), _TITLE), quote=False)}</b>"
    length = _units(message.subject()[:_TITLE])
    if len(message.alerts) == 1:
        return text
    lines = message.lines()
    for at, line in enumerate(lines):
        length += _units(line[:_LINE]) + 1
        if length > LONGEST - _ROOM:
            return f"{text}\n… and {len(lines) - at} more: {escape(_cut(tally(message.alerts[at:]), 150), quote=False)}"
        text += f"\n{escape(_cut(line, _LINE), quote=False)}"
    return text


def _refusal(answer: Answer) -> Rejected | Unavailable:
    document = answer.json()
    said: dict[str, Any] = document if isinstance(document, dict) else {}
    words = f"Telegram answers {answer.status}: {said.get('description') or 'in no readable way'}"
    parameters = said.get("parameters")
    wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
    if answer.status == 429 and isinstance(wait, int) and wait > 0:
        return Pause(words, min(LONGEST_PAUSE, float(wait)))
    if answer.status == 400 and "message" in words.lower().partition("bad request")[2]:
        return Rejected(words)
    hints = {401: "set TELEGRAM_BOT_TOKEN", 404: "set TELEGRAM_BOT_TOKEN", 403: "let the bot into the chat"}
    mend = hints.get(answer.status, "mend `chat`: the bot must have been written to, or be a member")
    return Unavailable(words, hint=None if answer.status in LATER else f"{mend}; nothing is lost meanwhile")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2

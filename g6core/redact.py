"""Secrets out of everything that is written for people: logs, tracebacks, errors, `--json`."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 8
"""Characters. A shorter secret would take ordinary words out of every message: `demo` is one."""

_NAMES = "access_token|request_token|refresh_token|public_token|enctoken|api_secret|bot_token|password|checksum"
_VALUE = r"[^\s&\"'`<>,;(){}\[\]\\*…]+"
_QUOTE = r"(?:\\*[\"'])"  # escaped as often as somebody put JSON into JSON
_GIVEN = rf"=|%3D|{_QUOTE}?\s*:\s*(?:SecretStr\()?{_QUOTE}|\s*=\s*{_QUOTE}"
_PATTERNS = (
    # name=value of a query or an environment file, 'name': 'value' of a dict or a JSON document, %3D of a nested query
    re.compile(rf"(?i)(?<![a-z0-9])((?:{_NAMES})(?:{_GIVEN}))({_VALUE})"),
    re.compile(rf"(?i)(\bauthorization{_QUOTE}?\s*[:=]\s*b?(?:{_QUOTE})?(?:token|bearer|basic)\s+)([^\s\"',\\]+)"),
    re.compile(r"(?i)(\btoken\s+\w+:)(\w{8,})"),
    re.compile(r"(?i)(\bbearer\s+)([\w.~+/=-]{8,})"),
    re.compile(r"(/bot)(\d+:[\w-]+)"),
    re.compile(r"(hooks\.slack\.com/services/|/api/webhooks/\d+/)([\w/-]+)"),
    re.compile(r"(://[^\s/:@]*:)([^\s/@]+)(?=@)"),
)
_secrets: set[str] = set()


def hide(secret: str) -> None:
    """Show the secret nowhere from now on: errors and log lines have *** in its place.

    For secrets that come while running, such as a session's; those in the settings are known. One of less than 8
    characters is left, since it would take ordinary words out of every message.
    """
    if len(secret) >= SHORTEST:
        _secrets.update(_forms(secret))


def _forms(secret: str) -> set[str]:
    """The secret as it is, and as it stands in what Python prints, in JSON and in an address."""
    plain = secret.encode("utf-8", "replace")
    as_json = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    return {secret, repr(secret)[1:-1], *as_json, quote(plain), quote(plain, safe=""), quote_plus(plain)}


def redacted(text: str) -> str:
    """The text without known secrets and what looks like one: `access_token=…`, `token key:secret`, bot URLs."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{MASK}", text)
    return text


def redacted_tree(value: Any) -> Any:
    """The same for a JSON document: each text in it."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {key: redacted_tree(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_tree(inner) for inner in value]
    return value

"""Secrets out of what others log. G6's errors and logs are cleaned by g6core; those of Kite's client by nobody.

A header, an address or an answer is written by kiteconnect, urllib3, Twisted and autobahn as it is, once somebody turns
their debug logs on.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import g6core

FAMILIES = ("kiteconnect", "urllib3", "requests", "autobahn", "twisted", "txaio")

_MASK = "***"
_NAMES = "access_token|request_token|refresh_token|public_token|enctoken|api_secret|checksum"
_QUERY = re.compile(rf"\?[^\s\"'<>]*(?:{_NAMES})[^\s\"'<>]*", re.IGNORECASE)
_SOCKET = re.compile(r"(wss?://[^\s\"'<>?]*\?)[^\s\"'<>]*", re.IGNORECASE)
_traceback = logging.Formatter()


def redacted(text: str, *secrets: str) -> str:
    """The text without these secrets, those that g6core hides, and whatever looks like one.

    Of an address with a session in its query the whole query goes, as of any WebSocket address.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _MASK)
    text = _QUERY.sub(f"?{_MASK}", _SOCKET.sub(rf"\1{_MASK}", text))
    return g6core.redacted(text)


class Redacting(logging.Filter):
    """Lets every record through, cleaned: message, arguments, traceback and stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(_message(record)), ()
        if record.exc_info:
            # As text, since a formatter would make it anew from the exception.
            record.exc_text = record.exc_text or _traceback.formatException(record.exc_info)
            record.exc_info = None
        record.exc_text = redacted(record.exc_text) if record.exc_text else record.exc_text
        record.stack_info = redacted(record.stack_info) if record.stack_info else record.stack_info
        return True


_FILTER = Redacting()


def guard() -> None:
    """Clean the records of these libraries from now on; call it after they are imported, as often as you like.

    A filter of a logger sees what is logged there and nothing from the loggers below it, so each one gets it.
    """
    named: dict[str, Any] = dict(logging.root.manager.loggerDict)
    for name in (*FAMILIES, *(name for name in named if name.partition(".")[0] in FAMILIES)):
        logging.getLogger(name).addFilter(_FILTER)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args}"

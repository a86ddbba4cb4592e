"""One HTTP request, to its end: no redirect is followed, so that a secret goes nowhere else."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message as Headers
from http.client import HTTPException
from typing import Any

from g6core import Unavailable

LONGEST_ANSWER = 64 * 1024
LONGEST_PAUSE = 300.0
"""Seconds that a server may ask us to be silent."""
LATER = {408, 425, 429, *range(500, 600)}


@dataclass(frozen=True)
class Answer:
    """status: of HTTP. body: its first 64 KiB."""

    status: int
    headers: Headers
    body: bytes

    def words(self) -> str:
        """What the server says, in one short line."""
        return " ".join(self.body.decode("utf-8", "replace").split())[:200] or "without a word"

    def json(self) -> Any:
        """The answer as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def pause(self) -> float:
        """The seconds of silence that it asks for (`Retry-After`), 0 for none."""
        given = str(self.headers.get("Retry-After", "")).strip()
        return min(LONGEST_PAUSE, float(given)) if given.isascii() and given.isdigit() else 0.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def ask(url: str, document: Any, headers: Mapping[str, str], seconds: float, who: str) -> Answer:
    """Send a JSON document by POST; None: ask by GET.

    who: the server's name in errors; the address, which may be a secret, is in none. Raises Unavailable when there is
    no whole answer within about so many seconds.
    """
    body = None if document is None else json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    opener = urllib.request.build_opener(_NoRedirect)
    until = time.monotonic() + seconds
    try:
        try:
            answer = opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as e:
            answer = e
        with answer:
            return Answer(int(answer.status or 0), answer.headers, _read(answer, until))
    except (OSError, HTTPException, ValueError) as e:
        # Not chained: an exception of the library may have the address in its words.
        raise Unavailable(f"{who} does not answer: {_reason(e)}", hint="nothing is lost meanwhile") from None


def _read(answer: Any, until: float) -> bytes:
    found = b""
    while len(found) < LONGEST_ANSWER and (piece := answer.read1(8192)):
        found += piece
        if time.monotonic() > until:
            raise TimeoutError("no whole answer in time")
    return found


def _reason(e: BaseException) -> str:
    inner = getattr(e, "reason", None)
    cause = inner if isinstance(inner, OSError) else e
    if isinstance(cause, TimeoutError):
        return "no whole answer in time"
    text = getattr(cause, "strerror", None)
    return text if isinstance(text, str) else type(cause).__name__

"""One HTTP request, to its end: no redirect is followed, so that a secret goes nowhere else."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message as Headers
from http.client import HTTPConnection, HTTPException, HTTPSConnection
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


class _Deadline:
    """One end for all of an exchange: a socket's own timeout begins anew with every byte."""

    def __init__(self) -> None:
        self.passed = False
        self._connection: HTTPConnection | None = None
        self._wire: socket.socket | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def connect(self, connection: HTTPConnection) -> None:
        """Also the way through a proxy, which may be as slow."""
        self._connection = connection
        super(type(connection), connection).connect()  # type: ignore[misc]  # the one of http.client has it
        # Kept: urllib takes it away from the connection once the headers are there.
        self._wire = connection.sock
        self.check()

    def check(self) -> None:
        if self.passed:
            raise TimeoutError

    def _cut(self) -> None:
        self.passed = True
        wire = self._wire or (self._connection.sock if self._connection else None)
        if wire is not None:
            with suppress(OSError):
                socket.socket.shutdown(wire, socket.SHUT_RDWR)


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()

        class Plain(HTTPConnection):
            def connect(self) -> None:
                deadline.connect(self)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                deadline.connect(self)

        self._plain, self._secure = Plain, Secure

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._plain, request)

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._secure, request)


def ask(url: str, document: Any, headers: Mapping[str, str], seconds: float, who: str) -> Answer:
    """Send a JSON document by POST; None: ask by GET.

    who: the server's name in errors; the address, which may be a secret, is in none. Raises Unavailable when there is
    no whole answer within about so many seconds.
    """
    sent = None if document is None else json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
    request = urllib.request.Request(url, sent, {"Content-Type": "application/json", **headers})
    deadline = _Deadline()
    opener = urllib.request.build_opener(_NoRedirect, _Handler(deadline))
    try:
        with deadline.within(seconds):
            try:
                answer = opener.open(request, timeout=seconds)
            except urllib.error.HTTPError as e:
                answer = e
            with answer:
                body = _read(answer)
            deadline.check()  # headers that were cut off look like whole ones
            return Answer(int(answer.status or 0), answer.headers, body)
    except (OSError, HTTPException, ValueError) as e:
        reason = "no whole answer in time" if deadline.passed else _reason(e)
        # Not chained: an exception of the library may have the address in its words.
        raise Unavailable(f"{who} does not answer: {reason}", hint="nothing is lost meanwhile") from None


def _read(answer: Any) -> bytes:
    found = b""
    while len(found) < LONGEST_ANSWER and (piece := answer.read1(8192)):
        found += piece
    return found


def _reason(e: BaseException) -> str:
    inner = getattr(e, "reason", None)
    cause = inner if isinstance(inner, OSError) else e
    if isinstance(cause, TimeoutError):
        return "no whole answer in time"
    text = getattr(cause, "strerror", None)
    return text if isinstance(text, str) else type(cause).__name__

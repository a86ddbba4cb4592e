"""The browser that comes back from a login, met on this machine: one listener, one answer, nobody else let in."""

from __future__ import annotations

import os
import queue
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from g6core.errors import AuthExpired, Unavailable

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost")
_REQUEST_PATIENCE = 10.0
"""Seconds for a connection to say what it wants; browsers open some in advance and never use them."""
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>g6</title>
<body style="font-family: sans-serif; margin: 4em auto; max-width: 36em"><p>{text}</p></body></html>
"""
_TAKEN = "g6 has the answer. The terminal says how the login went; this page may be closed."
_NOT_OURS = "This is not the answer that g6 waits for. Use the address that the terminal shows."


def is_local(redirect: str | None) -> bool:
    """Whether a redirect address leads to a plain HTTP port of this machine, so that it can be listened on."""
    return redirect is not None and _local_port(urlsplit(redirect)) is not None


def state_of(answer: str) -> str | None:
    """The state that an address (or its query alone) carries; None when it carries none, or several."""
    found = parse_qs(urlsplit(answer).query or answer).get("state", [])
    return found[0] if len(found) == 1 else None


class Redirect:
    """Listens at the redirect address from now on, on the loopback interface alone. A context manager.

    redirect: an address for which `is_local` holds. state: what the right request carries as `state`; every other
    request is turned away and changes nothing. Raises Unavailable when the port cannot be had.
    """

    def __init__(self, redirect: str, state: str) -> None:
        target = urlsplit(redirect)
        port = _local_port(target)
        assert port is not None, "ask is_local before"
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        handler = _handler(redirect, state, self._answers)
        try:
            self._server = _Server((HOST, port), handler)
        except OSError as e:
            raise Unavailable(
                f"port {port} of this machine cannot be listened on: {e.strerror or e}",
                code="login-port",
                where=redirect,
                hint="stop what uses it, or log in with --no-browser and paste the address that the browser ends at",
            ) from e
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="g6-redirect", daemon=True)
        self._thread.start()

    def __enter__(self) -> Redirect:
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float) -> str:
        """The whole address of the one right request. Raises AuthExpired when none came in that time."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            raise AuthExpired(
                f"nobody came back from the login within {seconds / 60:.0f} minutes",
                code="login-timeout",
                hint="run it again; --no-browser if the browser is on another machine",
            ) from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    # Elsewhere than on POSIX systems it would let two programs listen on one port.
    allow_reuse_address = os.name == "posix"


def _local_port(target: SplitResult) -> int | None:
    try:
        port = target.port or 80
    except ValueError:
        return None
    return port if target.scheme == "http" and target.hostname in _NAMES else None


def _handler(redirect: str, state: str, answers: queue.SimpleQueue[str]) -> type[BaseHTTPRequestHandler]:
    target = urlsplit(redirect)
    first = Lock()

    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_PATIENCE
        server_version, sys_version = "g6", ""

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if (asked.path or "/") != (target.path or "/"):
                self._say(404, _NOT_OURS)
            elif not compare_digest((state_of(self.path) or "").encode(), state.encode()):
                self._say(400, _NOT_OURS)
            elif not first.acquire(blocking=False):
                self._say(410, "g6 has had its answer.")
            else:
                # The page first: with the answer the command may end, and this thread with it.
                self._say(200, _TAKEN)
                answers.put(f"{target.scheme}://{target.netloc}{self.path}")

        def _say(self, status: int, text: str) -> None:
            body = _PAGE.format(text=text).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Request lines hold the token."""

    return Handler

"""The login half of Kite's API on a free port, and what it remembers: for tests that log in."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from g6core import IST


class KiteServer(ThreadingHTTPServer):
    """Set `broken`, `plan`, `skew` and so on to have it otherwise."""

    daemon_threads = True

    def __init__(self, redirect: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.redirect = redirect
        self.key, self.secret, self.user = "pk7demo1key42xyz", secrets.token_hex(16), "AB1234"
        self.requests: dict[str, bool] = {}
        """Request tokens, and whether each was used."""
        self.sessions: set[str] = set()
        self.issued: list[str] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.seen_in_argv: list[str] = []
        self.broken = False
        self.plan = True
        self.status = "success"
        self.skew = timedelta(0)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def request_token(self) -> str:
        token = secrets.token_hex(16)
        self.requests[token] = False
        return token

    def session(self) -> str:
        token = secrets.token_hex(16)
        self.sessions.add(token)
        self.issued.append(token)
        return token

    @property
    def confidential(self) -> list[str]:
        """Everything that no screen, file or list of processes may show."""
        return [self.secret, *self.requests, *self.issued, *(self.checksum(token) for token in self.requests)]

    def checksum(self, request_token: str) -> str:
        return hashlib.sha256(f"{self.key}{request_token}{self.secret}".encode()).hexdigest()

    def look_at_processes(self) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().decode(errors="replace")
            except OSError:
                continue
            self.seen_in_argv += [word for word in self.confidential if word in line]


class _Handler(BaseHTTPRequestHandler):
    server: KiteServer

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(datetime.now(UTC) + self.server.skew, usegmt=True)

    def do_GET(self) -> None:
        self._route("GET")

    def do_POST(self) -> None:
        self._route("POST")

    def do_DELETE(self) -> None:
        self._route("DELETE")

    def _route(self, method: str) -> None:
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        fields = dict(parse_qsl(body or target.query))
        self.server.asked.append((method, target.path, fields))
        if self.server.broken:
            self._send(502, "text/html", f"<html>Bad gateway {self.path} {body} {self.headers}</html>")
        elif (method, target.path) == ("GET", "/connect/login"):
            self._log_in(fields)
        elif (method, target.path) == ("POST", "/session/token"):
            self._exchange(fields)
        elif fields.get("access_token", self._bearer()) not in self.server.sessions:
            self._error(403, "TokenException", f"Incorrect `api_key` or `access_token`. token {self._authorization()}")
        elif (method, target.path) == ("DELETE", "/session/token"):
            self.server.sessions.discard(fields["access_token"])
            self._data(True)
        elif target.path == "/user/profile":
            self._data({"user_id": self.server.user, "email": "x@example.com"})
        elif target.path == "/quote" and not self.server.plan:
            self._error(403, "PermissionException", "Insufficient permission for that call.")
        elif target.path == "/quote":
            self._data({fields["i"]: {"instrument_token": 256265, "last_price": 25000.0}})
        else:
            self._error(404, "GeneralException", "Route not found")

    def _log_in(self, fields: dict[str, str]) -> None:
        given = {"request_token": self.server.request_token(), "action": "login", "status": self.server.status}
        carried = dict(parse_qsl(fields.get("redirect_params", "")))
        self.send_response(302)
        self.send_header("Location", f"{self.server.redirect}?{urlencode(given | carried)}")
        self.end_headers()

    def _exchange(self, fields: dict[str, str]) -> None:
        self.server.look_at_processes()
        token = fields.get("request_token", "")
        if self.server.requests.get(token, True):
            self._error(403, "TokenException", f"Token is invalid or has expired. request_token={token}")
        elif fields.get("checksum") != self.server.checksum(token):
            self._error(403, "TokenException", f"Invalid `checksum`. {fields['checksum']} {fields}")
        else:
            self.server.requests[token] = True
            since = (datetime.now(UTC) + self.server.skew).astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")
            self._data({"user_id": self.server.user, "access_token": self.server.session(), "login_time": since})

    def _authorization(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("token ")

    def _bearer(self) -> str:
        return self._authorization().partition(":")[2]

    def _data(self, data: Any) -> None:
        self._send(200, "application/json", json.dumps({"status": "success", "data": data}))

    def _error(self, status: int, kind: str, message: str) -> None:
        error = {"status": "error", "message": message, "error_type": kind, "data": None}
        self._send(status, "application/json", json.dumps(error))

    def _send(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(redirect: str) -> Iterator[KiteServer]:
    server = KiteServer(redirect)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

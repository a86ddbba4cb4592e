"""Real servers on the loopback that take what channels send: an HTTP one and an SMTP one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.smtp import SMTP


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Hook:
    """An HTTP server. answers: what the next requests get, (status, headers, document); 200 when there is none left."""

    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None
    down: bool = False
    """It hangs up on everybody, and keeps nothing."""

    def __post_init__(self) -> None:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if hook.down:
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                hook.requests.append(Request(self.path, headers, json.loads(raw) if raw else None))
                hook.before_answer()
                with contextlib.suppress(OSError):  # whoever asked may be dead by now
                    self.answer()

            def answer(self) -> None:
                status, more, document = hook.answers.pop(0) if hook.answers else (200, {}, {"ok": True})
                body = json.dumps(document).encode()
                self.send_response(status)
                for name, value in {**more, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def bodies(self) -> list[Any]:
        return [request.body for request in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Post:
    """An SMTP server. answer: what it says to the next mails after taking them in."""

    mails: list[EmailMessage] = field(default_factory=list)
    answer: str = "250 OK"

    def __post_init__(self) -> None:
        post = self

        class Handler:
            async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
                if post.answer.startswith("250"):
                    post.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
                return post.answer

        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: SMTP(Handler(), loop=self._loop), "127.0.0.1", 0)
        )
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

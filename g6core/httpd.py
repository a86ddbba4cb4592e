"""The port served by the recorder itself, where no sink does it: standard library, a few threads, read only."""

from __future__ import annotations

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, socket
from typing import Any

from g6core import __version__
from g6core.errors import Unavailable
from g6core.faults import FAULTS, told
from g6core.http import Http, Page, problem
from g6core.measuring import HTTP_REFUSALS

log = logging.getLogger("g6.http")
PATIENCE = 5.0
"""Seconds for a client to say what it wants, and to take the answer."""
MOST = 16
"""Requests at a time; a further one is refused, so that nobody can fill the process with threads."""


class Httpd:
    """Serves the pages from now on, in threads that never keep the process alive. Raises Unavailable (`port`)."""

    def __init__(self, http: Http) -> None:
        try:
            self._server = _Server(http)
        except OSError as e:
            raise port_taken(http, e) from e
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="g6-http", daemon=True).start()

    def close(self) -> None:
        """No request is answered from now on; clients that are connected are left to themselves."""
        self._server.shutdown()
        self._server.server_close()


def port_taken(http: Http, e: OSError) -> Unavailable:
    """The error for a port that cannot be had."""
    return Unavailable(
        f"port {http.port} of {http.host} cannot be listened on: {e.strerror or e}",
        code="port",
        where="[http]",
        note="recording does not depend on it",
        hint="stop what uses it, or set another `port`, or `enabled = false`",
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, http: Http) -> None:
        self.http = http
        self._room = threading.BoundedSemaphore(MOST)
        if ":" in http.host:
            self.address_family = AF_INET6
        super().__init__((http.host.strip("[]"), http.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            HTTP_REFUSALS["busy"].inc()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        log.debug("a request from %s broke off", client_address[0], exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE
    server: _Server
    server_version = f"g6/{__version__}"
    sys_version = ""

    def do_GET(self) -> None:
        http = self.server.http
        refused = http.refusal(self.path, {name.lower(): value for name, value in self.headers.items()})
        self._answer(refused or _page(http, self.path.partition("?")[0]))

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses by itself: other methods, malformed requests."""
        HTTP_REFUSALS["malformed"].inc()
        self._answer(problem(code, "bad-request", message or "this is no request that can be answered"))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: an address may carry the token."""

    def _answer(self, page: Page) -> None:
        self.send_response_only(page.status)
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", page.type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)


def _page(http: Http, path: str) -> Page:
    try:
        return http.page(path) or _no_page(http)
    except FAULTS as e:
        log.warning("%s cannot be made: %s", path, told(e))
        return problem(500, "crash", f"{path} cannot be made: {told(e)}")


def _no_page(http: Http) -> Page:
    HTTP_REFUSALS["no-such-page"].inc()
    listed = ", ".join(http.paths)
    return problem(404, "no-such-page", f"there are {listed}", "the JSON API comes with the plugin `web`")

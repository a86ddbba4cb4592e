"""The sink: keeps the newest snapshots in memory and serves them, beside the recorder's own pages."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from g6_web.api import Api
from g6_web.board import Board
from g6_web.server import Server
from g6_web.settings import Settings
from g6core import Context, DataError, Finding, Records, Sink, Snapshot, Unavailable

log = logging.getLogger("g6.web")
PATIENCE = 1.8
"""Seconds that the server may take to end."""


class WebSink(Sink):
    """Serves from `open` to `close`; nothing where there is no HTTP port."""

    serves_http = True
    keeps = False
    shared = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._api: Api | None = None
        self._server: Server | None = None

    @property
    def port(self) -> int | None:
        """The port that is listened on, None while there is none."""
        return self._server.port if self._server else None

    def open(self, context: Context) -> None:
        if context.http is None:
            log.info("no HTTP port is open here, so the API is not served")
            return
        records = Records(context.data_dir)
        board = Board(context.wall_clock or context.clock)
        try:
            board.put(records.newest())
        except DataError as e:
            log.warning("%s; the API begins with what is recorded from now on", e.message)
        api = Api(context.http, context, board, records, self._settings)
        patience, stuck = self._settings.patience, self._settings.stuck
        server = Server(context.http, api, patience.total_seconds(), stuck.total_seconds())
        server.start(api.begin)
        self._api, self._server = api, server
        log.info("metrics, health and API at http://%s:%d/api/v1/", context.http.host, server.port)

    def close(self) -> None:
        if self._server is None or self._api is None:
            return
        if not self._server.stop(self._api.end, PATIENCE):
            log.warning("the HTTP server does not end; it is left behind")
        self._api.close()
        self._server = self._api = None

    def diagnose(self, context: Context) -> Iterable[Finding]:
        if context.http is not None:
            yield Finding("ok", f"the API will be served at http://{context.http.host}:{context.http.port}/api/v1/")

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        if self._server is None or self._api is None:
            return
        if not self._server.alive:
            raise Unavailable("the HTTP server has ended", hint="start the recorder again; recording itself goes on")
        self._api.tell(snapshots)

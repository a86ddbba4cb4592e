"""The sink: snapshots out as bodies, and once more what the server may have lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from g6_influx import facts
from g6_influx.bodies import Encoder, cut
from g6_influx.settings import Settings
from g6core import Alert, Context, Finding, Sink, Snapshot, Unavailable

if TYPE_CHECKING:
    from g6_influx.server import Server

LARGEST = 8_000_000
"""Bytes a request; InfluxDB takes 50 MB, VictoriaMetrics any number."""
SMALLEST = 64_000
"""How far a server that finds requests too large brings that down for those to come."""


class InfluxSink(Sink):
    """Points are with the server when `write` returns, and surely on its disk `ack_delay` later, unless it was
    restarted: `confirm` notices that."""

    shared = True

    def __init__(self, settings: Settings) -> None:
        self.ack_delay = settings.ack_delay
        self._settings = settings
        self._encoder = Encoder(settings.form == "wide")
        self._server: Server | None = None
        self._starts: set[tuple[str, ...]] = set()
        self._largest = LARGEST
        self._failed = False

    def open(self, context: Context) -> None:
        # The first request is that of the first write, in the sink's own thread: a server that hangs delays no start.
        self._server = _connect(self._settings)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def place(self, data_dir: Path) -> str:
        return f"{self._settings.url} {self._settings.org or ''} {self._settings.bucket}"

    def diagnose(self, context: Context) -> Iterable[Finding]:
        server = _connect(self._settings)
        try:
            yield from _findings(server, self._settings)
        finally:
            server.close()

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        if self._failed:
            # Whether it answers at all: for one that hangs the same snapshots would be encoded at each try.
            self._connected().started()
        self._failed = True
        for body in self._encoder.bodies(snapshots):
            self._send(body)
        self._failed = False

    def write_alerts(self, alerts: Sequence[Alert]) -> None:
        self._send(facts.alerts(alerts).encode())

    def confirm(self) -> None:
        """Unavailable when the server was started at another time than any that was seen before.

        Several are seen where requests are shared out to several servers. One that does not tell counts as one more.
        """
        if not self._starts:
            return
        now = self._connected().started()
        if now is None and any(self._starts):
            raise Unavailable(f"{self._settings.url} does not say at the moment whether it was restarted")
        if now is not None and now not in self._starts:
            self._starts.add(now)
            raise Unavailable(
                f"{self._settings.url} was restarted and may have lost what it had just taken; that is written again"
            )

    def _connected(self) -> Server:
        if self._server is None:
            raise Unavailable("the sink is not open")
        return self._server

    def _send(self, body: bytes) -> None:
        server = self._connected()
        if body and not self._starts:
            self._starts.add(server.started() or ())
        for part in cut(body, self._largest):
            self._post(server, part)

    def _post(self, server: Server, body: bytes) -> None:
        """The body in one request, or in ever smaller ones when that is too much for the server."""
        from g6_influx.answers import TooLarge
        from g6_influx.measures import SPLITS

        try:
            server.post(body)
        except TooLarge:
            halves = list(cut(body, len(body) // 2))
            if len(halves) == 1:
                self._largest = LARGEST
                raise
            SPLITS.inc()
            self._largest = max(SMALLEST, min(self._largest, len(body) // 2))
            for half in halves:
                self._post(server, half)


def _connect(settings: Settings) -> Server:
    # The client is imported here: it takes longer than all of this package.
    from g6_influx.server import Server

    return Server(settings)


def _findings(server: Server, settings: Settings) -> Iterable[Finding]:
    try:
        server.ping()
        there = server.has_bucket()
    except Unavailable as e:
        yield Finding("error", e.message, e.hint or "look at the server's own log")
        return
    if there is False:
        hint = "create it, or mend `bucket`; a token that may only write sees no bucket, then this means nothing"
        yield Finding("warning", f"{settings.url} shows no bucket {settings.bucket} to this token", hint)
    else:
        yield Finding("ok", f"{settings.url} answers")

"""Kite's WebSocket stream over up to three sockets: who is subscribed where, and what to do when one falls silent.

All of it but the public methods of `Stream` runs in the thread of Twisted's loop. The official client never notices a
server that sends nothing any more, though the real one sends at least a byte each second: a watchdog does.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from g6_kite import measures, reactor
from g6_kite.connection import Connection

log = logging.getLogger("g6.kite")

SOCKETS, PER_SOCKET = 3, 3000
"""What Kite allows an app."""

LOOK = 0.5
"""Seconds between two looks of the watchdog."""

RAREST = 600.0
"""Seconds at most between attempts to get quotes by connecting anew, while none come."""


@dataclass
class Health:
    """How the stream does. refused: the server does not take the session; ups, losses: how often a socket came up, was
    lost; why: what happened to a socket last, in the client's words."""

    connected: int = 0
    refused: bool = False
    ups: int = 0
    losses: int = 0
    why: str = ""


class Stream:
    """Frames of the wanted tokens, as long as they are wanted.

    receive(frame, received, socket): called with each binary message of quotes; received in microseconds since 1970,
    UTC, from `now`. lost(socket): the connection is gone, so what it said is no longer known to hold. Both are called
    in the loop's thread and must neither raise nor wait. silence: seconds without a byte after which a socket is
    connected anew; quiet: the same without any quotes on any socket, while they are expected.
    """

    def __init__(
        self,
        root: str,
        receive: Callable[[bytes, int, int], None],
        lost: Callable[[int], None],
        *,
        silence: float,
        quiet: float,
        now: Callable[[], int],
    ) -> None:
        self.health = Health()
        self._root, self._receive, self._lost, self._now = root, receive, lost, now
        self._silence, self._quiet, self._patience = silence, quiet, quiet
        self._sockets: list[Connection] = []
        self._wanted: list[int] = []
        self._session: tuple[str, str] | None = None
        self._told: tuple[str, str] | None = None
        self._watchdog: Any = None
        self._fed, self._expected = 0, -math.inf

    def connect(self, api_key: str, access_token: str) -> None:
        """Connect with this session, in place of any before."""
        reactor.start()
        reactor.call(self._connect, (api_key, access_token))

    def want(self, tokens: Iterable[int]) -> list[int]:
        """These, and no others, from now on. Returns those beyond what Kite allows, which get no quotes."""
        wanted = list(dict.fromkeys(tokens))
        self._wanted, beyond = wanted[: SOCKETS * PER_SOCKET], wanted[SOCKETS * PER_SOCKET :]
        measures.TOKENS.set(len(self._wanted))
        if self._session:
            reactor.call(self._spread)
        return beyond

    def check(self) -> None:
        """Quotes are wanted now: whatever has fallen silent is given up before anybody reads what it said.

        Without this nobody wonders that no quotes come, as after the close.
        """
        self._expected = time.monotonic()
        if self._session:
            reactor.call(self._look)

    def remind(self, tokens: Iterable[int]) -> None:
        """Ask again for tokens that should have been answered."""
        wanted = set(tokens)
        if self._session:
            reactor.call(self._remind, wanted)

    def ask_again(self, number: int) -> None:
        """A frame of this socket could not be used, so all of its tokens are asked for anew; in the loop's thread."""
        for socket in self._sockets:
            if socket.number == number:
                socket.ask_again(self._silence)

    def stranded(self) -> list[int]:
        """The wanted tokens whose socket is down; most often none."""
        if self._session is None or self.health.connected == len(self._sockets):
            return []
        return reactor.call(lambda: [token for socket in self._sockets if not socket.up for token in socket.tokens])

    def close(self) -> None:
        if self._session:
            reactor.call(self._end)

    def _remind(self, wanted: set[int]) -> None:
        for socket in self._sockets:
            socket.ask(sorted(socket.tokens & wanted))

    def _connect(self, session: tuple[str, str]) -> None:
        self._end()
        self._session, self.health.refused, self._fed = session, False, self._now()
        self._watch()
        self._spread()

    def _end(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        sockets, self._sockets, self._session, self._watchdog = self._sockets, [], None, None
        for socket in sockets:
            socket.dismiss()
            self._down(socket)

    def _spread(self) -> None:
        """Tokens stay where they are; new ones go where there is room, and a socket is opened when there is none."""
        wanted = set(self._wanted)
        for socket in self._sockets:
            socket.tokens &= wanted
        placed = set().union(*(socket.tokens for socket in self._sockets))
        new = [token for token in self._wanted if token not in placed]
        while new:
            roomy = [socket for socket in self._sockets if len(socket.tokens) < PER_SOCKET]
            socket = min(roomy, key=lambda s: len(s.tokens)) if roomy else self._open()
            room = PER_SOCKET - len(socket.tokens)
            socket.tokens.update(new[:room])
            new = new[room:]
        for socket in self._sockets:
            socket.reconcile()

    def _open(self) -> Connection:
        assert self._session is not None
        socket = Connection(len(self._sockets), *self._session, self._root)
        self._sockets.append(socket)
        socket.connect(self._up, self._message, self._closed)
        return socket

    def _up(self, socket: Connection) -> None:
        socket.up, socket.heard = True, self._now()
        self.health.connected += 1
        self.health.ups += 1
        measures.UPS.inc()
        measures.SOCKETS.inc()
        log.log(logging.WARNING if self.health.losses else logging.INFO, "kite: stream %d is up", socket.number)
        socket.reconcile()

    def _message(self, socket: Connection, payload: bytes, binary: bool) -> None:
        socket.heard = self._now()
        if binary and len(payload) > 1:
            self._fed, self._patience = socket.heard, self._quiet
            self._receive(payload, socket.heard, socket.number)

    def _closed(self, socket: Connection, code: int, reason: str) -> None:
        self.health.why = f"{reason} ({code})" if reason else f"code {code}"
        if "403" in reason:
            self.health.refused = True
            if self._session != self._told:
                log.warning("kite: the server does not accept the session for the stream (403)")
            self._told = self._session
            socket.ticker.stop_retry()
        elif socket.up:
            self.health.losses += 1
            measures.LOSSES.inc()
            log.warning("kite: stream %d was lost: %s; connecting anew", socket.number, self.health.why)
        self._down(socket)

    def _down(self, socket: Connection) -> None:
        if socket.up:
            socket.up = False
            self.health.connected -= 1
            measures.SOCKETS.dec()
            self._lost(socket.number)

    def _watch(self) -> None:
        self._watchdog = reactor.loop().callLater(LOOK, self._watch)
        self._look()

    def _look(self) -> None:
        """By the machine's time, which goes on while the machine sleeps."""
        now = self._now()
        for socket in self._sockets:
            silent = (now - socket.heard) / 1e6
            if socket.up and silent > self._silence:
                self._give_up(socket, f"nothing came for {silent:.1f} s")
        unfed = (now - self._fed) / 1e6
        if time.monotonic() - self._expected < self._quiet and unfed > self._patience and self._wanted:
            # A market that stands still would look like that as well, so it is tried ever more rarely.
            self._fed, self._patience = now, min(2 * self._patience, RAREST)
            for socket in self._sockets:
                self._give_up(socket, f"no quotes for {unfed:.0f} s")

    def _give_up(self, socket: Connection, why: str) -> None:
        if socket.up:
            self.health.losses += 1
            self.health.why = why
            measures.LOSSES.inc()
            log.warning("kite: stream %d: %s; connecting anew", socket.number, why)
            self._down(socket)
            socket.ticker.abort()

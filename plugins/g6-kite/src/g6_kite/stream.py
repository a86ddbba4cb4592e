"""Kite's WebSocket stream over up to three sockets: who is subscribed where, and what to do when one falls silent.

All of it but the public methods of `Stream` runs in the thread of Twisted's loop. The official client never notices a
server that sends nothing any more, though the real one sends at least a byte each second: a watchdog does.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from g6_kite import reactor
from g6_kite.ticker import Ticker

log = logging.getLogger("g6.kite")

SOCKETS, PER_SOCKET = 3, 3000
"""What Kite allows an app."""

CHUNK = 1000
"""Tokens in one message to the server."""

LOOK = 0.5
"""Seconds between two looks of the watchdog."""


@dataclass
class Health:
    """How the stream does. refused: the server does not take the session; why: what happened last to a socket."""

    connected: int = 0
    refused: bool = False
    losses: int = 0
    silences: int = 0
    why: str = ""


@dataclass
class _Socket:
    """One connection. tokens: what should be subscribed; heard, fed: when the last byte, the last quotes came.
    asked: when all were asked for again."""

    number: int
    ticker: Ticker
    tokens: set[int] = field(default_factory=set)
    up: bool = False
    heard: float = 0.0
    fed: float = 0.0
    asked: float = -math.inf

    def reconcile(self) -> None:
        """Subscribe and unsubscribe until the server has what is wanted; when it is down, on the next connection."""
        known: dict[int, str] = self.ticker.subscribed_tokens
        gone = [token for token in known if token not in self.tokens]
        if not self.up or not self.ticker.is_connected():
            for token in gone:
                del known[token]
            return
        if gone:
            self.ticker.unsubscribe(gone)
        self.ask([token for token in self.tokens if token not in known])

    def ask(self, tokens: Sequence[int]) -> None:
        """Subscribe in full mode; the server answers with the present state of each."""
        for start in range(0, len(tokens), CHUNK):
            chunk = list(tokens[start : start + CHUNK])
            self.ticker.subscribe(chunk)
            self.ticker.set_mode(Ticker.MODE_FULL, chunk)


class Stream:
    """Frames of the wanted tokens, as long as they are wanted.

    receive(frame, received, socket): called with each binary message of quotes; received in microseconds since 1970,
    UTC, from `now`. lost(socket): the connection is gone, so what it said is no longer known to hold. Both are called
    in the loop's thread and must neither raise nor wait. silence: seconds without a byte, quiet: seconds without quotes
    while they are expected, after which a socket is connected anew.
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
        self._silence, self._quiet = silence, quiet
        self._sockets: list[_Socket] = []
        self._wanted: list[int] = []
        self._session: tuple[str, str] | None = None
        self._watchdog: Any = None
        self._expected = -math.inf

    def connect(self, api_key: str, access_token: str) -> None:
        """Connect with this session, in place of any before."""
        reactor.start()
        reactor.call(self._connect, (api_key, access_token))

    def want(self, tokens: Iterable[int]) -> list[int]:
        """These, and no others, from now on. Returns those beyond what Kite allows, which get no quotes."""
        wanted = list(dict.fromkeys(tokens))
        self._wanted, beyond = wanted[: SOCKETS * PER_SOCKET], wanted[SOCKETS * PER_SOCKET :]
        if self._session:
            reactor.call(self._spread)
        return beyond

    def ask_again(self, number: int) -> None:
        """A frame of this socket could not be used; in the loop's thread. Now and then: one is seldom alone."""
        socket = next((s for s in self._sockets if s.number == number), None)
        if socket and socket.up and time.monotonic() - socket.asked > self._silence:
            socket.asked = time.monotonic()
            self._later(0, lambda: socket.ask(sorted(socket.tokens)) if socket.ticker.is_connected() else None)

    def expect(self) -> None:
        """Quotes are wanted now; without this nobody wonders that none come, as after the close."""
        self._expected = time.monotonic()

    def remind(self, tokens: Iterable[int]) -> None:
        """Ask again for tokens that should have been answered."""
        if self._session:
            reactor.call(self._remind, set(tokens))

    def stranded(self) -> list[int]:
        """The wanted tokens whose socket is down; most often none."""
        if self._session is None or self.health.connected == len(self._sockets):
            return []
        return reactor.call(lambda: [token for socket in self._sockets if not socket.up for token in socket.tokens])

    def close(self) -> None:
        if self._session:
            reactor.call(self._end)

    def _connect(self, session: tuple[str, str]) -> None:
        self._end()
        self._session, self.health.refused = session, False
        self._spread()
        self._watchdog = self._later(LOOK, self._watch)

    def _end(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        sockets, self._sockets, self._session, self._watchdog = self._sockets, [], None, None
        for socket in sockets:
            self._dismiss(socket)

    def _dismiss(self, socket: _Socket) -> None:
        # From here on its callbacks find it among the strangers.
        socket.ticker.on_open = socket.ticker.on_message = socket.ticker.on_close = None
        socket.ticker.end()
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

    def _open(self) -> _Socket:
        assert self._session is not None
        socket = _Socket(len(self._sockets), Ticker(*self._session, self._root))
        ticker = socket.ticker
        ticker.on_open = lambda _: self._up(socket)
        ticker.on_message = lambda _, payload, binary: self._message(socket, payload, binary)
        ticker.on_close = lambda _, code, reason: self._closed(socket, code, reason)
        ticker.on_error = lambda _, code, reason: self._error(socket, code, reason)
        self._sockets.append(socket)
        ticker.connect()
        return socket

    def _up(self, socket: _Socket) -> None:
        socket.up, socket.heard, socket.fed = True, time.monotonic(), time.monotonic()
        self.health.connected += 1
        log.log(logging.WARNING if self.health.losses else logging.INFO, "kite: stream %d is up", socket.number)
        socket.reconcile()

    def _message(self, socket: _Socket, payload: bytes, binary: bool) -> None:
        socket.heard = time.monotonic()
        if binary and len(payload) > 1:
            socket.fed = socket.heard
            self._receive(payload, self._now(), socket.number)

    def _closed(self, socket: _Socket, code: int, reason: str | None) -> None:
        self.health.why = f"{code} {reason or ''}".strip()
        if reason and "403" in reason:
            self.health.refused = True
            log.warning("kite: the server does not accept the session for the stream (403)")
            socket.ticker.stop_retry()
        elif socket.up:
            self.health.losses += 1
            log.warning("kite: stream %d was lost (%s); connecting anew", socket.number, code)
        self._down(socket)

    def _down(self, socket: _Socket) -> None:
        if socket.up:
            socket.up = False
            self.health.connected -= 1
            self._lost(socket.number)

    def _error(self, socket: _Socket, code: int, reason: object) -> None:
        if code == 0:
            # A message of the server in words; the connection stands.
            log.warning("kite: stream %d says: %s", socket.number, reason)

    def _remind(self, tokens: set[int]) -> None:
        for socket in self._sockets:
            if socket.up and socket.ticker.is_connected():
                socket.ask(sorted(socket.tokens & tokens))

    def _watch(self) -> None:
        self._watchdog = self._later(LOOK, self._watch)
        now = time.monotonic()
        expected = now - self._expected < self._quiet
        for socket in self._sockets:
            silent, unfed = now - socket.heard, now - socket.fed
            if socket.up and (silent > self._silence or (expected and socket.tokens and unfed > self._quiet)):
                self.health.silences += 1
                what = f"sent nothing for {silent:.1f} s" if silent > self._silence else f"no quotes for {unfed:.0f} s"
                log.warning("kite: stream %d: %s; connecting anew", socket.number, what)
                socket.ticker.abort()

    def _later(self, seconds: float, do: Callable[[], None]) -> Any:
        return reactor.loop().callLater(seconds, do)

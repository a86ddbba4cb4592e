"""The stream as the provider sees it: which of its contracts are live, and what they are worth now."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from g6_kite import measures
from g6_kite.board import Board, Taken
from g6_kite.decode import FULL
from g6_kite.quotes import micros
from g6_kite.session import Sessions, Token
from g6_kite.settings import KiteSettings
from g6_kite.stream import PER_SOCKET, SOCKETS, Stream
from g6_kite.tape import TapeWriter
from g6core import Clock, Spot

log = logging.getLogger("g6.kite")

QUIET = 15.0
"""Seconds without any quote while contracts are asked for: a liquid index moves each second."""

SETTLED, PATIENCE, LOOK = 0.25, 2.0, 0.01
"""After a subscription: so long nothing new came, or so long in all, then the rest is asked for by request."""

AGAIN = 30.0
"""Seconds between attempts with a session that the stream did not take, and between reminders of silent tokens."""

LEVELS = ("last_price", "open", "high", "low", "close", "exchange_ts")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Tokens = npt.NDArray[np.int64]


class Live:
    """Used by the provider's thread; frames come in the stream's."""

    def __init__(self, settings: KiteSettings, sessions: Sessions, clock: Clock, data_dir: Path) -> None:
        self._sessions = sessions
        self.board = Board()
        self.tape = TapeWriter(data_dir) if settings.tape else None
        self._stream = Stream(
            stream_address(settings),
            self._receive,
            self.board.dead,
            silence=settings.silence.total_seconds(),
            quiet=QUIET,
            now=lambda: micros(clock.now()),
        )
        self._token: Token | None = None
        self._tried = self._reminded = -AGAIN
        self._levels: dict[int, None] = {}
        self._contracts: dict[int, None] = {}
        self._followed: Tokens | None = None
        self._beyond = np.zeros(0, np.int64)
        self._ups = 0
        self.malformed = self._told_malformed = self._told_dropped = 0

    def begin(self, levels: Sequence[int]) -> None:
        """A cycle begins: whatever fell silent is given up. levels: tokens of indices and futures, always wanted."""
        self._tell()
        self._connect()
        self._stream.check()
        if self._levels.keys() != set(levels):
            self._levels = dict.fromkeys(levels)
            self._want([*levels])
        elif self._stream.health.ups != self._ups:
            # After a reconnection the server sends the present state of all, which takes a moment.
            self._settle([*self._levels, *self._contracts])
        self._ups = self._stream.health.ups

    def follow(self, contracts: Tokens) -> None:
        """See to it that these contracts are subscribed; waits a moment for new ones."""
        if contracts is self._followed:
            return
        self._followed = contracts
        tokens = contracts.tolist()
        new = [token for token in tokens if token not in self._contracts]
        if not new:
            return
        if len(self._levels) + len(self._contracts) + len(new) > SOCKETS * PER_SOCKET:
            # What was watched earlier in the day makes room only now: the money may move back to it.
            self.board.forget(list(self._contracts.keys() - set(tokens)))
            self._contracts = {}
        self._contracts |= dict.fromkeys(tokens)
        self._want(new)

    def _want(self, new: Sequence[int]) -> None:
        wanted = [*self._levels, *self._contracts]
        self.board.watch(wanted)
        beyond = self._stream.want(wanted)
        if len(beyond) > self._beyond.size:
            log.warning("kite: the stream takes %d contracts; %d come by request", SOCKETS * PER_SOCKET, len(beyond))
        self._beyond = np.array(beyond, np.int64)
        self._settle(list(set(new) - set(beyond)))

    def read(self, tokens: Tokens) -> tuple[npt.NDArray[np.bool_], Mapping[str, npt.NDArray[Any]]]:
        """Which are live, and the columns of all; of those that are not they mean nothing."""
        columns = self.board.read(tokens)
        # A new subscription is answered in quote mode first, without book and open interest.
        return columns["mode"] == FULL, columns

    def spots(self, tokens: Sequence[int]) -> dict[int, Spot]:
        """Those of these indices and futures that are live and have a price."""
        live, columns = self.read(np.array(tokens, np.int64))
        found = zip(tokens, live.tolist(), *(columns[name].tolist() for name in LEVELS), strict=True)
        return {token: _spot(*levels) for token, alive, *levels in found if alive and levels[0] > 0}

    def stranded(self, tokens: Tokens) -> npt.NDArray[np.bool_]:
        """Which of these have no socket, or one that is down; all, while none is up."""
        if not self.up:
            return np.ones(tokens.size, dtype=np.bool_)
        return np.isin(tokens, np.append(self._beyond, np.array(self._stream.stranded(), np.int64)))

    def remind(self, tokens: Tokens) -> None:
        """Ask the stream again for those it never answered, now and then."""
        if self._stream.health.connected and time.monotonic() - self._reminded > AGAIN:
            self._reminded = time.monotonic()
            self._stream.remind(tokens.tolist())

    @property
    def up(self) -> bool:
        return self._stream.health.connected > 0

    @property
    def why(self) -> str:
        """What happened to the stream last."""
        return self._stream.health.why

    def close(self) -> None:
        self._stream.close()
        if self.tape:
            self.tape.close()

    def _connect(self) -> None:
        token = self._sessions.current()
        if token is None:
            return
        again = self._stream.health.refused and time.monotonic() - self._tried > AGAIN
        if self._token is None or token.access_token != self._token.access_token or again:
            self._tried = time.monotonic()
            self._stream.connect(token.api_key, token.access_token)
            self._token = token

    def _tell(self) -> None:
        """Of what went wrong since the last time."""
        if self.malformed > self._told_malformed:
            count, self._told_malformed = self.malformed - self._told_malformed, self.malformed
            log.warning("kite: %d frames or packets of the stream made no sense and were left out", count)
        if self.tape and self.tape.dropped > self._told_dropped:
            count, self._told_dropped = self.tape.dropped - self._told_dropped, self.tape.dropped
            measures.TAPE_DROPPED.inc(count)
            log.warning("kite: the tape lacks %d frames: %s", count, self.tape.trouble or "the disk is too slow")

    def _settle(self, new: Sequence[int]) -> None:
        """Wait until these have answered, or no more of them do."""
        end, count, changed = time.monotonic() + (PATIENCE if self._token else 0.0), 0, time.monotonic()
        while count < len(new) and time.monotonic() < end and not self._stream.health.refused:
            time.sleep(LOOK)
            now = int(self.board.live(new, FULL).sum())
            if now != count:
                count, changed = now, time.monotonic()
            elif count and time.monotonic() - changed > SETTLED:
                return

    def _receive(self, frame: bytes, received: int, socket: int) -> None:
        if self.tape:
            self.tape.write(received, socket, frame)
        taken = self.board.take(frame, received, socket)
        _count(frame, taken)
        if taken.malformed:
            self.malformed += taken.malformed
            self._stream.ask_again(socket)


def _count(frame: bytes, taken: Taken) -> None:
    measures.FRAMES.inc()
    measures.BYTES.inc(len(frame))
    measures.TAKEN.inc(taken.packets)
    measures.UNKNOWN.inc(taken.unknown)
    measures.LATE.inc(taken.late)
    measures.MALFORMED.inc(taken.malformed)


def _spot(*levels: float) -> Spot:
    """levels: in the order of LEVELS."""
    last, opening, high, low, close, at = (number if number > 0 else None for number in levels)
    return Spot(last, opening, high, low, close, None if at is None else EPOCH + timedelta(microseconds=at))


def stream_address(settings: KiteSettings) -> str:
    """Of the real stream, or of the server that stands in for Kite."""
    if settings.address is None:
        return "wss://ws.kite.trade"
    scheme, _, rest = settings.address.rstrip("/").partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}"

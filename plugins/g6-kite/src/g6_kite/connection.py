"""One socket of the stream: the official client, and what is subscribed through it. For the loop's thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from g6_kite import reactor
from g6_kite.ticker import Ticker

log = logging.getLogger("g6.kite")

CHUNK = 1000
"""Tokens in one message to the server."""

LONGEST = 60.0
"""Seconds at most between asking for all tokens again and again."""


class Connection:
    """tokens: what should be subscribed; up: whether it is; heard: when the last byte came, microseconds since 1970."""

    def __init__(self, number: int, api_key: str, access_token: str, root: str) -> None:
        self.number, self.ticker = number, Ticker(api_key, access_token, root)
        self.tokens: set[int] = set()
        self.up, self.heard = False, 0
        self._asked, self._pause, self._asking = 0.0, 0.0, False

    def connect(
        self,
        up: Callable[[Connection], None],
        message: Callable[[Connection, bytes, bool], None],
        closed: Callable[[Connection, int, str], None],
    ) -> None:
        ticker = self.ticker
        ticker.on_open = lambda _: up(self)
        ticker.on_message = lambda _, payload, binary: message(self, payload, binary)
        ticker.on_close = lambda _, code, reason: closed(self, code, str(reason or ""))
        ticker.on_error = lambda _, code, reason: self._says(code, reason)
        ticker.connect()

    def dismiss(self) -> None:
        """Close for good; from here on its callbacks reach nobody."""
        self.ticker.on_open = self.ticker.on_message = self.ticker.on_close = None
        self.ticker.end()

    def reconcile(self) -> None:
        """Subscribe and unsubscribe until the server has what is wanted; while it is down, on the next connection."""
        known: dict[int, str] = self.ticker.subscribed_tokens
        gone = [token for token in known if token not in self.tokens]
        if not self._open:
            for token in gone:
                del known[token]
            return
        if gone:
            self.ticker.unsubscribe(gone)
        self.ask([token for token in self.tokens if token not in known])

    def ask(self, tokens: Sequence[int]) -> None:
        """Subscribe in full mode; the server answers with the present state of each."""
        for start in range(0, len(tokens) if self._open else 0, CHUNK):
            chunk = list(tokens[start : start + CHUNK])
            self.ticker.subscribe(chunk)
            self.ticker.set_mode(Ticker.MODE_FULL, chunk)

    def ask_again(self, pause: float) -> None:
        """Ask for all tokens soon, once for all frames that are spoilt until then, and more rarely when that goes on.

        pause: seconds, at first.
        """
        if self._asking:
            return
        since = time.monotonic() - self._asked
        self._pause = min(2 * self._pause, LONGEST) if since < 3 * self._pause else pause
        self._asking = True
        reactor.loop().callLater(max(0.0, self._pause - since), self._ask_all)

    def _ask_all(self) -> None:
        self._asking, self._asked = False, time.monotonic()
        self.ask(sorted(self.tokens))

    @property
    def _open(self) -> bool:
        return self.up and bool(self.ticker.is_connected())

    def _says(self, code: int, reason: object) -> None:
        if code == 0:
            # A message of the server in words; the connection stands.
            log.warning("kite: stream %d says: %s", self.number, reason)

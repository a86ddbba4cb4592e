"""The last quote of each contract that the stream was asked for."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from g6_kite.decode import PACKET, Packets, decode, values

LATE = 300
"""Seconds by which a packet may lie behind what is known and still be taken for one that came late, and be left out.
What lies further behind is believed: then it was the other one whose time was wrong."""

AHEAD = 5
"""Seconds by which a packet's time may be ahead of its arrival and still be believed to order it by."""

Slots = npt.NDArray[np.intp]

_BYTES = np.dtype(f"V{PACKET.itemsize}")
_STATE: dict[str, Any] = {
    "rows": PACKET,
    "mode": np.uint8,
    "ts": np.int64,
    "received": np.int64,
    "connection": np.int16,
}
_NOBODY = 0xFFFFFFFF
_HOMES = 1 << 17


@dataclass(frozen=True)
class Taken:
    """What became of a frame: packets put on the board, those of tokens that nobody watches, those that are malformed
    (see `decode.Packets`), and those that are older than what the board has."""

    packets: int
    unknown: int
    malformed: int
    late: int = 0


class Board:
    """A slot per watched token, each holding one packet as it came, never parts of two.

    A slot is live from its first packet until its connection is dead. Frames come in one thread, reads in others.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Tokens ascending, and nobody's behind them: its slot is that of every token that is not watched.
        self._tokens = np.array([_NOBODY], np.uint32)
        self._homes = np.zeros(_HOMES, np.intp)
        self._state = _blank(1)

    def watch(self, tokens: npt.ArrayLike) -> None:
        """Take packets of these as well; what is known of the others stays."""
        with self._lock:
            self._rebuild(np.union1d(self._tokens, _narrow(tokens)))

    def forget(self, tokens: npt.ArrayLike) -> None:
        """Take no more packets of these."""
        with self._lock:
            self._rebuild(np.union1d(np.setdiff1d(self._tokens, _narrow(tokens)), np.uint32(_NOBODY)))

    def take(self, frame: bytes, received_us: int, connection: int) -> Taken:
        """Put a frame's packets on the board; of several of one token the last. Never raises.

        received_us: when it came, microseconds since 1970, UTC; connection: the number of its socket.
        """
        packets = decode(frame)
        count = packets.rows.size
        if not count:
            return Taken(0, 0, packets.malformed)
        tokens, ts = packets.rows["token"].astype(np.uint32), packets.rows["exchange_ts"].astype(np.int64)
        with self._lock:
            ts[ts > received_us // 1_000_000 + AHEAD] = 0
            slots = self._find(tokens)
            known = slots < self._tokens.size - 1
            behind = self._state["ts"][slots] - ts
            late = known & (ts > 0) & (behind > 0) & (behind <= LATE)
            wanted = known & ~late
            taken = int(wanted.sum())
            if taken < count:
                packets = Packets(packets.rows[wanted], packets.mode[wanted], packets.malformed)
                slots, ts = slots[wanted], ts[wanted]
            self._put(slots, packets, ts, received_us, connection)
        unknown = count - int(known.sum())
        return Taken(taken, unknown, packets.malformed, count - unknown - taken)

    def dead(self, connection: int) -> None:
        """The connection is gone: what came by it may no longer hold."""
        with self._lock:
            gone = self._state["connection"] == connection
            self._state["mode"][gone] = 0
            self._state["ts"][gone] = 0

    def live(self, tokens: npt.ArrayLike, mode: int = 1) -> npt.NDArray[np.bool_]:
        """Which of these have a quote that holds, of that mode at least."""
        asked = _narrow(tokens)
        with self._lock:
            return self._state["mode"][self._find(asked)] >= mode

    def packets(
        self, tokens: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.void], npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Copies of the packets, row for row as asked, their modes (0: none that holds) and when they came."""
        asked = _narrow(tokens)
        with self._lock:
            slots = self._find(asked)
            rows = self._state["rows"].view(_BYTES).take(slots).view(PACKET)
            return rows, self._state["mode"].take(slots), self._state["received"].take(slots)

    def read(self, tokens: npt.ArrayLike) -> dict[str, npt.NDArray[Any]]:
        """What is known of these, an array per column, row for row as asked.

        The columns of `decode.values` and `received_ts` (microseconds, UTC), NaN where no quote holds; `live` (bool);
        `mode`, 0 where not live.
        """
        rows, mode, received = self.packets(tokens)
        live = mode > 0
        return {**values(rows, mode), "received_ts": np.where(live, received, np.nan), "live": live, "mode": mode}

    def _find(self, tokens: npt.NDArray[np.uint32]) -> Slots:
        slots: Slots = self._homes[_home(tokens)]
        strangers = np.flatnonzero(self._tokens[slots] != tokens)
        if strangers.size:
            # Two tokens with one home, or nobody's.
            asked = tokens[strangers]
            found = np.searchsorted(self._tokens, asked)
            slots[strangers] = np.where(self._tokens[found] == asked, found, self._tokens.size - 1)
        return slots

    def _put(self, slots: Slots, packets: Packets, ts: npt.NDArray[np.int64], received: int, connection: int) -> None:
        self._state["rows"].view(_BYTES)[slots] = packets.rows.view(_BYTES)
        self._state["mode"][slots] = packets.mode
        self._state["ts"][slots] = ts
        self._state["received"][slots] = received
        self._state["connection"][slots] = connection

    def _rebuild(self, tokens: npt.NDArray[np.uint32]) -> None:
        """Other tokens; what is known of those that stay moves to their new slots."""
        _, old, new = np.intersect1d(self._tokens[:-1], tokens, assume_unique=True, return_indices=True)
        state = _blank(tokens.size)
        for name, column in self._state.items():
            state[name][new] = column[old]
        self._tokens, self._state = tokens, state
        self._homes[:] = 0
        self._homes[_home(tokens)] = np.arange(tokens.size)


def _blank(size: int) -> dict[str, npt.NDArray[Any]]:
    state = {name: np.zeros(size, dtype) for name, dtype in _STATE.items()}
    state["connection"][:] = -1
    return state


def _home(tokens: npt.NDArray[np.uint32]) -> npt.NDArray[Any]:
    """Where to look for a token first: three times as quick as searching, and nearly always right."""
    return (tokens >> 8) & (_HOMES - 1)


def _narrow(tokens: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """As they stand in packets; a number that can be no token is nobody's."""
    wide = np.asarray(tokens, np.int64)
    return np.where((wide >= 0) & (wide < _NOBODY), wide, _NOBODY).astype(np.uint32)

"""What the stream sent, so that somebody can compare it with what was received."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g6_sim.serve.packets import Rows, unpack

LARGEST = 64 << 20
"""Bytes of packets that are remembered; the oldest are forgotten."""


@dataclass(frozen=True)
class Message:
    """at: microseconds since 1970, UTC. faults: why it did not go out just so, once and at once, else empty."""

    at: int
    socket: int
    faults: str
    rows: Rows
    index: NDArray[np.bool_]
    modes: NDArray[Any]

    def packets(self) -> Iterator[dict[str, Any]]:
        about = {"at": self.at, "socket": self.socket} | ({"faults": self.faults} if self.faults else {})
        for row, index, mode in zip(self.rows, self.index, self.modes, strict=True):
            yield about | unpack(row, bool(index), int(mode))


class Sent:
    """A ring of the last messages, and a file of all if there is one: JSON, a line per packet."""

    def __init__(self, log: Path | None = None) -> None:
        self._messages: deque[Message] = deque()
        self._size = 0
        self._lock = threading.Lock()
        self._file = log.open("a", encoding="utf-8") if log else None

    def add(self, message: Message) -> None:
        with self._lock:
            self._messages.append(message)
            self._size += message.rows.nbytes
            while self._size > LARGEST:
                self._size -= self._messages.popleft().rows.nbytes
        if self._file is not None:
            self._file.writelines(json.dumps(packet) + "\n" for packet in message.packets())

    def messages(self) -> list[Message]:
        with self._lock:
            return list(self._messages)

    def of(self, token: int) -> list[dict[str, Any]]:
        """What was said of it, oldest first: `packets.unpack`, and `at`, `socket`, `mode`, and `faults` if any."""
        return [
            packet
            for message in self.messages()
            if (message.rows["token"] == token).any()
            for packet in message.packets()
            if packet["token"] == token
        ]

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

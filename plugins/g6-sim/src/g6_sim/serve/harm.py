"""A message of the stream on its way out, and what the scripted faults do to it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g6_sim.serve.faults import Fault, Faults
from g6_sim.serve.packets import LTP, Rows, message

STRANGER = 0x7ABCDE02
"""A token that no list has."""

_HARM = ("unknown_token", "truncated", "torn", "duplicate", "late")


@dataclass(frozen=True)
class Parcel:
    """frames: what goes out. faults: what was done to it, in words. seconds: how much later it goes."""

    frames: list[bytes]
    faults: str = ""
    seconds: float = 0.0


def parcel(faults: Faults, socket: int, rows: Rows, index: NDArray[np.bool_], modes: NDArray[Any]) -> Parcel:
    found = {name: fault for name in _HARM if (fault := faults.active(name)) and strikes(fault, socket)}
    if "unknown_token" in found:
        rows = rows[np.append(np.arange(rows.size), 0)]
        rows["token"][-1] = STRANGER
        index, modes = np.append(index, False), np.append(modes, LTP)
    frames = [message(rows, index, modes)]
    if "truncated" in found:
        frames = [frames[0][: -int(found["truncated"].number("bytes", 100))] or b"\x00\x00"]
    if "torn" in found:
        frames = [piece for frame in frames for piece in _tear(frame, faults.ticks)]
    if "duplicate" in found:
        frames = frames * 2
    seconds = found["late"].number("seconds", 2.0) if "late" in found else 0.0
    return Parcel(frames, " ".join(found), seconds)


def strikes(fault: Fault, socket: int) -> bool:
    """A fault with `:socket=N` concerns only that one."""
    return fault.parameters.get("socket", str(socket)) == str(socket)


def _tear(frame: bytes, seed: int) -> list[bytes]:
    """Two messages of what should be one, cut anywhere."""
    cut = random.Random(seed).randrange(1, max(len(frame), 2))
    return [frame[:cut], frame[cut:]]

"""Scripted faults: what goes wrong, when, and for how long."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from g6core import ConfigError

NAMES: Mapping[str, str] = {
    "silent": "the stream's sockets stay open and say nothing, not even a heartbeat",
    "drop": "the stream's sockets are cut at once (1006)",
    "html502": "requests are answered with an HTML page and 502",
    "slow": "requests are answered `seconds` later (8)",
    "storm429": "requests are answered 429",
    "expire": "all sessions end",
    "truncated": "frames lack their last bytes",
    "torn": "frames are cut anywhere",
    "duplicate": "frames are sent twice",
    "late": "frames are sent `seconds` later (2)",
    "unknown_token": "frames have a packet of a token that nobody asked for",
    "zero_depth": "order books are all zeros",
    "null_trade_time": "the time of the last trade is not known",
    "missing": "contracts (`symbol`, or one in `every`) are absent in the dump and in quotes",
}
PARAMETERS: dict[str, tuple[str, ...]] = {
    "silent": ("old",),
    "slow": ("seconds",),
    "late": ("seconds",),
    "truncated": ("bytes",),
}
PARAMETERS |= {"missing": ("symbol", "every")}
"""Beside `socket` (0 to 2, all without it), which the stream's faults take. All are numbers but `symbol`."""

FORM = re.compile(
    r"(?P<name>\w+)(@(?P<unit>t?)(?P<start>\d+(\.\d+)?)(\+(?P<length>\d+(\.\d+)?))?)?(?P<parameters>(:\w+=[^:]+)*)"
)


@dataclass(frozen=True)
class Fault:
    """start, length: seconds since the server's start, or ticks of the stream; length None: to the end."""

    name: str
    start: float = 0.0
    length: float | None = None
    in_ticks: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str, default: float) -> float:
        return float(self.parameters.get(name, default))

    def __str__(self) -> str:
        length = "" if self.length is None else f"+{self.length:g}"
        parameters = "".join(f":{name}={value}" for name, value in self.parameters.items())
        return f"{self.name}@{'t' if self.in_ticks else ''}{self.start:g}{length}{parameters}"


def parse(text: str) -> Fault:
    """`NAME[@START[+LENGTH]][:param=value…]`; `@t40+2` counts ticks of the stream. Raises ConfigError."""
    match = FORM.fullmatch(text)
    if not match or match["name"] not in NAMES:
        raise _not_a_fault(text, f"faults are {', '.join(NAMES)}")
    parameters = dict(part.split("=", 1) for part in match["parameters"].split(":") if part)
    known = (*PARAMETERS.get(match["name"], ()), "socket")
    for name, value in parameters.items():
        if name not in known:
            raise _not_a_fault(text, f"{match['name']} takes {', '.join(known)}")
        if name != "symbol" and not re.fullmatch(r"\d+(\.\d+)?", value):
            raise _not_a_fault(text, f"{name} is a number")
    length = float(match["length"]) if match["length"] else None
    return Fault(match["name"], float(match["start"] or 0), length, bool(match["unit"]), parameters)


def _not_a_fault(text: str, note: str) -> ConfigError:
    hint = "NAME, NAME@START, NAME@START+LENGTH in seconds, and :param=value behind it"
    return ConfigError(f"`{text}` is not a fault", where="--fault", note=note, hint=hint)


class Faults:
    """The plan. The stream counts `ticks` up; all other times are seconds since `begin`."""

    def __init__(self, plan: Iterable[Fault] = (), monotonic: Callable[[], float] = time.monotonic) -> None:
        self._plan = list(plan)
        self._taken: list[Fault] = []
        self._monotonic = monotonic
        self._began = monotonic()
        self.ticks = 0

    def begin(self) -> None:
        self._began = self._monotonic()

    def add(self, fault: Fault) -> None:
        """Its start counts from this moment, in seconds or ticks."""
        self._plan.append(replace(fault, start=fault.start + self._elapsed(fault)))

    def clear(self, name: str | None = None) -> None:
        """End the faults of that name, or all."""
        self._plan = [fault for fault in self._plan if name not in (None, fault.name)]

    @property
    def plan(self) -> Sequence[Fault]:
        return tuple(self._plan)

    def active(self, name: str) -> Fault | None:
        """The fault of that name that holds now, or None."""
        return next((fault for fault in self._plan if fault.name == name and self._holds(fault)), None)

    def take(self, name: str) -> Fault | None:
        """A fault of that name whose time has come, each once: for what happens at an instant (drop, expire)."""
        for fault in self._plan:
            if fault.name == name and self._elapsed(fault) >= fault.start and not any(f is fault for f in self._taken):
                self._taken.append(fault)
                return fault
        return None

    def _elapsed(self, fault: Fault) -> float:
        return self.ticks if fault.in_ticks else self._monotonic() - self._began

    def _holds(self, fault: Fault) -> bool:
        elapsed = self._elapsed(fault)
        return fault.start <= elapsed and (fault.length is None or elapsed < fault.start + fault.length)

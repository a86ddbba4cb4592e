"""The dated table of contract terms, `market.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Terms:
    """What is listed on one index; the fields are explained in `market.toml`. number: its place in the table."""

    name: str
    number: int
    tick_size: float
    exchange: str
    level: float
    volatility: float
    lot_size: int
    step: int
    far_step: int
    weekday: int
    weekly: bool
    lots: float


@cache
def terms() -> dict[str, Terms]:
    """The terms of every index by name, in the order of the table."""
    data = tomllib.loads((files("g6_sim") / "market.toml").read_text("utf-8"))
    rows = data["index"].items()
    return {name: Terms(name, number, data["tick_size"], **row) for number, (name, row) in enumerate(rows)}

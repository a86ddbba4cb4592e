"""A provider of g6-kite on a simulated Kite, looked at again and again: what it gives, and what was sent."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
from aiohttp import web
from g6_kite.provider import Kite
from g6_kite.session import Sessions, Token, end_of
from g6_kite.settings import KiteSettings
from g6_sim import Settings
from g6_sim.provider import Sim
from g6_sim.serve.app import Options, Server

from g6core import AuthExpired, Unavailable, make_context
from g6core.clock import SystemClock

SAME = ("last_price", "bid", "ask", "bid_qty", "ask_qty", "volume", "oi", "average_price")
"""What a quote on disk must have from one and the same message."""

LONGEST_WAY = 3e6
"""Microseconds that a message of the stream may take on this machine, however busy."""


@contextmanager
def serving(indices: Sequence[str] = (), **options: Any) -> Iterator[Server]:
    """A simulated Kite of these indices, or all, that also remembers what it gave by request, as `answers` by key."""
    server = Server(lambda: Sim(Settings(seed=7)), Options(auto_login=True, indices=indices, **options))
    answers: dict[str, list[dict[str, Any]]] = defaultdict(list)

    @web.middleware
    async def remember(request: web.Request, handler: Any) -> web.StreamResponse:
        response = await handler(request)
        if request.path == "/quote" and isinstance(response, web.Response) and response.status == 200:
            for key, item in json.loads(bytes(response.body))["data"].items():
                answers[key].append(_of_item(item))
        return response

    server.app.middlewares.insert(0, remember)
    server.answers = answers
    with server:
        yield server


class Said:
    """What a server said of each contract, by stream and by request; asked again, it has only the new to read."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._read = 0
        self._by_token: dict[int, list[tuple[int, dict[str, Any]]]] = defaultdict(list)

    def said(self, row: dict[str, Any]) -> bool:
        """Whether one message says of this contract what stands in the row; nothing is always right."""
        messages = self._server.sent.messages()
        for message in messages[self._read :]:
            for packet in message.packets():
                self._by_token[packet["token"]].append((packet["at"], _of_packet(packet)))
        self._read = len(messages)
        quote = {name: row[name] for name in SAME}
        received = row["received_ts"] and row["received_ts"].timestamp() * 1e6
        if not any(value is not None for value in quote.values()):
            return True
        key = f"{row['exchange']}:{row['symbol']}"
        if quote in self._server.answers.get(key, ()):
            return True
        sent = [at for at, said in self._by_token[row["token"]] if said == quote]
        return any(at <= received <= at + LONGEST_WAY for at in sent)


@dataclass
class Look:
    """at: seconds since the beginning; seconds: that it took; known: share of contracts with a price."""

    at: float
    seconds: float
    known: float
    problem: str = ""


@dataclass
class Rig:
    """A provider and the contracts around the money, each with a quote when all is well."""

    server: Server
    place: Path
    mode: str = "stream"
    settings: dict[str, Any] = field(default_factory=dict)
    unquoted: int = 0
    """So many contracts more, far from the money, of which there is no quote."""

    def __post_init__(self) -> None:
        named = {"api_key": "demo", "api_secret": "demo", "address": self.server.address, "mode": self.mode}
        place = self.place / "sessions"
        quick = {"timeout": timedelta(seconds=1), "retries": 0, "silence": timedelta(seconds=1.5)}
        self.kite = Kite(KiteSettings(**named, session_dir=place, **(quick | self.settings)))
        self.sessions = Sessions(self.kite.settings, SystemClock())
        self.log_in()
        self.kite.open(make_context(self.place, SystemClock()))
        spot = self.kite.spots(["NIFTY"])["NIFTY"].last or 0.0
        listed = self.kite.contracts("NIFTY")
        nearest = listed.filter(pl.col("expiry") == listed["expiry"].min()).sort((pl.col("strike") - spot).abs())
        self.contracts = pl.concat([nearest[:24], nearest[nearest.height - self.unquoted :]])
        self.said = Said(self.server)
        self.began = time.monotonic()

    def log_in(self) -> None:
        token, since = self.server.accounts.log_in()
        self.sessions.save(Token("demo", token, "x", since, end_of(since)))

    def look(self) -> Look:
        """One cycle; every quote that it gives was sent."""
        start = time.monotonic()
        try:
            self.kite.spots(["NIFTY"])
            quotes = self.kite.quotes(self.contracts)
        except (AuthExpired, Unavailable) as e:
            return Look(start - self.began, time.monotonic() - start, 0.0, e.code)
        rows = self.contracts.hstack(quotes).iter_rows(named=True)
        invented = [row for row in rows if not self.said.said(row)]
        assert not invented, invented[0]
        known = 1.0 - quotes["last_price"][:24].null_count() / 24
        return Look(start - self.began, time.monotonic() - start, known)

    def watch(self, seconds: float, every: float = 0.25) -> list[Look]:
        looks = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            looks.append(self.look())
            time.sleep(every)
        return looks

    def until_known(self, seconds: float) -> float:
        """How long it takes until every contract has a quote again."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            if self.look().known == 1.0:
                return time.monotonic() - start
            time.sleep(0.05)
        raise AssertionError(f"not all quotes are back after {seconds} s")

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.kite.close()


def _of_item(item: dict[str, Any]) -> dict[str, Any]:
    """An answer to a call for quotes, as a row."""
    best = {side: (item.get("depth", {}).get(side) or [{}])[0] for side in ("buy", "sell")}
    return {
        "last_price": item["last_price"] or None,
        "average_price": item.get("average_price") or None,
        "bid": best["buy"].get("price") or None,
        "ask": best["sell"].get("price") or None,
        "bid_qty": best["buy"].get("quantity") or None,
        "ask_qty": best["sell"].get("quantity") or None,
        "volume": item.get("volume"),
        "oi": item.get("oi"),
    }


def _of_packet(packet: dict[str, Any]) -> dict[str, Any]:
    """A packet of the stream, as a row."""
    best = {name: (packet.get(name) or [0])[0] for name in ("bid_price", "ask_price", "bid_qty", "ask_qty")}
    return {
        "last_price": packet["last_price"] or None,
        "average_price": packet.get("average_price") or None,
        "bid": best["bid_price"] or None,
        "ask": best["ask_price"] or None,
        "bid_qty": best["bid_qty"] or None,
        "ask_qty": best["ask_qty"] or None,
        "volume": packet.get("volume"),
        "oi": packet.get("oi"),
    }

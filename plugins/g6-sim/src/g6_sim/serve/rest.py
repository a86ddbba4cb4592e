"""Kite's requests over HTTP."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
from aiohttp import web

from g6_sim.serve import control, history, user
from g6_sim.serve.answers import data, failure
from g6_sim.serve.errors import GENERAL, INPUT, NETWORK, TOKEN, KiteError
from g6_sim.serve.faults import Fault
from g6_sim.serve.instruments import csv
from g6_sim.serve.items import full, ltp, ohlc
from g6_sim.serve.limits import KEYS
from g6_sim.serve.quote import Quotes
from g6core import G6Error

if TYPE_CHECKING:
    from g6_sim.serve.app import Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BAD_SESSION = "Incorrect `api_key` or `access_token`."
OPEN = ("/", "/connect/login", "/session/token")
"""Paths without a session; also everything under /sim/. The stream looks at its query itself."""


def middleware(server: Server) -> Any:
    """Faults, limits, the session, and every error as Kite words it."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path != "/" and not request.path.startswith("/sim/"):
                broken = await _faulty(server)
                if broken is not None:
                    return broken
                if server.options.limits and not server.limits.allows(request.path):
                    raise KiteError(429, NETWORK, "Too many requests")
                _check_session(server, request)
            return await handler(request)
        except KiteError as e:
            return failure(e)
        except G6Error as e:
            return failure(KiteError(500, GENERAL, e.message))
        except web.HTTPException as e:
            if e.status < 400:
                raise
            return failure(KiteError(e.status, GENERAL, "Route not found" if e.status == 404 else e.reason))

    return guard


async def _faulty(server: Server) -> web.Response | None:
    """What a fault of the plan answers in the place of everything else."""
    if server.faults.take("expire"):
        server.accounts.end_all()
    slow = server.faults.active("slow")
    if slow:
        await asyncio.sleep(slow.number("seconds", 8.0))
    if server.faults.active("html502"):
        return web.Response(status=502, text="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
    if server.faults.active("storm429"):
        raise KiteError(429, NETWORK, "Too many requests")
    return None


def _check_session(server: Server, request: web.Request) -> None:
    if request.path in OPEN:
        return
    kind, _, pair = request.headers.get("Authorization", "").partition(" ")
    api_key, _, access_token = pair.partition(":")
    if kind.lower() != "token" or not server.accounts.authorised(api_key, access_token):
        raise KiteError(403, TOKEN, BAD_SESSION)


def add_routes(server: Server) -> None:
    router = server.app.router
    user.add_routes(server)
    control.add_routes(server)
    router.add_get("/instruments/historical/{token}/{interval}", history.handler(server))
    dump = _Dump(server)
    router.add_get("/instruments", dump.answer)
    router.add_get("/instruments/{exchange}", dump.answer)
    for path, item in (("/quote", full), ("/quote/ohlc", ohlc), ("/quote/ltp", ltp)):
        router.add_get(path, _quotes(server, path, item))


class _Dump:
    """The day's instruments as gzip CSV; made once for each exchange and day."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._made: dict[tuple[date, str, str], bytes] = {}

    async def answer(self, request: web.Request) -> web.Response:
        exchange = request.match_info.get("exchange", "").upper()
        missing = self._server.faults.active("missing")
        key = (self._server.market.day, exchange, str(missing or ""))
        if key not in self._made:
            self._made = {k: v for k, v in self._made.items() if k[0] == key[0]}
            self._made[key] = gzip.compress(self._csv(exchange, missing), 1, mtime=0)
        body = self._made[key]
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=gzip.decompress(body), content_type="text/csv")
        return web.Response(body=body, content_type="text/csv", headers={"Content-Encoding": "gzip"})

    def _csv(self, exchange: str, missing: Fault | None) -> bytes:
        frame = self._server.market.instruments()
        if missing:
            symbols = frame["tradingsymbol"].to_list()
            frame = frame.filter(
                pl.Series([not absent(missing, slot, s) for slot, s in enumerate(symbols)], dtype=pl.Boolean)
            )
        return csv(frame.filter(pl.col("exchange") == exchange) if exchange else frame)


def absent(fault: Fault, slot: int, symbol: str) -> bool:
    """Whether the fault `missing` leaves out that instrument: the `symbol` it names, or one in `every` (50)."""
    if "symbol" in fault.parameters:
        return symbol == fault.parameters["symbol"]
    return slot % max(int(fault.number("every", 50)), 1) == 0


def _quotes(server: Server, path: str, item: Callable[[Quotes, Any], dict[str, Any]]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        keys = request.query.getall("i", [])
        if not keys:
            raise KiteError(400, INPUT, "Missing or empty field `i`")
        if len(keys) > KEYS[path]:
            raise KiteError(400, INPUT, f"Maximum number of instruments exceeded: {KEYS[path]}")
        return data(_found(server, keys, item))

    return answer


def _found(server: Server, keys: list[str], item: Callable[[Quotes, Any], dict[str, Any]]) -> Mapping[str, Any]:
    """An item for each key that has a quote; the others are silently left out."""
    market, missing = server.market, server.faults.active("missing")
    quotes = market.quotes()
    found: dict[str, Any] = {}
    for key in keys:
        slot = market.slot_of_key(key)
        if slot is None or not quotes["quoted"][slot]:
            continue
        if missing and absent(missing, slot, key.partition(":")[2]):
            continue
        found[key] = item(quotes[slot], server.faults)
    return found

"""Historical candles over HTTP: what may be asked for, and the form of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aiohttp import web

from g6_sim.serve.answers import TIME, data
from g6_sim.serve.errors import INPUT, KiteError
from g6core import IST

if TYPE_CHECKING:
    from g6_sim.serve.app import Server

SPANS = {
    "minute": (60, 60),
    "3minute": (180, 100),
    "5minute": (300, 100),
    "10minute": (600, 100),
    "15minute": (900, 200),
    "30minute": (1800, 200),
    "60minute": (3600, 400),
    "day": (86_400, 2000),
}
"""Seconds of a candle and days of a call, by interval."""


def handler(server: Server) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        seconds, begin, end = _asked(request)
        token = request.match_info["token"]
        slot = server.market.slot_of_key(token) if token.isdigit() else None
        if slot is None:
            raise KiteError(400, INPUT, "invalid token")
        now = server.clock.now()
        candles = await asyncio.to_thread(
            server.candles.between, server.market.listing(), slot, begin, min(end, now), now, seconds
        )
        width = 7 if request.query.get("oi") == "1" else 6
        return data({"candles": [[_written(c.begin), *c.values][:width] for c in candles]})

    return answer


def _asked(request: web.Request) -> tuple[int, datetime, datetime]:
    """Seconds of a candle, begin and end. Raises KiteError."""
    interval = request.match_info["interval"]
    if interval not in SPANS:
        raise KiteError(400, INPUT, "invalid interval")
    seconds, days = SPANS[interval]
    begin, end = (_time(request, name) for name in ("from", "to"))
    if end < begin:
        raise KiteError(400, INPUT, "from date cannot be after to date")
    if end - begin > timedelta(days=days):
        raise KiteError(400, INPUT, f"interval exceeds max limit: {days} days")
    return seconds, begin, end


def _time(request: web.Request, name: str) -> datetime:
    text = request.query.get(name, "")
    for form in (TIME, "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=IST)
        except ValueError:
            continue
    raise KiteError(400, INPUT, f"invalid {name} date")


def _written(begin: datetime) -> str:
    return begin.astimezone(IST).strftime("%Y-%m-%dT%H:%M:%S+0530")

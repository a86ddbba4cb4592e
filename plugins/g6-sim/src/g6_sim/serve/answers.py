"""Kite's envelope around every answer, and its times."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from aiohttp import web

from g6_sim.serve.errors import KiteError
from g6core import IST

TIME = "%Y-%m-%d %H:%M:%S"


def data(value: Any) -> web.Response:
    return web.json_response({"status": "success", "data": value})


def failure(error: KiteError) -> web.Response:
    body = {"status": "error", "message": error.message, "data": None, "error_type": error.error_type}
    return web.json_response(body, status=error.status)


@lru_cache(maxsize=4096)
def ist(seconds: int) -> str | None:
    """A time as Kite writes it, in India's time and without a zone; null for none (0)."""
    return datetime.fromtimestamp(seconds, IST).strftime(TIME) if seconds else None

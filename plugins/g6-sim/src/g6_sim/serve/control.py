"""`/sim/…`: for tests and for people at the machine, no part of Kite's protocol."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aiohttp import web

from g6_sim.serve.answers import data
from g6_sim.serve.errors import INPUT, KiteError
from g6_sim.serve.faults import parse
from g6core import ConfigError

if TYPE_CHECKING:
    from g6_sim.serve.app import Server


def add_routes(server: Server) -> None:
    async def show(request: web.Request) -> web.Response:
        return data([str(fault) for fault in server.faults.plan])

    async def add(request: web.Request) -> web.Response:
        """`{"fault": "silent@0+5"}`: its start counts from now."""
        try:
            body = await request.json()
            server.faults.add(parse(str(body["fault"])))
        except (json.JSONDecodeError, KeyError, TypeError) as e:
            raise KiteError(400, INPUT, 'send {"fault": "NAME@START+LENGTH"}') from e
        except ConfigError as e:
            raise KiteError(400, INPUT, e.message) from e
        return await show(request)

    async def clear(request: web.Request) -> web.Response:
        server.faults.clear(request.query.get("name"))
        return await show(request)

    server.app.router.add_get("/sim/faults", show)
    server.app.router.add_post("/sim/faults", add)
    server.app.router.add_delete("/sim/faults", clear)

"""Who is logged in: the login page, the session, the profile and the margins."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from aiohttp import web

from g6_sim.serve.answers import TIME, data
from g6_sim.serve.errors import GENERAL, INPUT, TOKEN, KiteError
from g6_sim.serve.login import PAGE
from g6core import IST

if TYPE_CHECKING:
    from g6_sim.serve.app import Server

PROFILE: dict[str, Any] = {
    "user_id": "SIM001",
    "user_type": "individual",
    "email": "simulated@localhost",
    "user_name": "Simulated User",
    "user_shortname": "Simulated",
    "broker": "SIMULATED",
    "exchanges": ["NSE", "NFO", "BSE", "BFO"],
    "products": ["CNC", "NRML", "MIS"],
    "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
    "avatar_url": None,
    "meta": {"demat_consent": "physical"},
}

AVAILABLE = ("adhoc_margin", "cash", "opening_balance", "live_balance", "collateral", "intraday_payin")
UTILISED = (
    *("debits", "exposure", "m2m_realised", "m2m_unrealised", "option_premium", "payout", "span"),
    *("holding_sales", "turnover", "liquid_collateral", "stock_collateral", "delivery"),
)
SEGMENT = {
    "enabled": True,
    "net": 0,
    "available": dict.fromkeys(AVAILABLE, 0),
    "utilised": dict.fromkeys(UTILISED, 0),
}


def add_routes(server: Server) -> None:
    user, router = _User(server), server.app.router
    router.add_get("/connect/login", user.page)
    router.add_post("/session/token", user.log_in)
    router.add_delete("/session/token", user.log_out)
    router.add_get("/user/profile", user.profile)
    router.add_get("/user/margins", user.margins)
    router.add_get("/user/margins/{segment}", user.margins)


class _User:
    def __init__(self, server: Server) -> None:
        self._accounts = server.accounts
        self._auto = server.options.auto_login

    async def page(self, request: web.Request) -> web.Response:
        query = request.query
        if query.get("api_key") != self._accounts.account.api_key:
            raise KiteError(400, INPUT, "Invalid `api_key`.")
        if self._auto or query.get("auto") == "1":
            raise web.HTTPFound(self._accounts.redirect(query.get("redirect_params", "")))
        fields = {**query, "auto": "1"}
        inputs = (f'<input type="hidden" name="{html.escape(n)}" value="{html.escape(v)}">' for n, v in fields.items())
        return web.Response(text=PAGE.format(fields="".join(inputs)), content_type="text/html")

    async def log_in(self, request: web.Request) -> web.Response:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        token, login_time = self._accounts.new_session(form)
        names = {"api_key": self._accounts.account.api_key, "access_token": token, "public_token": "", "enctoken": ""}
        more = {"refresh_token": "", "silo": "", "login_time": login_time.astimezone(IST).strftime(TIME)}
        return data(PROFILE | names | more)

    async def log_out(self, request: web.Request) -> web.Response:
        token = request.query.get("access_token", "")
        if not self._accounts.authorised(request.query.get("api_key", ""), token):
            raise KiteError(403, TOKEN, "Incorrect `api_key` or `access_token`.")
        self._accounts.end(token)
        return data(True)

    async def profile(self, request: web.Request) -> web.Response:
        return data(PROFILE)

    async def margins(self, request: web.Request) -> web.Response:
        segment = request.match_info.get("segment")
        if segment is None:
            return data({"equity": SEGMENT, "commodity": SEGMENT | {"enabled": False}})
        if segment not in ("equity", "commodity"):
            raise KiteError(404, GENERAL, "Route not found")
        return data(SEGMENT)

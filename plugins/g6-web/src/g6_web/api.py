"""The ASGI app: who may ask, what is asked, and the way to the answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path_
from starlette.types import Receive, Scope, Send

from g6_web import openapi
from g6_web.answers import Asked, Sources, page, quick_snapshot
from g6_web.asked import FORMAT, parsed
from g6_web.board import Board, Held, snapshot_rest
from g6_web.routes import API, CORE, ROUTES, Route
from g6_web.server import LONGEST_HEAD, too_long
from g6_web.settings import Settings
from g6_web.streams import Streams
from g6_web.threads import Threads
from g6core import Context, G6Error, Http, Page, Records, Snapshot, Unavailable, metric, problem

LARGEST_BODY = 64 * 1024
LONGEST_TARGET = 8 * 1024
WAITING = 200
"""Questions that wait for the two threads that look into the journal."""
JOURNAL = frozenset({"history", "alerts", "journal"})
"""Routes that may look long; every other one has a thread of its own, which they cannot keep busy."""
STATUS = {
    "bad-request": 400,
    "unknown-index": 404,
    "unknown-fact": 404,
    "no-such-expiry": 404,
    "no-such-day": 404,
    "nothing-recorded": 404,
}
"""Of an error, by its code; any other is 503."""
REQUESTS = metric("counter", "g6_web_requests_total", "Requests on the HTTP port", ["route", "status"])


class Api:
    """ASGI. `begin` and `end` are called in the event loop, `tell` by the sink's thread, `close` afterwards."""

    def __init__(self, http: Http, context: Context, board: Board, records: Records, settings: Settings) -> None:
        self._http = http
        self._give_way = context.give_way
        self._board = board
        self._settings = settings
        self._sources = Sources(board, records, context.data_dir)
        self._quick, self._slow = Threads("g6-web-quick", 1, self._give_way), Threads("g6-web-slow", 2, self._give_way)
        self._waiting = 0
        self._streams: Streams | None = None
        self._described = page(openapi.document())
        self._app = self._routes()

    def begin(self) -> None:
        self._streams = Streams(self._board, self._encode, self._settings)

    def tell(self, snapshots: Sequence[Snapshot]) -> None:
        """These are new. Returns at once, whatever clients do."""
        fresh = self._board.put(snapshots)
        if fresh and self._streams is not None:
            self._streams.tell(fresh)

    def end(self) -> None:
        if self._streams is not None:
            self._streams.close()

    def close(self) -> None:
        self._quick.shutdown(wait=False)
        self._slow.shutdown(wait=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The whole loop stands still with it, on purpose: every request would make the cycle longer.
        self._give_way()
        refused = self._refusal(scope)
        if refused is not None:
            close = refused.status in (400, 413, 414, 431)
            await _respond(refused, "refused", close=close)(scope, receive, send)
        elif (made := self._at_once(scope)) is not None:
            await _send(made, send)
        else:
            await self._app(scope, receive, send)

    def _at_once(self, scope: Scope) -> Page | None:
        """The newest snapshot where it is ready: asked most often, and the router costs more than the answer."""
        place, _, index = scope["path"].rpartition("/")
        if place != f"{API}/snapshot":
            return None
        try:
            query = parsed(scope["query_string"], (FORMAT,))
            etags = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"), "")
            return quick_snapshot(self._sources, Asked({"index": index}, query, etags))
        except G6Error:
            # Told on the way that all go.
            return None

    def _refusal(self, scope: Scope) -> Page | None:
        path, query = scope["raw_path"], scope["query_string"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        target = f"{path.decode('latin-1')}?{query.decode('latin-1')}"
        return (
            _malformed(scope["headers"])
            or _too_large(target, headers)
            or self._http.refusal(target, headers)
            or _odd(scope["path"])
            or _other_method(scope["method"])
        )

    def _routes(self) -> Starlette:
        own = [Path_(path, partial(self._core, path)) for path in CORE]
        api = [Path_(API + route.path, self._endpoint(route)) for route in ROUTES]
        app = Starlette(routes=[*own, *api], exception_handlers={HTTPException: self._unknown, Exception: _crash})
        app.router.redirect_slashes = False
        return app

    def _endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return await self._answer(route, request)
            except G6Error as e:
                return _respond(problem(STATUS.get(e.code, 503), e.code, e.message, e.hint), route.name)

        return answer

    async def _answer(self, route: Route, request: Request) -> Response:
        query = parsed(request.scope["query_string"], route.params)
        if route.name == "stream":
            return self._stream(query["index"], head=request.method == "HEAD")
        if route.answer is None:
            return _respond(self._described, route.name)
        asked = Asked(request.path_params, query, request.headers.get("if-none-match", ""))
        ask = self._wait if route.name in JOURNAL else self._soon
        return _respond(await ask(partial(route.answer, self._sources, asked)), route.name)

    def _stream(self, names: tuple[str, ...] | None, *, head: bool) -> Response:
        assert self._streams is not None
        indices = None if names is None else frozenset(self._index(name) for name in names)
        refused = self._streams.refusal()
        if refused:
            raise refused
        REQUESTS.labels("stream", 200).inc()
        return EventStream(None if head else partial(self._streams.serve, indices))

    def _index(self, name: str) -> str:
        """Before anything is recorded nobody knows which indices there will be."""
        return self._board.get(name).snapshot.index if self._board.all() else name.upper()

    async def _core(self, path: str, request: Request) -> Response:
        made = await self._soon(partial(self._http.page, path))
        return _respond(made or _no_page(), path.strip("/"))

    async def _unknown(self, request: Request, e: Exception) -> Response:
        return _respond(_no_page(), "unknown")

    async def _encode(self, held: Held) -> bytes:
        made: bytes = await self._soon(partial(held.make, ("snapshot",), snapshot_rest))
        return made

    async def _soon(self, work: Callable[[], Any]) -> Any:
        """In another thread: what takes some time must not hold up the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._quick, work)

    async def _wait(self, work: Callable[[], Any]) -> Any:
        """In the threads for what may take long."""
        if self._waiting >= WAITING:
            raise Unavailable("too many questions at a time", hint="ask again in a while")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._slow, work)
        finally:
            self._waiting -= 1


class EventStream(Response):
    """Starlette's response for what has no end. serve: None for a HEAD request."""

    def __init__(self, serve: Callable[[Receive, Send], Awaitable[None]] | None) -> None:
        super().__init__(media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._serve is None:
            await super().__call__(scope, receive, send)
        else:
            await self._serve(receive, send)


def _malformed(headers: Sequence[tuple[bytes, bytes]]) -> Page | None:
    if sum(len(name) + len(value) for name, value in headers) > LONGEST_HEAD:
        return too_long()
    if sum(name == b"host" for name, _ in headers) > 1:
        return problem(400, "bad-request", "the request names two hosts")
    return None


def _too_large(target: str, headers: dict[str, str]) -> Page | None:
    if len(target) > LONGEST_TARGET:
        return problem(414, "bad-request", f"an address is {LONGEST_TARGET:,} bytes at the most")
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdecimal() or len(length) > 20 or int(length) > LARGEST_BODY:
        return problem(413, "bad-request", "nothing is taken here, so a request has no body", "send no body")
    return None


def _odd(path: str) -> Page | None:
    """Nothing here is a file; whoever tries to climb is told so early."""
    if re.fullmatch(r"/[\w./&^ -]*", path) and "//" not in path and ".." not in path and len(path) < 300:
        return None
    return problem(400, "bad-request", "that path cannot be meant", "`/api/v1/openapi.json` lists those that there are")


def _other_method(method: str) -> Page | None:
    if method in ("GET", "HEAD"):
        return None
    allowed = {"Allow": "GET, HEAD"}
    return problem(405, "bad-request", f"{method[:20]} is not answered: the API is there to be read", None, allowed)


def _no_page() -> Page:
    return problem(404, "no-such-page", "there is no such page", "`/api/v1/openapi.json` lists those that there are")


async def _crash(request: Request, e: Exception) -> Response:
    return _respond(problem(500, "crash", "this was not foreseen; the recorder's log tells more"), "crash")


async def _send(made: Page, send: Send) -> None:
    REQUESTS.labels("snapshot", made.status).inc()
    headers = [(name.lower().encode(), value.encode()) for name, value in made.headers.items()]
    headers.append((b"x-content-type-options", b"nosniff"))
    if made.status != 304:
        headers += [(b"content-type", made.type.encode()), (b"content-length", str(len(made.body)).encode())]
    await send({"type": "http.response.start", "status": made.status, "headers": headers})
    await send({"type": "http.response.body", "body": made.body})


def _respond(made: Page, route: str, *, close: bool = False) -> Response:
    REQUESTS.labels(route, made.status).inc()
    headers = {**made.headers, "X-Content-Type-Options": "nosniff", **({"Connection": "close"} if close else {})}
    if made.status == 304:
        return Response(None, 304, headers)
    return Response(made.body, made.status, headers, made.type)

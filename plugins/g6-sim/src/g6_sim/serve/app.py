"""The server: one aiohttp application on one port of this machine, in a thread of its own."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from aiohttp import web

from g6_sim.serve import rest, stream
from g6_sim.serve.candles import candles_of
from g6_sim.serve.clock import SimClock
from g6_sim.serve.faults import Fault, Faults
from g6_sim.serve.limits import Limits
from g6_sim.serve.login import Account, Accounts
from g6_sim.serve.market import Market
from g6_sim.serve.sent import Sent
from g6core import Provider, Unavailable, make_context

REQUEST_LINE = 1 << 17
"""Bytes: a thousand keys make one of 30,000."""


@dataclass(frozen=True)
class Options:
    """port: 0 takes a free one. ticks: of the stream, a second. all_ticks: send also what did not change.

    log: where the stream writes what it sent. start, speed: of the clock; a recording starts at its first instant.
    auto_login: the login page redirects at once. limits: whether calls are counted.
    """

    port: int = 0
    indices: Sequence[str] = ()
    ticks: float = 1.0
    all_ticks: bool = False
    log: Path | None = None
    start: datetime | None = None
    speed: float = 1.0
    account: Account = field(default_factory=Account)
    auto_login: bool = False
    expire_after: float | None = None
    faults: Sequence[Fault] = ()
    limits: bool = True


class Server:
    """make: a provider, not opened; called again for the first historical candles, since they look at other instants.

    `with Server(make) as server:` runs it; `address`, `port` tell where. Raises Unavailable when the port is taken.
    """

    def __init__(self, make: Callable[[], Provider], options: Options | None = None) -> None:
        self.options = options or Options()
        provider = make()
        first = next(iter(provider.timeline() or ()), None)
        self.clock = SimClock(self.options.start or first, self.options.speed)
        context = make_context(Path(tempfile.gettempdir()), self.clock)
        step = timedelta(seconds=max(min(1.0, self.options.speed / self.options.ticks), 1e-6))
        self.market = Market(provider, self.options.indices, context, step=step)
        self.candles = candles_of(make, self.market, context)
        self.faults = Faults(self.options.faults)
        self.accounts = Accounts(self.options.account, self.clock, expire_after=self.options.expire_after)
        self.limits = Limits()
        self.sent = Sent(self.options.log)
        self.app = web.Application(middlewares=[rest.middleware(self)])
        rest.add_routes(self)
        self.app.router.add_get("/", stream.handler(self))
        self.port = self.options.port
        self._ready = threading.Event()
        self._failed: OSError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="g6-sim-serve", daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Server:
        self.market.quotes()
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise Unavailable(
                f"port {self.options.port} of this machine cannot be used: {self._failed.strerror}",
                where="g6 sim serve",
                hint="another program has it; take another with `--port`",
            ) from self._failed
        return self

    def end(self) -> None:
        """Ask it to stop; from any thread, also from a signal's handler."""
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    def stop(self) -> None:
        self.end()
        self._thread.join(timeout=10)
        self.market.close()
        self.candles.close()

    def wait(self) -> None:
        """Until it has ended."""
        while self._thread.is_alive():
            self._thread.join(timeout=0.5)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        # No access log: addresses carry tokens.
        runner = web.AppRunner(
            self.app, access_log=None, shutdown_timeout=0.2, max_line_size=REQUEST_LINE, max_field_size=REQUEST_LINE
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self.options.port)
            await site.start()
            self.port = runner.addresses[0][1]
            self.clock.begin()
            self.faults.begin()
        except OSError as e:
            self._failed = e
            self._stop.set()
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

"""Calls to Kite over the official client: spaced, tried again when that may help, told in G6's errors when not."""

from __future__ import annotations

import gzip
import logging
import random
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import polars as pl
import requests
from kiteconnect import KiteConnect
from kiteconnect.exceptions import KiteException

from g6_kite.failures import LOGIN, MALFORMED, Failure, failure, malformed, no_session
from g6_kite.limiter import Kind, Limiter
from g6_kite.measures import REQUEST_SECONDS, REQUESTS, RETRIES, TOO_MANY, WAITS
from g6_kite.redact import guard
from g6_kite.session import Sessions
from g6_kite.settings import KiteSettings
from g6core import IST, AuthExpired, Unavailable

log = logging.getLogger("g6.kite")

PATIENCE = 20.0
"""Seconds within which a call must have begun for the last time."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds before a call is made again: doubled each time, and a random part of up to a half taken off."""

WINDOW = 1.0
"""Seconds after which Kite counts calls anew."""

AGAIN = 30.0
"""Seconds before a session that Kite refused is tried once more: it may have been Kite's mistake."""

CANDLES: dict[str, Any] = {
    "ts": pl.Datetime("us", "UTC"),
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Int64,
    "oi": pl.Int64,
}
"""What `Rest.candles` gives; ts is a candle's start."""


_LIMITERS: WeakValueDictionary[tuple[str | None, str | None], Limiter] = WeakValueDictionary()
"""Kite counts the calls of an app, not those of whoever makes them."""


class Rest:
    """May be used by several threads.

    Each method raises AuthExpired (no session, or Kite does not take it), Unavailable (`unavailable`: it failed as
    often as the settings allow; `data-plan`), or Refused (`kite-refused`). within: seconds in which the last attempt
    must have begun; it may then take the `timeout` of the settings.
    """

    def __init__(
        self,
        settings: KiteSettings,
        sessions: Sessions,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self._sessions = settings, sessions
        self._monotonic, self._sleep = monotonic, sleep
        self._client = KiteConnect(settings.api_key, root=settings.address, timeout=settings.timeout.total_seconds())
        self._client.reqsession.trust_env = not _on_this_machine(self._client.root)
        self._client.reqsession.hooks["response"].append(self._saw)
        app = settings.api_key, settings.address
        self._limiter = _LIMITERS.get(app) or limiter(settings, monotonic, sleep)
        if monotonic is time.monotonic:
            _LIMITERS[app] = self._limiter
        self._last = threading.local()
        self._refused: tuple[str, float, str] | None = None
        guard()

    def quote(self, keys: Sequence[str], *, within: float = PATIENCE) -> Mapping[str, Mapping[str, Any]]:
        """Kite's quote of each `EXCHANGE:SYMBOL` by that key; one that it does not know is missing.

        keys: at most 500. The values are as Kite sends them, times as text: the client's way of reading them costs more
        than the call.
        """
        found: Mapping[str, Mapping[str, Any]] = self._call(
            "quote", "market.quote", "quotes", params={"i": list(keys)}, within=within
        )
        return found

    def instruments_csv(self, exchange: str, *, within: float = 3 * PATIENCE) -> bytes:
        """The day's list of an exchange's instruments, as Kite sends it, unpacked."""
        what, path = f"instruments of {exchange}", {"exchange": exchange}
        data: bytes = self._call("other", "market.instruments", what, path=path, form=bytes, within=within)
        try:
            return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        except (OSError, EOFError, zlib.error) as e:
            raise Unavailable(f"Kite's list of instruments of {exchange} is damaged: {e}") from None

    def candles(
        self, token: int, start: datetime, end: datetime, *, oi: bool = True, within: float = PATIENCE
    ) -> pl.DataFrame:
        """Minute candles that begin from `start` to `end` (aware, both included), columns CANDLES, ascending.

        A minute without a trade has none. Kite gives at most 60 days in one call.
        """
        span = {name: f"{at.astimezone(IST):%Y-%m-%d %H:%M:%S}" for name, at in (("from", start), ("to", end))}
        params = span | {"interval": "minute", "continuous": 0, "oi": int(oi)}
        path = {"instrument_token": token, "interval": "minute"}
        data = self._call("candle", "market.historical", "candles", params=params, path=path, within=within)
        try:
            return _candles(data["candles"])
        except (*MALFORMED, pl.exceptions.PolarsError) as e:
            raise Unavailable(f"Kite's candles of {token} are not of the form that it documents: {e}") from None

    def profile(self, *, within: float = PATIENCE) -> Mapping[str, Any]:
        """Who is logged in."""
        found: Mapping[str, Any] = self._call("other", "user.profile", "profile", within=within)
        return found

    def close(self) -> None:
        self._client.reqsession.close()

    def _call(
        self,
        kind: Kind,
        route: str,
        what: str,
        *,
        params: Mapping[str, Any] | None = None,
        path: Mapping[str, Any] | None = None,
        form: type = dict,
        within: float,
    ) -> Any:
        """One answer, after as many attempts as it takes. what: the thing asked for, for people; form: its type."""
        until = self._monotonic() + within
        where = self._client.root.rstrip("/") + self._client._routes[route].format(**path or {})
        reason = "Kite's limit of calls left no time for it"
        for attempt in range(self._settings.retries + 1):
            self._log_in()
            if not self._turn(kind, until):
                break
            RETRIES.labels(kind).inc(attempt > 0)
            with REQUEST_SECONDS.labels(kind).time():
                answer = self._once(lambda: self._client._get(route, url_args=path, params=params), form, where)
            REQUESTS.labels(kind, self._last.status or "none").inc()
            if not isinstance(answer, Failure):
                return answer
            if answer.error:
                raise answer.error
            reason = f"{answer.reason}{f', {attempt + 1} times' if attempt else ''}"
            if attempt == self._settings.retries or not self._pause(kind, attempt, answer, until):
                break
            log.debug("kite: %s: %s; asked again", what, answer.reason)
        raise Unavailable(f"Kite gave no {what}: {reason}", where=where)

    def _turn(self, kind: Kind, until: float) -> bool:
        """Wait until Kite's limits allow a call; False when that would be too late."""
        began = self._monotonic()
        allowed = self._limiter.wait(kind, until)
        WAITS.labels(kind).inc(max(0.0, self._monotonic() - began))
        return allowed

    def _once(self, do: Callable[[], Any], form: type, where: str) -> Any:
        """The answer, or the Failure: as a value, so that no error drags the library's own behind it."""
        self._last.status = None
        try:
            answer = do()
            return answer if isinstance(answer, form) else malformed(self._last.status)
        except (KiteException, requests.RequestException, *MALFORMED) as e:
            found = failure(e, self._last.status, where)
        if isinstance(found.error, AuthExpired):
            self._refused = (self._client.access_token, self._monotonic(), found.error.message)
        return found

    def _pause(self, kind: Kind, attempt: int, last: Failure, until: float) -> bool:
        """Wait before the next attempt; False when there is no time for one."""
        pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * random.uniform(0.5, 1.0)
        if last.too_many:
            TOO_MANY.labels(kind).inc()
            # Every thread waits for Kite's next second, not only this one.
            self._limiter.hold(kind, max(pause, WINDOW))
            return True
        if self._monotonic() + pause > until:
            return False
        self._sleep(pause)
        return True

    def _log_in(self) -> None:
        """Use the session of now. Raises AuthExpired."""
        token = self._sessions.current()
        if token is None:
            raise no_session("there is no session of today")
        if self._refused and self._refused[0] == token.access_token and self._monotonic() - self._refused[1] < AGAIN:
            # The same words as Kite's: it is the same trouble still.
            raise AuthExpired(self._refused[2], hint=LOGIN)
        if token.access_token != self._client.access_token or token.api_key != self._client.api_key:
            self._client.api_key = token.api_key
            self._client.set_access_token(token.access_token)

    def _saw(self, answer: requests.Response, *args: Any, **kwargs: Any) -> None:
        """Keep of an answer what the client does not hand on."""
        self._last.status = answer.status_code


def limiter(
    settings: KiteSettings,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Limiter:
    """The limits of the settings."""
    per_second: dict[Kind, float] = {
        "quote": settings.quotes_per_second,
        "candle": settings.candles_per_second,
        "other": settings.others_per_second,
    }
    return Limiter(per_second, settings.calls_per_minute, monotonic=monotonic, sleep=sleep)


def _candles(rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """Of Kite's rows: time with its zone, open, high, low, close, volume, and open interest when it was asked for."""
    columns = list(zip(*rows, strict=True)) or [()] * len(CANDLES)
    plain = {**CANDLES, "ts": pl.String}
    named = dict(zip(plain, columns, strict=False))
    frame = pl.DataFrame({n: pl.Series(n, named.get(n, [None] * len(rows)), t, strict=False) for n, t in plain.items()})
    ts = pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="us").dt.convert_time_zone("UTC")
    return frame.with_columns(ts).unique("ts", keep="last").sort("ts")


def _on_this_machine(address: str) -> bool:
    """Whether a proxy of the environment has no business between here and there."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

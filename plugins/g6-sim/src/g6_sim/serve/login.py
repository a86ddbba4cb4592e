"""Login as at Kite: a page, a redirect with a request token, a session until six in the morning."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from g6_sim.serve.clock import SimClock
from g6_sim.serve.errors import TOKEN, KiteError
from g6core import IST

REQUEST_TOKEN_SECONDS = 300.0
ENDS = clock_time(6)
"""Of every session, the next morning in India."""

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Simulated Kite</title>
<h1>Simulated login</h1><p>No broker stands behind this page.</p>
<form method="get" action="/connect/login">{fields}<button>Log in</button></form></html>
"""


@dataclass(frozen=True)
class Account:
    """Who may log in. redirect: where the browser is sent back to."""

    api_key: str = "demo"
    api_secret: str = "demo"
    redirect: str = "http://127.0.0.1:8765/"


class Accounts:
    """expire_after: seconds after which a session ends in any case."""

    def __init__(
        self,
        account: Account,
        clock: SimClock,
        *,
        expire_after: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.account = account
        self._clock = clock
        self._expire_after = expire_after
        self._monotonic = monotonic
        self._requests: dict[str, float] = {}
        self._sessions: dict[str, tuple[datetime, float]] = {}

    def redirect(self, redirect_params: str = "") -> str:
        """The app's redirect address with a fresh request token; redirect_params are handed on."""
        token = secrets.token_urlsafe(24)
        self._requests[token] = self._monotonic()
        parts = urlsplit(self.account.redirect)
        query = [*parse_qsl(parts.query), *parse_qsl(redirect_params)]
        query += [("action", "login"), ("type", "login"), ("status", "success"), ("request_token", token)]
        return urlunsplit(parts._replace(query=urlencode(query), path=parts.path or "/"))

    def new_session(self, form: Mapping[str, str]) -> tuple[str, datetime]:
        """The access token and the login time (UTC) for a request token. Raises KiteError."""
        api_key, request_token = form.get("api_key", ""), form.get("request_token", "")
        if api_key != self.account.api_key:
            raise KiteError(403, TOKEN, "Invalid `api_key`.")
        right = hashlib.sha256(f"{api_key}{request_token}{self.account.api_secret}".encode()).hexdigest()
        if not hmac.compare_digest(right.encode(), form.get("checksum", "").encode()):
            raise KiteError(403, TOKEN, "Invalid `checksum`.")
        made = self._requests.pop(request_token, None)
        if made is None or self._monotonic() - made > REQUEST_TOKEN_SECONDS:
            raise KiteError(403, TOKEN, "Token is invalid or has expired.")
        return self.log_in()

    def log_in(self) -> tuple[str, datetime]:
        """A session without the page: for tests."""
        token, now = secrets.token_urlsafe(24), self._clock.now()
        self._sessions[token] = (ends_at(now), self._monotonic())
        return token, now

    def authorised(self, api_key: str, access_token: str) -> bool:
        """Whether the session holds now. It may end any time: whoever keeps a socket asks again."""
        session = self._sessions.get(access_token)
        if session is None or api_key != self.account.api_key:
            return False
        ends, made = session
        aged = self._expire_after is not None and self._monotonic() - made >= self._expire_after
        if aged or self._clock.now() >= ends:
            del self._sessions[access_token]
            return False
        return True

    def end(self, access_token: str) -> None:
        self._sessions.pop(access_token, None)

    def end_all(self) -> None:
        self._sessions.clear()


def ends_at(login: datetime) -> datetime:
    """The first six o'clock in India after the login, UTC."""
    local = login.astimezone(IST)
    morning = datetime.combine(local.date(), ENDS, IST)
    return (morning if local < morning else morning + timedelta(days=1)).astimezone(UTC)

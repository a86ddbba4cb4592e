"""The daily login at Kite: a person in a browser, then one exchange of the request token for the session of the day.

It is never done without a person: the broker wants one each day, and a machine would need the password and the seed
of the one-time codes on disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

from g6_kite.session import Sessions, Token, end_of
from g6core import IST, AuthExpired, ConfigError, Context, G6Error, Login, Session, Unavailable, hide

if TYPE_CHECKING:
    from kiteconnect import KiteConnect

    from g6_kite.settings import KiteSettings

T = TypeVar("T")
PAGE = "https://kite.zerodha.com/connect/login"
_TOKEN = re.compile(r"[\w.~-]{4,256}")
_SAME_CLOCK = timedelta(minutes=2)
_AGAIN = "a request token holds for some minutes and works once: run `g6 login kite` again"


class KiteLogin(Login):
    """Over the official client. Nothing of what it raises or gives holds a token or the secret."""

    def __init__(self, settings: KiteSettings, context: Context) -> None:
        self._settings = settings
        self._clock = context.clock
        self._sessions = Sessions(settings, context.clock)
        self.redirect = settings.redirect

    def address(self, state: str) -> str:
        self._refuse_environment()
        self._secret()  # asked for now, not after the person has logged in
        carried = urlencode({"state": state})
        page = f"{self._settings.address.rstrip('/')}/connect/login" if self._settings.address else PAGE
        return f"{page}?{urlencode({'v': 3, 'api_key': self._sessions.api_key, 'redirect_params': carried})}"

    def finish(self, answer: str, state: str | None) -> Session:
        """answer: the redirected address or its query, a request token alone, or `access_token=…` of a session that
        another program on this account has; that one is asked whether it holds, and kept like any other."""
        self._refuse_environment()
        kind, word = _read_answer(answer.strip(), state)
        hide(word)
        token = self._redeemed(word) if kind == "request_token" else self._adopted(word)
        return _told(self._sessions.save(token))

    def status(self) -> Session:
        token = self._sessions.current()
        if token is None:
            return Session(False, note=why_not(self._sessions))
        try:
            user = asked(self.client(token).profile)["user_id"]
        except AuthExpired as e:
            return Session(False, token.user, token.since, token.until, token.source, e.message)
        return Session(True, user, token.since, token.until, token.source)

    def logout(self) -> bool:
        self._refuse_environment()
        token = self._sessions.current()
        self._sessions.forget()
        if token is None:
            return False
        try:
            asked(self.client(token).invalidate_access_token)
        except AuthExpired:
            return False
        except Unavailable as e:
            note = "the session is forgotten here; at Kite it ends by itself at 06:00 IST"
            raise Unavailable(e.message, note=note, hint="end it at once by a logout on Kite's own page") from None
        return True

    def client(self, token: Token | None = None) -> KiteConnect:
        """The official client at this address, with a session or without."""
        from kiteconnect import KiteConnect

        from g6_kite.redact import guard

        guard()
        client = KiteConnect(
            self._sessions.api_key,
            token.access_token if token else None,
            root=self._settings.address,
            timeout=self._settings.timeout.total_seconds(),
        )
        if self._settings.address and urlsplit(self._settings.address).hostname in ("127.0.0.1", "localhost", "::1"):
            client.reqsession.trust_env = False  # a proxy of the environment does not know this machine's own servers
        return client

    def _redeemed(self, request_token: str) -> Token:
        client, secret = self.client(), self._secret()
        hide(sha256(f"{client.api_key}{request_token}{secret}".encode()).hexdigest())  # what the client sends for it
        data = asked(lambda: client.generate_session(request_token, secret), hint=_AGAIN)
        now, told = self._clock.now(), data["login_time"]
        since = told.replace(tzinfo=IST).astimezone(UTC) if isinstance(told, datetime) else now
        # Another server may live in another time, where the end of its day says nothing about ours.
        ends = self._settings.address is None or abs(since - now) < _SAME_CLOCK
        return Token(client.api_key, data["access_token"], data["user_id"], since, end_of(since) if ends else None)

    def _adopted(self, access_token: str) -> Token:
        """Whatever holds now ends at the next 06:00, whenever it began."""
        token = Token(self._sessions.api_key, access_token)
        user = asked(self.client(token).profile)["user_id"]
        until = end_of(self._clock.now()) if self._settings.address is None else None
        return Token(token.api_key, access_token, user, None, until)

    def _secret(self) -> str:
        if not self._settings.api_secret:
            raise ConfigError(
                "`providers.kite.api_secret` is not set",
                hint="set G6_PROVIDERS__KITE__API_SECRET in the environment or in .env",
            )
        return self._settings.api_secret.get_secret_value()

    def _refuse_environment(self) -> None:
        if self._sessions.from_environment:
            raise ConfigError(
                "the session comes from the environment, which goes before a login",
                where="G6_PROVIDERS__KITE__ACCESS_TOKEN",
                hint="take the variable away first",
            )


def why_not(sessions: Sessions) -> str:
    """Why `current` gives none, and what to do."""
    stored = sessions.stored()
    if stored and stored.until:
        ended = stored.until.astimezone(IST).strftime("%Y-%m-%d %H:%M IST")
        return f"the session ended at {ended}, as each does in the morning; run `g6 login kite`"
    if sessions.path.exists():
        return "the file of the session cannot be understood; run `g6 login kite`"
    return "there is no session; run `g6 login kite`"


def asked(call: Callable[[], T], hint: str = "run `g6 login kite`") -> T:
    """What Kite answers. Raises AuthExpired when it refuses, Unavailable when it does not answer or the plan lacks it.

    The client's own exceptions are not kept: addresses with tokens in them are part of some.
    """
    from kiteconnect.exceptions import KiteException
    from requests import RequestException

    from g6_kite.failures import MALFORMED

    try:
        return call()
    except (KiteException, RequestException, *MALFORMED) as e:
        problem = _problem(e, hint)
    raise problem


def _problem(e: Exception, hint: str) -> G6Error:
    from g6_kite.failures import Refused, failure

    found = failure(e, None, "the login")
    if found.error is None:
        return Unavailable(f"Kite does not answer as it should: {found.reason}", hint="try again in a moment")
    if isinstance(found.error, AuthExpired | Refused):
        return AuthExpired(f"Kite refuses: {e}", code="login-refused", hint=_WRONG.get(_wrong(str(e)), hint))
    return found.error


_WRONG = {
    "checksum": "the API secret is not that of this key: look at G6_PROVIDERS__KITE__API_SECRET",
    "api_key": "look at `api_key` in [providers.kite], and at the app's page at developers.kite.trade",
}
"""What to do when Kite says that one of these is invalid."""


def _wrong(said: str) -> str:
    return next((word for word in _WRONG if f"Invalid `{word}`" in said), "")


def _read_answer(answer: str, state: str | None) -> tuple[str, str]:
    """(`request_token` or `access_token`, its value). Raises AuthExpired."""
    if "=" not in answer:
        if state is None and _TOKEN.fullmatch(answer):
            return "request_token", answer
        raise _refused("that is neither a token nor an address that Kite sent a browser to")
    query = urlsplit(answer).query if "?" in answer else answer
    found = {name: values[0] for name, values in parse_qs(query).items() if len(values) == 1}
    if state is not None and not compare_digest(found.get("state", "").encode(), state.encode()):
        raise _refused("that is the answer to another login")
    if found.get("status", "success") != "success":
        raise _refused(f"the login was not finished: Kite says `{found['status']}`")
    # Never from an address: whoever made somebody open one could hand G6 another's session.
    kind = "access_token" if "?" not in answer and state is None and "access_token" in found else "request_token"
    word = found.get(kind, "")
    if not _TOKEN.fullmatch(word):
        raise _refused("there is no request token in that address")
    return kind, word


def _refused(message: str) -> AuthExpired:
    return AuthExpired(message, code="login-refused", hint="run `g6 login kite` and paste the address as a whole")


def _told(token: Token) -> Session:
    return Session(True, token.user, token.since, token.until, token.source)

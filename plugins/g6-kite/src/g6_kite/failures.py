"""What may go wrong with a call to Kite, told in G6's errors: which of it passes, and which needs a person."""

from __future__ import annotations

import re
from dataclasses import dataclass

import requests
from kiteconnect import exceptions as kite

from g6_kite.redact import redacted
from g6core import AuthExpired, G6Error, Unavailable

LONGEST = 200
"""Characters of what Kite says that are handed on; some answers are whole pages."""

MALFORMED = (KeyError, TypeError, AttributeError, ValueError)
"""What the client raises for an answer that is not of Kite's form: it reads members as if they were always there."""

LOGIN = "run `g6 login kite`"


class Refused(Unavailable):
    """Kite understood and will not: asking again does not help."""

    code = "kite-refused"


@dataclass(frozen=True)
class Failure:
    """reason: what happened, a few words. error: what to raise at once; None when it may pass. too_many: a 429."""

    reason: str
    error: G6Error | None = None
    too_many: bool = False


def failure(e: Exception, status: int | None, where: str) -> Failure:
    """status: of the HTTP answer, None when there was none. The client hides it behind its own for a page of HTML."""
    if isinstance(e, kite.KiteException):
        return _answered(e, status or int(e.code), where)
    if isinstance(e, requests.RequestException):
        return _unanswered(e, where)
    return malformed(status)


def malformed(status: int | None) -> Failure:
    return Failure(f"HTTP {status}, an answer that is not of Kite's form", too_many=status == 429)


def no_session(why: str) -> AuthExpired:
    return AuthExpired(f"Kite wants a login: {why}", hint=LOGIN)


def _answered(e: kite.KiteException, status: int, where: str) -> Failure:
    page = isinstance(e, kite.DataException) and str(e).startswith(("Unknown Content-Type", "Couldn't parse"))
    said = "a page instead of data" if page else _short(e)
    reason = f"HTTP {status}, {said}"
    if isinstance(e, kite.PermissionException):
        return Failure(reason, _no_plan(said, where))
    if isinstance(e, kite.TokenException) or (status == 403 and not page):
        return Failure(reason, no_session(said))
    if _may_pass(e, status):
        return Failure(reason, too_many=status == 429)
    return Failure(reason, Refused(f"Kite refused: {reason}", where=where))


def _may_pass(e: kite.KiteException, status: int) -> bool:
    """By the status; where that says that all is well, by the kind of the error."""
    if status >= 400:
        return status >= 500 or status in (408, 425, 429)
    return isinstance(e, (kite.NetworkException, kite.DataException))


def _no_plan(said: str, where: str) -> Unavailable:
    return Unavailable(
        f"Kite gives this app no market data: {said}",
        code="data-plan",
        where=where,
        hint="the app's plan must be Connect, which has data; see developers.kite.trade",
    )


def _unanswered(e: requests.RequestException, where: str) -> Failure:
    if isinstance(e, requests.exceptions.SSLError):
        error = Unavailable(
            f"the server cannot prove that it is Kite: {_cause(e)}",
            where=where,
            hint="look for a proxy between here and Kite, and at this machine's clock",
        )
        return Failure("no trust", error)
    if isinstance(e, requests.Timeout):
        return Failure("no answer in time")
    if isinstance(e, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return Failure("an answer that was cut short")
    if isinstance(e, requests.ConnectionError):
        return Failure(f"no connection: {_cause(e)}")
    return Failure("no call", Refused(f"Kite cannot be asked: {_cause(e)}", where=where))


def _cause(e: BaseException) -> str:
    """The innermost reason: the outer ones repeat the whole address, which has hundreds of contracts in it."""
    while True:
        inner = [x for x in (getattr(e, "reason", None), *reversed(e.args)) if isinstance(x, BaseException)]
        if not inner:
            return _short(e)
        e = inner[0]


def _short(e: BaseException) -> str:
    # Objects are written with the place where they lie in memory: another text for the same trouble each time.
    text = re.sub(r"<[\w.]+ object at 0x[0-9a-f]+>: |\w+\(host='[^']*', port=\d+\): ", "", redacted(str(e)))
    text = " ".join(text.split()) or type(e).__name__
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"

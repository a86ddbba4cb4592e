"""What `g6 doctor` asks about Kite: session, modes, clock, data plan, rate. Each finding with a remedy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from g6_kite.login import KiteLogin, asked, why_not
from g6_kite.session import Sessions, Token, wide_mode
from g6_kite.settings import INDICES, KiteSettings
from g6core import IST, AuthExpired, ConfigError, Context, Finding, Unavailable

if TYPE_CHECKING:
    from kiteconnect import KiteConnect

PROBE = "NSE:NIFTY 50"
TOLERATED = timedelta(seconds=5)
"""Of the clock. A snapshot's time is this machine's."""
QUOTE_LIMIT = 1.0
"""Calls for quotes per second and key (Kite Connect 3 documentation, "API rate limit")."""


def findings(settings: KiteSettings, context: Context) -> Iterator[Finding]:
    """Asks Kite twice, for the profile and for one quote; changes nothing."""
    sessions = Sessions(settings, context.clock)
    try:
        yield from _modes(sessions)
        token = sessions.current()
    except ConfigError as e:
        yield Finding("error", " at ".join([e.message, *e.where]), e.hint)
        return
    if not settings.api_secret and not sessions.from_environment:
        hint = "set G6_PROVIDERS__KITE__API_SECRET in the environment or in .env"
        yield Finding("warning", "without `api_secret` there is no next login", hint)
    if token is None:
        reason, _, _ = why_not(sessions).partition("; run ")
        yield Finding("error", reason, "`g6 login kite`")
        return
    yield from _asking(KiteLogin(settings, context), token, context)
    contracts = _recorded(context)
    if contracts and context.interval and settings.mode == "quote":
        yield rate_budget(math.ceil(contracts / settings.batch), context.interval, settings)


def _recorded(context: Context) -> int:
    """How many contracts the last snapshots of the indices have: what is recorded, as far as that is known."""
    now, history = context.clock.now(), context.history
    newest = history.days(now)[-1:]
    last = [history.last(index, day, now) for day in newest for index in INDICES]
    return sum(snapshot.options.height for snapshot in last if snapshot)


def rate_budget(calls: int, interval: timedelta, settings: KiteSettings) -> Finding:
    """Whether so many calls for quotes per cycle fit into the interval. calls: all indices' contracts / 500, rounded
    up."""
    seconds = interval.total_seconds()
    rate, allowed = calls / seconds, settings.quotes_per_second
    told = f"{seconds:g} s interval needs {rate:.2g} requests/s for quotes"
    if rate <= allowed:
        return Finding("ok", f"{told}; {allowed:g} are allowed")
    enough = math.ceil(calls / allowed)
    hint = f'set `interval = "{enough}s"`, fewer strikes, or `mode = "stream"`'
    return Finding("warning", f"{told}; Kite allows {QUOTE_LIMIT:g}, of which {allowed:g} are used", hint)


def _modes(sessions: Sessions) -> Iterator[Finding]:
    """The file's own mode is refused by `current`; here is the directory's, which only lets others see the name."""
    if sessions.from_environment:
        return
    directory = sessions.path.parent
    mode = wide_mode(directory, 0o700)
    if mode is not None:
        text = f"others may look into the directory of the session: mode {mode:04o} of {directory}"
        yield Finding("warning", text, f"`chmod 700 {directory}`")


def _asking(login: KiteLogin, token: Token, context: Context) -> Iterator[Finding]:
    client = login.client(token)
    dates: list[str] = []
    client.reqsession.hooks["response"].append(lambda answer, **_: dates.append(answer.headers.get("date", "")))
    before = context.clock.now()
    try:
        profile: dict[str, Any] = asked(client.profile)
    except Unavailable as e:
        yield Finding("error", e.message, e.hint)
        return
    after = context.clock.now()
    until = f"until {token.until.astimezone(IST):%Y-%m-%d %H:%M} IST" if token.until else "until Kite ends it"
    yield Finding("ok", f"session of {profile.get('user_id')} holds {until} (from {token.source})")
    yield from _clock(dates[-1] if dates else "", before + (after - before) / 2)
    yield from _plan(client)


def _clock(date: str, here: datetime) -> Iterator[Finding]:
    """date: the server's, whole seconds cut off."""
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return
    off = here - (there.replace(tzinfo=there.tzinfo or UTC) + timedelta(milliseconds=500))
    if abs(off) <= TOLERATED:
        yield Finding("ok", "the machine's clock agrees with Kite's to some seconds")
        return
    way = "ahead of" if off > timedelta(0) else "behind"
    text = f"the machine's clock is {abs(off).total_seconds():.0f} s {way} Kite's"
    yield Finding("warning", text, "switch on time synchronisation: snapshots bear this machine's time")


def _plan(client: KiteConnect) -> Iterator[Finding]:
    try:
        answer = asked(lambda: client.quote([PROBE]))
    except Unavailable as e:
        lasting = isinstance(e, AuthExpired) or e.code == "data-plan"
        yield Finding("error" if lasting else "warning", e.message, e.hint)
        return
    if PROBE in answer:
        yield Finding("ok", "the app's plan has market data")
    else:
        yield Finding("warning", f"Kite gives no quote of {PROBE}", "try again during the session")

"""`g6 login`: once a day, by browser; by paste where there is none; by standard input for scripts."""

from __future__ import annotations

import json
import os
import secrets
import sys
import webbrowser
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from g6core.cli.options import config_options, json_option
from g6core.errors import AuthExpired, ConfigError, Unavailable
from g6core.login import Login, Session
from g6core.logs import log_to_stderr
from g6core.redirect import Redirect, is_local, state_of

PATIENCE = 300.0
"""Seconds for a person to log in."""
NOT_LOGGED_IN = 4
LONGEST_ANSWER = 65536


@click.command()
@click.argument("provider", default="")
@click.option("--status", "show_status", is_flag=True, help="Say whether the session holds; exits with 4 if not.")
@click.option("--logout", is_flag=True, help="End the session.")
@click.option("--token-stdin", is_flag=True, help="Read what the browser came back with from standard input.")
@click.option("--no-browser", is_flag=True, help="Show the address to open; the one it leads to is pasted back.")
@config_options
@json_option
@click.pass_context
def login(
    ctx: click.Context,
    /,
    provider: str,
    show_status: bool,
    logout: bool,
    token_stdin: bool,
    no_browser: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Log in to a broker: PROVIDER, or the one selected provider that has a login.

    A running `g6 run` goes on by itself. --token-stdin takes one line: the address that the browser was sent back to,
    or the token in it; what else a provider takes, its manual says. A token is never an argument.
    """
    if show_status + logout + (token_stdin or no_browser) > 1 or (token_stdin and no_browser):
        raise click.UsageError("--status, --logout, --token-stdin and --no-browser exclude one another")
    log_to_stderr(bool((ctx.obj or {}).get("verbose")))
    from g6core.cli.logins import find

    name, chosen = find(provider, options)
    if show_status:
        return _show(name, chosen.status(), as_json)
    if logout:
        return _log_out(name, chosen, as_json)
    answer, state = _from_stdin() if token_stdin else _from_browser(name, chosen, no_browser)
    return _show(name, chosen.finish(answer, state), as_json)


def _log_out(name: str, chosen: Login, as_json: bool) -> int:
    ended = chosen.logout()
    if as_json:
        click.echo(json.dumps({"v": 1, "provider": name, "logged_out": ended}))
    else:
        click.echo(f"{name}: logged out" if ended else f"{name}: there was no session")
    return 0


def _show(name: str, session: Session, as_json: bool) -> int:
    if as_json:
        times = {key: value.isoformat() for key, value in asdict(session).items() if isinstance(value, datetime)}
        click.echo(json.dumps({"v": 1, "provider": name, "session": asdict(session) | times}))
    else:
        click.echo(f"{name}: {_in_words(session)}")
    return 0 if session.valid else NOT_LOGGED_IN


def _in_words(session: Session) -> str:
    if not session.valid:
        return f"not logged in: {session.note}" if session.note else "not logged in"
    words = f"logged in as {session.user}" if session.user else "logged in"
    words += f" since {_in_india(session.since)}" if session.since else ""
    words += f", until {_in_india(session.until)}" if session.until else ""
    words += f" (session from {session.source})" if session.source else ""
    return f"{words}; {session.note}" if session.note else words


def _in_india(moment: datetime) -> str:
    from g6core.exchange import IST

    return moment.astimezone(IST).strftime("%Y-%m-%d %H:%M IST")


def _from_stdin() -> tuple[str, None]:
    if sys.stdin.isatty():
        return str(click.prompt("Token or address", hide_input=True, err=True)).strip(), None
    answer = sys.stdin.readline(LONGEST_ANSWER).strip()
    if not answer:
        hint = "one line: the address that the browser was sent back to, or the token in it"
        raise ConfigError("standard input holds no token", where="--token-stdin", hint=hint)
    return answer, None


def _from_browser(name: str, chosen: Login, no_browser: bool) -> tuple[str, str | None]:
    """The redirected address, and the state that it carries."""
    state = secrets.token_urlsafe(24)
    address = chosen.address(state)
    if no_browser or not is_local(chosen.redirect) or not _has_browser():
        return _pasted(name, chosen, address, state)
    try:
        waiting = Redirect(str(chosen.redirect), state)
    except Unavailable as e:
        if not sys.stdin.isatty():
            raise
        click.echo(e.render() + "\n", err=True)
        return _pasted(name, chosen, address, state)
    with waiting:
        told = "Log in with the browser. If none opens by itself, open one on this machine and go to:"
        click.echo(f"{told}\n\n  {address}\n", err=True)
        webbrowser.open(address)
        return waiting.wait(PATIENCE), state


def _pasted(name: str, chosen: Login, address: str, state: str) -> tuple[str, str | None]:
    leads = f" at {chosen.redirect}" if chosen.redirect else ""
    click.echo(
        f"Open this address in a browser and log in:\n\n  {address}\n\n"
        f"The browser ends{leads} with a long query, perhaps with an error page; its address is the answer.",
        err=True,
    )
    if not sys.stdin.isatty():
        raise ConfigError(
            "there is no terminal to paste the address into",
            where="--no-browser",
            hint=f"`g6 login {name} --token-stdin` reads it from standard input",
        )
    answer = str(click.prompt("Paste the address", err=True)).strip()
    carried = state_of(answer)
    if carried is not None and not secrets.compare_digest(carried.encode(), state.encode()):
        raise AuthExpired(
            "that address is the answer to another login", code="login-refused", hint="open the address shown above"
        )
    return answer, carried


def _has_browser() -> bool:
    """Whether a window can open here. Without a screen Python takes a browser of the terminal, which nobody wants."""
    if os.environ.get("BROWSER"):
        return True
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))

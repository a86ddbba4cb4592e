"""`g6 sim serve`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from g6_sim.serve.faults import NAMES
from g6core import IST, ConfigError, Provider, build_provider


@click.group()
def sim() -> None:
    """The simulator as a server."""


@sim.command(epilog="Faults:\n\n\b\n" + "\n".join(f"  {name:<16}{text}" for name, text in NAMES.items()))
@click.option("--port", default=8900, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="The market to play.")
@click.option("--weeks", default=5, show_default=True, type=click.IntRange(0, 12), help="Weekly expiries listed.")
@click.option("--months", default=3, show_default=True, type=click.IntRange(1, 12), help="Monthly expiries listed.")
@click.option("--indices", help="Only these, as in NIFTY,SENSEX.")
@click.option("--replay", type=click.Path(path_type=Path), help="A recorded day in the place of the simulated market.")
@click.option("--start", help="The clock's first time, India: 2026-11-23T09:15. Else now, or the recording's first.")
@click.option(
    "--speed", default=1.0, show_default=True, type=click.FloatRange(min=0, min_open=True), help="Of the clock."
)
@click.option(
    "--ticks", default=1.0, show_default=True, type=click.FloatRange(0.01, 100), help="Of the stream, a second."
)
@click.option("--all-ticks", is_flag=True, help="Send every instrument with every tick, changed or not.")
@click.option("--redirect", default="http://127.0.0.1:8765/", show_default=True, help="Where the login sends back to.")
@click.option("--auto-login", is_flag=True, help="The login page redirects at once, without its button.")
@click.option(
    "--expire-after", type=click.FloatRange(min=0), metavar="SECONDS", help="Sessions end so long after login."
)
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME[@START[+LENGTH]][:PARAM=…]", help="What goes wrong, and when."
)
@click.option("--log", type=click.Path(path_type=Path), help="A file of everything that the stream sends.")
@click.option("--print-config", is_flag=True, help="Print the settings of G6 for this server, and end.")
def serve(**given: Any) -> None:
    """Kite Connect's protocol on this machine: to practise and to test without an account.

    Key and secret are `demo`. No broker and no market stand behind it, and it takes no orders.
    """
    if given["print_config"]:
        click.echo(settings_of(given["port"]), nl=False)
        return
    from g6_sim.serve.app import Server

    make = _maker(given)
    options = _options(given)
    with Server(make, options) as server:
        click.echo(f"SIMULATED Kite at {server.address}; key and secret are `demo`; Ctrl-C ends it", err=True)
        click.echo(settings_of(server.port), nl=False, err=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: server.end())
        server.wait()


def settings_of(port: int) -> str:
    """The lines that point G6 at the server."""
    return (
        "[providers.kite]\n"
        'api_key = "demo"\n'
        f'address = "http://127.0.0.1:{port}"\n'
        "# and in the environment or .env: G6_PROVIDERS__KITE__API_SECRET=demo\n"
    )


def _maker(given: dict[str, Any]) -> Callable[[], Provider]:
    if given["replay"] is not None:
        path = str(given["replay"].absolute())
        return lambda: build_provider("replay", {"path": path})
    from g6_sim import Settings
    from g6_sim.provider import Sim

    settings = Settings.model_validate({name: given[name] for name in ("seed", "weeks", "months")})
    return lambda: Sim(settings)


def _options(given: dict[str, Any]) -> Any:
    from g6_sim.serve.app import Options
    from g6_sim.serve.faults import parse
    from g6_sim.serve.login import Account

    names = [name.strip() for name in (given["indices"] or "").split(",")]
    return Options(
        port=given["port"],
        indices=tuple(name for name in names if name),
        ticks=given["ticks"],
        all_ticks=given["all_ticks"],
        log=given["log"],
        start=_time(given["start"]) if given["start"] else None,
        speed=given["speed"],
        account=Account(redirect=given["redirect"]),
        auto_login=given["auto_login"],
        expire_after=given["expire_after"],
        faults=[parse(text) for text in given["faults"]],
    )


def _time(text: str) -> datetime:
    """India's unless it names its zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as e:
        raise ConfigError(f"`{text}` is not a time", where="--start", hint="write 2026-11-23T09:15") from e
    return found if found.tzinfo else found.replace(tzinfo=IST)

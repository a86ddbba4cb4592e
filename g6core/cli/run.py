"""`g6 run`: record option chains."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from g6core.cli.options import config_options


@click.command()
@config_options
@click.option("--interval", help="Time between two cycles: 15s, 1m.")
@click.option("--cycles", type=click.IntRange(min=1), help="End after so many cycles.")
@click.option("--once", is_flag=True, help="One cycle: the same as --cycles 1.")
@click.option("--for", "duration", help="End after so long: 10m.")
@click.option("--require-open", is_flag=True, help="Exit with 5 when the market is closed instead of waiting.")
@click.option("--quiet", "-q", is_flag=True, help="No line per cycle.")
@click.pass_context
def run(ctx: click.Context, /, interval: str | None, duration: str | None, once: bool, **options: Any) -> int:
    """Record option chains until Ctrl-C, --cycles or --for."""
    from g6core.cli.session import Session

    if interval is not None:
        options["changes"] = (*options["changes"], f"interval={interval}")
    return Session(
        config=options["config"],
        plugins=options["plugins"],
        data_dir=options["data_dir"],
        changes=options["changes"],
        cycles=1 if once else options["cycles"],
        duration=_duration(duration),
        require_open=options["require_open"],
        quiet=options["quiet"],
        verbose=ctx.obj["verbose"],
    ).run()


def _duration(text: str | None) -> timedelta | None:
    from g6core.durations import parse_duration

    try:
        return None if text is None else parse_duration(text)
    except ValueError as e:
        raise click.BadParameter(str(e), param_hint="--for") from e

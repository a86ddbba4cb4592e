"""`g6 demo`: a synthetic market, recorded and shown, for whoever has no account yet."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from g6core.cli.options import data_dir_of, data_dir_option


@click.command()
@data_dir_option
@click.option("--for", "duration", default="20s", show_default=True, help="How long to record.")
@click.option("--forever", is_flag=True, help="Until Ctrl-C.")
@click.pass_context
def demo(ctx: click.Context, data_dir: Path | None, duration: str, forever: bool) -> int:
    """Record a synthetic market for a moment and show a chain of it.

    Every number is SIMULATED: no account, no config, no network, at any hour.
    """
    from g6core.cli.chain import chain
    from g6core.cli.session import Session
    from g6core.durations import parse_duration

    directory = data_dir_of(data_dir)
    length: timedelta | None = None if forever else parse_duration(duration)
    code = Session(
        plugins="sim,greeks,csv",
        data_dir=directory,
        changes=("interval=2s",),
        duration=length,
        verbose=ctx.obj["verbose"],
    ).run()
    if code == 0:
        ctx.invoke(chain, index="NIFTY", expiry=None, around=5, as_csv=False, as_json=False, data_dir=directory)
        click.echo(f"\nRecorded under {directory}/: the journal, and CSV files under {directory}/g6_data/.")
        click.echo("Next: `g6 chain BANKNIFTY`, `g6 journal`, `g6 plugins`; with an account: `g6 init`.")
    return code

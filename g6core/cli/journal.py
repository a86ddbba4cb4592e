"""`g6 journal`: the recorded days."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from g6core import journal as journals
from g6core.cli.options import config_options, data_dir_of, data_dir_option, json_option, load
from g6core.errors import ConfigError
from g6core.exchange import trading_date


@click.group(invoke_without_command=True)
@json_option
@data_dir_option
@click.pass_context
def journal(ctx: click.Context, as_json: bool, data_dir: Path | None) -> None:
    """List the recorded days: snapshots, size, and what each sink has still to get."""
    if ctx.invoked_subcommand:
        return
    days = [journals.summary(path) for path in journals.days(data_dir_of(data_dir))]
    if as_json:
        click.echo(json.dumps({"v": 1, "days": [{**asdict(day), "path": str(day.path)} for day in days]}))
    elif not days:
        click.echo("no day is recorded yet")
    else:
        Console().print(_table(days))


def _table(days: list[journals.DaySummary]) -> Table:
    table = Table("day", "snapshots", "alerts", "MB", "from", "still to deliver", "dead letters")
    for day in days:
        lag = ", ".join(f"{name} {n}" for name, n in day.lag.items() if n) or "nothing"
        dead = ", ".join(f"{name} {n}" for name, n in day.dead_letters.items()) or "none"
        size = f"{day.bytes / 1e6:.1f}"
        table.add_row(day.day, str(day.snapshots), str(day.alerts), size, ", ".join(day.sources), lag, dead)
    return table


@journal.command()
@config_options
@click.option("--before", metavar="YYYY-MM-DD", help="Days before this date; `journal.retention` decides otherwise.")
def prune(
    config: Path | None, plugins: str | None, data_dir: Path | None, changes: tuple[str, ...], before: str | None
) -> None:
    """Remove old days that every enabled sink has got whole."""
    configuration, _ = load(config, plugins, data_dir, changes)
    settings = configuration.settings
    sinks = [name for name, sink in configuration.components["sinks"].items() if sink.enabled]
    limit = _limit(before, settings.journal.retention)
    removed = journals.prune(settings.data_dir, limit, sinks)
    click.echo(f"removed {len(removed)} days" + "".join(f"\n  {path.stem}" for path in removed))


def _limit(before: str | None, retention: timedelta | None) -> date:
    if before is not None:
        try:
            return date.fromisoformat(before)
        except ValueError:
            raise click.BadParameter(f"{before!r} is not a date like 2026-11-20", param_hint="--before") from None
    if retention is None:
        raise ConfigError("no retention is set", hint="`--before 2026-11-01`, or set `journal.retention`")
    return trading_date(datetime.now(UTC)) - retention

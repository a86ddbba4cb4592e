"""`g6 journal`: the recorded days."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from g6core import days
from g6core.cli.options import config_options, data_dir_of, data_dir_option, day_of, json_option, load, load_recorded
from g6core.errors import ConfigError, DataError, raise_all
from g6core.exchange import trading_date
from g6core.lock import DirectoryLock


@click.group(invoke_without_command=True)
@json_option
@data_dir_option
@click.pass_context
def journal(ctx: click.Context, as_json: bool, data_dir: Path | None) -> None:
    """List the recorded days: snapshots, size, and what each sink has still to get."""
    if ctx.invoked_subcommand:
        return
    place = data_dir_of(data_dir)
    if data_dir is not None and not place.is_dir():
        raise DataError(f"there is no directory {place}", code="no-such-day", hint="--data-dir names the right one")
    found, faults = _summaries(place)
    if as_json:
        rows = [{**asdict(day), "path": str(day.path)} for day in found]
        click.echo(json.dumps({"v": 1, "days": rows, "unreadable": [fault.as_dict() for fault in faults]}))
    elif not found and not faults:
        click.echo("no day is recorded yet")
    else:
        Console().print(_table(found))
    raise_all(faults)


def _summaries(place: Path) -> tuple[list[days.DaySummary], list[DataError]]:
    """Each day, and what is wrong with those that cannot be read."""
    found: list[days.DaySummary] = []
    faults: list[DataError] = []
    for path in days.days(place):
        try:
            found.append(days.summary(path))
        except DataError as e:
            faults.append(e)
    return found, faults


def _table(found: list[days.DaySummary]) -> Table:
    table = Table("day", "snapshots", "alerts", "MB", "from", "still to deliver", "dead letters")
    for day in found:
        lag = ", ".join(f"{name} {n}" for name, n in day.lag.items() if n) or "nothing"
        dead = ", ".join(f"{name} {n}" for name, n in day.dead_letters.items()) or "none"
        size = f"{day.bytes / 1e6:.1f}"
        table.add_row(day.day, str(day.snapshots), str(day.alerts), size, ", ".join(day.sources), lag, dead)
    return table


@journal.command()
@config_options
@click.option("--before", metavar="YYYY-MM-DD", help="Days before this date; `journal.retention` decides otherwise.")
@click.option("--forget", multiple=True, metavar="SINK", help="Do not wait for this sink any more.")
def prune(before: str | None, forget: tuple[str, ...], **options: Any) -> None:
    """Remove old days that every sink has got whole: those enabled now, and those that a day was recorded for."""
    from g6core.assembly import built

    configuration, _ = load(**options)
    settings = configuration.settings
    sinks = [name for name, sink in built(configuration, "sinks").items() if sink.keeps]
    limit = _limit(before, settings.journal.retention)
    lock = DirectoryLock(settings.data_dir)
    lock.acquire()
    try:
        removed = days.prune(settings.data_dir, limit, sinks, forget)
    finally:
        lock.release()
    click.echo(f"removed {len(removed)} days" + "".join(f"\n  {path.stem}" for path in removed))
    for path in days.days(settings.data_dir):
        if path.stem < str(limit):
            click.echo(f"kept {path.stem}: {_why_kept(path, sinks, forget)}", err=True)


@journal.command()
@config_options
@click.option("--from", "first", metavar="YYYY-MM-DD", callback=day_of, help="The first day; the oldest if not set.")
@click.option("--to", "last", metavar="YYYY-MM-DD", callback=day_of, help="The last day; the newest if not set.")
def restore(first: date | None, last: date | None, **options: Any) -> None:
    """Bring days back that were pruned, from a selected archive such as parquet: for `g6 replay` and `g6 recompute`."""
    from g6core.restore import restore as run

    def tell(day: date, archive: str, snapshots: int) -> None:
        click.echo(f"{day}  {snapshots} snapshots from {archive}")

    configuration, _ = load_recorded(**options)
    done = run(configuration, first, last, tell)
    click.echo(f"restored {len(done)} days" + ("" if done else "; the journal has all of them"))


def _why_kept(path: Path, sinks: list[str], forget: tuple[str, ...]) -> str:
    try:
        lag = days.summary(path).lag
    except DataError as e:
        return e.message
    waiting = sorted({name for name, n in lag.items() if n and name not in forget} | set(sinks) - set(lag))
    return f"{', '.join(waiting)} has still to get it; `g6 run` delivers, --forget gives it up"


def _limit(before: str | None, retention: timedelta | None) -> date:
    if before is not None:
        try:
            return date.fromisoformat(before)
        except ValueError:
            raise click.BadParameter(f"{before!r} is not a date like 2026-11-20", param_hint="--before") from None
    if retention is None:
        raise ConfigError("no retention is set", hint="`--before 2026-11-01`, or set `journal.retention`")
    return trading_date(datetime.now(UTC)) - retention

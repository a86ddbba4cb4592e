"""`g6 sinks`: what the sinks still want, and filling one from what was recorded."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from g6core import days
from g6core.assembly import built
from g6core.cli.options import config_options, day_of, json_option, load_recorded
from g6core.cli.screen import grouped
from g6core.components import Archive
from g6core.config import Configuration
from g6core.delivery import SinkState
from g6core.errors import DataError
from g6core.fill import Filled, View
from g6core.fill import fill as run
from g6core.logs import log_to_stderr


@click.group(invoke_without_command=True)
@config_options
@json_option
@click.pass_context
def sinks(ctx: click.Context, /, as_json: bool, **options: Any) -> None:
    """List the selected sinks: where they write, and what each has still to get of the recorded days."""
    if ctx.invoked_subcommand:
        return
    configuration, _ = load_recorded(**options)
    rows = _rows(configuration)
    if as_json:
        click.echo(json.dumps({"v": 1, "sinks": rows}))
    elif not rows:
        click.echo("no sink is selected; `--plugins csv` selects one")
    else:
        table = Table("sink", "writes to", "gives back", "still to get", "dead letters")
        for row in rows:
            back = "yes" if row["archive"] else "no"
            table.add_row(row["name"], row["place"] or "", back, grouped(row["lag"]), grouped(row["dead_letters"]))
        Console().print(table)


def _rows(configuration: Configuration) -> list[dict[str, Any]]:
    data_dir = configuration.settings.data_dir
    summaries = []
    for path in days.days(data_dir):
        try:
            summaries.append(days.summary(path))
        except DataError as e:
            click.echo(e.render(), err=True)
    return [
        {
            "name": name,
            "place": sink.place(data_dir),
            "archive": isinstance(sink, Archive),
            "lag": sum(day.lag.get(name, day.snapshots + day.alerts) for day in summaries) if sink.keeps else 0,
            "dead_letters": sum(day.dead_letters.get(name, 0) for day in summaries),
        }
        for name, sink in built(configuration, "sinks").items()
    ]


@sinks.command()
@click.argument("name")
@config_options
@click.option("--from", "first", metavar="YYYY-MM-DD", callback=day_of, help="The first day; the oldest if not set.")
@click.option("--to", "last", metavar="YYYY-MM-DD", callback=day_of, help="The last day; the newest if not set.")
@click.option("--again", is_flag=True, help="From the beginning, also when an earlier fill was interrupted.")
@json_option
@click.pass_context
def fill(
    ctx: click.Context,
    /,
    name: str,
    first: date | None,
    last: date | None,
    again: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Give the sink NAME everything that is recorded: days of the journal, else of a selected archive.

    For a store that is new, was repaired, or lost something. What it has already stays one copy. An interrupted fill
    goes on where it stopped when the same command is given again.
    """
    log_to_stderr(ctx.obj["verbose"])
    configuration, _ = load_recorded(**options)
    for warning in configuration.warnings:
        click.echo(f"warning: {warning}", err=True)
    with _view(as_json) as view:
        try:
            filled = run(configuration, name, first=first, last=last, again=again, view=view)
        except KeyboardInterrupt:
            click.echo("interrupted; the same command goes on where it stopped", err=True)
            return 130
    _tell(filled, name, as_json)
    return 0 if filled.whole and not filled.rejected and not filled.problems else 1


class Lines(View):
    """A line at the start; on a terminal a counter that stays in place."""

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None) if progress else None

    def begin(self, days: Sequence[date], archives: Mapping[date, str], resumed: date | None) -> None:
        span = str(days[0]) if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"
        names = sorted(set(archives.values()))
        others = f" ({len(archives)} of them from {', '.join(names)})" if archives else ""
        click.echo(f"filling from {span}{others}")
        if resumed:
            click.echo(f"going on in {resumed}, where an earlier fill stopped; --again starts from the beginning")

    def advance(self, state: SinkState) -> None:
        if self._progress and self._task is not None:
            error = f"  {state.error}" if state.error else ""
            self._progress.update(self._task, description=f"{grouped(state.written)} snapshots{error}")


@contextmanager
def _view(as_json: bool) -> Iterator[View]:
    if as_json:
        yield View()
    elif not sys.stdout.isatty():
        yield Lines()
    else:
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()) as progress:
            yield Lines(progress)


def _tell(filled: Filled, name: str, as_json: bool) -> None:
    if as_json:
        document = {
            "v": 1,
            "sink": name,
            "days": [str(day) for day in filled.days],
            "written": filled.state.written,
            "whole": filled.whole,
            "rejected": filled.rejected,
            "problems": [problem.as_dict() for problem in filled.problems],
        }
        click.echo(json.dumps(document))
        return
    click.echo(f"sink {name}: {grouped(filled.state.written)} snapshots of {len(filled.days)} days")
    for reason in filled.rejected:
        click.echo(f"rejected: {reason}", err=True)
    for problem in filled.problems:
        click.echo(problem.render(), err=True)
    if not filled.whole:
        error = f": {filled.state.error}" if filled.state.error else ""
        click.echo(f"sink {name} does not get on{error}; the same command goes on where it stopped", err=True)

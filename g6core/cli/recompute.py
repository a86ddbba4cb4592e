"""`g6 recompute`: analytics over recorded days."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from g6core.cli.options import config_options, day_of, json_option, load_recorded
from g6core.cli.screen import grouped
from g6core.logs import log_to_stderr
from g6core.recompute import DayDone, Outcome, View
from g6core.recompute import recompute as run


def _names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


@click.command()
@config_options
@click.option("--from", "first", metavar="YYYY-MM-DD", callback=day_of, help="The first day; the oldest if not set.")
@click.option("--to", "last", metavar="YYYY-MM-DD", callback=day_of, help="The last day; the newest if not set.")
@click.option("--indices", metavar="NAMES", callback=_names, help="Only these: NIFTY,BANKNIFTY.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Where it goes; `recomputed` in the data directory."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; as many as there are cores if not set.")
@click.option("--drop", metavar="NAMES", callback=_names, help="Further columns of options to leave out.")
@json_option
@click.pass_context
def recompute(
    ctx: click.Context,
    /,
    first: date | None,
    last: date | None,
    indices: Sequence[str],
    as_json: bool,
    out: Path | None,
    workers: int | None,
    drop: Sequence[str],
    **options: Any,
) -> int:
    """Compute the analytics of recorded days anew, with the plugins and settings of now.

    The result goes into journal days of another directory, and from there to the sinks of the selected plugins. What
    was recorded stays as it is. Providers, strategies and alert rules take no part.
    """
    log_to_stderr(ctx.obj["verbose"])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    configuration, registry = load_recorded(**options)
    for warning in configuration.warnings:
        click.echo(f"warning: {warning}", err=True)
    names = [index.upper() for index in indices]
    with _view(as_json) as view:
        try:
            outcome = run(
                configuration,
                registry,
                first=first,
                last=last,
                indices=names,
                out=out,
                workers=workers,
                drop=drop,
                view=view,
            )
        except KeyboardInterrupt:
            click.echo(view.where_it_stopped(), err=True)
            return 130
    if as_json:
        click.echo(json.dumps(_document(outcome)))
    else:
        _tell(outcome)
    return 0 if outcome.whole else 1


class Shown(View):
    """What all views have: they know where a run stopped that was interrupted."""

    def __init__(self) -> None:
        self._todo: list[date] = []
        self._total = 0
        self._out = Path()

    def begin(self, days: Sequence[date], snapshots: int, workers: int, out: Path) -> None:
        self._todo, self._total, self._out = sorted(days), len(days), out

    def day(self, done: DayDone) -> None:
        self._todo.remove(done.day)

    def where_it_stopped(self) -> str:
        if not self._total:
            return "interrupted before anything was computed"
        if not self._todo:
            return f"interrupted; every day is written to {self._out}, the sinks have not got everything"
        done = self._total - len(self._todo)
        return (
            f"interrupted; {done} of {self._total} days are written to {self._out}, each whole; "
            f"`--from {self._todo[0]}` goes on"
        )


class Lines(Shown):
    """A line per day."""

    def day(self, done: DayDone) -> None:
        super().day(done)
        click.echo(f"{done.day}  {grouped(done.snapshots)} snapshots  {grouped(done.options)} rows")

    def deliver(self, sinks: Sequence[str]) -> None:
        click.echo(f"delivering to {', '.join(sinks)}")


class Bar(Shown):
    """A bar that stays in place on a terminal."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._task = progress.add_task("starting", total=None)

    def begin(self, days: Sequence[date], snapshots: int, workers: int, out: Path) -> None:
        super().begin(days, snapshots, workers, out)
        self._progress.update(self._task, total=snapshots, description=f"0 of {len(days)} days")

    def advance(self, snapshots: int) -> None:
        self._progress.update(self._task, advance=snapshots)

    def day(self, done: DayDone) -> None:
        super().day(done)
        self._progress.update(self._task, description=f"{self._total - len(self._todo)} of {self._total} days")

    def deliver(self, sinks: Sequence[str]) -> None:
        self._progress.update(self._task, description=f"delivering to {', '.join(sinks)}")


@contextmanager
def _view(as_json: bool) -> Iterator[Shown]:
    if as_json:
        yield Shown()
    elif not sys.stdout.isatty():
        yield Lines()
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console()) as progress:
            yield Bar(progress)


def _tell(outcome: Outcome) -> None:
    simulated = "SIMULATED  " if outcome.simulated else ""
    rate = outcome.options / outcome.seconds
    done = f"{len(outcome.days)} days, {grouped(outcome.snapshots)} snapshots, {grouped(outcome.options)} rows"
    pace = f"{outcome.seconds:.1f} s, {grouped(rate)} rows/s, workers: {outcome.workers}"
    click.echo(f"{simulated}{done} ({pace}), written to {outcome.out}")
    for name, sink in outcome.sinks.items():
        rejected = f", {sink.rejected} rejected" if sink.rejected else ""
        click.echo(f"sink {name}: {grouped(sink.written)} snapshots{rejected}")
    if outcome.kept:
        drop = ",".join(name.removeprefix("options.") for name in sorted(outcome.kept))
        listed = ", ".join(sorted(outcome.kept))
        click.echo(f"kept as recorded: {listed} (no selected analytic adds it; `--drop {drop}` leaves it out)")
    if outcome.left_out:
        click.echo(f"left out: {', '.join(sorted(outcome.left_out))} (no selected analytic adds it)")
    for name, failure in sorted(outcome.failures.items()):
        times = f"{grouped(failure.count)} of {grouped(outcome.snapshots)} snapshots"
        click.echo(f"analytic {name} gave nothing for {times}: {failure.reason}", err=True)
    if outcome.undelivered:
        click.echo(f"{outcome.undelivered} snapshots wait in the journal; the same command delivers them", err=True)
    for problem in outcome.problems:
        click.echo(problem.render(), err=True)


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "v": 1,
        "out": str(outcome.out),
        "simulated": outcome.simulated,
        "days": [{"day": str(d.day), "snapshots": d.snapshots, "rows": d.options} for d in outcome.days],
        "snapshots": outcome.snapshots,
        "rows": outcome.options,
        "seconds": outcome.seconds,
        "rows_per_second": outcome.options / outcome.seconds,
        "workers": outcome.workers,
        "failures": {n: {"snapshots": f.count, "reason": f.reason} for n, f in sorted(outcome.failures.items())},
        "kept": sorted(outcome.kept),
        "left_out": sorted(outcome.left_out),
        "sinks": {name: asdict(state) for name, state in outcome.sinks.items()},
        "undelivered": outcome.undelivered,
        "problems": [problem.as_dict() for problem in outcome.problems],
    }

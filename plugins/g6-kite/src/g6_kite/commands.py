"""`g6 coverage` and `g6 backfill`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from g6core import config_options

if TYPE_CHECKING:
    from g6_kite.backfill import Backfill, Call, Listing, Plan, Wanted
    from g6_kite.coverage import Coverage
    from g6_kite.settings import KiteSettings
    from g6core import Context

F = TypeVar("F", bound=Callable[..., Any])
Step = Callable[["Call"], None]


def _date(ctx: click.Context, parameter: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date like 2026-11-20") from None


def _names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(name.strip().upper() for name in (value or "").split(",") if name.strip())


def _which(command: F) -> F:
    """--from, --to, --indices, --json."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output."),
        click.option("--indices", metavar="NAMES", callback=_names, help="Only these: NIFTY,BANKNIFTY."),
        click.option("--to", "last", metavar="YYYY-MM-DD", callback=_date, help="The last day; the first if not set."),
        click.option("--from", "first", metavar="YYYY-MM-DD", callback=_date, help="The first day; today if not set."),
    ):
        command = option(command)
    return command


@click.command()
@_which
@config_options
def coverage(first: date | None, last: date | None, indices: Sequence[str], as_json: bool, **options: Any) -> int:
    """Show what is recorded of a day by contract and minute; exits with 1 when something is missing.

    Recorded: a snapshot of that minute has a quote. Back-filled: there is a candle. No trade: Kite was asked and has no
    candle, or one without volume. Gap: it was watched and nothing is there; `g6 backfill` asks Kite. Not watched: the
    strategy had not selected it.
    """
    from g6_kite import report

    _, context = _lent(options)
    found = list(_days(context, first, last, indices).values())
    if as_json:
        click.echo(json.dumps({"v": 1, "days": [report.document(day) for day in found]}))
    else:
        for day in found:
            _show(day)
    return 1 if any(c.gaps() for day in found for c in day) else 0


def _show(found: Sequence[Coverage]) -> None:
    from rich.console import Console

    from g6_kite import report

    click.echo(f"{found[0].day}{'  SIMULATED' if any(c.simulated for c in found) else ''}")
    Console(width=None if sys.stdout.isatty() else 120).print(report.table(found))
    for c in found:
        if not c.minutes.size:
            click.echo(f"{c.index}: no minute of a session is over on this day")
        for line in report.gap_lines(c):
            click.echo(line)


@click.command()
@_which
@click.option("--all", "everything", is_flag=True, help="Whole days of every listed contract, recorded or not.")
@config_options
def backfill(
    first: date | None, last: date | None, indices: Sequence[str], as_json: bool, everything: bool, **options: Any
) -> int:
    """Fetch Kite's candles for the gaps of a day, what expires first before the rest; exits with 1 when some are left.

    Candles go into `candles/YYYY-MM-DD.db` beside the journal and never into the journal: a candle is no quote. It may
    be stopped and started again at any time, and runs beside `g6 run`: Kite counts candles and quotes apart.
    """
    from g6_kite import report
    from g6_kite.backfill import plan
    from g6core import trading_date

    if everything and not indices:
        raise click.UsageError("--all wants --indices: each listed contract is a call, hundreds to thousands an index")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings, context = _lent(options)
    with _kite(settings, context) as (filler, listing):
        wanted = _wanted(settings, context, listing, first, last, indices, everything)
        planned = plan(wanted, listing, trading_date(context.clock.now()))
        _run(settings, filler, planned, quiet=as_json)
    outcome = filler.outcome
    if as_json:
        click.echo(json.dumps(report.outcome_document(planned, outcome)))
    else:
        click.echo("\n".join(report.outcome_lines(planned, outcome)))
    return 1 if outcome.left or outcome.failed or planned.refused else 0


@contextmanager
def _kite(settings: KiteSettings, context: Context) -> Iterator[tuple[Backfill, Listing]]:
    from g6_kite.backfill import Backfill
    from g6_kite.instruments import Instruments
    from g6_kite.rest import Rest
    from g6_kite.session import Sessions

    rest = Rest(settings, Sessions(settings, context.clock))
    try:
        listing = Instruments(rest, settings, context)
        yield Backfill(rest, listing, context, simulated=settings.address is not None), listing
    finally:
        rest.close()


def _run(settings: KiteSettings, filler: Backfill, planned: Plan, *, quiet: bool) -> None:
    from g6core import G6Error

    try:
        with _progress(len(planned.calls), settings.candles_per_second, quiet) as step:
            filler.run(planned.calls, step)
    except (G6Error, KeyboardInterrupt):
        # A login is missing, the disk is full, or a person has had enough.
        click.echo(f"{filler.outcome.candles:,} candles are stored; the same command goes on from there", err=True)
        raise


@contextmanager
def _progress(calls: int, per_second: float, quiet: bool) -> Iterator[Step]:
    if quiet or not calls:
        yield lambda call: None
    elif not sys.stderr.isatty():
        click.echo(f"{calls:,} calls, {calls / per_second:,.0f} s or more", err=True)
        yield lambda call: None
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("candles", total=calls)
            yield lambda call: bar.update(task, advance=1, description=call.instrument.symbol)


def _lent(options: dict[str, Any]) -> tuple[KiteSettings, Context]:
    from g6core import configured

    settings, context = configured("providers", "kite", **options)
    return settings, context


def _span(context: Context, first: date | None, last: date | None) -> list[date]:
    from g6core import trading_date

    start = first or last or trading_date(context.clock.now())
    end = last or start
    if end < start:
        raise click.BadParameter("the last day is before the first", param_hint="--to")
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def _days(
    context: Context, first: date | None, last: date | None, indices: Sequence[str]
) -> dict[date, list[Coverage]]:
    """The coverage of each recorded day of the span. Raises DataError (`no-such-day`) when there is none."""
    from g6_kite.candles import candles_path
    from g6_kite.coverage import coverage, journal_path
    from g6core import DataError

    span, place = _span(context, first, last), context.data_dir
    there = [day for day in span if journal_path(place, day).exists() or candles_path(place, day).exists()]
    found = {day: coverage(context, day, indices) for day in there or span[-1:]}
    if not any(found.values()):
        raise DataError(f"nothing is recorded of {', '.join(indices)} on these days", code="nothing-recorded")
    return {day: day_found for day, day_found in found.items() if day_found}


def _wanted(
    settings: KiteSettings,
    context: Context,
    listing: Listing,
    first: date | None,
    last: date | None,
    indices: Sequence[str],
    everything: bool,
) -> Wanted:
    from g6_kite.backfill import missing_in, missing_of_all

    if everything:
        days = _span(context, first, last)
        return {day: [m for name in indices for m in missing_of_all(context, listing, day, name)] for day in days}
    found = _days(context, first, last, indices)
    for day, coverages in found.items():
        _refuse_mixed(settings, day, coverages)
    return {day: missing_in(coverages, context.clock.now()) for day, coverages in found.items()}


def _refuse_mixed(settings: KiteSettings, day: date, found: Sequence[Coverage]) -> None:
    from g6core import ConfigError

    here = settings.address is not None
    if any(c.simulated is not None and c.simulated != here for c in found):
        kinds = {True: "simulated", False: "real"}
        raise ConfigError(
            f"the journal of {day} is {kinds[not here]}, and these candles would be {kinds[here]}",
            code="mixed-sources",
            hint="`address` of [providers.kite] says who is asked; --data-dir names another directory",
        )

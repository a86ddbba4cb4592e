"""What a terminal shows: numbers as they are written in India, a live table for `g6 run`, a line per cycle
elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from g6core.exchange import IST
from g6core.logs import PLAIN
from g6core.reports import CycleReport, IndexReport

if TYPE_CHECKING:
    from g6core.engine import Engine
    from g6core.loop import View

log = logging.getLogger("g6.screen")
NONE = "–"


def grouped(value: float | None, decimals: int = 0) -> str:
    """The number with lakh and crore grouping: 1,23,45,678.90; a dash for None."""
    if value is None:
        return NONE
    whole, point, fraction = f"{abs(value):.{decimals}f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    parts = [head[max(0, i - 2) : i] for i in range(len(head), 0, -2)][::-1]
    sign = "-" if value < 0 and float(f"{value:.{decimals}f}") else ""
    return sign + ",".join([*parts, tail]) + point + fraction


def percent(value: float | None) -> str:
    """A fraction as percent: 0.145 is 14.5%."""
    return NONE if value is None else f"{100 * value:.1f}%"


def clock_time(ts: datetime) -> str:
    return f"{ts.astimezone(IST):%H:%M:%S} IST"


class Views:
    """Several views as one (`loop.View`)."""

    def __init__(self, *views: View) -> None:
        self._views = views

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        for view in self._views:
            view.cycle(engine, report)

    def idle(self, engine: Engine, opens: datetime) -> None:
        for view in self._views:
            view.idle(engine, opens)


class Silent:
    def cycle(self, engine: Engine, report: CycleReport) -> None:
        """Nothing is shown."""

    def idle(self, engine: Engine, opens: datetime) -> None:
        """Nothing is shown."""


class Guarded:
    """A view whose loss stops nobody: when its output is gone (a closed pipe, a full disk), recording goes on."""

    def __init__(self, view: View) -> None:
        self._view: View | None = view

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        self._show(lambda view: view.cycle(engine, report))

    def idle(self, engine: Engine, opens: datetime) -> None:
        self._show(lambda view: view.idle(engine, opens))

    def _show(self, show: Callable[[View], None]) -> None:
        if self._view is None:
            return
        try:
            show(self._view)
        except (OSError, ValueError) as e:
            self._view = None
            log.warning("nothing more can be shown (%s); recording goes on", e)


class Reasons(Silent):
    """Why an index was not recorded, or not whole; the same reason is said once."""

    def __init__(self) -> None:
        self._reasons: dict[str, str | None] = {}

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        for name, index in report.indices.items():
            why = index.reason or "; ".join(index.notes) or None
            if why and self._reasons.get(name) != why:
                log.warning("%s  %s: %s", clock_time(report.ts), name, why, extra=PLAIN)
            self._reasons[name] = why


class Lines(Reasons):
    """A line per cycle as well, for logs and pipes."""

    def __init__(self) -> None:
        super().__init__()
        self._idle_until: datetime | None = None

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        parts = [self._index(name, index) for name, index in report.indices.items()]
        simulated = ["SIMULATED"] if engine.assembly.simulated else []
        sinks = [f"{name} +{runner.state.lag}" for name, runner in engine.runners.items()]
        words = [clock_time(report.ts), *simulated, *parts, f"{report.seconds * 1000:.0f} ms", *sinks]
        click.echo("  ".join(words))
        super().cycle(engine, report)

    def _index(self, name: str, index: IndexReport) -> str:
        if index.status != "recorded":
            return f"{name} {index.status}"
        return f"{name} {grouped(index.facts.get('spot'), 2)} {index.quoted}/{index.options}"

    def idle(self, engine: Engine, opens: datetime) -> None:
        if opens != self._idle_until:
            click.echo(f"the market is closed; recording begins on {opens.astimezone(IST):%a %d %b %H:%M} IST")
        self._idle_until = opens


class LiveTable:
    """A table that stays in place on a terminal."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._misses: dict[str, int] = {}

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        table = Table(title=self._title(engine, report), caption=_sinks(engine), title_justify="left")
        table.add_column("index")
        for name in ("spot", "expiry", "ATM IV", "PCR (OI)", "straddle", "quotes", "ms"):
            table.add_column(name, justify="right")
        for name, index in report.indices.items():
            table.add_row(name, *self._cells(name, index))
        self._live.update(table, refresh=True)

    def _title(self, engine: Engine, report: CycleReport) -> str:
        simulated = "[bold yellow]SIMULATED[/]  " if engine.assembly.simulated else ""
        problem = f"  [bold red]{escape(engine.problem.message)}[/]" if engine.problem else ""
        return f"{simulated}{clock_time(report.ts)}  {report.seconds * 1000:.0f} ms a cycle{problem}"

    def _cells(self, name: str, index: IndexReport) -> Sequence[str]:
        if index.status != "recorded":
            self._misses[name] = self._misses.get(name, 0) + 1
            return ("", "", "", "", "", f"[red]{escape(str(index.reason))} ×{self._misses[name]}[/]")
        self._misses[name] = 0
        near: Mapping[str, Any] = index.nearest
        return (
            grouped(index.facts.get("spot"), 2),
            f"{near['expiry']:%d %b}",
            percent(near.get("atm_iv")),
            grouped(near.get("pcr_oi"), 2),
            grouped(near.get("straddle"), 2),
            f"{index.quoted}/{index.options}",
            f"{index.seconds * 1000:.0f}",
        )

    def idle(self, engine: Engine, opens: datetime) -> None:
        self._live.update(f"the market is closed; recording begins on {opens.astimezone(IST):%a %d %b %H:%M} IST")


class ReplayBar:
    """Progress through a recording."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("replay", total=total)

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        simulated = "SIMULATED " if engine.assembly.simulated else ""
        self._progress.update(self._task, advance=1, description=f"{simulated}{report.ts.astimezone(IST):%d %b %H:%M}")

    def idle(self, engine: Engine, opens: datetime) -> None:
        """A recording has no closed hours."""


def _sinks(engine: Engine) -> str:
    words = [
        f"{name}: {escape(runner.state.error)}"
        if runner.state.error
        else f"{name}: {runner.state.written} written, +{runner.state.lag}"
        for name, runner in engine.runners.items()
    ]
    return "   ".join(words)


@contextmanager
def open_view(engine: Engine, instants: Sequence[datetime] | None, quiet: bool) -> Iterator[View]:
    """The view that suits where standard output goes."""
    console = Console()
    if quiet:
        yield Reasons() if instants is None else Silent()
    elif not sys.stdout.isatty():
        yield Guarded(Lines())
    elif instants is None:
        with Live(console=console, auto_refresh=False) as live:
            yield Guarded(LiveTable(live))
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            yield Guarded(ReplayBar(progress, len(instants)))

"""The seven hooks. This file is the manual's source: `docs/hooks.md` repeats it and a test compares the two.

The first five are called once at start, on the main thread, before any component is built and in no promised order;
they do no I/O and return specs. What they return is sorted by name, so the order of installation never matters. The
same name twice in one kind is an error that names both distributions. An exception in one of them is an error that
names the plugin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from g6core.reports import CycleReport
    from g6core.specs import AlertSpec, AnalyticSpec, ProviderSpec, SinkSpec, StrategySpec

PROJECT = "g6"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def g6_providers() -> Iterable[ProviderSpec]:  # type: ignore[empty-body]
    """Providers: where contracts, spots and quotes come from.

    Called once at start. An exception stops the start with exit code 2.
    """


@hookspec
def g6_strategies() -> Iterable[StrategySpec]:  # type: ignore[empty-body]
    """Strategies: which strikes to watch.

    Called once at start. An exception stops the start with exit code 2.
    """


@hookspec
def g6_analytics() -> Iterable[AnalyticSpec]:  # type: ignore[empty-body]
    """Analytics: columns and facts added to a snapshot.

    Called once at start. An exception stops the start with exit code 2.
    """


@hookspec
def g6_sinks() -> Iterable[SinkSpec]:  # type: ignore[empty-body]
    """Sinks: where snapshots and alerts go.

    Called once at start. An exception stops the start with exit code 2.
    """


@hookspec
def g6_alerts() -> Iterable[AlertSpec]:  # type: ignore[empty-body]
    """Alert rules: looked at after analytics, once a snapshot is in the journal.

    Called once at start. An exception stops the start with exit code 2.
    """


@hookspec
def g6_commands(cli: click.Group) -> None:
    """Commands of a plugin: `cli.add_command(…)`.

    Called on the main thread when a command is looked up that the core does not have, and for `g6 --help`. An exception
    is reported when the command was asked for by name, and leaves the plugin's commands out of the help otherwise.
    """


@hookspec
def g6_cycle_finished(report: CycleReport) -> None:
    """Observe a finished cycle.

    Called after each cycle, on the engine's thread, once its snapshots are in the journal; be quick. An exception is
    logged and never reaches the engine or the next observer.
    """

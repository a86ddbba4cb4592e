"""A sink filled from what was recorded: from journal days, and where the journal has none, from an archive.

All days are one long way to the runner that delivers, so that a sink which acknowledges late is waited for once and not
for every day. How far the sink has got is kept in `<data>/fills/<sink>.db`: an interrupted fill goes on there. The
journal's own cursors are left alone: they say what the recorder has delivered.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from g6core import fillway
from g6core.archives import opened
from g6core.assembly import built
from g6core.borrow import make_context
from g6core.clock import SystemClock
from g6core.components import Sink
from g6core.config import Configuration
from g6core.delivery import SinkRunner, SinkState, wait_for
from g6core.errors import Busy, ConfigError, DataError, Unavailable
from g6core.fillway import SPAN, FillPlace
from g6core.lock import DirectoryLock

FOLDER = "fills"


class View:
    """What a person sees of it; this one shows nothing."""

    def begin(self, days: Sequence[date], archives: Mapping[date, str], resumed: date | None) -> None:
        """What will be done. archives: where days come from that the journal lacks. resumed: where it goes on."""

    def advance(self, state: SinkState) -> None:
        """So far it is; called about twice a second."""


@dataclass
class Filled:
    """What was done. whole: the sink has everything but what it rejected. rejected: day and reason of each."""

    days: Sequence[date]
    state: SinkState
    whole: bool = False
    rejected: list[str] = field(default_factory=list)
    problems: list[DataError] = field(default_factory=list)


def fill(
    configuration: Configuration,
    name: str,
    *,
    first: date | None = None,
    last: date | None = None,
    again: bool = False,
    view: View | None = None,
) -> Filled:
    """Give a sink everything that is recorded from `first` to `last` (trading dates, inclusive; None: all there is).

    Sinks keep one copy of what they get twice, so nothing need be removed before. An interrupted fill of the same range
    and settings goes on where it stopped, unless `again`. Raises ConfigError, DataError (`no-such-day`), Busy.
    """
    data_dir = configuration.settings.data_dir.absolute()
    sinks = built(configuration, "sinks")
    sink = _named(sinks, name)
    clock = SystemClock()
    context = make_context(data_dir, clock)
    view = view or View()
    with ExitStack() as stack:
        stack.enter_context(_alone(sink, name, data_dir))
        archives = stack.enter_context(opened(configuration, but=name))
        way, origins = fillway.way_of(data_dir, archives, first, last)
        progress = data_dir / FOLDER / f"{name}.db"
        problems: list[DataError] = []

        def places() -> FillPlace:
            return FillPlace(progress, way, problems)

        # The same name may stand for another store by now, or another form, and other archives bring other days.
        settings = configuration.components["sinks"][name].settings
        asked = f"{first} {last} {sink.place(data_dir)} {settings!r} {sorted(archives)}"
        fillway.begin(progress, asked, again)
        with closing(places()) as place:
            at = max(place.place(progress))
        view.begin([day.date for day in way], origins, way[min(at // SPAN, len(way) - 1)].date if at else None)
        runner = SinkRunner(name, sink, places, context, clock)
        filled = Filled([day.date for day in way], runner.state, problems=problems)
        try:
            runner.open()
            runner.start([progress])
            patience = configuration.settings.drain_timeout.total_seconds()
            filled.whole = wait_for([runner], patience, lambda: view.advance(runner.state))
        finally:
            runner.stop(time.monotonic() + 5.0)
        filled.rejected = fillway.rejected(progress)
        if filled.whole:
            fillway.forget(progress)
        return filled


def _named(sinks: Mapping[str, Sink], name: str) -> Sink:
    if name in sinks:
        return sinks[name]
    close = difflib.get_close_matches(name, sinks, n=1)
    there = f"there is {', '.join(sinks)}" if sinks else "none is on"
    raise ConfigError(
        f"no enabled sink is called `{name}`; {there}",
        hint=f"did you mean `{close[0]}`?" if close else f"`--plugins {name}` selects a plugin of that name",
    )


@contextmanager
def _alone(sink: Sink, name: str, data_dir: Path) -> Iterator[None]:
    """Where one process at a time may write, neither a recorder nor another fill; else no other fill."""
    if not sink.shared:
        lock = DirectoryLock(data_dir)
        lock.acquire()
        try:
            yield
        finally:
            lock.release()
        return
    with _filling(name, data_dir):
        yield


@contextmanager
def _filling(name: str, data_dir: Path) -> Iterator[None]:
    lock = FileLock(data_dir / FOLDER / f"{name}.lock")
    try:
        (data_dir / FOLDER).mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0.5)
    except Timeout:
        raise Busy(
            f"another process fills `{name}`", where=str(data_dir / FOLDER), hint="wait until it is done, or stop it"
        ) from None
    except OSError as e:
        raise Unavailable(
            f"the data directory cannot be written: {e.strerror or e}",
            code="not-writable",
            where=str(data_dir / FOLDER),
            note="a fill keeps there how far it got",
            hint="make it writable, or copy the days into one that is",
        ) from e
    try:
        yield
    finally:
        lock.release()

"""Recorded days wherever they are: in the journal, else in an archive, a sink that gives back what it stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime

from g6core import days
from g6core.assembly import built
from g6core.borrow import make_context
from g6core.clock import SystemClock
from g6core.components import Archive
from g6core.config import Configuration
from g6core.snapshot import Snapshot


@contextmanager
def opened(configuration: Configuration, but: str | None = None) -> Iterator[Mapping[str, Archive]]:
    """Every enabled archive by its name, open, except the sink `but`."""
    context = make_context(configuration.settings.data_dir, SystemClock())
    found = {name: sink for name, sink in built(configuration, "sinks").items() if isinstance(sink, Archive)}
    found.pop(but or "", None)
    with ExitStack() as stack:
        for archive in found.values():
            # Closed also when it cannot be opened, as every component.
            stack.callback(archive.close)
            archive.open(context)
        yield found


def snapshot_at(configuration: Configuration, index: str, ts: datetime) -> Snapshot | None:
    """The newest snapshot of an index at or before an instant, of that trading date: of the journal, else of an
    archive."""
    if snapshot := days.at(configuration.settings.data_dir, index, ts):
        return snapshot
    with opened(configuration) as archives:
        found = (archive.at(index, ts) for archive in archives.values())
        return next((snapshot for snapshot in found if snapshot), None)

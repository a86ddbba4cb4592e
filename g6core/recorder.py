"""What was collected is kept until the journal has it: in memory, while the disk is full."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from g6core.days import Entry
from g6core.errors import DataError, G6Error, Unavailable
from g6core.faults import FAULTS, told
from g6core.journal import Encoded, Journal
from g6core.measuring import COMMIT_SECONDS, ENCODE_SECONDS, JOURNAL_ERRORS, LOST, REFUSED
from g6core.snapshot import Snapshot

log = logging.getLogger("g6.recorder")
HELD_IN_MEMORY = 600
"""Snapshots kept while the journal cannot be written; six indices at 15 s: 25 minutes."""


class Recorder:
    """Between the cycle and the journal; used by the engine's thread."""

    def __init__(self, journal: Journal) -> None:
        self.problem: G6Error | None = None
        """Why nothing can be recorded at the moment, or None."""
        self._journal = journal
        self._unsaved: list[Encoded] = []

    @property
    def unsaved(self) -> int:
        """Snapshots that wait in memory."""
        return len(self._unsaved)

    def waiting(self, ts: datetime) -> set[str]:
        """The indices whose snapshot of this instant waits in memory."""
        return {e.snapshot.index for e in self._unsaved if e.snapshot.ts == ts}

    def keep(self, snapshots: Sequence[Snapshot]) -> dict[str, str]:
        """Make the snapshots ready for the journal; the reasons of those that no journal can hold, by index."""
        refused: dict[str, str] = {}
        for snapshot in snapshots:
            try:
                with ENCODE_SECONDS.time():
                    self._unsaved.append(self._journal.encode(snapshot))
            except FAULTS as e:
                REFUSED.inc()
                refused[snapshot.index] = f"the snapshot cannot be stored: {told(e)}"
                log.error("%s: %s", snapshot.index, refused[snapshot.index])
        return refused

    def commit(self) -> dict[Path, list[Entry]]:
        """Commit what is new and what waits; the entries that are in the journal now, by day."""
        recorded: dict[Path, list[Entry]] = {}
        try:
            for path in dict.fromkeys(encoded.path for encoded in self._unsaved):
                with COMMIT_SECONDS.time():
                    recorded[path] = self._journal.append(path, [e for e in self._unsaved if e.path == path])
                self._unsaved = [e for e in self._unsaved if e.path != path]
        except (Unavailable, DataError) as e:
            self._pause(e)
            return recorded
        if self.problem:
            log.warning("the journal can be written again")
        self.problem = None
        return recorded

    def _pause(self, e: G6Error) -> None:
        if not self.problem or self.problem.code != e.code:
            log.error(e)
        self.problem = e
        JOURNAL_ERRORS.labels(e.code).inc()
        if len(self._unsaved) > HELD_IN_MEMORY:
            log.error("%d snapshots are lost: they cannot be written", len(self._unsaved) - HELD_IN_MEMORY)
            LOST.inc(len(self._unsaved) - HELD_IN_MEMORY)
            self._unsaved = self._unsaved[-HELD_IN_MEMORY:]

"""What was odd in a recording, how often, why, where first, and what was done with it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import polars as pl

from g6core import Remark

FILE, LINE = "_file", "_line"
"""Columns of every frame that is being read: the file's number in the list of files, and the line in it."""

SET_ASIDE, REPAIRED, NOT_TAKEN, NOTICED = "set aside", "repaired", "not taken", "noticed"

_log = logging.getLogger("g6.replay")


class Tally:
    """files: the names that the FILE column counts. unit: what a row of the recording is called."""

    def __init__(self, files: Sequence[str], unit: str = "row") -> None:
        self.files = files
        self.unit = unit
        self.counts: Counter[str] = Counter()
        """How many of what were read, in the order of telling."""
        self._kinds: dict[tuple[str, str], tuple[int, str]] = {}

    def add(self, reason: str, count: int, first: str, action: str = SET_ASIDE) -> None:
        """Count of one kind; the first place that is given for it stays."""
        before, place = self._kinds.get((action, reason), (0, first))
        self._kinds[action, reason] = before + count, place

    def rows(self, frame: pl.DataFrame, reason: str, action: str = SET_ASIDE) -> None:
        """The rows of `frame`, for one reason; none is no entry."""
        if not frame.is_empty():
            first = frame.select(FILE, LINE).bottom_k(1, by=[FILE, LINE]).row(0)
            self.add(reason, frame.height, self.place(*first), action)

    def note(self, frame: pl.DataFrame, which: pl.Expr, reason: str, action: str) -> None:
        """Count the rows for which `which` is true."""
        chosen = frame.select(FILE, LINE, which.fill_null(False).alias("_chosen"))
        if chosen["_chosen"].any():
            self.rows(chosen.filter("_chosen"), reason, action)

    def without(self, frame: pl.DataFrame, bad: pl.Expr, reason: str) -> pl.DataFrame:
        """The frame without the rows for which `bad` is true, which are counted as set aside."""
        chosen = frame.select(bad.fill_null(False)).to_series()
        if not chosen.any():
            return frame
        self.rows(frame.filter(chosen), reason)
        return frame.filter(~chosen)

    def place(self, file: int, line: int) -> str:
        return f"{self.files[file]}:{line}"

    @property
    def remarks(self) -> list[Remark]:
        return [Remark(action, reason, *kind) for (action, reason), kind in self._kinds.items()]

    @property
    def entries(self) -> list[Remark]:
        """What a person should look at: what was left out or changed."""
        return [remark for remark in self.remarks if remark.action in (SET_ASIDE, REPAIRED)]

    def log(self) -> None:
        for entry in self.entries:
            _log.warning("%s", entry)

"""What was set aside, how often, why, and where first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

FILE, LINE = "_file", "_line"
"""Columns of every frame that is being read: the file's number in the list of files, and the line in it."""

_log = logging.getLogger("g6.replay")


@dataclass(frozen=True)
class SetAside:
    reason: str
    count: int
    first: str

    def __str__(self) -> str:
        return f"{self.count:,} x {self.reason} (first at {self.first})"


class Tally:
    """files: the names that the FILE column counts."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self.entries: list[SetAside] = []

    def add(self, reason: str, count: int, first: str) -> None:
        self.entries.append(SetAside(reason, count, first))

    def rows(self, frame: pl.DataFrame, reason: str) -> None:
        """The rows of `frame`, for one reason; none is no entry."""
        if not frame.is_empty():
            first = frame.select(FILE, LINE).sort(FILE, LINE).row(0)
            self.add(reason, frame.height, self.place(*first))

    def place(self, file: int, line: int) -> str:
        return f"{self.files[file]}:{line}"

    def log(self) -> None:
        for entry in self.entries:
            _log.warning("%s", entry)

"""Numbers per option over time: a row per snapshot, a column per contract, wherever its row was in the snapshot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from g6_alerts.view import Floats

Row = tuple[Sequence[str | None], Floats]
"""The symbols of a snapshot's options, and a number for each."""


class Table:
    """Rows by time. What is read has the contracts of the row added last, NaN for one that was not there then."""

    def __init__(self) -> None:
        self._symbols: Sequence[str | None] = ()
        self._columns: dict[str | None, int] = {}
        self._places = np.empty(0, int)
        self._cells = np.empty((0, 0))
        self._first = self._end = 0

    def __getitem__(self, rows: int | slice) -> Floats:
        found: Floats = self._cells[self._first : self._end][rows]
        return found[..., self._places]

    def __delitem__(self, rows: int | slice) -> None:
        """The first row, by 0, or all."""
        self._first = self._first + 1 if rows == 0 else self._end
        if self._first == self._end:
            self._columns, self._symbols = {}, ()

    def append(self, row: Row) -> None:
        symbols, numbers = row
        if symbols != self._symbols:
            self._symbols, self._places = symbols, self._places_of(symbols)
        self._make_room()
        self._cells[self._end, self._places] = numbers
        self._end += 1

    def insert(self, place: int, row: Row) -> None:
        places = self._places_of(row[0])
        self._make_room()
        at = self._first + place
        self._cells[at + 1 : self._end + 1] = self._cells[at : self._end].copy()
        self._cells[at] = np.nan
        self._cells[at, places] = row[1]
        self._end += 1

    def _places_of(self, symbols: Sequence[str | None]) -> np.ndarray:
        return np.array([self._columns.setdefault(symbol, len(self._columns)) for symbol in symbols], int)

    def _make_room(self) -> None:
        """For one row more, and for every column. It grows by half, so rows are seldom moved."""
        held, width = self._cells[self._first : self._end], len(self._columns)
        if self._end < len(self._cells) and width <= held.shape[1]:
            return
        cells = np.full((len(held) + len(held) // 2 + 8, width), np.nan)
        cells[: len(held), : held.shape[1]] = held[:, :width]
        self._cells, self._first, self._end = cells, 0, len(held)

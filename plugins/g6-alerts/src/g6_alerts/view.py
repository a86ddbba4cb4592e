"""A snapshot as rules look at it: read once, whichever rule asks first, and then shared by all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from g6core import Snapshot, trading_date

Floats = npt.NDArray[np.float64]
NEAREST = ""
"""The expiry code of whichever expiry comes first."""
EPOCH = date(1970, 1, 1).toordinal()


class Part(Protocol):
    """Something that rules look at."""

    def look(self, view: View) -> Any:
        """What it is in a view; asked for once."""


class View(dict[Part, Any]):
    """One index at one instant; `view[part]` is what a part finds there.

    at: seconds since 1970. snapshot: None when only its facts are known.
    """

    def __init__(self, index: str, ts: datetime, facts: Mapping[str, float], snapshot: Snapshot | None) -> None:
        self.index, self.ts, self.facts, self.snapshot = index, ts, facts, snapshot
        self.at = ts.timestamp()
        self.recorded: tuple[datetime, list[View]] | None = None
        """What was recorded before it, and since when; read by the first rule that needs it."""
        self._expiries: dict[str, Mapping[str, Any]] = {}
        self._rows: dict[str, Rows] = {}

    def __missing__(self, part: Part) -> Any:
        found = self[part] = part.look(self)
        return found

    @cached_property
    def day(self) -> date:
        return trading_date(self.ts)

    def expiry(self, code: str) -> Mapping[str, Any]:
        """The row of the expiry with that code, empty when there is none."""
        found = self._expiries.get(code)
        if found is None:
            found = self._expiries[code] = self._look_up(code)
        return found

    def rows(self, code: str) -> Rows:
        """The options of the expiry with that code."""
        found = self._rows.get(code)
        if found is None:
            found = self._rows[code] = self._rows_of(self.expiry(code).get("expiry"))
        return found

    def _look_up(self, code: str) -> Mapping[str, Any]:
        frame = None if self.snapshot is None else self.snapshot.expiries
        if frame is None or not frame.height:
            return {}
        if code == NEAREST:
            return frame.row(0, named=True)
        for place, codes in enumerate(frame.get_column("codes").to_list()):
            if code in (codes or ()):
                return frame.row(place, named=True)
        return {}

    def _rows_of(self, expiry: date | None) -> Rows:
        if self.snapshot is None or expiry is None:
            return Rows(None, 0, 0)
        # Days since 1970: NumPy takes longer to make a date of its own than to find it.
        days, wanted = self.snapshot.options.get_column("expiry").to_numpy().view("i8"), expiry.toordinal() - EPOCH
        first, end = int(days.searchsorted(wanted)), int(days.searchsorted(wanted, "right"))
        return Rows(self.snapshot.options, first, end)


class Rows:
    """The options of one expiry. A number that is not known is NaN, and so is a column that is not there.

    frame: the options of all expiries, None for no options; first, end: where those of this one lie.
    """

    def __init__(self, frame: pl.DataFrame | None, first: int, end: int) -> None:
        self._frame, self._first = frame, first
        self.height = end - first
        self._floats: dict[str, Floats] = {}
        self._words: dict[str, list[str | None]] = {}

    def floats(self, name: str) -> Floats:
        """Shape (options,)."""
        found = self._floats.get(name)
        if found is None:
            found = self._floats[name] = self._read(name)
        return found

    def words(self, name: str) -> list[str | None]:
        """The column, all null when it is none of words."""
        found = self._words.get(name)
        if found is None:
            column = self._column(name)
            if column is None or column.dtype != pl.String:
                found = [None] * self.height
            else:
                found = column.slice(self._first, self.height).to_list()
            self._words[name] = found
        return found

    @property
    def symbols(self) -> list[str | None]:
        return self.words("symbol")

    def cell(self, name: str, row: int) -> Any:
        """What stands there, None when nothing does."""
        column = self._column(name)
        return None if column is None else column[self._first + row]

    def _column(self, name: str) -> pl.Series | None:
        return None if self._frame is None else self._frame.get_column(name, default=None)

    def _read(self, name: str) -> Floats:
        column = self._column(name)
        cells = np.empty(0, object) if column is None else column.to_numpy()
        if cells.dtype.kind not in "fiu" or cells.ndim != 1:
            if column is None or column.dtype != pl.Boolean:
                return np.full(self.height, np.nan)
            cells = column.cast(pl.Float64).to_numpy()
        # NumPy's slice: polars takes longer to set one out than to read a few hundred rows.
        numbers: Floats = cells[self._first : self._first + self.height].astype(np.float64, copy=False)
        return numbers

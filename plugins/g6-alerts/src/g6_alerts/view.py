"""A snapshot as rules look at it: read once, whichever rule asks first, and then shared by all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from g6core import Snapshot, trading_date

Floats = npt.NDArray[np.float64]
NEAREST = ""
"""The expiry code of whichever expiry comes first."""


class View:
    """One index at one instant. at: seconds since 1970. snapshot: None when only its facts are known."""

    def __init__(self, index: str, ts: datetime, facts: Mapping[str, float], snapshot: Snapshot | None) -> None:
        self.index, self.ts, self.facts, self.snapshot = index, ts, facts, snapshot
        self.at = ts.timestamp()
        self.recorded: tuple[datetime, list[View]] | None = None
        """What was recorded before it, and since when; read by the first rule that needs it."""
        self.numbers: dict[str, float | None] = {}
        """What `number` found."""
        self._expiries: dict[str, Mapping[str, Any]] = {}
        self._rows: dict[str, Rows] = {}

    @cached_property
    def day(self) -> date:
        return trading_date(self.ts)

    def expiry(self, code: str) -> Mapping[str, Any]:
        """The row of the expiry with that code, empty when there is none."""
        found = self._expiries.get(code)
        if found is None:
            found = self._expiries[code] = self._look_up(code)
        return found

    def number(self, code: str, name: str) -> float | None:
        """The number in a column of the expiry with that code, None when there is none."""
        found = self.numbers[f"{code}.{name}"] = _number_of(self.expiry(code).get(name))
        return found

    def rows(self, code: str) -> Rows:
        """The options of the expiry with that code."""
        found = self._rows.get(code)
        if found is None:
            found = self._rows[code] = Rows(self, self._options(self.expiry(code).get("expiry")))
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

    def _options(self, expiry: date | None) -> pl.DataFrame | None:
        if self.snapshot is None or expiry is None:
            return None
        dates = self.snapshot.options.get_column("expiry").to_numpy()
        first, end = (int(np.searchsorted(dates, np.datetime64(expiry), side)) for side in ("left", "right"))
        return self.snapshot.options.slice(first, end - first)


class Rows:
    """The options of one expiry. A number that is not known is NaN, and so is a column that is not there."""

    def __init__(self, view: View, frame: pl.DataFrame | None) -> None:
        self.view, self.frame = view, frame
        self.height = 0 if frame is None else frame.height
        self._floats: dict[str, Floats] = {}

    def floats(self, name: str) -> Floats:
        """Shape (options,)."""
        found = self._floats.get(name)
        if found is None:
            found = self._floats[name] = self._read(name)
        return found

    def words(self, name: str) -> pl.Series:
        """The column, all null when it is none of words."""
        column = None if self.frame is None else self.frame.get_column(name, default=None)
        if column is None or column.dtype != pl.String:
            return pl.Series(name, [None] * self.height, dtype=pl.String)
        return column

    def same(self, name: str, word: str) -> Floats:
        """Where the word stands in the column: 1 for yes, 0 for no, 0.5 for unknown."""
        key = f"{name}={word}"
        found = self._floats.get(key)
        if found is None:
            # A list: for a hundred rows polars takes longer to set out than to do it.
            answers = [0.5 if given is None else float(given == word) for given in self.words(name).to_list()]
            found = self._floats[key] = np.array(answers)
        return found

    @cached_property
    def symbols(self) -> pl.Series:
        return self.words("symbol")

    def cell(self, name: str, row: int) -> Any:
        """What stands there, None when nothing does."""
        return self.frame[row, name] if self.frame is not None and name in self.frame.columns else None

    def _read(self, name: str) -> Floats:
        column = None if self.frame is None else self.frame.get_column(name, default=None)
        if column is None or not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            return np.full(self.height, np.nan)
        numbers: Floats = column.cast(pl.Float64).to_numpy()
        return numbers


_LAST: list[View] = []
"""The view that was asked for last, if any; replaced whole, so threads do not wait for one another."""


def view_of(snapshot: Snapshot) -> View:
    """Its view; the same one for each rule that asks about the same snapshot in a row."""
    for held in _LAST:
        if held.snapshot is snapshot:
            return held
    made = View(snapshot.index, snapshot.ts, snapshot.facts, snapshot)
    _LAST[:] = [made]
    return made


def _number_of(value: Any) -> float | None:
    if type(value) is float:
        return value if math.isfinite(value) else None
    return float(value) if isinstance(value, int) else None

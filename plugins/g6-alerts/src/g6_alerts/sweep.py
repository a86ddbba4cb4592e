"""All rules of a recorder asked about a snapshot at once: most have nothing to say, and are not asked one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING

import polars as pl

from g6_alerts.formula import Draft
from g6_alerts.view import View
from g6core import Snapshot

if TYPE_CHECKING:
    from g6_alerts.look import Look

ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pl.exceptions.PolarsError)
"""What a snapshot that is not as it should be may bring about."""


class Seat:
    """A rule's place among the others. on: the indices that it looks at, None for all."""

    def __init__(self, look: Look, on: frozenset[str] | None) -> None:
        self.look, self.on = look, on


class Sweep:
    """The rules of one recorder.

    now: the snapshot that was looked at last; view: of it. late: whether it is older than one before it.
    new: the rules that look at it by themselves, since it is the first one of its index that they see. stirred: these,
    and those that it says something to: what they ask is true, or may be for an option.
    """

    def __init__(self) -> None:
        self.now: Snapshot | None = None
        self.view: View
        self.late = False
        self.new: frozenset[Seat] = frozenset()
        self.stirred: frozenset[Seat] = frozenset()
        self._seats: list[Seat] = []
        self._indices: dict[str, _Index] = {}

    def join(self, look: Look, on: frozenset[str] | None) -> Seat:
        seat = Seat(look, on)
        self._change([*self._seats, seat])
        return seat

    def leave(self, seat: Seat) -> None:
        self._change([one for one in self._seats if one is not seat])

    def _change(self, seats: list[Seat]) -> None:
        self.now, self._seats = None, seats
        for index in self._indices.values():
            index.met &= set(seats)
            index.asked = None

    def look(self, now: Snapshot, before: Snapshot | None) -> None:
        """Find out whom a snapshot stirs. before: the same index one cycle earlier."""
        view = View(now.index, now.ts, now.facts, now)
        index = self._indices.setdefault(now.index, _Index())
        late = index.newest is not None and view.at < index.newest
        if late and before is not None and before.ts < now.ts:
            late = False  # the second one that is: the clock went back, and time goes on from there
            index.met, index.asked = set(), None
        if not late:
            index.newest = view.at
        asked = index.asked = index.asked or _Asked.of(now.index, self._seats, index.met)
        try:
            self.new, self.stirred = asked.new, asked.new.union(asked.stirred(view, late))
        except ODD:
            # Each looks by itself, so that the one that cannot is alone to blame.
            self.new = self.stirred = asked.everyone
        self.now, self.view, self.late = now, view, late

    def meet(self, seat: Seat) -> None:
        """Count a rule among those that know the index of the snapshot."""
        index = self._indices[self.view.index]
        index.met.add(seat)
        index.asked = None


@dataclass
class _Index:
    """newest: in seconds since 1970. met: the rules that saw a snapshot of it. asked: made anew when they change."""

    newest: float | None = None
    met: set[Seat] = field(default_factory=set)
    asked: _Asked | None = None


class _Asked:
    """The rules that know an index, their conditions in one function. new: those that do not know it yet."""

    def __init__(self, seats: Sequence[Seat], new: Iterable[Seat]) -> None:
        self._seats, self.new = seats, frozenset(new)
        self.everyone = self.new.union(seats)
        self._windows = list(dict.fromkeys(window for seat in seats for window in seat.look.windows))
        draft = Draft()
        self._conditions = draft.function(f"[{', '.join(seat.look.possible(draft) for seat in seats)}]")

    @classmethod
    def of(cls, index: str, seats: Sequence[Seat], met: set[Seat]) -> _Asked:
        wanted = [seat for seat in seats if seat.on is None or index in seat.on]
        return cls([s for s in wanted if s in met], [s for s in wanted if s not in met])

    def stirred(self, view: View, late: bool) -> Iterable[Seat]:
        for window in self._windows:
            # Not asked for an answer: beside a snapshot that comes late it would be of the newest one's contracts.
            window.take(view)
        return () if late else compress(self._seats, self._conditions(view))

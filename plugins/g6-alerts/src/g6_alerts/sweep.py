"""All rules of a recorder asked about a snapshot at once: most have nothing to say, and are not asked one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING
from weakref import ref

import polars as pl

from g6_alerts.formula import Draft
from g6_alerts.view import View
from g6core import Snapshot

if TYPE_CHECKING:
    from g6_alerts.look import Look
    from g6_alerts.rule import Rule

ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pl.exceptions.PolarsError)
"""What a snapshot that is not as it should be may bring about."""


class Seat:
    """A rule's place among the others. on: the indices that it looks at, None for all."""

    def __init__(self, rule: Rule, look: Look, on: frozenset[str] | None) -> None:
        self.rule, self.look, self.on = ref(rule), look, on  # weak: whoever drops a rule need not close it
        self.machine = rule.machine


class Sweep:
    """The rules of one recorder.

    now: the snapshot that was looked at last; view: of it. late: whether it is older than one before it.
    new: the rules that see their first snapshot of its index. alone: the rules that look at it by themselves: these, or
    all when it is not as it should be. stirred: these, and those that it says something to: what they ask is true, or
    may be for an option.
    """

    def __init__(self) -> None:
        self.now: Snapshot | None = None
        self.view: View
        self.late = False
        self.new: frozenset[Seat] = frozenset()
        self.alone: frozenset[Seat] = frozenset()
        self.stirred: frozenset[Seat] = frozenset()
        self._seats: dict[Seat, None] = {}
        self._indices: dict[str, _Index] = {}
        self._made: dict[tuple[tuple[Seat, ...], tuple[Seat, ...]], _Asked] = {}
        """Most indices have the same rules, and to compile those takes a while."""

    def join(self, rule: Rule, look: Look, on: frozenset[str] | None) -> Seat:
        seat = Seat(rule, look, on)
        self._seats[seat] = None
        self._changed()
        return seat

    def leave(self, seat: Seat) -> None:
        del self._seats[seat]
        for index in self._indices.values():
            index.met.discard(seat)
        self._changed()

    def _changed(self) -> None:
        self.now = None
        self._made.clear()
        for index in self._indices.values():
            index.asked = index.marked = None

    def concerned(self, now: Snapshot, before: Snapshot | None) -> list[Rule]:
        """Those that it stirs, and those that are pending or firing for its index; but not those that it only lets go
        on firing."""
        self.look(now, before)
        index = self._indices[now.index]
        if index.marked is None:
            index.marked = frozenset(seat for seat in self._seats if now.index in seat.machine.marks)
            single = [seat for seat in index.marked if not seat.look.by_row]
            index.settled = frozenset(seat for seat in single if seat.machine.settled(now.index, now.ts))
        unmoved = (self.stirred & index.settled) - self.alone
        rules = [seat.rule() for seat in (self.stirred | index.marked) - unmoved]
        return [rule for rule in rules if rule is not None]

    def marks_changed(self, index: str) -> None:
        """What some rule is there, pending or firing, has changed."""
        self._indices[index].marked = None

    def look(self, now: Snapshot, before: Snapshot | None) -> None:
        """Find out whom a snapshot stirs. before: the same index one cycle earlier, None when there is none."""
        view = View(now.index, now.ts, now.facts, now)
        index = self._indices.setdefault(now.index, _Index())
        older = index.newest is not None and view.at < index.newest
        late = before is not None and (before.ts > now.ts or (older and before.ts == now.ts))
        if older and not late:
            # So is what came last, or nothing came: the clock went back, and time goes on from there.
            index.met, index.asked, index.marked = set(), None, None
        if not late:
            index.newest = view.at
        asked = index.asked = index.asked or self._asked(now.index, index.met)
        self.now, self.view, self.late, self.new = now, view, late, asked.new
        # Should this fail, each looks by itself, so that the one that cannot is alone to blame.
        self.alone = self.stirred = asked.everyone
        with suppress(*ODD):
            self.alone, self.stirred = asked.new, asked.new.union(asked.stirred(view, late))

    def _asked(self, index: str, met: set[Seat]) -> _Asked:
        wanted = [seat for seat in self._seats if seat.on is None or index in seat.on]
        key = tuple(s for s in wanted if s in met), tuple(s for s in wanted if s not in met)
        if key not in self._made:
            self._made[key] = _Asked(*key)
        return self._made[key]

    def meet(self, seat: Seat) -> None:
        """Count a rule among those that know the index of the snapshot."""
        index = self._indices[self.view.index]
        index.met.add(seat)
        index.asked = None


@dataclass
class _Index:
    """newest: in seconds since 1970. met: the rules that saw a snapshot of it. asked: made anew when they change.

    marked: the rules that are pending or firing, None when that is to be found out; settled: those of them that have
    nothing more to say for as long as they stay true.
    """

    newest: float | None = None
    met: set[Seat] = field(default_factory=set)
    asked: _Asked | None = None
    marked: frozenset[Seat] | None = None
    settled: frozenset[Seat] = frozenset()


class _Asked:
    """The rules that know an index, their conditions in one function. new: those that do not know it yet."""

    def __init__(self, seats: Sequence[Seat], new: Iterable[Seat]) -> None:
        self._seats, self.new = seats, frozenset(new)
        self.everyone = self.new.union(seats)
        self._series = list(dict.fromkeys(series for seat in seats for series in seat.look.series))
        draft = Draft()
        self._conditions = draft.function(f"[{', '.join(seat.look.possible(draft) for seat in seats)}]")

    def stirred(self, view: View, late: bool) -> Iterable[Seat]:
        for series in self._series:
            # No window is asked: beside a snapshot that comes late it would be of the newest one's contracts.
            series.take(view)
        return () if late else compress(self._seats, self._conditions(view))

"""The unit of a recomputation: a stretch of one index's recorded day, from its snapshots to the rows of a new day.

A unit has fresh analytics and goes through its snapshots by time. What they are lent of earlier times is the recording
itself, as after a restart in the middle of the day. Where a day is cut does not depend on how many processes there are.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from g6core.analysis import Step, analyse, in_order
from g6core.clock import CycleClock
from g6core.components import Analytic, Context
from g6core.days import SELECT, days, entry, from_micros, micros, reading
from g6core.errors import ConfigError, DataError, G6Error, raise_all
from g6core.exchange import Calendar
from g6core.faults import FAULTS, close, told
from g6core.history import History
from g6core.registry import Registry
from g6core.snapshot import EXPIRIES, OPTIONS, Snapshot, encode_facts, encode_frame

if TYPE_CHECKING:
    from g6core.config import Configuration

FACTS = ("spot", "open", "high", "low", "close", "vix", "simulated")
"""The facts that the core gives; every other one is an analytic's."""
BATCH = 16
"""Snapshots that are handed on at once."""
STRETCH = 4 * BATCH
"""Snapshots of a unit: so many that fresh analytics cost little, so few that one day keeps several processes busy."""

Row = tuple[int, int, str, str, str, bytes, bytes]
"""seq, ts, index, source, facts, expiries, options: a snapshot as a day file holds it."""


@dataclass(frozen=True)
class Unit:
    """upto: the last seq of the day that counts, since the day may still be recorded.

    first: how many snapshots of the index go before it by time. snapshots: how many are its own.
    """

    path: Path
    index: str
    upto: int
    first: int
    snapshots: int

    @property
    def name(self) -> str:
        return f"{self.index} of {self.path.stem}"


@dataclass(frozen=True)
class Recipe:
    """What a process needs to know to do units; it can be pickled.

    plugins: those that bring the analytics. analytics: (name, component, settings) of each enabled one. declared: what
    any analytic of the selected plugins adds, enabled or not. drop: further columns of options to leave out. text: the
    analytics as a day remembers them.
    """

    source: Path
    plugins: Sequence[str]
    analytics: Sequence[tuple[str, str, Any]]
    declared: frozenset[str]
    drop: frozenset[str]
    text: str


@dataclass(frozen=True)
class Batch:
    """Some snapshots of a unit. options: rows of their options tables. failures: (time, analytic, reason).

    kept, left_out: columns and facts of the recording that no selected analytic adds, and what became of them.
    simulated: whether one of them is.
    """

    rows: Sequence[Row]
    options: int
    failures: Sequence[tuple[datetime, str, str]]
    kept: frozenset[str]
    left_out: frozenset[str]
    simulated: bool


def recipe_of(configuration: Configuration, registry: Registry, drop: Sequence[str] = ()) -> Recipe:
    """What the settings say about analytics. Raises ConfigError when none is on, or `drop` names a core column."""
    known = registry.of("analytics")
    enabled = [
        (name, c.spec.name, c.settings) for name, c in configuration.components["analytics"].items() if c.enabled
    ]
    if not enabled:
        raise ConfigError("no analytic is on, so there is nothing to compute", hint="`--plugins greeks`")
    names = frozenset(name.removeprefix("options.") for name in drop)
    if core := sorted(names & OPTIONS.keys()):
        raise ConfigError(f"`{core[0]}` is a column of the core and stays", where="--drop")
    words = {name: f"{known[c].distribution} {c} {settings!r}" for name, c, settings in enabled}
    return Recipe(
        source=configuration.settings.data_dir.absolute(),
        plugins=sorted({known[component].plugin for _, component, _ in enabled}),
        analytics=enabled,
        declared=frozenset(column for registered in known.values() for column in registered.spec.adds),
        drop=names,
        text=json.dumps({"analytics": words, "drop": sorted(names)}),
    )


def choose(
    source: Path, first: date | None, last: date | None, indices: Sequence[str]
) -> tuple[list[Unit], list[G6Error]]:
    """The units of the days in a range, and what is wrong with the days that cannot be read."""
    if first and last and first > last:
        raise ConfigError(f"{first} is after {last}", where="--from, --to")
    there = days(source)
    wanted = [path for path in there if str(first or "") <= path.stem <= str(last or "9")]
    if not wanted:
        raise _no_day(source, there, first, last)
    units: list[Unit] = []
    problems: list[G6Error] = []
    for path in wanted:
        try:
            units += _units(path)
        except DataError as e:
            problems.append(e)
    held = {unit.index for unit in units}
    unknown = [index for index in indices if index not in held]
    if units and unknown:
        raise DataError(
            f"no day of that range holds {', '.join(unknown)}",
            code="unknown-index",
            where=str(source),
            hint=f"there are {', '.join(sorted(held))}",
        )
    chosen = [unit for unit in units if not indices or unit.index in indices]
    if not chosen:
        raise_all(
            problems or [DataError("the days of that range hold no snapshot", code="no-such-day", where=str(source))]
        )
    return chosen, problems


def _no_day(source: Path, there: Sequence[Path], first: date | None, last: date | None) -> DataError:
    if not there:
        return DataError(
            "no day is recorded yet", code="no-such-day", where=str(source), hint="--data-dir names the right place"
        )
    words = [f"from {first}" if first else "", f"to {last}" if last else ""]
    names = [path.stem for path in there]
    listed = ", ".join(names) if len(names) <= 10 else f"{len(names)} days from {names[0]} to {names[-1]}"
    return DataError(
        f"no day is recorded {' '.join(word for word in words if word)}",
        code="no-such-day",
        where=str(source),
        note=f"recorded: {listed}",
        hint="`g6 journal` lists the days; --data-dir names another place",
    )


def _units(path: Path) -> list[Unit]:
    with reading(path) as db:
        upto = db.execute("SELECT coalesce(max(seq), 0) FROM snapshots").fetchone()[0]
        count = 'SELECT "index", count(*) FROM snapshots WHERE seq <= ? GROUP BY 1 ORDER BY 1'
        return [
            Unit(path, index, upto, first, min(STRETCH, n - first))
            for index, n in db.execute(count, (upto,)).fetchall()
            for first in range(0, n, STRETCH)
        ]


class Desk:
    """Does units in one process, one after the other. Raises ConfigError when the analytics do not go together."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._specs = Registry.load(recipe.plugins).of("analytics")
        self._calendar = Calendar.load(recipe.source / "exchange.toml")
        self._history = History(recipe.source)
        self._steps()

    def __call__(self, unit: Unit) -> Iterator[Batch]:
        """The unit's snapshots by time. Raises DataError when the day cannot be read, and what `open` raises."""
        clock = CycleClock(from_micros(0))
        context = Context(self._recipe.source, clock, self._calendar, self._history)
        with _opened(self._steps(), context) as steps:
            for page in _pages(unit):
                bare = [(seq, *stripped(snapshot, self._recipe)) for seq, snapshot in page]
                yield _batch(bare, steps, clock)

    def _steps(self) -> list[Step]:
        specs = [(name, self._specs[component].spec, settings) for name, component, settings in self._recipe.analytics]
        return in_order(Step(name, spec.build(settings), spec.needs, spec.adds) for name, spec, settings in specs)


@contextmanager
def _opened(steps: Sequence[Step], context: Context) -> Iterator[Sequence[Step]]:
    opened: list[Analytic] = []
    try:
        for step in steps:
            step.analytic.open(context)
            opened.append(step.analytic)
        yield steps
    finally:
        for analytic in reversed(opened):
            close(analytic)


def _pages(unit: Unit) -> Iterator[list[tuple[int, Snapshot]]]:
    """The snapshots, each with its place in the new day: by time over all indices, whoever else computes them."""
    with reading(unit.path) as db:
        order = 'SELECT seq, "index" FROM snapshots WHERE seq <= ? ORDER BY ts, seq'
        found = db.execute(order, (unit.upto,)).fetchall()
        places = {seq: place for place, (seq, index) in enumerate(found, 1) if index == unit.index}
        ours = list(places)[unit.first : unit.first + unit.snapshots]
        # Read page by page: one long read would keep a recorder from folding its log into the file.
        for start in range(0, len(ours), BATCH):
            page = ours[start : start + BATCH]
            marks = ",".join("?" * len(page))
            rows = db.execute(f"{SELECT} WHERE seq IN ({marks}) ORDER BY ts", page).fetchall()
            yield [(places[row[0]], _decoded(unit, row)) for row in rows]


def _decoded(unit: Unit, row: Any) -> Snapshot:
    try:
        return entry(row)[1]
    except sqlite3.DatabaseError:
        raise
    except FAULTS as e:
        raise DataError(
            f"a snapshot of {unit.name} cannot be read: {told(e)}",
            code="bad-journal",
            where=f"{unit.path}, seq {row[0]}",
            hint="leave the day out with --from and --to, or move the file out of the journal folder",
        ) from e


def stripped(recorded: Snapshot, recipe: Recipe) -> tuple[Snapshot, frozenset[str], frozenset[str]]:
    """The snapshot as it was before analytics; what is kept of it, and what left out, without anybody declaring it.

    Only a provider's further columns of options cannot be told from those of an analytic that nobody selected now:
    they stay unless the recipe drops them.
    """
    options = {name: f"options.{name}" for name in recorded.options.columns if name not in OPTIONS}
    further = [name for name, full in options.items() if full not in recipe.declared]
    kept = {options[name] for name in further if name not in recipe.drop}
    added = {f"expiries.{name}" for name in recorded.expiries.columns if name not in EXPIRIES}
    added |= {f"facts.{name}" for name in recorded.facts if name not in FACTS}
    bare = recorded.replace(
        options=_only(recorded.options, {*OPTIONS, *further} - recipe.drop),
        expiries=_only(recorded.expiries, EXPIRIES.keys()),
        facts={name: value for name, value in recorded.facts.items() if name in FACTS},
    )
    return bare, frozenset(kept), frozenset(added - recipe.declared)


def _only(frame: pl.DataFrame, names: Set[str]) -> pl.DataFrame:
    if names >= set(frame.columns):
        return frame
    return pl.DataFrame([series for series in frame.get_columns() if series.name in names])


def _batch(
    page: Sequence[tuple[int, Snapshot, frozenset[str], frozenset[str]]], steps: Sequence[Step], clock: CycleClock
) -> Batch:
    rows: list[Row] = []
    failures: list[tuple[datetime, str, str]] = []
    options = 0
    for seq, bare, _, _ in page:
        clock.set(bare.ts)
        snapshot, notes = analyse(bare, steps)
        failures += [(bare.ts, *_analytic_and_reason(note)) for note in notes]
        options += snapshot.options.height
        rows.append(row_of(seq, snapshot))
    kept, left_out = (frozenset[str]().union(*sets) for sets in zip(*(names for _, _, *names in page), strict=True))
    return Batch(rows, options, failures, kept, left_out, any(bare.simulated for _, bare, _, _ in page))


def row_of(seq: int, s: Snapshot) -> Row:
    """The snapshot as a day file holds it, in that place."""
    frames = encode_frame(s.expiries), encode_frame(s.options)
    return (seq, micros(s.ts), s.index, s.source, encode_facts(s.facts), *frames)


def _analytic_and_reason(note: str) -> tuple[str, str]:
    name, _, reason = note.removeprefix("analytic ").partition(": ")
    return name, reason

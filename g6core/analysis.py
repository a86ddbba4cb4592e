"""Analytics in their right order, each guarded on its own."""

from __future__ import annotations

import difflib
import graphlib
import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from g6core.components import Analytic
from g6core.errors import ConfigError, DataError
from g6core.faults import FAULTS, told
from g6core.measuring import ANALYTICS
from g6core.snapshot import EXPIRIES, OPTIONS, Snapshot

log = logging.getLogger("g6.analytics")
_CORE = {f"options.{c}" for c in OPTIONS} | {f"expiries.{c}" for c in EXPIRIES}


@dataclass(frozen=True)
class Step:
    """An analytic with its name and what it declared."""

    name: str
    analytic: Analytic
    needs: Sequence[str]
    adds: Sequence[str]


def in_order(steps: Iterable[Step]) -> list[Step]:
    """Steps sorted so that each comes after what it needs, by name where that is open.

    Raises ConfigError when nobody adds what a step needs, when two add the same, or when they need one another.
    """
    ordered = sorted(steps, key=lambda s: s.name)
    adders: dict[str, Step] = {}
    for step in ordered:
        for column in step.adds:
            if column in adders or column in _CORE:
                other = f"analytic `{adders[column].name}`" if column in adders else "the core"
                raise ConfigError(
                    f"analytic `{step.name}` adds `{column}`, and so does {other}",
                    code="analytic-conflict",
                    hint=f"set `enabled = false` under [analytics.{step.name}]",
                )
            adders[column] = step
    graph = {step.name: [_adder(step, need, adders) for need in step.needs if not _given(need)] for step in ordered}
    try:
        names = list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as e:
        raise ConfigError(f"analytics need one another: {' -> '.join(e.args[1])}", code="analytic-cycle") from e
    return [step for name in names for step in ordered if step.name == name]


def _given(need: str) -> bool:
    # Which facts a snapshot has depends on the moment, so a need for one of the core's own can't be settled at start.
    return need in _CORE or need in {f"facts.{f}" for f in ("spot", "open", "high", "low", "close", "vix")}


def _adder(step: Step, need: str, adders: Mapping[str, Step]) -> str:
    if need in adders:
        return adders[need].name
    close = difflib.get_close_matches(need, [*adders, *_CORE], n=1)
    raise ConfigError(
        f"analytic `{step.name}` needs `{need}`, and no enabled analytic adds it",
        code="analytic-need",
        hint=f"did you mean `{close[0]}`?"
        if close
        else "select the plugin that adds it; `g6 plugins` shows who adds what",
    )


def analyse(snapshot: Snapshot, steps: Sequence[Step]) -> tuple[Snapshot, list[str]]:
    """The snapshot with everything that could be added, and a note for each step that could not."""
    notes: list[str] = []
    failed: dict[str, str] = {}
    for step in steps:
        meter, began = ANALYTICS[step.name], time.perf_counter()
        missing = [need for need in step.needs if need in failed]
        if missing:
            meter.skipped += 1
            _give_up(step, f"skipped, because {failed[missing[0]]} did not give {missing[0]}", failed, notes)
            continue
        try:
            snapshot = _extended(snapshot, step.analytic.compute(snapshot), step)
        except FAULTS as e:
            meter.failed += 1
            _give_up(step, told(e), failed, notes)
            log.debug("analytic %s on %s", step.name, snapshot.index, exc_info=True)
        else:
            meter.added(snapshot.options.height, time.perf_counter() - began)
    return snapshot, notes


def _give_up(step: Step, why: str, failed: dict[str, str], notes: list[str]) -> None:
    failed.update(dict.fromkeys(step.adds, step.name))
    notes.append(f"analytic {step.name}: {why}")


def _extended(before: Snapshot, after: Snapshot, step: Step) -> Snapshot:
    """What stood before with what the step declared, taken from its answer: so nothing can be overwritten.

    Raises DataError when the answer is no snapshot of the same rows, or has more than what was declared.
    """
    if not isinstance(after, Snapshot):
        raise DataError(f"gave {type(after).__name__} where a Snapshot belongs", code="analytic-answer")
    facts = before.facts
    if after.facts is not facts:
        facts = {**facts, **_added_facts(facts, after.facts, step)}
    growth = after.grown
    if growth is not None and growth.of is before:
        _check_declared(growth.options, "options", step)
        _check_declared(growth.expiries, "expiries", step)
        return before.replace(options=after.options, expiries=after.expiries, facts=facts, kept=before.kept)
    options = _widened(before.options, after.options, "options", "symbol", step)
    expiries = _widened(before.expiries, after.expiries, "expiries", "expiry", step)
    return before.replace(options=options, expiries=expiries, facts=facts, kept=before.kept)


def _added_facts(was: Mapping[str, float], now: Mapping[str, float], step: Step) -> dict[str, float]:
    added = {name: value for name, value in now.items() if name not in was}
    for name in added:
        if f"facts.{name}" not in step.adds:
            raise DataError(f"added facts.{name} without declaring it", code="analytic-answer")
    # A fact that is no finite number is not known.
    return {name: float(value) for name, value in added.items() if value is not None and math.isfinite(value)}


def _widened(old: pl.DataFrame, new: pl.DataFrame, table: str, key: str, step: Step) -> pl.DataFrame:
    """What stood in the table with the columns of an answer that may have changed anything."""
    if new is old:
        return old
    if new.height != old.height:
        raise DataError(f"changed the rows of {table} from {old.height} to {new.height}", code="analytic-answer")
    columns, was = new.columns, set(old.columns)
    if key not in columns or not new.get_column(key).equals(old.get_column(key)):
        raise DataError(f"changed {table}.{key}", code="analytic-answer")
    added = [new.get_column(name) for name in columns if name not in was]
    _check_declared(added, table, step)
    return old.hstack(added) if added else old


def _check_declared(added: Sequence[pl.Series], table: str, step: Step) -> None:
    for series in added:
        if f"{table}.{series.name}" not in step.adds:
            raise DataError(f"added {table}.{series.name} without declaring it", code="analytic-answer")
        if isinstance(series.dtype, pl.Object):
            raise DataError(f"added {table}.{series.name}, which holds Python objects", code="analytic-answer")

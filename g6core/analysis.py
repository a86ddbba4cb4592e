"""Analytics in their right order, each guarded on its own."""

from __future__ import annotations

import difflib
import graphlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from g6core.components import Analytic
from g6core.errors import ConfigError
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
        missing = [need for need in step.needs if need in failed]
        if missing:
            _give_up(step, f"skipped, because {failed[missing[0]]} did not give {missing[0]}", failed, notes)
            continue
        try:
            after = step.analytic.compute(snapshot)
        except Exception as e:
            _give_up(step, f"{type(e).__name__}: {e}", failed, notes)
            log.debug("analytic %s on %s", step.name, snapshot.index, exc_info=True)
            continue
        broken = _breach(step, snapshot, after)
        if broken:
            _give_up(step, broken, failed, notes)
        else:
            snapshot = after
    return snapshot, notes


def _give_up(step: Step, why: str, failed: dict[str, str], notes: list[str]) -> None:
    failed.update(dict.fromkeys(step.adds, step.name))
    notes.append(f"analytic {step.name}: {why}")


def _breach(step: Step, before: Snapshot, after: Snapshot) -> str | None:
    """What the step did that it may not do, or None."""
    for table, old, new in (
        ("options", before.options, after.options),
        ("expiries", before.expiries, after.expiries),
    ):
        if new is old:
            continue
        if new.height != old.height:
            return f"changed the number of rows of {table} from {old.height} to {new.height}"
        was, now = set(old.columns), set(new.columns)
        if was - now:
            return f"removed {table}.{min(was - now)}"
        undeclared = [column for column in now - was if f"{table}.{column}" not in step.adds]
        if undeclared:
            return f"added {table}.{min(undeclared)} without declaring it"
    return None

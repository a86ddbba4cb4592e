"""What `g6 coverage` and `g6 backfill` say: tables for people, documents for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from g6_kite.backfill import Outcome, Plan
from g6_kite.coverage import Coverage, Gap, State
from g6core import IST

if TYPE_CHECKING:
    from rich.table import Table

LISTED = 12
"""Gaps of an index that a person is shown; the largest ones."""
TITLES = {
    State.PRESENT: "recorded",
    State.BACK_FILLED: "back-filled",
    State.NO_TRADE: "no trade",
    State.GAP: "gap",
    State.NOT_WATCHED: "not watched",
}


def table(found: Sequence[Coverage]) -> Table:
    """A row per index and expiry; numbers are minutes of contracts."""
    from rich.table import Table

    made = Table("index", "expiry", "contracts", *TITLES.values())
    for column in made.columns[2:]:
        column.justify = "right"
    for c in found:
        for expiry, (n, tally) in c.counts().items():
            cells = [f"{tally[state]:,}" for state in TITLES]
            made.add_row(c.index, str(expiry) if expiry else "the index", str(n) if expiry else "", *cells)
    return made


def gap_lines(c: Coverage) -> list[str]:
    """The largest gaps of an index, by time, and how many more there are."""
    gaps = c.gaps()
    largest = sorted(gaps, key=lambda g: -g.minutes * (g.contracts + g.spot))[:LISTED]
    lines = [_line(c.index, gap) for gap in gaps if gap in largest]
    if len(gaps) > len(lines):
        lines.append(f"{c.index}: {len(gaps) - len(lines)} smaller gaps; --json lists them all")
    return lines


def _line(index: str, gap: Gap) -> str:
    who = f"{gap.contracts} contract{'s' * (gap.contracts != 1)}" if gap.contracts else ""
    who += (" and " if who else "") + "the index" if gap.spot else ""
    first, last = gap.first.astimezone(IST), gap.last.astimezone(IST)
    return f"{index}: gap of {gap.minutes} min, {first:%H:%M}–{last:%H:%M} IST, {who}"


def document(found: Sequence[Coverage]) -> Mapping[str, Any]:
    """One day as `--json` gives it. Times are UTC; `to` is the start of the last minute."""
    return {"day": str(found[0].day), "indices": [_index_document(c) for c in found]}


def _index_document(c: Coverage) -> Mapping[str, Any]:
    expiries = [
        {"expiry": expiry and str(expiry), "contracts": n, **{state.name.lower(): tally[state] for state in TITLES}}
        for expiry, (n, tally) in c.counts().items()
    ]
    gaps = [
        {
            "from": gap.first.isoformat(),
            "to": gap.last.isoformat(),
            "minutes": gap.minutes,
            "contracts": gap.contracts,
            "index": gap.spot,
        }
        for gap in c.gaps()
    ]
    facts = {"index": c.index, "minutes": int(c.minutes.size), "snapshots": c.snapshots, "simulated": c.simulated}
    return {**facts, "expiries": expiries, "gaps": gaps}


def outcome_document(plan: Plan, outcome: Outcome) -> Mapping[str, Any]:
    return {
        "v": 1,
        "calls": outcome.calls,
        "candles": outcome.candles,
        "left": outcome.left,
        "failed": dict(outcome.failed),
        "refused": dict(plan.refused),
        "refused_minutes": plan.refused_minutes,
    }


def outcome_lines(plan: Plan, outcome: Outcome) -> list[str]:
    """What was done, and what could not be."""
    minutes = sum(call.missing for call in plan.calls)
    lines = [f"{outcome.candles:,} candles in {outcome.calls:,} calls for {minutes:,} missing minutes of contracts"]
    lines += [f"not fetched: {reason} ({n} contracts)" for reason, n in sorted(plan.refused.items())]
    lines += [f"failed: {reason} ({n} calls)" for reason, n in outcome.failed.most_common()]
    if outcome.left:
        lines.append(f"{outcome.left:,} calls were not made; the same command goes on with them")
    return lines

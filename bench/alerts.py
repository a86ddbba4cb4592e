"""What alert rules cost a cycle: a hundred of them over six indices, against asteval and simpleeval doing the same.

    python bench/alerts.py [--cycles 200]

`pip install asteval simpleeval` for the comparison; without them only the rules are measured. The snapshots are those
of the fake market with the columns of the analytics, a minute apart, so that windows have something to look back on.
The time of a cycle is the CPU time of asking the rules about each index, as the engine asks them, and of each rule's
`state`. Some of the rules fire all along, as they would on a wild day.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
from g6_alerts.rule import Rule
from g6_alerts.settings import RuleSettings

from g6core import Known, Snapshot, make_context
from g6core.alerting import Groups
from g6core.testing import ManualClock, snapshot

INDICES = ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "SENSEX", "BANKEX")
COLUMNS = (
    "pcr_oi",
    "pcr_volume",
    "atm_iv",
    "straddle",
    "max_pain",
    "expected_move",
    "gex",
    "forward",
    "parity_rmse",
    "dte",
)
SCALARS = [
    "pcr_oi > {0}",
    "pcr_oi > {0} or pcr_oi < 0.{1}",
    "abs(spot - max_pain) / spot > 0.{1}",
    "atm_iv > 0.{1} and straddle < {1}",
    "spot > high - {1} and vix > 1{1}",
    "max(spot - open, open - spot) > 1{1}",
    "forward - spot > {1} or forward - spot < -{1}",
]
WINDOWS = [
    'change(spot, "15m") > 9{1}',
    'change(atm_iv, "{0}m") > 0.{1}',
    "spot > max_pain and prev(spot) <= prev(max_pain)",
]
AVERAGES = ['zscore(atm_iv, "30m") > {0}', 'straddle < 0.{1} * avg(straddle, "15m")']
ROWS = ["options.iv > {0}", 'options.oi > {0}e9 and right == "CE" and abs(offset) < {0}']


def many(templates: Sequence[str], count: int) -> list[str]:
    return [templates[i % len(templates)].format(2 + i % 7, 10 + i) for i in range(count)]


SETS = {
    "100 of all kinds: 70 of one snapshot, 20 of change and prev, 5 of averages, 5 at strikes": [
        *many(SCALARS, 70),
        *many(WINDOWS, 20),
        *many(AVERAGES, 5),
        *many(ROWS, 5),
    ],
    "100 of one snapshot": many(SCALARS, 100),
    "100 of change and prev": many(WINDOWS, 100),
    "100 of averages": many(AVERAGES, 100),
    "100 of averages, each over a window of its own": [f'avg(straddle, "{5 + i}m") > 9' for i in range(100)],
    "100 at strikes": many(ROWS, 100),
    "100 at strikes, each with parts that hold": [f"abs(offset) < 3 and iv > 0.2{i % 40:02}" for i in range(100)],
}


def market(cycles: int) -> list[list[Snapshot]]:
    """For each cycle a snapshot of each index, 42 options of each of three expiries."""
    base = {index: snapshot(strikes=21, expiries=3).replace(index=index) for index in INDICES}
    base = {
        index: one.add(options=[(one.options["offset"].cast(pl.Float64) / 100 + 0.15).alias("iv")])
        for index, one in base.items()
    }
    return [[moved(base[index], minute) for index in INDICES] for minute in range(cycles)]


def moved(base: Snapshot, minute: int) -> Snapshot:
    wave = math.sin(minute / 7)
    columns = [pl.Series(name, [1.0 + 0.1 * wave + i] * base.expiries.height) for i, name in enumerate(COLUMNS)]
    facts = {**base.facts, "spot": base.facts["spot"] * (1 + wave / 1000)}
    options = base.options.with_columns(iv=pl.col("iv") + wave / 100)
    ts = base.ts + timedelta(minutes=minute)
    return base.replace(ts=ts, options=options, expiries=base.expiries.hstack(columns), facts=facts)


def measured(name: str, cycle: Callable[[Sequence[Snapshot]], Any], snapshots: Sequence[Sequence[Snapshot]]) -> None:
    """Print the median and the 99th percentile; the first tenth is not counted."""
    times = []
    for now in snapshots:
        fresh = [one.replace() for one in now]  # each set looks at snapshots that nobody has looked at
        began = time.thread_time()
        cycle(fresh)
        times.append((time.thread_time() - began) * 1e3)
    counted = sorted(times[len(times) // 10 :])
    print(f"{name:92} {statistics.median(counted):8.3f} {counted[int(0.99 * len(counted))]:8.3f}")


def rules(expressions: Sequence[str]) -> Callable[[Sequence[Snapshot]], None]:
    made = [Rule(RuleSettings(expr=text)) for text in expressions]
    known = Known([*(f"expiries.{name}" for name in COLUMNS), "options.iv"])
    context = make_context(Path("nothing recorded"), ManualClock())  # rules of one recorder share what they look at
    for i, rule in enumerate(made):
        rule.bind(known)
        rule.open(replace(context, name=f"r{i}"))
    groups = Groups({rule.name: rule for rule in made})
    before: dict[str, Snapshot] = {}

    def cycle(now: Sequence[Snapshot]) -> None:
        for one in now:
            for _, rule in groups.concerned(one, before.get(one.index)):
                list(rule.check(one, before.get(one.index)))
            before[one.index] = one
        for rule in made:
            rule.state()

    return cycle


def others(expressions: Sequence[str]) -> dict[str, Callable[[Sequence[Snapshot]], None]]:
    """What a person would take otherwise: a dictionary of names for each index, and an evaluator for each rule."""
    found: dict[str, Callable[[Sequence[Snapshot]], None]] = {}
    try:
        from asteval import Interpreter

        ours = Interpreter(minimal=True)
        trees = [ours.parse(text) for text in expressions]

        def by_asteval(now: Sequence[Snapshot]) -> None:
            for one in now:
                ours.symtable.update(names(one))
                for tree in trees:
                    ours.run(tree)

        found["asteval, parsed once"] = by_asteval
    except ImportError:
        print("asteval is not installed")
    try:
        from simpleeval import SimpleEval

        simple = SimpleEval(functions={"abs": abs, "max": max, "min": min})
        parsed = [simple.parse(text) for text in expressions]

        def by_simpleeval(now: Sequence[Snapshot]) -> None:
            for one in now:
                simple.names = names(one)
                for text, tree in zip(expressions, parsed, strict=True):
                    simple.eval(text, tree)

        found["simpleeval, parsed once"] = by_simpleeval
    except ImportError:
        print("simpleeval is not installed")
    return found


def names(one: Snapshot) -> dict[str, Any]:
    return {**one.expiries.row(0, named=True), **one.facts}


def pace() -> float:
    """How fast Python is at the moment: CPU nanoseconds of a turn of a loop."""
    began, total = time.thread_time(), 0
    for i in range(2_000_000):
        total += i
    return (time.thread_time() - began) / 2_000_000 * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, default=200)
    snapshots = market(parser.parse_args().cycles)
    print(f"this machine, now: {pace():.0f} ns for an addition in a loop of Python")
    print(f"{'milliseconds a cycle, six indices':92} {'median':>8} {'p99':>8}")
    for name, expressions in SETS.items():
        measured(name, rules(expressions), snapshots)
    plain = SETS["100 of one snapshot"]
    for name, cycle in others(plain).items():
        measured(f"100 of one snapshot by {name}", cycle, snapshots)


if __name__ == "__main__":
    main()

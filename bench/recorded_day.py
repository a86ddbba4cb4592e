"""The recorded days of a data directory computed anew by all analytics of g6-greeks, by one process and by two.

    python bench/recorded_day.py DATA_DIR [--rounds 3]

DATA_DIR has recorded days in its journal, such as `g6 replay` leaves there. What is counted is the work of `g6
recompute` without its start: from the first finished stretch to the last, reading, computing and encoding. Nothing is
written.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from g6core.cli.options import load_recorded
from g6core.units import STRETCH, Batch, Desk, Recipe, Unit, choose, recipe_of
from g6core.workers import spread


def finished(recipe: Recipe, units: list[Unit], workers: int) -> Iterator[tuple[float, int, int]]:
    """The moment of each batch, and its snapshots and options."""
    for _, part in spread(partial(Desk, recipe), units, workers):
        if isinstance(part, Batch):
            yield time.perf_counter(), len(part.rows), part.options


def seconds_a_snapshot(recipe: Recipe, units: list[Unit], workers: int) -> float:
    """Without the first stretch of each process, in which it loads and compiles."""
    began, before, done = 0.0, 0, 0
    last = 0.0
    for last, snapshots, _ in finished(recipe, units, workers):
        done += snapshots
        if not began and done >= workers * STRETCH:
            began, before = last, done
    return (last - began) / (done - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    configuration, registry = load_recorded(None, "greeks", given.data_dir)
    units, _ = choose(configuration.settings.data_dir, None, None, ())
    recipe = recipe_of(configuration, registry)
    snapshots = sum(unit.snapshots for unit in units)
    for workers in (1, 2):
        found = [seconds_a_snapshot(recipe, units * 3, workers) for _ in range(given.rounds)]
        shown = ", ".join(f"{seconds * snapshots:.2f}" for seconds in found)
        print(f"{workers} process{'es' if workers > 1 else ''}: {shown} s for {snapshots:,} snapshots")


if __name__ == "__main__":
    main()

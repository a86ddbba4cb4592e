"""The cost of one cycle without a network: 6 indices × 81 strikes × 4 expiries with Greeks, journal and CSV.

Times whole cycles and, after each, the CSV sink until it has caught up, so nothing runs in the shade of something else.
`python bench/cycle.py [cycles]` prints a table in milliseconds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from g6core.assembly import assemble
from g6core.clock import SystemClock
from g6core.config import resolve
from g6core.engine import Engine
from g6core.layers import read
from g6core.registry import Registry

MORNING = datetime(2026, 11, 20, 5, 30, tzinfo=UTC)
SETTINGS = {
    "plugins": ["sim", "greeks", "csv"],
    "strategy": {"use": "atm_window", "below": 40, "above": 40},
    "expiries": ["all"],
    # Monthly expiries alone, four of each index.
    "providers": {"sim": {"weeks": 0, "months": 4}},
}


def engine(place: Path, **changes: object) -> Engine:
    layers = read(None, {**SETTINGS, **changes, "data_dir": str(place)}, {})
    registry = Registry.load(layers.plugins)
    return Engine(assemble(resolve(layers, registry), registry), SystemClock())


def measure(cycles: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"cycle": [], "csv catches up": [], "both": [], "of it sim and collecting": []}
    with tempfile.TemporaryDirectory() as place:
        machine = engine(Path(place))
        machine.start()
        provider = machine.sources[0].collector
        for n in range(cycles + 2):
            now = MORNING + timedelta(seconds=15 * n)
            began = time.perf_counter()
            report = machine.cycle(now)
            cycled = time.perf_counter()
            machine.drain(60)
            done = time.perf_counter()
            provider.collect(now)
            row = (cycled - began, done - cycled, done - began, time.perf_counter() - done)
            if n >= 2:
                for name, seconds in zip(times, row, strict=True):
                    times[name].append(seconds * 1000)
        options = sum(r.options for r in report.indices.values())
        files = sum(1 for _ in Path(place).rglob("*.csv"))
        machine.stop()
    print(f"{options:,} options, {files:,} CSV files, {cycles} cycles\n")
    return times


def main() -> None:
    times = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
    print("| ms | median | min | max |\n|---|---|---|---|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} | {max(values):.1f} |")


if __name__ == "__main__":
    main()

"""Implied volatility and Greeks beside other libraries, in one run: nanoseconds per option, and who is wrong.

`python bench/greeks.py [rounds]` prints markdown tables. Contenders take turns, the best of all rounds counts; every
peer computes on one thread. Peers are optional: `bench/requirements.txt` says how to install them, and whatever is
missing is named. `python bench/greeks.py --peers` leaves ours out, for an interpreter in which g6-greeks is not
installed but the sets of options are there already.
"""

from __future__ import annotations

import os

os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
)

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import peers
from sets import WRONG, judge, table

SIZES = (200, 10_000, 1_000_000, 10_000_000)
SAMPLE = 0.02
"""Seconds that one measurement takes at least."""
COLUMNS = ("price", "forward", "strike", "t", "discount", "rate", "is_call")
GREEKS = ("iv", "delta", "gamma", "theta", "vega", "rho")
SMALLEST = """
import numpy as np
from g6_greeks import black76
black76.iv_greeks(np.array([7.0]), 100.0, 100.0, 1.0, 1.0, 0.0, True)
"""

Columns = dict[str, np.ndarray]
Calls = dict[str, tuple[Callable[[], object], int]]
"""What is timed, and the rows of one call."""


def seconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Of one call; short ones are repeated."""
    calls, began = 0, clock()
    while True:
        call()
        calls += 1
        passed = clock() - began
        if passed >= SAMPLE:
            return passed / calls


def best(calls: Calls, rounds: int, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Nanoseconds per row, the least of some rounds in which all take turns."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    with np.errstate(all="ignore"):
        for _ in range(rounds):
            for name, (call, rows) in calls.items():
                found[name].append(seconds(call, clock) / rows * 1e9)
    return {name: min(times) for name, times in found.items()}


def ours(options: Columns, rows: int) -> Calls:
    """Our functions on so many rows, on one and two threads, into the same arrays and into fresh ones."""
    from g6_greeks import black76

    a = [np.resize(options[name], rows) for name in COLUMNS]
    without_rate = [*a[:5], a[6]]
    out = {name: np.empty(rows) for name in GREEKS} | {"status": np.empty(rows, np.uint8)}
    two = {"iv": out["iv"], "status": out["status"]}
    calls: Calls = {}
    for n in (1, 2):
        threads = {"threads": n}
        calls[f"iv {n}"] = (lambda kw=threads: black76.implied_volatility(*without_rate, out=two, **kw), rows)  # type: ignore[misc]
        calls[f"greeks {n}"] = (lambda kw=threads: black76.iv_greeks(*a, out=out, **kw), rows)  # type: ignore[misc]
        calls[f"fresh {n}"] = (lambda kw=threads: black76.iv_greeks(*a, **kw), rows)  # type: ignore[misc]
    return calls


def sizes(options: Columns, rounds: int) -> None:
    print("\n| rows | IV | IV + 5 Greeks | into fresh arrays | IV, 2 threads | IV + 5 Greeks | into fresh arrays |")
    print("|---" * 7 + "|")
    for rows in SIZES:
        ns = best(ours(options, rows), rounds)
        cells = " | ".join(f"{ns[f'{what} {n}']:.1f}" for n in (1, 2) for what in ("iv", "greeks", "fresh"))
        print(f"| {rows:,} | {cells} |")


def side_by_side(options: Columns, rounds: int, with_ours: bool) -> None:
    """All on the main set; then the ratios."""
    rows = len(options["iv"])
    here, missing = peers.ready(options)
    calls: Calls = {name: (call, rows) for name, call in here.items()}
    if with_ours:
        mine = ours(options, rows)
        calls = {"g6-greeks, IV": mine["iv 1"], "g6-greeks, IV + 5 Greeks": mine["greeks 1"], **calls}
    # The processor's time of all threads: no peer gains by a second one, none loses by what else the machine does.
    ns = best(calls, rounds, time.process_time)
    right = {}
    print(f"\nOne thread, {rows:,} options; wrong: off by more than {WRONG} times what rounding the inputs does.\n")
    print("| | ns of processor time per option | wrong | missing | max error out of the money |\n" + "|---" * 5 + "|")
    for name in sorted(ns, key=lambda name: ns[name]):
        iv = _volatilities(calls[name][0])
        wrong, null = judge(options, iv)
        otm = options["is_call"] == (options["forward"] < options["strike"])
        right[name] = wrong == null == 0
        print(f"| {name} | {ns[name]:,.0f} | {wrong:,} | {null:,} | {np.nanmax(np.abs(iv - options['iv'])[otm]):.1e} |")
    print("".join(f"\n{name} is missing: {reason}" for name, reason in missing.items()))
    if with_ours and here:
        _ratios(ns, [name for name in here if right[name]])


def _volatilities(call: Callable[[], object]) -> np.ndarray:
    found = call()
    return found["iv"] if isinstance(found, dict) else np.asarray(found, dtype=float)


def _ratios(ns: dict[str, float], right: list[str]) -> None:
    own = ns["g6-greeks, IV + 5 Greeks"]
    fastest = min(right, key=lambda name: ns[name])
    for name in dict.fromkeys((fastest, "vollib")):
        if name in ns:
            role = "the fastest that is right, " if name == fastest else ""
            print(f"\nIV by {role}{name} takes {ns[name] / own:.1f} times as long as our IV and five Greeks.")


def starts(runs: int = 5) -> None:
    """Whole processes until the first result: compiling, and with what the first one left behind."""

    def once(code: str, cache: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "NUMBA_CACHE_DIR": cache})
        return time.perf_counter() - began

    with tempfile.TemporaryDirectory() as cache:
        cold = once(SMALLEST, cache)
        cached = [once(SMALLEST, cache) for _ in range(runs)]
        numpy = [once("import numpy", cache) for _ in range(runs)]
        package = [once("import g6_greeks", cache) for _ in range(runs)]
    print("\n| process until | seconds |\n|---|---|")
    medians = {"`import numpy`": numpy, "`import g6_greeks`": package, "the first result, compiled before": cached}
    for what, times in medians.items():
        print(f"| {what} | {statistics.median(times):.2f} |")
    print(f"| the first result, nothing compiled | {cold:.2f} |")


def main() -> None:
    words = sys.argv[1:]
    rounds = next((int(w) for w in words if w.isdecimal()), 5)
    options = table("main")
    if "--peers" not in words:
        sizes(options, rounds)
        starts()
    side_by_side(options, rounds, with_ours="--peers" not in words)


if __name__ == "__main__":
    main()

"""What a store that hangs costs the recorder: the time of a cycle with the sink `influx`, whose VictoriaMetrics has
been stopped in its tracks, beside the same recorder without that sink.

    python bench/hanging_sink.py [--cycles 600] [--interval 0.25] [--timeout 10s] [--control]

Two processes take turns, cycle by cycle, the first turn going to the one and the other, so that a busy machine slows
both alike. Six indices from the synthetic market with Greeks, until the journal has them. The server takes the first
cycles and hangs from then on, so the backlog and the tries grow as they would. --control: neither has the sink, which
shows what chance alone does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cycle import MORNING, engine

from tests.servers import VictoriaMetrics

WARM = 12
"""Cycles before the clock counts."""
STEP = timedelta(seconds=15)


def work(place: Path, url: str, timeout: str) -> None:
    """A recorder: for each line of standard input a cycle, and its milliseconds and the sink's tries to the output."""
    sinks = {"sinks": {"influx": {"url": url, "timeout": timeout, "ack_delay": "0s"}}} if url else {}
    machine = engine(place, plugins=["sim", "greeks", *(["influx"] if url else [])], **sinks)
    machine.start()
    try:
        for line in sys.stdin:
            began = time.perf_counter()
            report = machine.cycle(MORNING + int(line) * STEP)
            seconds = time.perf_counter() - began
            tries = sum(runner.state.retried for runner in machine.runners.values())
            options = sum(r.options for r in report.indices.values())
            print(json.dumps({"ms": seconds * 1000, "tries": tries, "options": options}), flush=True)
    finally:
        machine.stop()


class Recorder:
    """A process that does a cycle when told to."""

    def __init__(self, place: Path, url: str, timeout: str) -> None:
        words = [sys.executable, __file__, "--work", str(place), "--url", url, "--timeout", timeout]
        self.times: list[float] = []
        self.tries = self.options = 0
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def cycle(self, n: int) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{n}\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        self.tries, self.options = answer["tries"], answer["options"]
        if n >= WARM:
            self.times.append(answer["ms"])

    def close(self) -> None:
        self._process.communicate(timeout=60)


@contextmanager
def victoria_metrics() -> Iterator[VictoriaMetrics]:
    server = VictoriaMetrics()
    server.start()
    try:
        yield server
    finally:
        server.close()


def measure(cycles: int, interval: float, timeout: str, control: bool) -> list[Recorder]:
    """The recorder without the sink, and the one with it."""
    with tempfile.TemporaryDirectory() as place, victoria_metrics() as server:
        urls = ("", "" if control else server.url)
        both = [Recorder(Path(place) / str(n), url, timeout) for n, url in enumerate(urls)]
        for n in range(WARM + cycles):
            if n == WARM:
                time.sleep(2)
                server.pause()
            for recorder in both if n % 2 else reversed(both):
                began = time.monotonic()
                recorder.cycle(n)
                time.sleep(max(0.0, interval / 2 - (time.monotonic() - began)))
        for recorder in both:
            recorder.close()
    return both


def p99(times: Sequence[float]) -> float:
    return float(np.percentile(times, 99))


def interval_of_ratio(without: Sequence[float], with_it: Sequence[float]) -> tuple[float, float]:
    """What the ratio of the 99th percentiles may be, as far as this run tells: 90 % of bootstrap samples."""
    dice = np.random.default_rng(1)
    at = dice.integers(0, len(without), (2000, len(without)))
    ratios = np.percentile(np.array(with_it)[at], 99, axis=1) / np.percentile(np.array(without)[at], 99, axis=1)
    low, high = np.percentile(ratios, [5, 95])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description="the time of a cycle with and without a sink that hangs")
    parser.add_argument("--cycles", type=int, default=600)
    parser.add_argument("--interval", type=float, default=0.25, help="seconds from a cycle of a recorder to its next")
    parser.add_argument("--timeout", default="10s", help="of the sink")
    parser.add_argument("--control", action="store_true", help="neither has the sink")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work, given.url, given.timeout)
        return
    without, with_it = measure(given.cycles, given.interval, given.timeout, given.control)
    print(f"{with_it.options:,} options, {given.cycles} cycles each, the sink tried {with_it.tries} times in vain\n")
    print("| ms | median | p99 | max |\n|---|---|---|---|")
    for name, recorder in (("without the sink", without), ("with it, hanging", with_it)):
        times = recorder.times
        print(f"| {name} | {statistics.median(times):.1f} | {p99(times):.1f} | {max(times):.1f} |")
    median = statistics.median(with_it.times) / statistics.median(without.times)
    low, high = interval_of_ratio(without.times, with_it.times)
    print(f"| ratio | {median:.3f} | {p99(with_it.times) / p99(without.times):.3f} ({low:.2f} to {high:.2f}) | |")


if __name__ == "__main__":
    main()

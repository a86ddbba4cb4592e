"""What the API costs the recorder: cycles with and without 1,000 requests a second for a snapshot.

6 indices of the synthetic market with Greeks, the strikes that `g6 run` records by default. The clients are a process
of their own. `python bench/web.py [cycles] [requests a second]` prints a table.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

from g6core.assembly import assemble
from g6core.clock import SystemClock
from g6core.config import resolve
from g6core.engine import Engine
from g6core.health import Health
from g6core.http import Http
from g6core.layers import read
from g6core.registry import Registry
from g6core.settings import HttpSettings

MORNING = datetime(2026, 11, 20, 5, 30, tzinfo=UTC)
PAUSE = 0.2
"""Seconds from the end of a cycle to the next."""
CLIENTS = 20
TURN, WARM = 10, 20
"""Cycles of a turn with or without requests; cycles before the first."""


def engine(place: Path) -> Engine:
    layers = read(None, {"plugins": ["sim", "greeks", "web"], "data_dir": str(place)}, {})
    registry = Registry.load(layers.plugins)
    http = Http(HttpSettings(port=0), Health())
    return Engine(assemble(resolve(layers, registry), registry), SystemClock(), http)


async def client(port: int, every: float, begin: float, times: list[float], asking: Event, done: Event) -> None:
    """Asks at its instants over one connection, whatever the answers take; rests while nobody is to ask."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = 0.0
    while not done.is_set():
        if not asking.is_set():
            await asyncio.sleep(0.02)
            due = time.perf_counter() + begin
            continue
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        writer.write(b"GET /api/v1/snapshot/NIFTY HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        times.append(time.perf_counter() - due)
        due += every
    writer.close()


def load(port: int, rate: float, asking: Event, done: Event, answer: multiprocessing.Queue[list[float]]) -> None:
    times: list[float] = []

    async def clients() -> None:
        every = CLIENTS / rate
        await asyncio.gather(*(client(port, every, n / rate, times, asking, done) for n in range(CLIENTS)))

    asyncio.run(clients())
    answer.put(times)


def cycles(machine: Engine, first: int, count: int) -> list[float]:
    """Milliseconds of each."""
    found = []
    for n in range(first, first + count):
        began = time.perf_counter()
        machine.cycle(MORNING + timedelta(seconds=15 * n))
        found.append(1000 * (time.perf_counter() - began))
        time.sleep(PAUSE)
    return found


def measured(
    machine: Engine, port: int, count: int, rate: float
) -> tuple[list[float], list[float], list[float], float]:
    """Cycles without and with requests, in turns so that both see the same machine; answers; seconds of requests."""
    context = multiprocessing.get_context("spawn")
    asking, done, answer = context.Event(), context.Event(), context.Queue()
    process = context.Process(target=load, args=(port, rate, asking, done, answer))
    process.start()
    cycles(machine, 0, WARM)
    quiet: list[float] = []
    loaded: list[float] = []
    seconds = 0.0
    for first in range(WARM, WARM + 2 * count, 2 * TURN):
        quiet += cycles(machine, first, TURN)
        asking.set()
        began = time.perf_counter()
        loaded += cycles(machine, first + TURN, TURN)
        seconds += time.perf_counter() - began
        asking.clear()
    done.set()
    times = answer.get(timeout=60)
    process.join()
    return quiet, loaded, times, seconds


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 1000
    with tempfile.TemporaryDirectory() as place:
        machine = engine(Path(place))
        machine.start()
        quiet, loaded, times, seconds = measured(machine, machine.assembly.sinks["web"].port, count, rate)
        machine.stop()
    print(f"{len(times) / seconds:,.0f} requests a second over {seconds:.0f} s\n")
    print("| ms | median | p95 | p99 | max |\n|---|---|---|---|---|")
    answers = [1000 * t for t in times]
    for name, values in (("cycle, quiet", quiet), ("cycle, under load", loaded), ("answer", answers)):
        cuts = statistics.quantiles(values, n=100)
        print(f"| {name} | {statistics.median(values):.1f} | {cuts[94]:.1f} | {cuts[98]:.1f} | {max(values):.1f} |")


if __name__ == "__main__":
    main()

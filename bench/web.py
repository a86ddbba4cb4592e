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


def engine(place: Path) -> Engine:
    layers = read(None, {"plugins": ["sim", "greeks", "web"], "data_dir": str(place)}, {})
    registry = Registry.load(layers.plugins)
    http = Http(HttpSettings(port=0), Health())
    return Engine(assemble(resolve(layers, registry), registry), SystemClock(), http)


async def client(port: int, every: float, begin: float, times: list[float], done: Event) -> None:
    """Asks at its instants over one connection, whatever the answers take."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.perf_counter() + begin
    while not done.is_set():
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        writer.write(b"GET /api/v1/snapshot/NIFTY HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        times.append(time.perf_counter() - due)
        due += every
    writer.close()


def load(port: int, rate: float, done: Event, answer: multiprocessing.Queue[tuple[float, list[float]]]) -> None:
    times: list[float] = []

    async def clients() -> None:
        every = CLIENTS / rate
        await asyncio.gather(*(client(port, every, n / rate, times, done) for n in range(CLIENTS)))

    began = time.perf_counter()
    asyncio.run(clients())
    answer.put((time.perf_counter() - began, times))


def cycles(machine: Engine, first: int, count: int) -> list[float]:
    """Milliseconds of each."""
    found = []
    for n in range(first, first + count):
        began = time.perf_counter()
        machine.cycle(MORNING + timedelta(seconds=15 * n))
        found.append(1000 * (time.perf_counter() - began))
        time.sleep(PAUSE)
    return found


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 1000
    with tempfile.TemporaryDirectory() as place:
        machine = engine(Path(place))
        machine.start()
        cycles(machine, 0, 5)
        quiet = cycles(machine, 5, count)
        context = multiprocessing.get_context("spawn")
        done, answer = context.Event(), context.Queue()
        port = machine.assembly.sinks["web"].port
        process = context.Process(target=load, args=(port, rate, done, answer))
        process.start()
        time.sleep(3)
        loaded = cycles(machine, 5 + count, count)
        done.set()
        seconds, times = answer.get(timeout=60)
        process.join()
        machine.stop()
    print(f"{len(times) / seconds:,.0f} requests a second over {seconds:.0f} s\n")
    print("| ms | median | p99 | max |\n|---|---|---|---|")
    answers = [1000 * t for t in times]
    for name, values in (("cycle, quiet", quiet), ("cycle, under load", loaded), ("answer", answers)):
        p99 = statistics.quantiles(values, n=100)[98]
        print(f"| {name} | {statistics.median(values):.1f} | {p99:.1f} | {max(values):.1f} |")


if __name__ == "__main__":
    main()

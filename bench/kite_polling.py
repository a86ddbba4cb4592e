"""Six indices, by request alone: what a cycle takes.

    python bench/kite_polling.py [CYCLES]

The simulated Kite runs in a process of its own, and counts calls as the real one does. A cycle of n calls cannot be
shorter than n - 1 of the distances that the limit of calls leaves (`quotes_per_second`); told is how much longer it is,
with Greeks and until the journal has it.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from g6_kite.session import Sessions, Token, end_of
from g6_kite.settings import KiteSettings
from g6_sim import Settings
from g6_sim.provider import Sim
from g6_sim.serve.app import Options, Server

from g6core.assembly import assemble
from g6core.clock import SystemClock
from g6core.config import resolve
from g6core.engine import Engine
from g6core.layers import read
from g6core.metrics import REGISTRY
from g6core.registry import Registry

INTERVAL = 15.0
SIDE = 70
"""Strikes on either side of the money: some 3,900 contracts, as many as 40 would be of four expiries of each index."""


def serve(place: Path, pipe: Connection) -> None:
    with Server(lambda: Sim(Settings(seed=7)), Options(auto_login=True)) as server:
        token, since = server.accounts.log_in()
        settings = KiteSettings(api_key="demo", address=server.address, session_dir=place)
        Sessions(settings, SystemClock()).save(Token("demo", token, "bench", since, end_of(since)))
        pipe.send(server.address)
        pipe.recv()


def engine(place: Path, address: str) -> Engine:
    kite = {"api_key": "demo", "address": address, "session_dir": str(place), "mode": "quote"}
    layers = read(
        None,
        {
            "plugins": ["kite", "greeks"],
            "data_dir": str(place / "data"),
            "strategy": {"use": "atm_window", "below": SIDE, "above": SIDE},
            "expiries": ["this_week", "next_week", "this_month", "next_month"],
            "providers": {"kite": kite},
        },
        {},
    )
    registry = Registry.load(layers.plugins)
    return Engine(assemble(resolve(layers, registry), registry), SystemClock())


def quote_calls() -> float:
    samples = [s for family in REGISTRY.collect() if family.name == "g6_kite_requests" for s in family.samples]
    return sum(s.value for s in samples if s.name.endswith("_total") and s.labels["kind"] == "quote")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    distance = 1 / KiteSettings().quotes_per_second
    context = get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(Path(name), theirs), daemon=True)
        process.start()
        machine = engine(Path(name), ours.recv())
        machine.start()
        print("| contracts | calls | of them needed | seconds | forced | ratio |\n|---|---|---|---|---|---|")
        ratios = []
        for n in range(count + 1):
            calls, began = quote_calls(), time.monotonic()
            report = machine.cycle(machine.clock.now())
            took, made = time.monotonic() - began, quote_calls() - calls
            contracts = sum(of.options for of in report.indices.values())
            forced = (made - 1) * distance
            if n:  # the first one fetches the lists, and compiles
                ratios.append(took / forced)
                needed = math.ceil(contracts / 500)
                print(f"| {contracts:,} | {made:.0f} | {needed} | {took:.2f} | {forced:.2f} | {took / forced:.3f} |")
            time.sleep(max(0.0, INTERVAL - took))
        machine.stop()
        ours.send(None)
        process.join(10)
    print(f"\nratio: median {statistics.median(ratios):.3f}, most {max(ratios):.3f}")


if __name__ == "__main__":
    main()

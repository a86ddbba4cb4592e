"""A whole market by stream: 9,000 instruments in full mode, twice a second, over three sockets, with the tape on.

    python bench/stream_market.py [SECONDS]

The simulated Kite runs here, `g6 run` in a process of its own. Told at the end: whether every packet that was
sent is on the tape, what the recorder used of a core, its memory, and how long a cycle took until the journal had it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from g6_kite.decode import decode
from g6_kite.session import Sessions, Token, end_of
from g6_kite.settings import KiteSettings
from g6_kite.tape import TapeReader
from g6_sim import Settings
from g6_sim.provider import Sim
from g6_sim.serve.app import Options, Server

from g6core import expiry, make_context, trading_date
from g6core.clock import SystemClock

CODES = ["this_week", "next_week", "this_month", "next_month"]
WANTED, TICKS, INTERVAL = 9000, 2.0, 5
SETTLING = 20.0
"""Seconds that the start may take; the recorder is measured from then on."""

CONFIG = """plugins = ["kite"]
interval = "{interval}s"
strategy = {{ use = "all" }}
[providers.kite]
api_key = "demo"
address = "{address}"
session_dir = "{place}"
tape = true
"""


def contracts(volatility: float) -> int:
    """How many contracts of four expiry codes that market lists."""
    clock = SystemClock()
    sim = Sim(Settings(seed=7, volatility=volatility))
    sim.open(make_context(Path(tempfile.gettempdir()), clock))
    listed = [sim.contracts(index) for index in sim.indices()]
    today = trading_date(clock.now())
    return sum(
        frame.filter(pl.col("expiry").is_in(list(expiry.resolve(frame, today, CODES)))).height for frame in listed
    )


def volatility_for(count: int) -> float:
    """The wider the market expects to move, the more strikes are listed."""
    low, high = 0.05, 0.4
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if contracts(middle) <= count else (low, middle)
    return low


class Busy(Sim):
    """A market in which every contract has a quote."""

    def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
        found = super().quotes(contracts)
        price = pl.lit(0.05)
        bare = pl.col("ask").is_null()
        second = found["exchange_ts"].max()
        return found.with_columns(
            *(pl.when(bare).then(price).otherwise(name).alias(name) for name in ("last_price", "ask", "average_price")),
            *(pl.col(name).fill_null(value) for name, value in {"ask_qty": 75, "volume": 75, "oi": 75}.items()),
            *(pl.col(name).fill_null(second) for name in ("exchange_ts", "received_ts")),
        )


class Counted:
    """What the server sent, a checksum per message and socket."""

    def __init__(self, server: Server) -> None:
        self.sums: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._add = server.sent.add
        server.sent.add = self.add  # type: ignore[method-assign]

    def add(self, message: Any) -> None:
        self.sums[message.socket].append(checksum(message.rows["token"], message.rows["last_price"]))
        self._add(message)


def checksum(tokens: Any, prices: Any) -> tuple[int, int]:
    return tokens.size, int(tokens.astype(np.int64) @ (1 + prices.astype(np.int64) % 65521) % (1 << 61))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict[str, int]:
    text = Path(f"/proc/{pid}/status").read_text()
    return {name: int(re.search(rf"{name}:\s+(\d+)", text)[1]) // 1024 for name in ("VmHWM", "VmRSS")}  # type: ignore[index]


def compare(sent: Counted, tape: Path) -> None:
    reader, found = TapeReader(tape), defaultdict(list)
    for recorded in reader:
        packets = decode(recorded.frame)
        found[recorded.connection].append(checksum(packets.rows["token"], packets.rows["last_price"]))
    lost = 0
    for socket, sums in sent.sums.items():
        kept = found[socket]
        if kept != sums[: len(kept)]:
            print(f"socket {socket}: the tape differs from what was sent")
        behind = len(sums) - len(kept)
        lost += behind
        print(
            f"socket {socket}: {len(sums)} messages sent, {len(kept)} on the tape, {sum(n for n, _ in kept):,} packets"
        )
    print(f"messages sent and not on the tape: {lost} (those on their way when it ended); torn places: {reader.torn}")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    volatility = volatility_for(WANTED - 6 * 4 - 1)
    print(f"{contracts(volatility)} contracts, {TICKS:g} ticks a second, {seconds:.0f} s")
    options = Options(auto_login=True, ticks=TICKS, all_ticks=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        Server(lambda: Busy(Settings(seed=7, volatility=volatility)), options) as server,
    ):
        place, sent = Path(directory), Counted(server)
        (place / "g6.toml").write_text(CONFIG.format(interval=INTERVAL, address=server.address, place=place))
        token, since = server.accounts.log_in()
        settings = KiteSettings(api_key="demo", address=server.address, session_dir=place)
        Sessions(settings, SystemClock()).save(Token("demo", token, "bench", since, end_of(since)))
        command = [sys.executable, "-m", "g6core", "run", "--for", f"{seconds + SETTLING:.0f}s"]
        run = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines: list[str] = []
        reading = threading.Thread(target=lambda: lines.extend(run.stdout or ()))
        reading.start()
        time.sleep(SETTLING)
        before, began, skip = cpu_seconds(run.pid), time.monotonic(), len(lines)
        time.sleep(seconds - 5)
        used, held = (cpu_seconds(run.pid) - before) / (time.monotonic() - began), memory(run.pid)
        run.wait()
        reading.join()
        cycles = np.array(
            [int(m[1].replace(",", "")) for line in lines[skip:] if (m := re.search(r"([\d,]+) ms", line))]
        )
        print(f"recorder: {used:.0%} of a core; memory {held['VmRSS']} MB, at most {held['VmHWM']} MB")
        print(
            f"{cycles.size} cycles to the journal: median {np.median(cycles):.0f} ms, "
            f"p99 {np.percentile(cycles, 99):.0f} ms"
        )
        (tape,) = (place / "data" / "journal").glob("*.tape")
        size, whole = tape.stat().st_size, sum(f.stat().st_size for f in tape.parent.glob("*.db*"))
        print(f"tape {size / 1e6:.0f} MB, journal {whole / 1e6:.0f} MB")
        compare(sent, tape)
        print("".join(lines[:3] + lines[-3:]))


if __name__ == "__main__":
    main()

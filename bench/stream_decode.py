"""Frames of 3,000 full packets into numbers: KiteTicker's own parser beside g6-kite's, taking turns in one process.

    python bench/stream_decode.py [--rounds 15]

The frames are of a market that moves: about every price, quantity and time differs from one to the next, tokens come in
any order, and one frame in two has six indices among the contracts. Best and median of the rounds. KiteTicker makes a
dict per packet; what g6-kite does to put the same frame on its board, to read all of it as columns, and to take the
whole books along, is shown line by line. Also: what the frames take on the tape, by compressor.
"""

from __future__ import annotations

import argparse
import statistics
import time
import zlib
from collections.abc import Callable

import numpy as np
import zstandard
from g6_kite.board import Board
from g6_kite.decode import PACKET, decode, depth, values
from kiteconnect import KiteTicker

COUNT, NIFTY = 3000, 256265
INDICES = (256265, 260105, 257801, 288009, 265, 274441)
AT = 1_795_240_000


def tokens(rng: np.random.Generator) -> np.ndarray:
    return np.sort(rng.choice(np.arange(35_000, 180_000), COUNT, replace=False)) * 256 + 2


def frame(of: np.ndarray, number: int, mixed: bool) -> bytes:
    """A second of a market: walks around prices that are the same in all frames, five-paisa steps."""
    calm, rng = np.random.default_rng(5), np.random.default_rng(100 + number)
    rows = np.zeros(COUNT, PACKET)
    rows["token"] = rng.permutation(of)
    base = calm.integers(200, 60_000, COUNT) * 5
    rows["last_price"] = base + rng.integers(-20, 20, COUNT) * 5
    for name in ("average_price", "open", "high", "low", "close"):
        rows[name] = base + calm.integers(-100, 100, COUNT) * 5
    for name, most in (("last_qty", 20), ("volume", 10**6), ("buy_qty", 10**4), ("sell_qty", 10**4)):
        rows[name] = rng.integers(1, most, COUNT) * 65
    for name in ("oi", "oi_high", "oi_low"):
        rows[name] = calm.integers(1, 10**5, COUNT) * 65
    rows["last_trade_time"] = AT + number - rng.integers(0, 60, COUNT)
    rows["exchange_ts"] = AT + number
    for side, sign in (("bids", -1), ("asks", 1)):
        rows[side]["price"] = rows["last_price"][:, None] + sign * 5 * np.arange(1, 6)
        rows[side]["qty"] = rng.integers(1, 300, (COUNT, 5)) * 65
        rows[side]["orders"] = rng.integers(1, 30, (COUNT, 5))
    packets = [row.tobytes() for row in rows]
    if mixed:
        for place, token in zip(rng.choice(COUNT, len(INDICES), replace=False), INDICES, strict=True):
            packets[place] = np.array([token, *[2_400_000] * 6, AT], ">u4").tobytes()
    return COUNT.to_bytes(2, "big") + b"".join(len(p).to_bytes(2, "big") + p for p in packets)


def contenders(of: np.ndarray) -> dict[str, Callable[[bytes], object]]:
    ticker, board = KiteTicker("key", "token"), Board()
    board.watch([*of.tolist(), *INDICES])

    def numbers(data: bytes) -> object:
        board.take(data, AT, 0)
        return board.read(of)

    def everything(data: bytes) -> object:
        board.take(data, AT, 0)
        rows, mode, _ = board.packets(of)
        return values(rows, mode), depth(rows, mode)

    return {
        "KiteTicker._parse_binary": ticker._parse_binary,
        "g6-kite: decode": decode,
        "g6-kite: decode and put on the board": lambda data: board.take(data, AT, 0),
        "g6-kite: the same, and read all as columns": numbers,
        "g6-kite: the same, with all five levels": everything,
    }


def measure(frames: list[bytes], of: np.ndarray, rounds: int) -> dict[str, list[float]]:
    works = contenders(of)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            began = time.thread_time()
            work(frames[number % len(frames)])
            if number:
                seconds[name].append(time.thread_time() - began)
    return seconds


def same(frames: list[bytes]) -> bool:
    """Whether both read the same last prices, open interests and books."""
    for data in frames[:2]:
        ticks, got = KiteTicker("key", "token")._parse_binary(data), decode(data)
        columns, books = values(got.rows, got.mode), depth(got.rows, got.mode)
        for row, tick in enumerate(ticks):
            if tick["last_price"] != columns["last_price"][row]:
                return False
            if tick["tradable"] and tick["oi"] != columns["oi"][row]:
                return False
            if tick["tradable"] and [x["price"] for x in tick["depth"]["sell"]] != books["ask_prices"][row].tolist():
                return False
    return True


def tape(frames: list[bytes]) -> None:
    content = b"".join(frames)
    ways: dict[str, Callable[[bytes], bytes]] = {
        "zlib, level 1": lambda b: zlib.compress(b, 1),
        "zstandard, level 1": zstandard.ZstdCompressor(level=1).compress,
        "zstandard, level 3": zstandard.ZstdCompressor(level=3).compress,
    }
    print("\n| tape | MB/s | ratio |\n|---|---|---|")
    for name, compress in ways.items():
        times = []
        for _ in range(5):
            began = time.thread_time()
            packed = compress(content)
            times.append(time.thread_time() - began)
        print(f"| {name} | {len(content) / min(times) / 1e6:.0f} | {len(content) / len(packed):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    of = tokens(np.random.default_rng(1))
    for mixed in (False, True):
        frames = [frame(of, n, mixed) for n in range(6)]
        seconds = measure(frames, of, rounds)
        first = [f(seconds["KiteTicker._parse_binary"]) for f in (min, statistics.median)]
        kind = "six indices among the contracts" if mixed else "contracts alone"
        print(f"\n| {COUNT:,} full packets, {kind} | best ms | median ms | ratio of bests | of medians |")
        print("|---|---|---|---|---|")
        for name, times in seconds.items():
            best, median = min(times), statistics.median(times)
            ratios = f"{first[0] / best:.0f} | {first[1] / median:.0f}"
            print(f"| {name} | {best * 1e3:.3f} | {median * 1e3:.3f} | {ratios} |")
        print(f"\nBoth read {'the same' if same(frames) else 'DIFFERENT'} numbers.")
    tape([frame(of, n, True) for n in range(6)])


if __name__ == "__main__":
    main()

"""Kite's list of instruments read by g6-kite and by the official client, in turns: seconds.

    python bench/instruments.py LIST.csv[.gz] [--rows 110000] [--rounds 3]

LIST is a list of one exchange as Kite sends it, such as those that g6-kite keeps in `<data>/cache/kite`; its rows are
repeated until there are enough. Both results are compared, in number and in a few columns, before the clock starts.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import polars as pl
from g6_kite.instruments import parse
from kiteconnect import KiteConnect


def repeated(path: Path, rows: int) -> tuple[bytes, str]:
    """The list, so long, and its exchange."""
    raw = path.read_bytes()
    header, *lines = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).strip().split(b"\n")
    exchange = lines[0].strip().rpartition(b",")[2].strip(b'"').decode()
    return b"\n".join([header, *islice(cycle(lines), rows), b""]), exchange


def check(ours: pl.DataFrame, theirs: list[dict[str, Any]]) -> None:
    assert ours.height == len(theirs)
    for name, their in (("symbol", "tradingsymbol"), ("token", "instrument_token"), ("lot_size", "lot_size")):
        assert ours[name].to_list() == [row[their] for row in theirs], name
    assert ours["expiry"].to_list() == [row["expiry"] or None for row in theirs]


def seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path)
    parser.add_argument("--rows", type=int, default=110_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    data, exchange = repeated(options.list, options.rows)
    client = KiteConnect("bench")
    check(parse(data, exchange), client._parse_instruments(data))
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours += [seconds(lambda: parse(data, exchange)) for _ in range(5)]
        theirs.append(seconds(lambda: client._parse_instruments(data)))
    print(f"{options.rows:,} rows of {exchange}, {len(data) / 1e6:.1f} MB; seconds, median (min – max)")
    for name, times in (("g6-kite", ours), ("kiteconnect", theirs)):
        print(f"{name:12} {statistics.median(times):8.3f} ({min(times):.3f} – {max(times):.3f})")
    print(f"{'ratio':12} {statistics.median(theirs) / statistics.median(ours):8.1f}")


if __name__ == "__main__":
    main()

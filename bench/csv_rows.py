"""The same snapshots written as CSV by several writers: rows per second, each writer in a directory of its own.

    python bench/csv_rows.py [--cycles 10]

A cycle is 6 indices x 81 strikes x 4 expiries = 3,888 options: a row in each of 1,944 files and of 6 overviews. The
files are created before the clock starts; the writers take turns cycle by cycle, so that a busy machine slows all of
them alike; medians are shown.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from g6_csv import Settings, columns
from g6_csv.rows import overview, timestamp
from g6_csv.sink import CsvSink

from g6core import Context, Snapshot
from g6core.clock import CycleClock
from g6core.exchange import IST, Calendar
from g6core.journal import Journal
from g6core.snapshot import EXPIRIES, OPTIONS, conform

START = datetime(2026, 8, 17, 4, 0, tzinfo=UTC)
INDICES = {
    "NIFTY": 24_600,
    "BANKNIFTY": 55_200,
    "FINNIFTY": 26_100,
    "MIDCPNIFTY": 12_900,
    "SENSEX": 80_400,
    "BANKEX": 61_000,
}
CODES = {
    "this_week": date(2026, 8, 18),
    "next_week": date(2026, 8, 25),
    "this_month": date(2026, 9, 29),
    "next_month": date(2026, 10, 27),
}
HEADER = columns.wide(True, ())
LEG = columns.leg(True)
SHARED = ["expiry", "expiry_code", "offset", "strike"]
Writer = Callable[[Sequence[Snapshot]], None]


def snapshot(index: str, level: int, ts: datetime, rng: np.random.Generator) -> Snapshot:
    """Prices to the tick, Greeks with all their digits; the numbers mean nothing."""
    offsets = np.repeat(np.arange(-40, 41), 2)
    one = pl.DataFrame({"offset": offsets, "right": ["CE", "PE"] * 81, "strike": level + 50.0 * offsets})
    options = pl.concat(
        [one.with_columns(expiry=pl.lit(day), expiry_code=pl.lit(code)) for code, day in CODES.items()]
    ).with_columns(symbol=pl.format("{}{}{}{}", pl.lit(index), pl.col("expiry").dt.strftime("%y%b"), "strike", "right"))
    n = options.height
    options = options.with_columns(
        *(
            pl.Series(c, np.round(rng.uniform(1, 900, n) * 20) / 20)
            for c in ("last_price", "average_price", "bid", "ask")
        ),
        *(pl.Series(c, rng.integers(0, 10**7, n)) for c in ("volume", "oi")),
    )
    options = conform(options, OPTIONS, who="bench").with_columns(
        pl.Series(c, rng.uniform(0, 1, n)) for c in columns.GREEKS
    )
    expiries = conform(
        pl.DataFrame(
            {"expiry": CODES.values(), "codes": [[c] for c in CODES], "atm_strike": float(level), "quoted": 162}
        ),
        EXPIRIES,
        who="bench",
    ).with_columns(forward=level * rng.uniform(1, 1.01, 4), dte=rng.uniform(1, 60, 4), pcr_oi=rng.uniform(0.5, 2, 4))
    facts = {
        "spot": float(level),
        "open": level - 10.0,
        "high": level + 99.5,
        "low": level - 80.25,
        "close": level - 5.0,
    }
    return Snapshot(index, ts, "bench", options, expiries, {**facts, "vix": 13.5})


class PerGroup:
    """What a straightforward sink does: a file opened, appended to and closed for each group of rows."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, snapshots: Sequence[Snapshot]) -> None:
        for s in snapshots:
            name = f"{s.ts.astimezone(IST).date()}.csv"
            self.options(s, self.root / "options" / s.index, name)
            path = self.file(self.root / "overview" / s.index, name)
            with path.open("ab") as f:
                if not f.tell():
                    f.write((",".join(columns.OVERVIEW) + "\n").encode())
                f.write(overview(s))

    def file(self, folder: Path, name: str) -> Path:
        if not folder.exists():
            folder.mkdir(parents=True)
        return folder / name

    def options(self, s: Snapshot, folder: Path, name: str) -> None:
        raise NotImplementedError


class DictWriters(PerGroup):
    def options(self, s: Snapshot, folder: Path, name: str) -> None:
        facts = {"timestamp": timestamp(s.ts), "index": s.index, "spot": s.facts["spot"]}
        expiries = {e["expiry"]: {c: e[c] for c in ("atm_strike", "forward", "dte")} for e in s.expiries.to_dicts()}
        groups: dict[Any, dict[float, dict[str, Any]]] = defaultdict(dict)
        for o in s.options.to_dicts():
            row = groups[o["expiry_code"], o["offset"]].setdefault(o["strike"], {})
            if not row:
                row |= facts | expiries[o["expiry"]] | {c: o[c] for c in SHARED}
            side = "call" if o["right"] == "CE" else "put"
            row |= {f"{side}_{c}": o[c] for c in LEG}
        for (code, offset), rows in groups.items():
            with self.file(folder / code / str(offset), name).open("a", newline="") as f:
                writer = csv.DictWriter(f, HEADER, lineterminator="\n")
                if not f.tell():
                    writer.writeheader()
                for row in rows.values():
                    row["straddle_price"] = round(row["call_last_price"] + row["put_last_price"], 6)
                    writer.writerow(row)


class Pandas(PerGroup):
    def options(self, s: Snapshot, folder: Path, name: str) -> None:
        options = pandas_frame(s.options, [*SHARED, "right", *LEG])
        calls, puts = (
            options.loc[options["right"] == right, [*SHARED, *LEG]].rename(columns={c: f"{side}_{c}" for c in LEG})
            for right, side in (("CE", "call"), ("PE", "put"))
        )
        expiries = pandas_frame(s.expiries, ["expiry", "atm_strike", "forward", "dte"])
        frame = calls.merge(puts, on=SHARED, how="outer").merge(expiries, on="expiry")
        frame = frame.assign(timestamp=timestamp(s.ts), index=s.index, spot=s.facts["spot"])
        frame["straddle_price"] = (frame["call_last_price"] + frame["put_last_price"]).round(6)
        for (code, offset), rows in frame[list(HEADER)].groupby(["expiry_code", "offset"]):
            path = self.file(folder / str(code) / str(offset), name)
            rows.to_csv(path, mode="a", header=not path.exists(), index=False)


def pandas_frame(frame: pl.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({name: frame[name].to_numpy() for name in names})


def sink(place: Path) -> CsvSink:
    place.mkdir()
    opened = CsvSink(Settings())
    opened.open(Context(place, CycleClock(START), Calendar.load()))
    return opened


def journalled(place: Path) -> Writer:
    """What the engine does: commit to the journal first."""
    behind, journal = sink(place), Journal(place, ["csv"])

    def write(snapshots: Sequence[Snapshot]) -> None:
        encoded = [journal.encode(s) for s in snapshots]
        journal.append(encoded[0].path, encoded)
        behind.write(snapshots)

    return write


def writers(root: Path) -> dict[str, Writer]:
    return {
        "csv.DictWriter per group": DictWriters(root / "dictwriter").write,
        "pandas per group": Pandas(root / "pandas").write,
        "g6-csv": sink(root / "sink").write,
        "the journal, then g6-csv": journalled(root / "journalled"),
    }


def measure(cycles: int, root: Path) -> dict[str, list[float]]:
    rng = np.random.default_rng(1)
    contenders = writers(root)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for cycle in range(cycles + 1):
        batch = [snapshot(i, level, START + timedelta(seconds=15 * cycle), rng) for i, level in INDICES.items()]
        for name, write in contenders.items():
            began = time.perf_counter()
            write(batch)
            if cycle:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def same_tree(root: Path) -> bool:
    """Whether all writers wrote the same numbers (pandas and csv.DictWriter print the same floats alike)."""
    trees = [root / "dictwriter", root / "pandas", root / "sink" / "g6_data"]
    names = sorted(p.relative_to(trees[-1]) for p in trees[-1].rglob("*.csv"))
    sample = [name for n, name in enumerate(names) if n % 97 == 0]
    frames = [[pd.read_csv(tree / name) for name in sample] for tree in trees]
    return all(a.equals(b) for other in frames[:-1] for a, b in zip(other, frames[-1], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cycles", type=int, default=10)
    cycles = parser.parse_args().cycles
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        seconds = measure(cycles, root)
        equal = same_tree(root)
    first = statistics.median(seconds["csv.DictWriter per group"])
    print("| writer | ms per cycle (3,888 options, 1,950 files) | rows/s | ratio |\n|---|---|---|---|")
    for writer, times in seconds.items():
        median = statistics.median(times)
        print(f"| {writer} | {1000 * median:.1f} | {1950 / median:,.0f} | {first / median:.1f} |")
    print(f"\n{cycles} cycles, medians. The trees hold {'the same' if equal else 'DIFFERENT'} numbers.")


if __name__ == "__main__":
    main()

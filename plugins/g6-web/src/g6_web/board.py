"""The newest snapshot of each index, and what clients are sent of it: made once, when it is first asked for."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import polars as pl

from g6core import Clock, DataError, Snapshot, chain_json, chain_rows, expiry_row, ladder, snapshot_json

LADDER = ("oi", "volume", "iv", "bid", "ask", "last_price")
"""Columns on each side of a ladder that is asked for without naming any."""
MOST = 64
"""What is kept ready of one snapshot; clients choose expiries and columns, and must not fill the memory."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Held:
    """The newest snapshot of an index. `ready` never waits; `make` may be called from any thread."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.stamp = (snapshot.ts - EPOCH) // timedelta(microseconds=1)
        self._made: dict[tuple[object, ...], bytes] = {}
        self._lock = threading.Lock()

    def ready(self, key: tuple[object, ...]) -> bytes | None:
        return self._made.get(key)

    def make(self, key: tuple[object, ...], make: Callable[[Snapshot], str]) -> bytes:
        """What `make` gives of the snapshot, as bytes; a second call with the same key does not make it again."""
        with self._lock:
            found = self._made.get(key)
            if found is None:
                found = make(self.snapshot).encode()
                if len(self._made) < MOST:
                    self._made[key] = found
            return found


class Board:
    """The newest snapshot of each index; written by the sink's thread, read by all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, Held] = {}

    def put(self, snapshots: Iterable[Snapshot]) -> list[Held]:
        """Those that are newer than what was there, in their order."""
        fresh = []
        for s in snapshots:
            before = self._held.get(s.index)
            if before is None or s.ts > before.snapshot.ts:
                self._held[s.index] = held = Held(s)
                fresh.append(held)
        return fresh

    def all(self) -> list[Held]:
        """By index."""
        return [held for _, held in sorted(self._held.copy().items())]

    def get(self, index: str) -> Held:
        """Raises DataError (`unknown-index`)."""
        held = self._held.get(index) or self._held.get(index.upper())
        if held is None:
            known = sorted(self._held.copy())
            close = difflib.get_close_matches(index.upper(), known, n=1)
            listed = f"there is {', '.join(known)}" if known else "nothing is recorded yet"
            raise DataError(
                f"nothing is recorded of `{index[:40]}`",
                code="unknown-index",
                hint=f"did you mean `{close[0]}`? {listed}" if close else listed,
            )
        return held

    def age(self, ts: datetime) -> float:
        """Seconds since an instant, by the machine's clock."""
        return (self._clock.now() - ts).total_seconds()


def snapshot_rest(s: Snapshot) -> str:
    """All of the JSON but its opening brace: what is sent has the age in front."""
    return snapshot_json(s)[1:]


def chain_rest(s: Snapshot, expiry: str | None, around: int | None) -> str:
    return chain_json(s, expiry, around)[1:]


def snapshot_csv(s: Snapshot) -> str:
    """A row per option, `ts` first."""
    return csv(s.options.select(pl.lit(s.ts).alias("ts"), pl.exclude("ts")))


def chain_csv(s: Snapshot, expiry: str | None, around: int | None, columns: tuple[str, ...] | None) -> str:
    """A row per strike: `ts`, `index`, `expiry`, calls, `strike`, puts. Raises DataError (`bad-request`)."""
    facts = expiry_row(s, expiry)
    rows = chain_rows(s, facts, around)
    for name in columns or ():
        if name not in rows.columns:
            close = difflib.get_close_matches(name, rows.columns, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"there is {', '.join(rows.columns)}"
            raise DataError(f"options have no column `{name[:40]}`", code="bad-request", hint=hint)
    place = (pl.lit(s.ts).alias("ts"), pl.lit(s.index).alias("index"), pl.lit(facts["expiry"]).alias("expiry"))
    return csv(ladder(rows, columns or LADDER).select(*place, pl.all()))


def csv(frame: pl.DataFrame) -> str:
    """With a row of names. Times are India's as ISO 8601; what is absent or no finite number is empty; nested columns
    have no place."""
    zoned = pl.selectors.datetime(time_zone="*").dt.convert_time_zone("Asia/Kolkata")
    times = zoned.dt.strftime("%Y-%m-%dT%H:%M:%S%.f%:z")
    floats = pl.selectors.float()
    plain = frame.drop(pl.selectors.nested()).with_columns(
        times, pl.selectors.binary().bin.encode("hex"), pl.when(floats.is_finite()).then(floats).name.keep()
    )
    return plain.write_csv()

"""The contracts of each index that were seen on a trading day, in memory and from there in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from g6_redis.client import Client, told
from g6_redis.keys import Keys
from g6_redis.packing import IDENTITY, contracts, frame_bytes, frame_of, joined
from g6core import Rejected, Snapshot, trading_date


@dataclass
class Seen:
    """contracts: of the day so far. last: symbols of the snapshot before. saved: whether Redis has all of them."""

    contracts: pl.DataFrame
    last: pl.Series | None = None
    saved: bool = True


class Instruments:
    """ttl: milliseconds. where: of the server, for errors."""

    def __init__(self, keys: Keys, ttl: int, where: str) -> None:
        self._keys = keys
        self._ttl = ttl
        self._where = where
        self._seen: dict[tuple[str, date], Seen] = {}

    def see(self, snapshots: Sequence[Snapshot]) -> None:
        for s in snapshots:
            place = s.index, trading_date(s.ts)
            if place not in self._seen:
                self._seen[place] = Seen(contracts(s.options).clear())
            _see(self._seen[place], s.options)

    def unsave(self, index: str) -> None:
        """Redis has lost what it had of the index."""
        for (name, _), seen in self._seen.items():
            if name == index:
                seen.saved = False

    def save(self, client: Client) -> None:
        """Bring what is new to Redis, where it joins what is there. Raises Rejected when a key holds something else."""
        for place, seen in list(self._seen.items()):
            if not seen.saved:
                try:
                    self._save(client, self._keys.instruments(*place), seen)
                except Rejected:
                    # The other indices must not wait for this one.
                    del self._seen[place]
                    raise
        self._leave_old_days()

    def _save(self, client: Client, key: str, seen: Seen) -> None:
        def join(pipe: Any) -> None:
            stored = pipe.get(key)
            if stored is not None:
                seen.contracts = joined(_contracts_of(stored, key), seen.contracts)
            pipe.multi()
            pipe.set(key, frame_bytes(seen.contracts), px=self._ttl)

        with told(self._where):
            client.transaction(join, key)
        seen.saved = True

    def _leave_old_days(self) -> None:
        newest = {index: max(day for name, day in self._seen if name == index) for index, _ in self._seen}
        self._seen = {place: seen for place, seen in self._seen.items() if newest[place[0]] == place[1]}


def _see(seen: Seen, options: pl.DataFrame) -> None:
    symbols = options["symbol"]
    if seen.last is not None and symbols.equals(seen.last):
        return
    seen.last = symbols
    new = contracts(options).join(seen.contracts, on=IDENTITY, how="anti")
    if new.height:
        seen.contracts, seen.saved = joined(seen.contracts, new), False


def _contracts_of(data: bytes, key: str) -> pl.DataFrame:
    try:
        return contracts(frame_of(data))
    except pl.exceptions.PolarsError as e:
        raise Rejected(
            f"the key {key} of this sink holds something else in Redis", hint="delete that key, or set another `prefix`"
        ) from e

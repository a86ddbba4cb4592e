"""A snapshot as what is stored in Redis, and back.

Its options are a table per expiry, so that whoever wants one chain need not fetch all of them. Tables are Arrow IPC
streams, not compressed, with plain Arrow types: any Arrow library reads them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from g6_redis.keys import chain_field
from g6core import CONTRACTS, Alert, Rejected, Snapshot

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
IDENTITY = ["exchange", "symbol"]


@dataclass(frozen=True)
class Packed:
    """A snapshot as Redis gets it. fields: of its hash; overview: of the other one."""

    index: str
    ts: str
    fields: Mapping[str, str | bytes]
    overview: Mapping[str, str]
    message: str

    @property
    def largest(self) -> int:
        """Bytes of the largest value."""
        return max(len(value) for value in self.fields.values())


def packed(s: Snapshot) -> Packed:
    """Raises Rejected (`bad-frame`) for what Arrow or JSON cannot hold."""
    ts = stamp(s.ts)
    if pl.Object in (*s.options.dtypes, *s.expiries.dtypes):
        # Polars would write where they lie in this process's memory.
        raise Rejected("the snapshot has a column of Python objects", code="bad-frame")
    try:
        fields: dict[str, str | bytes] = {
            "ts": ts,
            "source": s.source,
            "facts": json.dumps(dict(s.facts), allow_nan=False),
            "expiries": frame_bytes(s.expiries),
            **{chain_field(day): frame_bytes(chain) for day, chain in _chains(s.options)},
        }
    except (pl.exceptions.PolarsError, ValueError) as e:
        raise Rejected(f"the snapshot does not fit into Arrow and JSON: {e}", code="bad-frame") from e
    message = json.dumps({"index": s.index, "ts": ts, "source": s.source, "options": s.options.height})
    return Packed(s.index, ts, fields, overview(s, ts), message)


def overview(s: Snapshot, ts: str) -> dict[str, str]:
    """Facts, and the PCR of every expiry code, as text; what is not known is left out."""
    numbers: dict[str, Any] = dict(s.facts)
    if "pcr_oi" in s.expiries.columns:
        for codes, ratio in zip(s.expiries["codes"].to_list(), s.expiries["pcr_oi"].to_list(), strict=True):
            numbers.update((f"pcr_{code}", ratio) for code in codes or ())
    known = {name: repr(value) for name, value in numbers.items() if value is not None}
    return {**known, "ts": ts, "source": s.source}


def stamp(ts: datetime) -> str:
    """ISO 8601, UTC, to the microsecond: earlier times sort first as text."""
    return ts.isoformat(timespec="microseconds")


def micros(ts: datetime) -> int:
    """Microseconds since 1970."""
    return (ts - EPOCH) // timedelta(microseconds=1)


def frame_bytes(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    # Of a frame of this thread alone: polars locks it and then waits for Python to take the bytes, while Python may be
    # waiting in another sink's thread for that very lock. A clone shares the columns and has a lock of its own.
    frame.clone().write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()


def frame_of(data: bytes) -> pl.DataFrame:
    return pl.read_ipc_stream(io.BytesIO(data))


def contracts(options: pl.DataFrame) -> pl.DataFrame:
    """What each row is, without what changes during the day."""
    return options.select(list(CONTRACTS))


def joined(earlier: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
    """The contracts of both, each once, by expiry, strike and right; the later word about one holds."""
    both = pl.concat([earlier, later]).unique(IDENTITY, keep="last", maintain_order=True)
    return both.sort("expiry", "strike", "right", "symbol")


def alert_text(alert: Alert) -> str:
    """The alert as JSON."""
    words = {name: getattr(alert, name) for name in ("rule", "index", "key", "severity", "state", "summary")}
    return json.dumps({"ts": stamp(alert.ts), **words, "labels": dict(alert.labels)}, ensure_ascii=False)


def _chains(options: pl.DataFrame) -> Iterator[tuple[date, pl.DataFrame]]:
    """The options of each expiry."""
    for (day,), chain in options.partition_by("expiry", as_dict=True, maintain_order=True).items():
        yield day, chain

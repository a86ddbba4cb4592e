"""The data that flows through G6: one snapshot = one index at one instant.

Absent is null: never 0, never a default. Prices are rupees, volume and open interest are units (shares), volatility
is a fraction (0.145), theta is per calendar day, vega per volatility point, rho per percentage point. Times are UTC
and aware.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from g6core.errors import DataError

UTC_TIME = pl.Datetime("us", "UTC")

CONTRACTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "index": pl.String,  # the underlying: NIFTY, …
    "exchange": pl.String,  # NFO, BFO; with `symbol` the identity of a contract
    "symbol": pl.String,  # the broker's trading symbol
    "token": pl.Int64,  # the broker's number; null where there is none; reused after expiry
    "expiry": pl.Date,
    "strike": pl.Float64,
    "right": pl.String,  # CE or PE
    "lot_size": pl.Int64,  # units a lot
    "tick_size": pl.Float64,  # rupees
}
"""What `Provider.contracts` gives: a row per listed option."""

LABELS: dict[str, pl.DataType | type[pl.DataType]] = {
    "expiry_code": pl.String,  # the first configured code that names the expiry
    "offset": pl.Int64,  # strike steps from the at-the-money strike
}
"""What the selection adds to a contract."""

QUOTES: dict[str, pl.DataType | type[pl.DataType]] = {
    "last_price": pl.Float64,
    "average_price": pl.Float64,  # the exchange's volume-weighted price of the day
    "bid": pl.Float64,
    "ask": pl.Float64,
    "bid_qty": pl.Int64,
    "ask_qty": pl.Int64,
    "volume": pl.Int64,  # units traded today
    "oi": pl.Int64,  # open interest in units
    "exchange_ts": UTC_TIME,  # the exchange's time of the quote
    "received_ts": UTC_TIME,  # when this machine had it
}
"""What `Provider.quotes` gives, row for row as asked. Further columns are kept as they come."""

OPTIONS = {**CONTRACTS, **LABELS, **QUOTES}
"""`Snapshot.options` before analytics."""

EXPIRIES: dict[str, pl.DataType | type[pl.DataType]] = {
    "expiry": pl.Date,
    "code": pl.String,  # the first configured code
    "codes": pl.List(pl.String),  # every configured code that names this expiry
    "expires_at": UTC_TIME,  # the exchange's close on the expiry day
    "atm_strike": pl.Float64,  # the strike with offset 0
    "contracts": pl.Int64,  # selected
    "quoted": pl.Int64,  # of them with a last price, a bid or an ask
    "future": pl.Float64,  # last price of the listed future of that expiry, rupees
}
"""`Snapshot.expiries` before analytics: a row per selected expiry, sorted."""


@dataclass(frozen=True)
class Snapshot:
    """One index at one instant.

    ts:       the cycle's time, UTC, aware.
    source:   the name of the provider it came from.
    options:  a row per contract, sorted by expiry, strike, right; columns OPTIONS and what analytics add.
    expiries: a row per expiry, sorted; columns EXPIRIES and what analytics add.
    facts:    one number per snapshot: spot, open, high, low, close, vix, …; an unknown one is left out.
    """

    index: str
    ts: datetime
    source: str
    options: pl.DataFrame
    expiries: pl.DataFrame
    facts: Mapping[str, float] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What analytics worked out from columns of the options, for those after them. It goes along as the engine adds
    columns, since none of those before changes then; a copy with other tables begins anew."""
    grown: Growth | None = field(default=None, repr=False, compare=False)
    """How `add` made it, or None."""

    def __post_init__(self) -> None:
        if self.ts.utcoffset() != timedelta(0):
            raise DataError(f"a snapshot's time must be UTC and aware, not {self.ts!r}", code="naive-time")

    @property
    def simulated(self) -> bool:
        """True when no market stood behind these numbers."""
        return bool(self.facts.get("simulated"))

    def replace(self, **changes: Any) -> Snapshot:
        """A copy with the named fields exchanged."""
        anew: dict[str, Any] = {"grown": None}
        if "options" in changes or "expiries" in changes:
            anew["kept"] = {}
        return Snapshot(**{**self.__dict__, **anew, **changes})

    def add(
        self,
        options: Sequence[pl.Series] = (),
        expiries: Sequence[pl.Series] = (),
        facts: Mapping[str, float] | None = None,
    ) -> Snapshot:
        """A copy with these columns, row for row, and facts as well: what an analytic answers with.

        Raises polars' errors when a column is there already or has another number of rows.
        """
        return Snapshot(
            self.index,
            self.ts,
            self.source,
            self.options.hstack(list(options)) if options else self.options,
            self.expiries.hstack(list(expiries)) if expiries else self.expiries,
            {**self.facts, **facts} if facts else self.facts,
            self.kept,
            Growth(self, options, expiries),
        )


@dataclass(frozen=True)
class Growth:
    """What `Snapshot.add` added to which snapshot: nothing that was there can have changed."""

    of: Snapshot
    options: Sequence[pl.Series]
    expiries: Sequence[pl.Series]


def conform(
    frame: pl.DataFrame, schema: Mapping[str, Any], *, who: str, required: tuple[str, ...] = ()
) -> pl.DataFrame:
    """The frame with every column of `schema`, in its type and order, absent ones null, further ones kept behind.

    Raises DataError (`bad-frame`) naming `who` when a required column is missing or a column has another kind of value.
    """
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise DataError(
            f"{who} gave no column {', '.join(f'`{m}`' for m in missing)}",
            code="bad-frame",
            hint=f"the columns are {', '.join(schema)}",
        )
    own = list(frame.schema.items())
    objects = [name for name, dtype in own if dtype == pl.Object]
    if objects:
        raise DataError(f"{who} gave Python objects in `{objects[0]}`", code="bad-frame")
    if own == list(schema.items()):
        return frame
    known = [
        (pl.col(name) if name in frame.columns else pl.lit(None, dtype=dtype)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    ]
    extra = [pl.col(name) for name in frame.columns if name not in schema]
    try:
        return frame.select(known + extra)
    except pl.exceptions.PolarsError as e:
        raise DataError(f"{who} gave a column of the wrong type: {e}", code="bad-frame") from e


def completed(frame: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """The frame as it is when it has every column of `schema`; else with those that it lacks, null.

    So what was recorded before a column existed is read like anything else.
    """
    return frame if schema.keys() <= set(frame.columns) else conform(frame, schema, who="an older recording")


def encode_frame(frame: pl.DataFrame) -> bytes:
    """The frame as an Arrow IPC stream, zstd-compressed."""
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, compression="zstd")
    return buffer.getvalue()


def decode_frame(data: bytes) -> pl.DataFrame:
    return pl.read_ipc_stream(io.BytesIO(data))


def encode_facts(facts: Mapping[str, float]) -> str:
    """Facts as JSON; a number that is not finite has no place there and raises ValueError."""
    return json.dumps(dict(facts), allow_nan=False)

"""The stores of `bench/sinks.py`, written to as their libraries' documentation shows it.

Each gets its rows in the form that it likes best, made before the clock starts: dictionaries, or a pandas frame. None
of them looks for rows that are there already, which a sink has to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import redis
from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS
from sqlalchemy import BigInteger, DateTime, Index, create_engine, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.sql import func

from g6core import Snapshot

TAGS = ("index", "expiry_code", "offset", "strike", "right")
PRICES = ("last_price", "average_price", "bid", "ask")
COUNTS = ("bid_qty", "ask_qty", "volume", "oi", "oi_change")
ANALYTICS = ("iv", "iv_err", "iv_bid", "iv_ask", "iv_fit", "delta", "gamma", "theta", "vega", "rho")
TIMES = ("exchange_ts", "received_ts")
FIELDS = (*PRICES, *COUNTS, *ANALYTICS)


@dataclass(frozen=True)
class Batch:
    """The same snapshots three times. rows: a dictionary per option, of all snapshots; frames: one per snapshot."""

    snapshots: Sequence[Snapshot]
    rows: Sequence[dict[str, Any]]
    frames: Sequence[pd.DataFrame]


@dataclass(frozen=True)
class Contender:
    """stored: how many rows there are at the end, where the store keeps them all."""

    name: str
    write: Callable[[Batch], object]
    stored: Callable[[], int] | None = None


def point(row: dict[str, Any]) -> Point:
    """The tags and fields that our sink's points have."""
    made = Point("points").time(row["ts"]).tag("dte", (row["expiry"] - row["ts"].date()).days)
    for name in TAGS:
        made = made.tag(name, row[name])
    for name in FIELDS:
        made = made.field(name, row[name])
    made = made.field("symbol", row["symbol"]).field("expiry", str(row["expiry"])).field("lot_size", row["lot_size"])
    for name in TIMES:
        made = made.field(name, int(row[name].timestamp() * 1e6))
    return made


def points_encoded(batch: Batch) -> None:
    "\n".join(point(row).to_line_protocol() for row in batch.rows)


def points_sent(url: str) -> Callable[[Batch], None]:
    api = InfluxDBClient(url, token="none", org="none").write_api(write_options=SYNCHRONOUS)
    return lambda batch: api.write("g6", record=[point(row) for row in batch.rows])


class Base(DeclarativeBase):
    pass


class Option(Base):
    """The columns and the index of our sink's table."""

    __tablename__ = "rival_options"
    __table_args__ = (Index("rival_options_chain", "index", "expiry", "ts"),)
    ts: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    exchange: Mapped[str] = mapped_column(primary_key=True)
    symbol: Mapped[str] = mapped_column(primary_key=True)
    index: Mapped[str]
    expiry: Mapped[date]
    expiry_code: Mapped[str]
    offset: Mapped[int]
    strike: Mapped[float]
    right: Mapped[str]
    token: Mapped[int | None] = mapped_column(BigInteger)
    lot_size: Mapped[int | None]
    tick_size: Mapped[float | None]
    exchange_ts: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    received_ts: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_price: Mapped[float | None]
    average_price: Mapped[float | None]
    bid: Mapped[float | None]
    ask: Mapped[float | None]
    bid_qty: Mapped[int | None]
    ask_qty: Mapped[int | None]
    volume: Mapped[int | None]
    oi: Mapped[int | None]
    oi_change: Mapped[int | None]
    iv: Mapped[float | None]
    iv_err: Mapped[float | None]
    iv_bid: Mapped[float | None]
    iv_ask: Mapped[float | None]
    iv_fit: Mapped[float | None]
    delta: Mapped[float | None]
    gamma: Mapped[float | None]
    theta: Mapped[float | None]
    vega: Mapped[float | None]
    rho: Mapped[float | None]


COLUMNS = tuple(Option.__table__.columns.keys())


def orm(url: str, *, bulk: bool) -> Contender:
    """bulk: `session.execute(insert(Option), rows)`, the fast way of the ORM; else `session.add_all`."""
    engine = create_engine(url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)

    def write(batch: Batch) -> None:
        rows = [{name: row[name] for name in COLUMNS} for row in batch.rows]
        with Session(engine) as session:
            if bulk:
                session.execute(insert(Option), rows)
            else:
                session.add_all([Option(**row) for row in rows])
            session.commit()

    def stored() -> int:
        with Session(engine) as session:
            return session.scalar(select(func.count()).select_from(Option)) or 0

    return Contender("SQLAlchemy, bulk insert of the ORM" if bulk else "SQLAlchemy ORM", write, stored)


def hset(url: str, *, pipelined: bool) -> Contender:
    """A hash per contract."""
    client = redis.Redis.from_url(url)

    def write(batch: Batch) -> None:
        to = client.pipeline(transaction=False) if pipelined else client
        for row in batch.rows:
            to.hset(f"rival:{row['symbol']}", mapping={name: row[name] for name in FIELDS})
        if pipelined:
            to.execute()

    return Contender("HSET per contract, one pipeline" if pipelined else "HSET per contract", write)


def pandas_parquet(root: Path) -> Contender:
    """A file per snapshot."""
    root.mkdir()

    def write(batch: Batch) -> None:
        for s, frame in zip(batch.snapshots, batch.frames, strict=True):
            frame.to_parquet(root / f"{s.index}_{s.ts:%Y%m%dT%H%M%S}.parquet", index=False)

    def stored() -> int:
        return sum(len(pd.read_parquet(path, columns=["strike"])) for path in root.glob("*.parquet"))

    return Contender("pandas.to_parquet per snapshot", write, stored)

"""Option chains as the NSE website serves them: JSON with `records.data[]`, one instant a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from g6_replay.tables import contents
from g6_replay.tally import FILE, LINE, Tally
from g6core import DataError

FIELDS = {
    "index": "underlying",
    "symbol": "identifier",
    "strike": "strikePrice",
    "expiry": "expiryDate",
    "spot": "underlyingValue",
    "last_price": "lastPrice",
    "bid": "bidprice",
    "ask": "askPrice",
    "bid_qty": "bidQty",  # in units already, unlike the next two
    "ask_qty": "askQty",
    "volume": "totalTradedVolume",
    "oi": "openInterest",
    "exchange_iv": "impliedVolatility",
}


def read(paths: list[Path], tally: Tally) -> pl.DataFrame:
    """All files in one frame of text; LINE is the number of the entry in `records.data`.

    A file that is no option chain is set aside.
    """
    rows: list[dict[str, Any]] = []
    for file, path in enumerate(paths):
        try:
            rows += _rows(path, file, tally)
        except DataError as e:
            tally.add(f"file that cannot be used: {e.message}", 1, tally.files[file])
    names = ("ts", "right", "exchange_ts", *FIELDS)
    schema = {FILE: pl.UInt32, LINE: pl.UInt32, **dict.fromkeys(names, pl.String)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _rows(path: Path, file: int, tally: Tally) -> list[dict[str, Any]]:
    try:
        document = json.loads(contents(path))
        records = document["records"]
        entries, ts = records["data"], str(records["timestamp"])
    except (ValueError, KeyError, TypeError) as e:
        message = f"{path.name} is not an NSE option chain ({type(e).__name__}: {e})"
        raise DataError(message, code="replay-garbage") from e
    rows = []
    for number, entry in enumerate(entries if isinstance(entries, list) else [], 1):
        sides = list(_sides(entry))
        if not sides:
            tally.add("entry without a call or a put", 1, tally.place(file, number))
        for right, side in sides:
            common = {"expiryDate": entry.get("expiryDate"), "underlyingValue": records.get("underlyingValue")}
            known = {**common, **{k: v for k, v in side.items() if v is not None}}
            row: dict[str, Any] = {ours: _text(known.get(theirs)) for ours, theirs in FIELDS.items()}
            rows.append({FILE: file, LINE: number, "ts": ts, "exchange_ts": ts, "right": right, **row})
    return rows


def _sides(entry: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(entry, dict):
        yield from ((right, entry[right]) for right in ("CE", "PE") if isinstance(entry.get(right), dict))


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)

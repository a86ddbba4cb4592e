"""The day's instruments as Kite lists them: options, futures and indices, by ascending token."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

COLUMNS = {
    "instrument_token": pl.Int64,
    "exchange_token": pl.String,
    "tradingsymbol": pl.String,
    "name": pl.String,
    "last_price": pl.Float64,
    "expiry": pl.Date,
    "strike": pl.Float64,
    "tick_size": pl.Float64,
    "lot_size": pl.Int64,
    "instrument_type": pl.String,
    "segment": pl.String,
    "exchange": pl.String,
}
"""Of Kite's dump, in its order."""

SEGMENTS = {"NFO": 2, "BFO": 5}
"""The last byte of an instrument token; an index has 9."""

INDICES = {
    "NIFTY": ("NSE", "NIFTY 50", 256265),
    "BANKNIFTY": ("NSE", "NIFTY BANK", 260105),
    "FINNIFTY": ("NSE", "NIFTY FIN SERVICE", 257801),
    "MIDCPNIFTY": ("NSE", "NIFTY MID SELECT", 288009),
    "SENSEX": ("BSE", "SENSEX", 265),
    "BANKEX": ("BSE", "BANKEX", 274441),
    "INDIAVIX": ("NSE", "INDIA VIX", 264969),
}
"""Exchange, symbol and token of each index at Kite."""

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

Slots = NDArray[np.int64]


@dataclass(frozen=True)
class Listing:
    """frame: COLUMNS, a row per instrument, by ascending token; a slot is a row's place.

    contracts: the options as the provider gave them, `options` the slot of each row. futures, indices: the slot by
    (underlying, expiry), and by the index's name in G6.
    """

    day: date
    frame: pl.DataFrame
    tokens: Slots
    keys: Mapping[str, int]
    contracts: pl.DataFrame
    options: Slots
    futures: Mapping[tuple[str, date], int]
    indices: Mapping[str, int]


def listing(
    day: date,
    contracts: pl.DataFrame,
    futures: Iterable[tuple[str, date]],
    indices: Collection[str],
    missing: Collection[str],
) -> Listing:
    """contracts: columns CONTRACTS, of all indices. missing: symbols that the day's list leaves out."""
    contracts = contracts.filter(~pl.col("symbol").is_in(list(missing)))
    contracts = contracts.unique(("exchange", "symbol"), keep="first", maintain_order=True)
    future = _futures(contracts, sorted(set(futures)), missing)
    taken = {INDICES[name][2] for name in indices if name in INDICES}
    tokens = _tokens([*contracts.select("exchange", "symbol", "token").rows(), *future.rows()], taken)
    parts = [
        _option_rows(contracts, tokens[: contracts.height]),
        _future_rows(future, tokens[contracts.height :]),
        _index_rows([name for name in indices if name in INDICES]),
    ]
    # The provider's rows in their order come first, so their slots are the places they are sorted to.
    frame = pl.concat(parts)
    order = np.argsort(frame["instrument_token"].to_numpy(), kind="stable")
    slot = np.empty(frame.height, np.int64)
    slot[order] = np.arange(frame.height)
    frame = frame[order]
    names = frame.select(pl.concat_str("exchange", pl.lit(":"), "tradingsymbol")).to_series()
    first, last = contracts.height, contracts.height + future.height
    return Listing(
        day,
        frame,
        frame["instrument_token"].to_numpy(),
        dict(zip(names.to_list(), range(frame.height), strict=True)),
        contracts,
        slot[:first],
        dict(zip(future.select("index", "expiry").rows(), slot[first:last].tolist(), strict=True)),
        dict(zip([n for n in indices if n in INDICES], slot[last:].tolist(), strict=True)),
    )


def _futures(contracts: pl.DataFrame, wanted: Sequence[tuple[str, date]], missing: Collection[str]) -> pl.DataFrame:
    """The futures, with lot and tick of the options beside them."""
    schema = {"exchange": pl.String, "symbol": pl.String, "token": pl.Int64, "index": pl.String, "expiry": pl.Date}
    beside = contracts.group_by("index").agg(pl.col("exchange", "lot_size", "tick_size").first())
    terms = {row["index"]: row for row in beside.iter_rows(named=True)}
    rows = []
    for index, expiry in wanted:
        symbol = f"{index}{expiry.year % 100:02d}{_MONTHS[expiry.month - 1]}FUT"
        if index in terms and symbol not in missing:
            of = terms[index]
            rows.append((of["exchange"], symbol, None, index, expiry, of["lot_size"], of["tick_size"]))
    return pl.DataFrame(rows, schema | {"lot_size": pl.Int64, "tick_size": pl.Float64}, orient="row")


def _tokens(instruments: Sequence[tuple[object, ...]], taken: set[int]) -> list[int]:
    """Of each (exchange, symbol, token, …) its token if Kite could have given it, else one made from the symbol."""
    taken = set(taken)
    found: list[int | None] = []
    for exchange, _, token, *_ in instruments:
        ours = isinstance(token, int) and 255 < token < 2**32 and token % 256 == SEGMENTS[str(exchange)]
        free = ours and token not in taken
        taken |= {token} if free and isinstance(token, int) else set()
        found.append(token if free and isinstance(token, int) else None)
    made = []
    for (exchange, symbol, *_), known in zip(instruments, found, strict=True):
        number = crc32(f"{exchange}:{symbol}".encode()) % 2**24
        while known is None:
            token = number * 256 + SEGMENTS[str(exchange)]
            known = token if token not in taken and number else None
            number = (number + 1) % 2**24
        taken.add(known)
        made.append(known)
    return made


def _option_rows(contracts: pl.DataFrame, tokens: Sequence[int]) -> pl.DataFrame:
    return _rows(
        contracts.rename({"symbol": "tradingsymbol", "index": "name", "right": "instrument_type"}),
        tokens,
        segment=pl.concat_str("exchange", pl.lit("-OPT")),
    )


def _future_rows(futures: pl.DataFrame, tokens: Sequence[int]) -> pl.DataFrame:
    return _rows(
        futures.rename({"symbol": "tradingsymbol", "index": "name"}),
        tokens,
        segment=pl.concat_str("exchange", pl.lit("-FUT")),
        instrument_type=pl.lit("FUT"),
        strike=0.0,
    )


def _index_rows(names: Sequence[str]) -> pl.DataFrame:
    rows = [INDICES[name] for name in names]
    symbols = [symbol for _, symbol, _ in rows]
    frame = pl.DataFrame(
        {"exchange": [exchange for exchange, _, _ in rows], "tradingsymbol": symbols, "name": symbols},
        schema=dict.fromkeys(("exchange", "tradingsymbol", "name"), pl.String),
    )
    zero = {"strike": 0.0, "tick_size": 0.0, "lot_size": 0}
    return _rows(
        frame,
        [token for _, _, token in rows],
        segment=pl.lit("INDICES"),
        instrument_type=pl.lit("EQ"),
        expiry=pl.lit(None, pl.Date),
        **zero,
    )


def _rows(frame: pl.DataFrame, tokens: Sequence[int], **more: pl.Expr | float) -> pl.DataFrame:
    token = pl.Series("instrument_token", tokens, pl.Int64)
    made = {name: value if isinstance(value, pl.Expr) else pl.lit(value) for name, value in more.items()}
    frame = frame.with_columns(token, exchange_token=(token // 256).cast(pl.String), last_price=pl.lit(0.0), **made)
    return frame.select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())


def csv(frame: pl.DataFrame) -> bytes:
    """The dump as Kite writes it: an absent date empty, an absent number 0, names quoted."""
    number = {n: pl.col(n).fill_null(0) for n in ("strike", "tick_size", "last_price", "lot_size")}
    lines = frame.with_columns(**number).select(
        pl.format(
            '{},{},{},"{}",{},{},{},{},{},{},{},{}',
            *("instrument_token", "exchange_token", "tradingsymbol", "name"),
            *(_plain("last_price"), pl.col("expiry").cast(pl.String).fill_null(""), _plain("strike")),
            *(_plain("tick_size"), "lot_size", "instrument_type", "segment", "exchange"),
        )
    )
    return "\n".join([",".join(COLUMNS), *lines.to_series().to_list(), ""]).encode()


def _plain(name: str) -> pl.Expr:
    """25000, not 25000.0."""
    return pl.col(name).cast(pl.String).str.strip_suffix(".0")

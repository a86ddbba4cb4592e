"""What is listed today: Kite's list of instruments, parsed in one pass over columns and kept for the day."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from g6_kite.listcache import ListCache
from g6core import CONTRACTS, AuthExpired, ConfigError, Context, DataError, G6Error, trading_date

if TYPE_CHECKING:
    from g6_kite.settings import KiteSettings

log = logging.getLogger("g6.kite")


@dataclass(frozen=True)
class Listed:
    """Something with a quote that is no option: an index or a future. token: Kite's number, also in the stream."""

    exchange: str
    symbol: str
    token: int

    @property
    def key(self) -> str:
        """How a call for quotes names it."""
        return f"{self.exchange}:{self.symbol}"


SPOTS = {
    "NIFTY": Listed("NSE", "NIFTY 50", 256265),
    "BANKNIFTY": Listed("NSE", "NIFTY BANK", 260105),
    "FINNIFTY": Listed("NSE", "NIFTY FIN SERVICE", 257801),
    "MIDCPNIFTY": Listed("NSE", "NIFTY MID SELECT", 288009),
    "SENSEX": Listed("BSE", "SENSEX", 265),
    "BANKEX": Listed("BSE", "BANKEX", 274441),
    "INDIAVIX": Listed("NSE", "INDIA VIX", 264969),
}
"""The indices themselves. The tokens are used when the exchange's own list lacks an index or cannot be had."""

EXCHANGES = {
    "NIFTY": "NFO",
    "BANKNIFTY": "NFO",
    "FINNIFTY": "NFO",
    "MIDCPNIFTY": "NFO",
    "SENSEX": "BFO",
    "BANKEX": "BFO",
}
"""Where the options and futures of an index are listed."""

COLUMNS: dict[str, Any] = {
    "instrument_token": pl.Int64,
    "tradingsymbol": pl.String,
    "name": pl.String,
    "expiry": pl.String,
    "strike": pl.Float64,
    "tick_size": pl.Float64,
    "lot_size": pl.Float64,
    "instrument_type": pl.String,
    "segment": pl.String,
    "exchange": pl.String,
}
"""What is read of the list, by its own names."""

LIST: dict[str, Any] = {
    **{name: CONTRACTS[name] for name in ("index", "exchange", "symbol", "token", "expiry", "strike")},
    **{name: CONTRACTS[name] for name in ("lot_size", "tick_size")},
    "kind": pl.String,  # CE, PE, FUT, or EQ for what is traded itself
    "segment": pl.String,  # NFO-OPT, BFO-FUT, INDICES, …
}
"""What `parse` gives; index: the underlying's name, null where there is none."""

# The longest name first: SENSEX50 and NIFTYNXT50 begin with another index's name and end in digits, as a year does.
_NAMES = sorted([*EXCHANGES, "NIFTYNXT50", "SENSEX50"], key=len, reverse=True)
_FORM = rf"^({'|'.join(_NAMES)})\d\d(?:[A-Z]{{3}}|[1-9OND]\d\d)(?:FUT|\d+(?:\.\d+)?(?:CE|PE))$"

REST = 60.0
"""Seconds before a list that could not be had is asked for again."""


def parse(data: bytes, exchange: str) -> pl.DataFrame:
    """The instruments of one exchange, columns LIST, in the order of the list.

    data: Kite's CSV. What is not known is null; Kite writes 0. A list without names, as of years ago, is told by its
    symbols. Raises DataError (`kite-instruments`) for what is no such list, or one that was cut short.
    """
    table = _read(data, exchange)
    name = pl.col("name").str.strip_chars('" ')
    named: pl.Expr = pl.when(name.str.len_bytes() > 0).then(name)
    if table["name"].null_count() or (table["name"] == "").any():
        named = named.fill_null(pl.col("tradingsymbol").str.extract(_FORM))
    numbers = ("strike", "lot_size", "tick_size")
    known = {number: pl.when(pl.col(number) > 0).then(number).cast(LIST[number]) for number in numbers}
    return table.select(
        index=named,
        exchange="exchange",
        symbol="tradingsymbol",
        token="instrument_token",
        expiry=pl.col("expiry").str.to_date("%Y-%m-%d", strict=False),
        **known,
        kind="instrument_type",
        segment="segment",
    ).filter(pl.col("exchange") == exchange)


def _read(data: bytes, exchange: str) -> pl.DataFrame:
    data = data.removeprefix(b"\xef\xbb\xbf")
    header = data[: data.find(b"\n")].decode("utf-8", "replace").replace('"', "").strip().split(",")
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise _unusable(exchange, f"it has no column {', '.join(missing)}")
    if header[-1] == "exchange" and not re.search(rb'[,"]%b"?\s*$' % exchange.encode(), data[-64:]):
        raise _unusable(exchange, "it was cut short")
    try:
        return pl.read_csv(
            data, columns=list(COLUMNS), schema_overrides=COLUMNS, ignore_errors=True, truncate_ragged_lines=True
        )
    except pl.exceptions.PolarsError as e:
        raise _unusable(exchange, str(e).partition("\n")[0]) from e


def _unusable(exchange: str, why: str) -> DataError:
    return DataError(
        f"Kite's list of instruments of {exchange} cannot be used: {why}",
        code="kite-instruments",
        hint="it is asked for again in a minute",
    )


class Source(Protocol):
    """Where lists come from: `rest.Rest`."""

    def instruments_csv(self, exchange: str) -> bytes: ...


class Instruments:
    """The lists of the day, each fetched when something of it is first asked for; several threads may ask.

    On disk below `<data>/cache/kite`, except those of a server that stands in for Kite: it may list other contracts
    after its next start.
    """

    def __init__(self, rest: Source, settings: KiteSettings, context: Context) -> None:
        self._rest, self._clock = rest, context.clock
        place = context.data_dir / "cache" / "kite" if settings.address is None else None
        self._cache = ListCache(place, settings.instruments_max_age)
        self._lists: dict[str, tuple[date, pl.DataFrame]] = {}
        self._failed: dict[str, tuple[float, G6Error]] = {}
        self._spots: dict[str, tuple[date, Listed]] = {}
        self._futures: dict[str, tuple[date, Mapping[date, Listed]]] = {}
        self._lock = threading.Lock()

    def contracts(self, index: str) -> pl.DataFrame:
        """Every listed option of the index, columns CONTRACTS. Raises DataError (`unknown-index`) for another index."""
        listed = self._of(index).filter(pl.col("kind").is_in(["CE", "PE"]))
        named = listed.rename({"kind": "right"}).select(*CONTRACTS)
        return named.unique(("exchange", "symbol"), keep="first").sort("expiry", "strike", "right")

    def futures(self, index: str) -> Mapping[date, Listed]:
        """The listed futures of the index by expiry, ascending."""
        today = trading_date(self._clock.now())
        known = self._futures.get(index)
        if known is None or known[0] != today:
            known = self._futures[index] = (today, self._listed_futures(index))
        return known[1]

    def _listed_futures(self, index: str) -> Mapping[date, Listed]:
        listed = self._of(index).filter(kind="FUT").drop_nulls(["expiry", "symbol", "token"]).sort("expiry")
        rows = listed.select("expiry", "exchange", "symbol", "token").iter_rows()
        return {expiry: Listed(*future) for expiry, *future in rows}

    def spot(self, index: str) -> Listed:
        """The index itself, also INDIAVIX. Raises DataError (`unknown-index`)."""
        if index not in SPOTS:
            raise _unknown(index)
        today = trading_date(self._clock.now())
        known = self._spots.get(index)
        if known is None or known[0] != today:
            known = self._spots[index] = (today, self._spot(SPOTS[index]))
        return known[1]

    def _spot(self, usual: Listed) -> Listed:
        """As its exchange lists it; as usual when that cannot be told."""
        try:
            listed = self._list(usual.exchange)
        except (AuthExpired, ConfigError):
            raise
        except G6Error as e:
            log.warning("kite: %s; the usual token of %s is used", e.message, usual.key)
            return usual
        tokens = listed.filter(symbol=usual.symbol, segment="INDICES")["token"].drop_nulls()
        return Listed(usual.exchange, usual.symbol, tokens[0]) if tokens.len() else usual

    def _of(self, index: str) -> pl.DataFrame:
        if index not in EXCHANGES:
            raise _unknown(index)
        return self._list(EXCHANGES[index]).filter(pl.col("index") == index)

    def _list(self, exchange: str) -> pl.DataFrame:
        with self._lock:
            today = trading_date(self._clock.now())
            known = self._lists.get(exchange)
            if known is None or known[0] != today:
                known = self._lists[exchange] = (today, _of_interest(self._load(exchange)))
            return known[1]

    def _load(self, exchange: str) -> pl.DataFrame:
        """From the disk or from Kite. A list of today that has grown old is better than none."""
        failed = self._failed.get(exchange)
        if failed and time.monotonic() - failed[0] < REST:
            raise failed[1]
        now = self._clock.now()
        kept = self._cache.read(exchange, now)
        if kept and self._cache.fresh(kept, now):
            return parse(kept.data, exchange)
        try:
            data = self._rest.instruments_csv(exchange)
            listed = parse(data, exchange)
        except AuthExpired:
            raise
        except G6Error as e:
            if kept:
                log.warning("kite: %s; the list of %s fetched earlier today is used", e.message, exchange)
                return parse(kept.data, exchange)
            self._failed[exchange] = (time.monotonic(), e)
            raise
        self._cache.write(exchange, data, now)
        return listed


def _of_interest(listed: pl.DataFrame) -> pl.DataFrame:
    """Thousands of shares and their options are in the lists as well."""
    return listed.filter(pl.col("index").is_in(list(EXCHANGES)) | (pl.col("segment") == "INDICES"))


def _unknown(index: str) -> DataError:
    known = ", ".join(EXCHANGES)
    return DataError(
        f"Kite's options of an index {index!r} are not known", code="unknown-index", hint=f"known are {known}"
    )

"""A tiny deterministic market, and snapshots of it.

Prices are intrinsic value plus a time value that falls off exponentially around the money: free of arbitrage, and
put-call parity holds with a rate of 0, up to a tick. Nothing is random: the clock alone decides.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import polars as pl

from g6core.components import Clock, Context, Provider, Spot
from g6core.errors import Unavailable
from g6core.snapshot import CONTRACTS, EXPIRIES, OPTIONS, QUOTES, Snapshot, conform
from g6core.testing.clock import START, ManualClock
from g6core.testing.listings import IST_OFFSET, LISTINGS, TICK, Listing, contracts, expiry_codes, is_monthly


class FakeMarket(Provider):
    """A provider whose answers follow from the clock, and that misbehaves when told to.

    strikes: listed strikes per expiry (odd: as many below as above). The deepest in-the-money call has no quote and the
    deepest in-the-money put has a last price only.

    fail(call, error):  the call (`contracts`, `spots`, `quotes`, `futures`) raises it; `heal()` ends that.
    delays[call] = 0.2: the call takes that many seconds.
    vanished:           symbols that are not listed any more.
    unquoted:           symbols that are listed and have no quote.
    unknown_spots:      indices left out of `spots`.
    calls:              how often each call was made.
    """

    simulated = True
    always_open = True

    def __init__(self, indices: Sequence[str] = ("NIFTY", "BANKNIFTY"), *, strikes: int = 21) -> None:
        self.clock: Clock = ManualClock()
        self.strikes = strikes
        self.delays: dict[str, float] = {}
        self.vanished: set[str] = set()
        self.unquoted: set[str] = set()
        self.unknown_spots: set[str] = set()
        self.calls: Counter[str] = Counter()
        self._indices = tuple(indices)
        self._failures: dict[str, tuple[Exception, int | None]] = {}

    def open(self, context: Context) -> None:
        self.clock = context.clock

    def indices(self) -> Sequence[str]:
        return self._indices

    def contracts(self, index: str) -> pl.DataFrame:
        self._enter("contracts")
        if index not in self._indices:
            raise Unavailable(f"the fake market does not list {index}")
        return self._listed(index)

    def spots(self, indices: Sequence[str]) -> Mapping[str, Spot]:
        self._enter("spots")
        return {index: self._spot(index) for index in {*indices, "INDIAVIX"} if self._has_spot(index)}

    def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
        self._enter("quotes")
        asked = contracts.select("exchange", "symbol")
        board = pl.concat([self._board(index) for index in self._indices])
        answer = asked.join(board, on=["exchange", "symbol"], how="left", maintain_order="left")
        return conform(answer.select(*QUOTES), QUOTES, who="FakeMarket")

    def futures(self, indices: Sequence[str]) -> Mapping[str, Mapping[date, float]]:
        """At the spot, since the rate is 0."""
        self._enter("futures")
        today = (self.clock.now() + IST_OFFSET).date()
        levels = {index: self._spot(index).last for index in indices if index in LISTINGS and self._has_spot(index)}
        return {
            index: {day: level for day in LISTINGS[index].expiries(today) if is_monthly(day)}
            for index, level in levels.items()
            if level is not None
        }

    def fail(self, call: str, error: Exception, *, times: int | None = None) -> None:
        """Let the next `times` calls raise `error`; all of them until `heal` when not told how many."""
        self._failures[call] = (error, times)

    def heal(self) -> None:
        self._failures.clear()
        self.delays.clear()

    def _enter(self, call: str) -> None:
        self.calls[call] += 1
        time.sleep(self.delays.get(call, 0.0))
        if call not in self._failures:
            return
        error, times = self._failures.pop(call)
        if times is None or times > 1:
            self._failures[call] = (error, times and times - 1)
        raise error

    def _has_spot(self, index: str) -> bool:
        return index in (*self._indices, "INDIAVIX") and index not in self.unknown_spots

    def _spot(self, index: str) -> Spot:
        if index == "INDIAVIX":
            return Spot(last=13.5, ts=self.clock.now())
        listing = LISTINGS[index]
        minute = _minute(self.clock.now())
        path = [_level(listing, m) for m in range(225, minute + 1)] or [_level(listing, minute)]
        previous = listing.level - listing.step
        return Spot(path[-1], path[0], max(path), min(path), previous, self.clock.now())

    def _listed(self, index: str) -> pl.DataFrame:
        listed = contracts(index, (self.clock.now() + IST_OFFSET).date(), self.strikes)
        return listed.filter(~pl.col("symbol").is_in(list(self.vanished))) if self.vanished else listed

    def _board(self, index: str) -> pl.DataFrame:
        """Every listed contract with its quote."""
        listing = LISTINGS[index]
        now = self.clock.now()
        lot = listing.lot_size
        spot = _level(listing, _minute(now))
        distance = (pl.col("strike") - spot).abs()
        steps = ((pl.col("strike") - listing.level) / listing.step).abs().cast(pl.Int64)
        days = (pl.col("expiry") - (now + IST_OFFSET).date()).dt.total_days()
        width = 0.0025 * listing.level * (days + 1).sqrt()
        is_call = pl.col("right") == "CE"
        intrinsic = pl.when(is_call).then(spot - pl.col("strike")).otherwise(pl.col("strike") - spot).clip(0.0)
        last = ((intrinsic + width * (-distance / (2 * width)).exp()) / TICK).round().clip(1.0) * TICK
        quoted = self._listed(index).with_columns(
            last_price=last.round(2),
            volume=lot * (1_000 + 10 * _minute(now) - 7 * steps),
            oi=lot * (5_000 - 30 * steps),
            bid_qty=pl.lit(10 * lot),
            ask_qty=pl.lit(8 * lot),
            exchange_ts=pl.lit(now - timedelta(seconds=1)),
            received_ts=pl.lit(now),
        )
        quoted = quoted.with_columns(
            average_price=pl.col("last_price") + TICK,
            bid=pl.col("last_price") - TICK,
            ask=pl.col("last_price") + TICK,
        ).with_columns(bid=pl.when(pl.col("bid") > TICK / 2).then(pl.col("bid").round(2)))
        return self._thinned(conform(quoted, {**CONTRACTS, **QUOTES}, who="FakeMarket"), listing)

    def _thinned(self, board: pl.DataFrame, listing: Listing) -> pl.DataFrame:
        """The board without the quotes that are not there."""
        reach = listing.step * (self.strikes // 2)
        is_call = pl.col("right") == "CE"
        silent = (is_call & (pl.col("strike") <= listing.level - reach)) | pl.col("symbol").is_in(list(self.unquoted))
        one_sided = silent | (~is_call & (pl.col("strike") >= listing.level + reach))
        book = ["bid", "ask", "bid_qty", "ask_qty"]
        rest = [name for name in QUOTES if name not in book]
        return board.with_columns(
            *(pl.when(~one_sided).then(pl.col(name)).alias(name) for name in book),
            *(pl.when(~silent).then(pl.col(name)).alias(name) for name in rest),
        )


def snapshot(
    index: str = "NIFTY",
    ts: datetime = START,
    *,
    strikes: int = 11,
    expiries: int = 2,
    **facts: float | None,
) -> Snapshot:
    """The fake market as a snapshot before analytics: OPTIONS and EXPIRIES as the engine hands them on.

    facts: further or other facts; None takes one away.
    """
    options, dated, seen = _taken(index, ts, strikes, expiries)
    told = {name: value for name, value in {**seen, **facts}.items() if value is not None}
    # Frames of its own: no two threads may use the same one.
    return Snapshot(index, ts, "fake", options.clone(), dated.clone(), told)


@lru_cache(maxsize=512)
def _taken(
    index: str, ts: datetime, strikes: int, expiries: int
) -> tuple[pl.DataFrame, pl.DataFrame, Mapping[str, float | None]]:
    """Options, expiries and facts. Tests ask for the same again and again, and to make one takes 20 ms."""
    market = FakeMarket((index,), strikes=strikes)
    market.clock = ManualClock(ts)
    listing = LISTINGS[index]
    contracts = market.contracts(index)
    dates = contracts["expiry"].unique().sort().head(expiries).to_list()
    chosen = contracts.filter(pl.col("expiry").is_in(dates))
    spots = market.spots([index, "INDIAVIX"])
    atm = _nearest(chosen["strike"], spots[index].last or listing.level)
    codes = expiry_codes(index, (ts + IST_OFFSET).date())
    labelled = chosen.with_columns(
        expiry_code=pl.col("expiry").replace_strict({d: codes[d][0] for d in dates}, return_dtype=pl.String),
        offset=((pl.col("strike") - atm) / listing.step).round().cast(pl.Int64),
    )
    options = pl.concat([labelled, market.quotes(chosen)], how="horizontal")
    options = conform(options, OPTIONS, who="snapshot").sort("expiry", "strike", "right")
    dated = _expiries(options, codes, listing, atm, market.futures([index])[index])
    return options, dated, _facts(spots, index)


def snapshots(
    n: int, index: str = "NIFTY", ts: datetime = START, *, strikes: int = 11, expiries: int = 2, **facts: float | None
) -> list[Snapshot]:
    """`n` snapshots, a minute apart."""
    return [snapshot(index, ts + timedelta(minutes=i), strikes=strikes, expiries=expiries, **facts) for i in range(n)]


def _expiries(
    options: pl.DataFrame, codes: Mapping[date, list[str]], listing: Listing, atm: float, futures: Mapping[date, float]
) -> pl.DataFrame:
    has_quote = pl.any_horizontal(pl.col("last_price", "bid", "ask").is_not_null())
    frame = options.group_by("expiry").agg(contracts=pl.len(), quoted=has_quote.sum()).sort("expiry")
    dates = frame["expiry"].to_list()
    closes = [datetime(d.year, d.month, d.day, tzinfo=UTC) + listing.closes for d in dates]
    frame = frame.with_columns(
        code=pl.Series([codes[d][0] for d in dates]),
        codes=pl.Series([codes[d] for d in dates]),
        expires_at=pl.Series(closes),
        atm_strike=pl.lit(atm),
        future=pl.Series([futures.get(d) for d in dates], dtype=pl.Float64),
    )
    return conform(frame, EXPIRIES, who="snapshot")


def _facts(spots: Mapping[str, Spot], index: str) -> dict[str, float | None]:
    spot = spots[index]
    return {
        "spot": spot.last,
        "open": spot.open,
        "high": spot.high,
        "low": spot.low,
        "close": spot.close,
        "vix": spots["INDIAVIX"].last,
        "simulated": 1.0,
    }


def _nearest(strikes: pl.Series, spot: float) -> float:
    return float(strikes[(strikes - spot).abs().arg_min() or 0])


def _minute(now: datetime) -> int:
    """Minutes since 00:00 UTC; 225 is 09:15 IST."""
    return now.hour * 60 + now.minute


def _level(listing: Listing, minute: int) -> float:
    return round(listing.level + 1.7 * listing.step * math.sin(minute / 9), 2)

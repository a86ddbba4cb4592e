"""What the server knows at the clock's time, over any G6 provider."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl

from g6_sim.provider import VIX, Sim
from g6_sim.serve.clock import Instant
from g6_sim.serve.details import Details
from g6_sim.serve.instruments import Listing, Slots, listing
from g6_sim.serve.quote import Quotes, blank
from g6core import IST, Context, Provider, Spot, trading_date


class Market:
    """Instruments of the clock's day in India and their quotes; a slot is an instrument's place in both.

    Slots hold as long as `day` is the same: whoever keeps slots looks them up again when `day` has changed. The market
    moves in steps of the clock: between them, and between the instants of a recording, every quote stands still.
    Not for several threads. It opens and closes the provider.
    """

    def __init__(
        self,
        provider: Provider,
        indices: Sequence[str],
        context: Context,
        missing: Collection[str] = (),
        step: timedelta = timedelta(seconds=1),
    ) -> None:
        """indices: all that the provider has when there are none. missing: symbols that the listing leaves out."""
        self.provider = provider
        self._clock = context.clock
        self._instant = Instant(context.clock.now())
        provider.open(replace(context, clock=self._instant))
        self.indices = tuple(indices or provider.indices())
        self._missing = frozenset(missing)
        self._step = step
        timeline = provider.timeline()
        self._timeline = None if timeline is None else list(timeline)
        self._details = Details(provider) if isinstance(provider, Sim) else None
        self._listing: Listing | None = None
        self._quotes: tuple[datetime | None, date, Quotes] | None = None

    def close(self) -> None:
        self.provider.close()

    @property
    def day(self) -> date:
        return trading_date(self._clock.now())

    @property
    def tokens(self) -> Slots:
        """The instrument tokens of the day, ascending: slot by slot."""
        return self.listing().tokens

    def slots(self, tokens: Slots | Sequence[int]) -> Slots:
        """The slot of each token, -1 for one that is not known today."""
        known, wanted = self.tokens, np.asarray(tokens, dtype=np.int64)
        if not known.size:
            return np.full(wanted.shape, -1, np.int64)
        at = np.minimum(np.searchsorted(known, wanted), known.size - 1)
        return np.where(known[at] == wanted, at, -1)

    def slot_of_key(self, key: str) -> int | None:
        """Of `NFO:SYMBOL`, or of a token in digits."""
        found = self.listing().keys.get(key)
        if found is None and key.isascii() and key.isdigit() and len(key) < 12:
            slot = int(self.slots([int(key)])[0])
            return slot if slot >= 0 else None
        return found

    def instruments(self) -> pl.DataFrame:
        """Kite's columns (`instruments.COLUMNS`), a row per slot."""
        return self.listing().frame

    def listing(self) -> Listing:
        day = self.day
        if self._listing is None or self._listing.day != day:
            self._listing = self._make_listing(day)
        return self._listing

    def at(self) -> datetime | None:
        """The instant that the quotes are of: the clock's last step or recorded instant; None before the first."""
        now = self._clock.now()
        if self._timeline is not None:
            place = bisect_right(self._timeline, now)
            return self._timeline[place - 1] if place else None
        micros = round(now.timestamp() * 1e6)
        step = round(self._step.total_seconds() * 1e6)
        return datetime.fromtimestamp((micros - micros % step) / 1e6, UTC)

    def quotes(self) -> Quotes:
        """A row per slot at the clock's time; the same array as before while nothing moves. Not to be written to."""
        today, at = self.listing(), self.at()
        if self._quotes is None or self._quotes[:2] != (at, today.day):
            self._quotes = (at, today.day, self._read(today, at))
            self._quotes[2].setflags(write=False)
        return self._quotes[2]

    def _make_listing(self, day: date) -> Listing:
        midnight = datetime.combine(day, time(0), IST).astimezone(UTC)
        self._instant.set(midnight)
        contracts = pl.concat([self.provider.contracts(index) for index in self.indices])
        if self._timeline is not None:
            first = bisect_right(self._timeline, midnight)
            self._instant.set(self._timeline[min(first, len(self._timeline) - 1)])
        futures = self.provider.futures(self.indices)
        pairs = [(index, expiry) for index, prices in futures.items() for expiry in prices]
        return listing(day, contracts, pairs, (*self.indices, VIX), self._missing)

    def _read(self, today: Listing, at: datetime | None) -> Quotes:
        quotes = blank(today.tokens.size, token=today.tokens, index=today.tokens % 256 == 9)
        if at is None or trading_date(at) != today.day:
            return quotes
        self._instant.set(at)
        for name, spot in self.provider.spots(self.indices).items():
            if name in today.indices:
                _put_spot(quotes, today.indices[name], spot)
        for index, prices in self.provider.futures(self.indices).items():
            for expiry, price in prices.items():
                slot = today.futures.get((index, expiry))
                if slot is not None:
                    quotes["last_price"][slot], quotes["quoted"][slot] = price, True
        if today.contracts.height:
            _put_options(quotes, today.options, self.provider.quotes(today.contracts))
        if self._details is not None:
            self._details.fill(quotes, today, at)
        return quotes


def _put_spot(quotes: Quotes, slot: int, spot: Spot) -> None:
    quotes["quoted"][slot] = spot.last is not None
    names = {"last_price": spot.last, "open": spot.open, "high": spot.high, "low": spot.low, "close": spot.close}
    for name, value in names.items():
        quotes[name][slot] = np.nan if value is None else value
    if spot.ts is not None:
        quotes["exchange_ts"][slot] = int(spot.ts.timestamp())


def _put_options(quotes: Quotes, slots: Slots, given: pl.DataFrame) -> None:
    for name in ("last_price", "average_price"):
        quotes[name][slots] = given[name].to_numpy()
    for name in ("volume", "oi"):
        quotes[name][slots] = given[name].fill_null(0).to_numpy()
    quotes["exchange_ts"][slots] = given["exchange_ts"].dt.epoch("s").fill_null(0).to_numpy()
    for side in ("bid", "ask"):
        quotes[f"{side}_price"][slots, 0] = given[side].to_numpy()
        quotes[f"{side}_qty"][slots, 0] = given[f"{side}_qty"].fill_null(0).to_numpy()
    known = [given[name].is_not_null() for name in ("last_price", "bid", "ask", "volume", "oi")]
    quotes["quoted"][slots] = np.logical_or.reduce([column.to_numpy() for column in known])

"""The order books of one day: what each listed option is worth, and how much of it is offered, traded and held."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from g6_sim.activity import Activity
from g6_sim.day import Day, State
from g6_sim.noise import Floats, Rows, uniform
from g6_sim.surface import DIVIDEND, RATE, atm_variance, black76, total_variance
from g6_sim.table import Terms
from g6_sim.walk import DAY, YEAR
from g6core import QUOTES


@dataclass(frozen=True)
class Value:
    """What options are truly worth, an array each; nan once the contract has expired."""

    t: Floats
    forward: Floats
    iv: Floats
    price: Floats
    delta: Floats


class Board:
    """The options of all indices on one day.

    listing: columns CONTRACTS, by index in the order of `terms`, then by expiry. closes: the close of each chain.
    monthly: the chains that have a future beside them.
    A contract that is expected to trade less than a lot in the whole day has no quote.
    """

    def __init__(
        self,
        day: Day,
        terms: Mapping[str, Terms],
        listing: pl.DataFrame,
        closes: Mapping[tuple[str, date], datetime],
        monthly: Collection[tuple[str, date]],
        *,
        seed: int,
        volatility: float,
    ) -> None:
        self.day = day
        self.listing = listing
        self._keys = listing.select("exchange", "symbol", row=pl.int_range(pl.len(), dtype=pl.Int64))
        chains = listing.select("index", "expiry").unique(maintain_order=True).rows()
        table = [terms[index] for index, _ in chains]
        self._futures = [(n, *chain, terms[chain[0]].tick_size) for n, chain in enumerate(chains) if chain in monthly]
        self._number = np.array([t.number for t in table])
        self._volatility = np.array([volatility * t.volatility for t in table])
        self._closes = np.array([closes[chain].timestamp() for chain in chains])
        self._chain = listing.select(pl.struct("index", "expiry").rle_id()).to_series().to_numpy()
        self._strike = listing["strike"].to_numpy()
        self._is_call = (listing["right"] == "CE").to_numpy()
        self._lot = listing["lot_size"].to_numpy()
        self._tick = listing["tick_size"].to_numpy()
        self._asked, self._rows = listing, np.arange(listing.height)
        self._activity = Activity(listing, table, self._chain, self._moneyness(day.at(0.0)), seed)

    def rows(self, contracts: pl.DataFrame) -> Rows:
        """The place of each contract on the board, -1 for one that is not listed."""
        if contracts is not self._asked:
            keys = ["exchange", "symbol"]
            found = contracts.select(keys).join(self._keys, on=keys, how="left", maintain_order="left")
            self._asked, self._rows = contracts, found["row"].fill_null(-1).to_numpy()
        return self._rows

    def value(self, state: State, rows: Rows) -> Value:
        """The true values at that state of the market."""
        t, forward, theta = self._chains(state)
        chain, strike = self._chain[rows], self._strike[rows]
        variance = total_variance(np.log(strike / forward[chain]), theta[chain])
        price, delta = black76(forward[chain], strike, variance, np.exp(-RATE * t)[chain], self._is_call[rows])
        listed = np.where(rows < 0, np.nan, 1.0)
        t = t[chain] * listed
        return Value(t, forward[chain] * listed, np.sqrt(variance / t), price * listed, delta * listed)

    def quotes(self, now: datetime, rows: Rows, *, tick_rounding: bool) -> pl.DataFrame:
        """Columns QUOTES, null where there is nothing."""
        second = now.timestamp() - self.day.midnight
        state = self.day.at(second)
        price = self.value(state, rows).price
        average = self.value(self.day.average(second), rows).price
        lot, lots = self._lot[rows], self._activity.lots_a_day[rows]
        noise = uniform(self._activity.keys[rows], 16 + int(state.at))
        prices = _rounded if tick_rounding else _exact
        spread = price * (0.001 + 0.05 / (1 + np.sqrt(lots))) + self._tick[rows]
        last, average, bid, ask = prices(price, average, spread * (0.35 + 0.3 * noise), self._tick[rows])

        depth = 1 + np.sqrt(lots) / 4
        volume = lot * self._activity.traded(rows, self.day.traded(second))
        quoted = (last > 0) & (lots >= 1)
        traded, bidden = quoted & (volume > 0), quoted & (bid > 0)
        ts = round(now.timestamp() * 1e6)
        columns: dict[str, tuple[Floats | int, NDArray[np.bool_]]] = {
            "last_price": (last, traded),
            "average_price": (average, traded),
            "bid": (bid, bidden),
            "ask": (ask, quoted),
            "bid_qty": (lot * np.ceil(depth * noise), bidden),
            "ask_qty": (lot * np.ceil(depth * (1 - noise)), quoted),
            "volume": (volume, quoted),
            "oi": (lot * self.held(rows, state.at), quoted),
            "exchange_ts": (ts - ts % 1_000_000, quoted),
            "received_ts": (ts, quoted),
        }
        return pl.DataFrame([_series(name, *columns[name]) for name in QUOTES])

    def held(self, rows: Rows, at: float) -> Floats:
        """Lots held at that time, seconds since 1970."""
        days = np.maximum(self._closes - at, 0.0)[self._chain[rows]] / DAY
        return self._activity.held(rows, days)

    def course(self, row: int, seconds: Rows) -> tuple[Floats, Floats, Floats]:
        """Last price, units traded so far and units held of one contract at these seconds of the day.

        All as `quotes` has them on its tick; nan where there is no quote, a price also before the first trade.
        """
        chain, lot, tick = self._chain[row], self._lot[row], self._tick[row]
        spots, nerves = self.day.course(seconds)
        at = self.day.midnight + seconds
        t = (self._closes[chain] - at) / YEAR
        t = np.where(t > 0, t, np.nan)
        forward = spots[self._number[chain]] * np.exp((RATE - DIVIDEND) * t)
        theta = atm_variance(t, self._volatility[chain], nerves)
        variance = total_variance(np.log(self._strike[row] / forward), theta)
        price, _ = black76(forward, self._strike[row], variance, np.exp(-RATE * t), self._is_call[row])
        price = np.round(np.maximum(np.round(price / tick), 1) * tick, 2)
        volume = lot * self._activity.traded(np.array([row]), self.day.traded_at(seconds))
        quoted = (price > 0) & (self._activity.lots_a_day[row] >= 1)
        days = np.maximum(self._closes[chain] - at, 0.0) / DAY
        oi = lot * self._activity.held(np.array([row]), days)
        return (
            np.where(quoted & (volume > 0), price, np.nan),
            np.where(quoted, volume, np.nan),
            np.where(quoted, oi, np.nan),
        )

    def future(self, index: str, expiry: date, seconds: Rows) -> Floats | None:
        """Prices of that future at these seconds of the day, on its tick; None when it is not listed."""
        for number, *chain, tick in self._futures:
            if chain == [index, expiry]:
                t = (self._closes[number] - self.day.midnight - seconds) / YEAR
                spots = self.day.course(seconds)[0][self._number[number]]
                price = spots * np.exp((RATE - DIVIDEND) * np.where(t > 0, t, np.nan))
                rounded: Floats = np.round(np.round(price / tick) * tick, 2)
                return rounded
        return None

    def futures(self, state: State, *, tick_rounding: bool = True) -> dict[str, dict[date, float]]:
        """The price of each future by index and expiry: the true forward. None after its close."""
        _, forward, _ = self._chains(state)
        prices: dict[str, dict[date, float]] = {}
        for number, index, expiry, tick in self._futures:
            price = float(forward[number])
            if not np.isnan(price):
                prices.setdefault(index, {})[expiry] = round(round(price / tick) * tick, 2) if tick_rounding else price
        return prices

    def _chains(self, state: State) -> tuple[Floats, Floats, Floats]:
        """Time in years, forward and total variance at the forward of each chain; nan after its close."""
        t = (self._closes - state.at) / YEAR
        t = np.where(t > 0, t, np.nan)
        forward = state.spots[self._number] * np.exp((RATE - DIVIDEND) * t)
        return t, forward, atm_variance(t, self._volatility, state.nerves)

    def _moneyness(self, state: State) -> Floats:
        """Log-moneyness in deviations to the expiry, with a floor: on the last day far strikes are traded too."""
        _, forward, theta = self._chains(state)
        z: Floats = np.log(self._strike / forward[self._chain]) / np.sqrt(theta + 0.015**2)[self._chain]
        return z


Prices = tuple[Floats, Floats, Floats, Floats]


def _rounded(price: Floats, average: Floats, half: Floats, tick: Floats) -> Prices:
    """Last, average, bid and ask as an exchange has them. Nothing trades below one tick; a bid of 0 is none."""
    return (
        np.round(np.maximum(np.round(price / tick), 1) * tick, 2),
        np.round(np.maximum(average, tick), 2),
        np.round(np.floor((price - half) / tick) * tick, 2),
        np.round(np.ceil((price + half) / tick) * tick, 2),
    )


def _exact(price: Floats, average: Floats, half: Floats, tick: Floats) -> Prices:
    """The same around the model's own price."""
    narrow: Floats = np.minimum(half, price / 2)
    return price, average, price - narrow, price + narrow


def _series(name: str, values: Floats | int, where: NDArray[np.bool_]) -> pl.Series:
    """The values where there are some, null elsewhere. A float holds microseconds since 1970 exactly."""
    return pl.Series(name, np.where(where, values, np.nan), nan_to_null=True).cast(QUOTES[name])

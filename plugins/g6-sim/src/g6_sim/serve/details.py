"""What the simulator says of an instrument beyond G6's quotes: the day's prices, the rest of the book, last trades.

All of it is the simulator's own and a function of seed and time; a recorded day has none of it.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from g6_sim.board import Board
from g6_sim.day import State
from g6_sim.noise import Floats, Words, uniform, words
from g6_sim.provider import Sim
from g6_sim.serve.instruments import Listing, Slots
from g6_sim.serve.quote import LEVELS, Quotes
from g6_sim.table import terms

Flags = NDArray[np.bool_]

_SEED = 1_000_003
"""Numbers of the book are others than those of the market."""


class Details:
    def __init__(self, sim: Sim) -> None:
        self._sim = sim
        self._of: Listing | None = None

    def fill(self, quotes: Quotes, listing: Listing, at: datetime) -> None:
        """Complete the quotes of options and futures, as they stand at that instant."""
        if self._of is not listing:
            self._prepare(listing)
        board = self._sim.board()
        second = at.timestamp() - board.day.midnight
        own = self._tradable[quotes["quoted"][self._tradable]]
        self._options(quotes, board, second)
        self._futures(quotes, board, second, int(at.timestamp()))
        self._books(quotes, own, int(at.timestamp()))

    def _prepare(self, listing: Listing) -> None:
        self._of, board = listing, self._sim.board()
        self._slots = listing.options
        self._rows = board.rows(listing.contracts)
        self._calls = (listing.contracts["right"] == "CE").to_numpy()
        self._future_slots = np.array(list(listing.futures.values()), np.int64)
        self._futures_of = list(listing.futures)
        self._numbers = np.array([terms()[index].number for index, _ in self._futures_of], np.int64)
        self._lots = np.array([t.lots for t in terms().values()])
        self._tradable = np.concatenate([self._slots, self._future_slots])
        self._keys: Words = words(listing.tokens, _SEED)
        self._lot = listing.frame["lot_size"].to_numpy()
        self._tick = listing.frame["tick_size"].to_numpy()
        self._opening, self._before = (
            _on_tick(board.value(state, self._rows).price, self._tick[self._slots])
            for state in (board.day.at(0.0), board.day.before())
        )

    def _options(self, quotes: Quotes, board: Board, second: float) -> None:
        slots, last = self._slots, quotes["last_price"][self._slots]
        traded = ~np.isnan(last)
        low, high = (_on_tick(price, self._tick[slots]) for price in self._bounds(board, second))
        high, low = np.fmax(np.fmax(high, last), self._opening), np.fmin(np.fmin(low, last), self._opening)
        for name, values in (("open", self._opening), ("high", high), ("low", low)):
            quotes[name][slots] = np.where(traded, values, np.nan)
        quoted = quotes["quoted"][slots]
        quotes["close"][slots] = np.where(quoted, self._before, np.nan)
        quotes["last_trade_time"][slots] = np.where(traded, quotes["exchange_ts"][slots], 0)
        quotes["oi_high"][slots] = quotes["oi"][slots]
        quotes["oi_low"][slots] = np.where(quoted, self._lot[slots] * board.held(self._rows, board.day.midnight), 0)

    def _bounds(self, board: Board, second: float) -> tuple[Floats, Floats]:
        """A lowest and a highest price of the day so far, from the extremes of index and volatility by themselves.

        No price of the day lies beyond them, and they only widen as the day goes on.
        """
        low, high = board.day.extremes(second)
        start, now = board.day.midnight, low.at
        bounds = (np.empty(self._rows.size), np.empty(self._rows.size))
        for kind, down, up in ((self._calls, low, high), (~self._calls, high, low)):
            rows = self._rows[kind]
            least = [board.value(State(t, down.spots, low.nerves), rows).price for t in (start, now)]
            most = [board.value(State(t, up.spots, high.nerves), rows).price for t in (start, now)]
            bounds[0][kind], bounds[1][kind] = np.fmin(*least), np.fmax(*most)
        return bounds

    def _futures(self, quotes: Quotes, board: Board, second: float, now: int) -> None:
        there = quotes["quoted"][self._future_slots]
        slots, number = self._future_slots[there], self._numbers[there]
        last, tick = quotes["last_price"][slots], self._tick[slots]
        low, high = board.day.extremes(second)
        start = board.day.midnight
        opening = self._prices(board, board.day.at(0.0), there)
        quotes["open"][slots] = opening
        quotes["high"][slots] = np.fmax(self._prices(board, State(start, high.spots, high.nerves), there), last)
        quotes["low"][slots] = np.fmin(np.fmin(self._prices(board, low, there), last), opening)
        quotes["close"][slots] = self._prices(board, board.day.before(), there)
        quotes["average_price"][slots] = self._prices(board, board.day.average(second), there)
        lots = self._lots[number]
        quotes["volume"][slots] = self._lot[slots] * np.floor(lots * board.day.traded(second))
        for name in ("oi", "oi_high", "oi_low"):
            quotes[name][slots] = self._lot[slots] * np.floor(lots / 4)
        quotes["exchange_ts"][slots] = quotes["last_trade_time"][slots] = now
        for side, sign in (("bid", -1), ("ask", 1)):
            quotes[f"{side}_price"][slots, 0] = np.round(last + sign * tick, 2)
            quotes[f"{side}_qty"][slots, 0] = self._lot[slots] * np.ceil(np.sqrt(lots) / 4)

    def _prices(self, board: Board, state: State, there: Flags) -> Floats:
        prices = board.futures(state)
        return np.array([prices.get(index, {}).get(expiry, np.nan) for index, expiry in self._futures_of])[there]

    def _books(self, quotes: Quotes, slots: Slots, now: int) -> None:
        """Levels 2 to 5 a tick apart, orders, the sums of both sides and the size of the last trade."""
        keys, lot, tick = self._keys[slots], self._lot[slots], self._tick[slots]
        steps = np.arange(LEVELS)
        for number, (side, total, sign) in enumerate((("bid", "buy_qty", -1), ("ask", "sell_qty", 1))):
            noise = np.stack([uniform(keys, now * 16 + number * LEVELS + int(n)) for n in steps], axis=1)
            price, size = quotes[f"{side}_price"][slots, 0], quotes[f"{side}_qty"][slots, 0]
            prices = np.round(price[:, None] + sign * steps * tick[:, None], 2)
            lots = np.ceil((size / lot)[:, None] * (1 + steps / 2) * (0.5 + noise))
            lots[:, 0] = size / lot
            there: Flags = prices > 0
            quotes[f"{side}_price"][slots] = np.where(there, prices, np.nan)
            quotes[f"{side}_qty"][slots] = sizes = np.where(there, lots * lot[:, None], 0).astype(np.int64)
            quotes[f"{side}_orders"][slots] = np.where(there, 1 + np.floor(lots * noise / 4), 0)
            quotes[total][slots] = sizes.sum(axis=1) * 4
        traded = ~np.isnan(quotes["last_price"][slots])
        quotes["last_qty"][slots] = np.where(traded, lot * (1 + np.floor(3 * uniform(keys, now * 16 + 15))), 0)


def _on_tick(price: Floats, tick: Floats) -> Floats:
    """As the last price is rounded. nan stays nan."""
    rounded: Floats = np.round(np.maximum(np.round(price / tick), 1) * tick, 2)
    return rounded

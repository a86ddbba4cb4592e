"""The provider: Kite's contracts, spots and quotes, by stream and by request."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from g6_kite.checks import rate_budget
from g6_kite.instruments import Instruments, Listed
from g6_kite.live import Live
from g6_kite.login import KiteLogin
from g6_kite.polling import Polling
from g6_kite.quotes import Table, spot
from g6_kite.rest import Rest
from g6_kite.session import Sessions, findings
from g6_kite.settings import KiteSettings
from g6core import Context, Finding, Login, Provider, Spot

log = logging.getLogger("g6.kite")
INDICES = ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "SENSEX", "BANKEX")
VIX = "INDIAVIX"

ABSENT = 60.0
"""Seconds before a contract that the stream never answered is asked for by request again."""


@dataclass
class _Asked:
    """Contracts as last asked for, and what follows from them alone. absent: until when a row is not asked again."""

    contracts: pl.DataFrame
    keys: list[str]
    tokens: npt.NDArray[np.int64]
    absent: npt.NDArray[np.float64]


class Kite(Provider):
    """By stream where that is up, by request for the rest; what neither knows is null."""

    def __init__(self, settings: KiteSettings) -> None:
        self.settings = settings
        # Whatever stands at another address is no exchange: its records are marked, and never mixed with real ones.
        self.simulated = self.always_open = settings.address is not None
        self._asked: _Asked | None = None
        self._by_request = False
        self._interval: timedelta | None = None

    def open(self, context: Context) -> None:
        # Quotes arrive between cycles too, and a session ends whether there is one or not.
        self._clock, self._interval = context.wall_clock or context.clock, context.interval
        self._sessions = Sessions(self.settings, self._clock)
        _ = self._sessions.api_key  # without one nothing can ever come
        self._rest = Rest(self.settings, self._sessions, self._clock)
        self._instruments = Instruments(self._rest, self.settings, context)
        self._polling = Polling(self._rest.quote, self.settings.batch, lambda: micros(self._clock.now()))
        self._live = (
            Live(self.settings, self._sessions, self._clock, context.data_dir)
            if self.settings.mode == "stream"
            else None
        )

    def close(self) -> None:
        if self._live:
            self._live.close()
        self._rest.close()

    def login(self, context: Context) -> Login:
        return KiteLogin(self.settings, context)

    def diagnose(self, context: Context) -> Iterable[Finding]:
        return findings(self.settings, context)

    def indices(self) -> Sequence[str]:
        return INDICES

    def contracts(self, index: str) -> pl.DataFrame:
        return self._instruments.contracts(index)

    def spots(self, indices: Sequence[str]) -> Mapping[str, Spot]:
        listed = {name: self._instruments.spot(name) for name in dict.fromkeys((*indices, VIX))}
        first = [*listed.values(), *(future for index in indices for future in self._futures(index).values())]
        if self._live:
            self._live.follow([one.token for one in first])
            found = {name: self._live.spot(one.token) for name, one in listed.items()}
            if all(found[name] for name in indices):
                self._polling.begin(())
                return {name: level for name, level in found.items() if level}
        self._polling.begin([one.key for one in first])
        items = {name: self._polling.item(one.key) for name, one in listed.items()}
        return {name: spot(item) for name, item in items.items() if item}

    def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
        asked = self._look_up(contracts)
        table = Table(len(asked.keys))
        if self._live is None:
            self._warn_once(len(asked.keys))
            self._request(asked, np.arange(len(asked.keys)), table)
            return table.frame()
        self._live.follow(asked.tokens.tolist())
        live, columns = self._live.read(asked.tokens)
        table.put(np.flatnonzero(live), {name: values[live] for name, values in columns.items()})
        self._tell(by_request=not self._live.up)
        lost = ~live & self._live.stranded(asked.tokens)
        self._request(asked, np.flatnonzero(lost), table)
        self._ask_silent(self._live, asked, np.flatnonzero(~live & ~lost), table)
        return table.frame()

    def futures(self, indices: Sequence[str]) -> Mapping[str, Mapping[date, float]]:
        found: dict[str, dict[date, float]] = {}
        for index in indices:
            for expiry, future in self._futures(index).items():
                price = self._price(future)
                if price:
                    found.setdefault(index, {})[expiry] = price
        return found

    def _request(self, asked: _Asked, rows: npt.NDArray[np.intp], table: Table) -> None:
        """Ask Kite for these rows."""
        if not rows.size:
            return
        keys = [asked.keys[row] for row in rows]
        self._polling.ask(keys)
        for place, item, received in self._polling.known(keys):
            table.put_item(int(rows[place]), item, received)

    def _ask_silent(self, live: Live, asked: _Asked, rows: npt.NDArray[np.intp], table: Table) -> None:
        """Contracts that the stream never answered: most have no quote at all, so one call a cycle looks after them."""
        due = rows[asked.absent[rows] <= time.monotonic()][: self.settings.batch]
        if due.size:
            self._request(asked, due, table)
            unknown = due[np.isnan(table.columns["received_ts"][due])]
            asked.absent[unknown] = time.monotonic() + ABSENT
            live.remind(asked.tokens[due])

    def _look_up(self, contracts: pl.DataFrame) -> _Asked:
        if self._asked is None or self._asked.contracts is not contracts:
            keys = (contracts["exchange"] + ":" + contracts["symbol"]).to_list()
            tokens = contracts["token"].fill_null(0).to_numpy()
            self._asked = _Asked(contracts, keys, tokens, np.zeros(len(keys)))
        return self._asked

    def _futures(self, index: str) -> Mapping[date, Listed]:
        return self._instruments.futures(index)

    def _price(self, future: Listed) -> float | None:
        if self._live:
            level = self._live.spot(future.token)
            if level and level.last:
                return level.last
        item = self._polling.item(future.key)
        return float(item["last_price"]) if item and item.get("last_price") else None

    def _warn_once(self, contracts: int) -> None:
        """The interval may be shorter than Kite's limit of calls allows."""
        if self._interval:
            budget = rate_budget(math.ceil(contracts / self.settings.batch), self._interval, self.settings)
            if budget.level != "ok":
                log.warning("kite: %s; %s", budget.message, budget.hint)
        self._interval = None

    def _tell(self, *, by_request: bool) -> None:
        """Say when the stream goes and when it is back."""
        if by_request != self._by_request:
            self._by_request = by_request
            log.warning("kite: quotes come by %s", "request while the stream is down" if by_request else "stream again")


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return round(at.timestamp() * 1e6)

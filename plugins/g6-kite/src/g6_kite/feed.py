"""Kite's contracts, spots and quotes while the provider is open: by stream, and by request for the rest."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from g6_kite.checks import rate_budget
from g6_kite.instruments import Instruments, Listed
from g6_kite.live import Live
from g6_kite.polling import Polling
from g6_kite.quotes import Table, micros, spot
from g6_kite.rest import PATIENCE, Rest
from g6_kite.session import Sessions
from g6_kite.settings import KiteSettings
from g6core import AuthExpired, Context, DataError, Spot, Unavailable

log = logging.getLogger("g6.kite")
VIX = "INDIAVIX"

ABSENT = 60.0
"""Seconds before what neither the stream nor Kite knows is asked for by request again."""

BRIEFLY = 2.0
"""Seconds for a call that looks after a few contracts while the others are there."""


@dataclass
class _Asked:
    """Contracts as last asked for, and what follows from them alone. absent: until when a row is not asked again."""

    contracts: pl.DataFrame
    keys: list[str]
    tokens: npt.NDArray[np.int64]
    absent: npt.NDArray[np.float64]


class Feed:
    """What neither the stream nor a request knows is null."""

    def __init__(self, settings: KiteSettings, context: Context) -> None:
        self.settings = settings
        # Quotes arrive between cycles too, and a session ends whether there is one or not.
        self._clock = context.wall_clock or context.clock
        self._interval = context.interval
        # A cycle that is still asking when the next one is due would cost that one too.
        self._within = PATIENCE
        if context.interval:
            self._within = min(PATIENCE, max(BRIEFLY, 0.6 * context.interval.total_seconds()))
        self._sessions = Sessions(settings, self._clock)
        _ = self._sessions.api_key  # without one nothing can ever come
        self._rest = Rest(settings, self._sessions)
        self._instruments = Instruments(self._rest, settings, context)
        self._polling = Polling(self._rest.quote, settings.batch, lambda: micros(self._clock.now()))
        self._live: Live | None = None
        if settings.mode == "stream":
            self._live = Live(settings, self._sessions, self._clock, context.data_dir)
        self._asked: _Asked | None = None
        self._by_request = False
        self._absent: dict[str, float] = {}

    def close(self) -> None:
        try:
            if self._live:
                self._live.close()
        finally:
            self._rest.close()

    def contracts(self, index: str) -> pl.DataFrame:
        return self._instruments.contracts(index)

    def spots(self, indices: Sequence[str]) -> Mapping[str, Spot]:
        listed = {name: self._instruments.spot(name) for name in dict.fromkeys((*indices, VIX))}
        first = [*listed.values(), *(f for index in indices for f in self._listed_futures(index))]
        if self._live:
            self._live.begin([one.token for one in first])
            self._tell(self._live)
        now, streamed = time.monotonic(), self._streamed(first)
        missing = [one.key for one in first if one.token not in streamed and self._absent.get(one.key, now) <= now]
        self._begin(missing, any(listed[name].token in streamed for name in indices))
        if missing:
            # The answer may have taken as long as a cycle, and the stream went on.
            streamed = self._streamed(first)
        found = {name: self._level(one, streamed) for name, one in listed.items()}
        return {name: level for name, level in found.items() if level}

    def quotes(self, contracts: pl.DataFrame) -> pl.DataFrame:
        asked = self._look_up(contracts)
        table = Table(len(asked.keys))
        if self._live is None:
            self._warn_once(len(asked.keys))
            self._request(asked, np.arange(len(asked.keys)), table)
            return table.frame()
        self._live.follow(asked.tokens)
        live, columns = self._live.read(asked.tokens)
        table.put(live, columns)
        lost = ~live & self._live.stranded(asked.tokens)
        self._request(asked, np.flatnonzero(lost), table, some=bool(live.any()))
        self._ask_silent(self._live, asked, np.flatnonzero(~live & ~lost), table, some=bool(live.any()))
        return table.frame()

    def futures(self, indices: Sequence[str]) -> Mapping[str, Mapping[date, float]]:
        listed = {index: self._instruments.futures(index) for index in indices}
        streamed = self._streamed([one for of in listed.values() for one in of.values()])
        levels = {index: {e: self._level(one, streamed) for e, one in of.items()} for index, of in listed.items()}
        known = {index: {e: s.last for e, s in of.items() if s and s.last} for index, of in levels.items()}
        return {index: prices for index, prices in known.items() if prices}

    def _listed_futures(self, index: str) -> Iterable[Listed]:
        """None when the list of its exchange cannot be used: its contracts tell that, and it costs no other index."""
        try:
            return self._instruments.futures(index).values()
        except DataError:
            return ()

    def _level(self, one: Listed, streamed: Mapping[int, Spot]) -> Spot | None:
        """An index or a future, as the stream or this pass's request has it; None without a price."""
        item = self._polling.item(one.key)
        return streamed.get(one.token) or (spot(item) if item else None)

    def _streamed(self, listed: Sequence[Listed]) -> Mapping[int, Spot]:
        """What the stream knows of indices and futures, by token."""
        return self._live.spots([one.token for one in listed]) if self._live else {}

    def _begin(self, keys: Sequence[str], some: bool) -> None:
        """Begin a pass of requests with these. some: others are known, so it is no failure of the whole cycle."""
        with self._bearing(some):
            self._polling.begin(keys, self._within)
        if self._live:
            unknown = [key for key in keys if self._polling.item(key) is None]
            self._absent |= dict.fromkeys(unknown, time.monotonic() + ABSENT)

    def _request(
        self,
        asked: _Asked,
        rows: npt.NDArray[np.intp],
        table: Table,
        *,
        some: bool = False,
        within: float | None = None,
    ) -> None:
        """Ask Kite for these rows. some: others are known, as for `_begin`. within: seconds."""
        if not rows.size:
            return
        keys = [asked.keys[row] for row in rows]
        with self._bearing(some):
            for place, item, received in self._polling.ask(keys, within or self._within):
                table.put_item(int(rows[place]), item, received)

    def _ask_silent(self, live: Live, asked: _Asked, rows: npt.NDArray[np.intp], table: Table, *, some: bool) -> None:
        """Contracts that the stream never answered: most have no quote at all, so one call a cycle looks after them."""
        due = rows[asked.absent[rows] <= time.monotonic()][: self.settings.batch]
        if due.size:
            self._request(asked, due, table, some=some, within=BRIEFLY)
            unknown = due[np.isnan(table.columns["received_ts"][due])]
            asked.absent[unknown] = time.monotonic() + ABSENT
            live.remind(asked.tokens[due])

    @contextmanager
    def _bearing(self, some: bool) -> Iterator[None]:
        """While other quotes are known a request that fails costs its own, and is told; a session that ended is not
        borne."""
        try:
            yield
        except AuthExpired:
            raise
        except Unavailable as e:
            if not some:
                raise
            log.warning("kite: %s; what the stream has is recorded", e.message)

    def _look_up(self, contracts: pl.DataFrame) -> _Asked:
        if self._asked is None or self._asked.contracts is not contracts:
            keys = (contracts["exchange"] + ":" + contracts["symbol"]).to_list()
            tokens = contracts["token"].fill_null(0).to_numpy()
            self._asked = _Asked(contracts, keys, tokens, np.zeros(len(keys)))
        return self._asked

    def _warn_once(self, contracts: int) -> None:
        """The interval may be shorter than Kite's limit of calls allows."""
        if self._interval:
            budget = rate_budget(math.ceil(contracts / self.settings.batch), self._interval, self.settings)
            if budget.level != "ok":
                log.warning("kite: %s; %s", budget.message, budget.hint)
        self._interval = None

    def _tell(self, live: Live) -> None:
        """Say when the stream goes and when it is back."""
        if self._by_request == live.up:
            self._by_request = not live.up
            why = f"request while the stream is down: {live.why or 'it has not come up yet'}"
            log.warning("kite: quotes come by %s", why if self._by_request else "stream again")

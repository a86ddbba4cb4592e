"""The market as the stream shows it: packed once for each instant, for all sockets."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from g6_sim.serve.faults import Fault
from g6_sim.serve.packets import PACKET, Rows, pack
from g6_sim.serve.quote import Quotes
from g6_sim.serve.rest import absent

if TYPE_CHECKING:
    from g6_sim.serve.app import Server


class Scene:
    """day: whose slots these are. rows, index, said: a row per slot; said: whether it has a quote to send."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._packed: tuple[Quotes | None, tuple[Fault | None, ...]] = (None, ())
        self._hidden: tuple[date | None, Fault | None, NDArray[np.bool_] | None] = (None, None, None)
        self.day: date | None = None
        self.rows: Rows = np.zeros(0, PACKET)
        self.index = self.said = np.zeros(0, bool)

    def look(self) -> None:
        """Bring it up to the server's time."""
        market, faults = self._server.market, self._server.faults
        quotes = market.quotes()
        active = tuple(faults.active(name) for name in ("zero_depth", "null_trade_time", "missing"))
        if self._packed[0] is quotes and self._packed[1] == active:
            return
        self._packed, self.day = (quotes, active), market.day
        zero_depth, null_trade_time, missing = active
        rows = pack(quotes)
        # The packets of indices end before these fields.
        if zero_depth:
            rows["bid"] = rows["ask"] = 0
        if null_trade_time:
            rows["last_trade_time"] = 0
        self.rows, self.index = rows, quotes["index"]
        self.said = quotes["quoted"] & ~self._missing(missing) if missing else quotes["quoted"]

    def _missing(self, fault: Fault) -> NDArray[np.bool_]:
        day, known, hidden = self._hidden
        if hidden is None or day != self.day or known is not fault:
            symbols = self._server.market.instruments()["tradingsymbol"].to_list()
            hidden = np.array([absent(fault, slot, symbol) for slot, symbol in enumerate(symbols)], bool)
            self._hidden = (self.day, fault, hidden)
        return hidden

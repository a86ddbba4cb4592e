"""The analytic `greeks`: time, forward, implied volatility and Greeks of every option of a snapshot."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from g6_greeks import measures
from g6_greeks.arrays import Bools, Codes, Floats
from g6_greeks.black76 import Status, implied_volatility, iv_greeks, warm_up
from g6_greeks.columns import Chain, chain_of, columns, floats, words
from g6_greeks.forward import parity_forward
from g6_greeks.prices import Prices, Refused, choose
from g6_greeks.settings import NSE_RATE, GreeksSettings
from g6_greeks.warm import prepared
from g6core import Analytic, Context, Snapshot, trading_date

YEAR = np.timedelta64(365, "D")

UNITS = {"theta": 1 / 365, "vega": 1 / 100, "rho": 1 / 100}
"""From per year and per 1.00 to per calendar day, volatility point and percentage point."""

REFUSED, LAST = len(Status) - 1, len(Status) + len(Refused) - 1
WORDS = pl.Series([None, *(s.word for s in Status if s), *(r.name.lower() for r in Refused if r), "last", "mid"])
"""For `iv_reason` and `iv_source`: Status from 1 on, Refused after the place REFUSED, the sources from LAST on."""

FORWARD_SOURCES = ("parity", "future", "spot")
COUNTERS = [
    measures.PRICES.labels("none"),
    *(measures.REFUSED.labels(word) for word in WORDS[1:LAST]),
    *(measures.PRICES.labels(word) for word in WORDS[LAST:]),
]
"""By the place in WORDS; the first is that of a price that is not there."""
FORWARDS = {name: measures.FORWARDS.labels(name or "none") for name in (*FORWARD_SOURCES, None)}
SOURCES = {name: pl.Series("forward_source", [name], dtype=pl.String) for name in (*FORWARD_SOURCES, None)}

Market = tuple[Floats, Floats, Floats, Floats]
"""forward, strike, t and discount of each option, as the formulas take them."""


class Greeks(Analytic):
    def __init__(self, settings: GreeksSettings) -> None:
        self.nse = settings.convention == "nse"
        self.rate = NSE_RATE if self.nse else settings.rate
        self.price = "last" if self.nse else settings.price
        self.max_spread = settings.max_spread
        self.max_age = None if self.nse else settings.max_age
        self.to_spot = self.nse or settings.delta == "spot"
        self.bid_ask = settings.bid_ask

    def open(self, context: Context) -> None:
        one = np.ones(1)
        prepared("the forward", lambda: parity_forward(np.zeros(1, np.intp), one, one > 0, one, one, one, one))
        prepared("volatility and Greeks", warm_up)
        if self.bid_ask:
            prepared("volatility alone", lambda: implied_volatility(1.0, 100.0, 101.0, 0.1, 1.0, True))

    def compute(self, snapshot: Snapshot) -> Snapshot:
        chain = chain_of(snapshot)
        oldest = None if self.max_age is None else snapshot.ts - self.max_age
        prices = choose(chain, self.price, self.max_spread, oldest)
        dte, t = self._time(snapshot)
        # Once it has expired an expiry has neither a discount factor nor a forward.
        discount = np.exp(-self.rate * np.where(t > 0, t, np.nan))
        forward, source, rmse = self._forward(snapshot, chain, prices, t, discount)
        for name in source:
            FORWARDS[name].inc()
        numbers = columns({"t": t, "discount": discount, "forward": forward, "parity_rmse": rmse})
        market = (forward[chain.rows], chain("strike"), t[chain.rows], discount[chain.rows])
        return snapshot.add(
            options=self._columns(chain, prices, market),
            expiries=[pl.Series("dte", dte), *numbers, _forward_source(source)],
        )

    def _time(self, snapshot: Snapshot) -> tuple[npt.NDArray[np.int64], Floats]:
        """Whole calendar days to each expiry, and years: to the second, or by whole days in NSE's convention."""
        today = np.datetime64(trading_date(snapshot.ts), "D")
        dte = (snapshot.expiries["expiry"].to_numpy() - today).astype(np.int64)
        if self.nse:
            return dte, dte / 365
        now = np.datetime64(snapshot.ts.replace(tzinfo=None), "us")
        return dte, (snapshot.expiries["expires_at"].to_numpy() - now) / YEAR

    def _forward(
        self, snapshot: Snapshot, chain: Chain, prices: Prices, t: Floats, d: Floats
    ) -> tuple[Floats, list[str | None], Floats]:
        """Of each expiry the forward, where it is from, and the root mean square of the parity residuals."""
        carried, unknown = snapshot.facts.get("spot", np.nan) / d, np.full(d.shape, np.nan)
        if self.nse:
            return *_first_known(unknown, unknown, carried), unknown
        parity, rmse = parity_forward(chain.rows, chain("strike"), chain.call, prices.price, prices.spread, t, d)
        # A future has a price after the close as well.
        future = np.where(np.isfinite(d), floats(snapshot.expiries["future"]), np.nan)
        return *_first_known(parity, future, carried), rmse

    def _columns(self, chain: Chain, prices: Prices, market: Market) -> list[pl.Series]:
        """What is added to the options."""
        # A column like the others: for a single number the kernel would be compiled once more, in mid-cycle.
        found = iv_greeks(prices.price, *market, np.full(chain.call.size, self.rate), chain.call)
        status = found.pop("status")
        with np.errstate(divide="ignore"):
            error = 0.5 * chain("tick_size") / found["vega"]
        if self.to_spot:
            found |= _to_spot(found, prices.price, market, self.rate)
        for name, unit in UNITS.items():
            found[name] *= unit
        iv = {"iv": found.pop("iv"), "iv_err": np.where(np.isfinite(error), error, np.nan)}
        sides = _sides(chain, market) if self.bid_ask else {}
        return [*columns({**iv, **sides, **found}), *_words(prices, status, expired=market[2] <= 0)]


def _first_known(*candidates: Floats) -> tuple[Floats, list[str | None]]:
    """Of each expiry the first number that there is, candidates as in FORWARD_SOURCES, and its source."""
    of_each = zip(*(values.tolist() for values in candidates), strict=True)
    found = [
        next(((v, name) for v, name in zip(values, FORWARD_SOURCES, strict=True) if math.isfinite(v)), (math.nan, None))
        for values in of_each
    ]
    return np.array([v for v, _ in found], dtype=np.float64), [name for _, name in found]


def _forward_source(names: list[str | None]) -> pl.Series:
    # Most often all expiries have the same one, and a list of words would be looked at word by word.
    if len(set(names)) == 1:
        return SOURCES[names[0]].new_from_index(0, len(names))
    return pl.Series("forward_source", names, dtype=pl.String)


def _words(prices: Prices, status: Codes, expired: Bools) -> list[pl.Series]:
    """iv_source and iv_reason. Of several reasons the first of: expired, refused, those of Status in their order."""
    source = np.where(np.isnan(prices.price), 0, prices.mid + LAST)
    reason = np.where(prices.refused, prices.refused + REFUSED, status)
    reason[expired] = Status.EXPIRED
    _count(source)
    _count(reason[reason > 0])
    both = words(WORDS, np.concatenate([source, reason]))
    return [both.slice(0, source.size).alias("iv_source"), both.slice(source.size).alias("iv_reason")]


def _count(places: npt.NDArray[np.integer]) -> None:
    """places: in WORDS."""
    for place, number in enumerate(np.bincount(places).tolist()):
        if number:
            COUNTERS[place].inc(number)


def _sides(chain: Chain, market: Market) -> dict[str, Any]:
    """The volatilities of bid and ask themselves, however wide apart these are."""
    return {f"iv_{side}": _volatility(chain(side), market, chain) for side in ("bid", "ask")}


def _volatility(price: Floats, market: Market, chain: Chain) -> Floats:
    # A source of last prices alone has no book at all.
    if np.isnan(price).all():
        return price
    volatility: Floats = implied_volatility(price, *market, chain.call)["iv"]
    return volatility


def _to_spot(found: dict[str, Any], price: Floats, market: Market, rate: float) -> dict[str, Floats]:
    """delta, gamma, theta and rho with the spot, forward*discount, in place of the forward; raw units."""
    forward, _, t, discount = market
    delta = found["delta"]
    return {
        "delta": delta / discount,
        "gamma": found["gamma"] / (discount * discount),
        "theta": found["theta"] - rate * forward * delta,
        "rho": t * (forward * delta - price),
    }

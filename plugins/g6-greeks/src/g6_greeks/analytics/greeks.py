"""The analytic `greeks`: time, forward, implied volatility and Greeks of every option of a snapshot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from g6_greeks.arrays import Floats, Indices
from g6_greeks.black76 import Status, iv_greeks
from g6_greeks.columns import columns, expiry_rows, floats, is_call, words
from g6_greeks.forward import parity_forward
from g6_greeks.prices import Prices, choose
from g6_greeks.settings import NSE_RATE, GreeksSettings
from g6core import Analytic, Snapshot, trading_date

YEAR = np.timedelta64(365, "D")

UNITS = {"delta": 1.0, "gamma": 1.0, "theta": 1 / 365, "vega": 1 / 100, "rho": 1 / 100}
"""From per year and per 1.00 to per calendar day, volatility point and percentage point."""

ONE_SIDED = len(Status)
REASONS = np.array([None, *(status.word for status in Status if status), "one_sided"], dtype=object)
SOURCES = np.array(["last", "mid", None], dtype=object)
FORWARD_SOURCES = np.array(["spot", "parity", None], dtype=object)


class Greeks(Analytic):
    def __init__(self, settings: GreeksSettings) -> None:
        self.nse = settings.convention == "nse"
        self.rate = NSE_RATE if self.nse else settings.rate
        self.price = "last" if self.nse else settings.price
        self.max_spread = settings.max_spread
        self.to_spot = self.nse or settings.delta == "spot"

    def compute(self, snapshot: Snapshot) -> Snapshot:
        options, expiries = snapshot.options, snapshot.expiries
        rows, strike = expiry_rows(snapshot), floats(options["strike"])
        prices = choose(options, self.price, self.max_spread)
        dte, t = self._time(snapshot)
        forward, source = self._forward(snapshot, rows, strike, prices, t)
        found = iv_greeks(
            prices.price, forward[rows], strike, t[rows], np.exp(-self.rate * t)[rows], self.rate, is_call(snapshot)
        )
        status = found.pop("status")
        if self.to_spot:
            found |= _to_spot(found, prices.price, forward[rows], t[rows], self.rate)
        reason = np.where((status == Status.NAN) & prices.one_sided, ONE_SIDED, status)
        iv_source = np.where(np.isnan(prices.price), 2, prices.mid)
        facts = columns({"t": t, "forward": forward})
        return snapshot.replace(
            options=options.hstack(
                [
                    *columns({name: values * UNITS.get(name, 1.0) for name, values in found.items()}),
                    words("iv_source", SOURCES, iv_source),
                    words("iv_reason", REASONS, reason),
                ]
            ),
            expiries=expiries.hstack([pl.Series("dte", dte), *facts, words("forward_source", FORWARD_SOURCES, source)]),
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
        self, snapshot: Snapshot, rows: Indices, strike: Floats, prices: Prices, t: Floats
    ) -> tuple[Floats, Indices]:
        """The forward of each expiry and its place in FORWARD_SOURCES."""
        carried = snapshot.facts.get("spot", np.nan) * np.exp(self.rate * t)
        if self.nse:
            return carried, np.where(np.isfinite(carried), 0, 2)
        forward = parity_forward(rows, strike, prices, np.exp(-self.rate * t))
        parity = np.isfinite(forward)
        return np.where(parity, forward, carried), np.where(parity, 1, np.where(np.isfinite(carried), 0, 2))


def _to_spot(found: dict[str, Floats], price: Floats, forward: Floats, t: Floats, rate: float) -> dict[str, Floats]:
    """delta, gamma, theta and rho with the spot, forward*exp(-rate*t), in place of the forward; raw units."""
    growth = np.exp(rate * t)
    delta = found["delta"]
    return {
        "delta": delta * growth,
        "gamma": found["gamma"] * growth * growth,
        "theta": found["theta"] - rate * forward * delta,
        "rho": t * (forward * delta - price),
    }

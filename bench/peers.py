"""Implied volatilities by other libraries: each gets the columns it wants before the clock starts.

A peer is a function that takes the columns of a set and returns what is timed, a call without arguments that gives the
volatilities in the order of the set. Whatever a library needs within a call (one value per loop, undiscounted prices)
is part of its time; conversions of types are not. A library that cannot be imported is missing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Columns = dict[str, np.ndarray]
Timed = Callable[[], np.ndarray]
Peer = Callable[[Columns], Timed]
QUOTE = ("price", "forward", "strike", "t", "rate")


def _columns(o: Columns, *names: str) -> list[np.ndarray]:
    return [np.ascontiguousarray(o[name]) for name in names]


def _one_by_one(rows: list[tuple[Any, ...]], solve: Callable[..., float]) -> Timed:
    """A loop over rows; what raises has no volatility."""

    def guarded(row: tuple[Any, ...]) -> float:
        try:
            return solve(*row)
        except (ArithmeticError, RuntimeError, ValueError):
            return math.nan

    return lambda: np.array([guarded(row) for row in rows])


def _rows(*columns: np.ndarray) -> list[tuple[Any, ...]]:
    return list(zip(*(c.tolist() for c in columns), strict=True))


def numpy_newton(o: Columns) -> Timed:
    """Newton's method on the out-of-the-money price from its point of inflection; rows that are done drop out."""
    from scipy.special import ndtr  # type: ignore[import-untyped]

    p, f, k, t, d, call = _columns(o, "price", "forward", "strike", "t", "discount", "is_call")

    def solve() -> np.ndarray:
        x = -np.abs(np.log(f / k))
        root = np.sqrt(f * k)
        value = (p / d - np.maximum(np.where(call, f - k, k - f), 0.0)) / root
        s = np.maximum(np.sqrt(-2.0 * x), 1e-3)
        todo = np.arange(len(p))
        for _ in range(60):
            xs, ss, goal = x[todo], s[todo], value[todo]
            d1 = xs / ss + 0.5 * ss
            up = np.exp(0.5 * xs)
            slope = up * np.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
            step = (up * ndtr(d1) - ndtr(d1 - ss) / up - goal) / slope
            s[todo] = np.maximum(ss - step, 0.5 * ss)
            todo = todo[np.abs(step) > 1e-14 * ss]
            if not len(todo):
                break
        return s / np.sqrt(t)

    return solve


def pyfeng(o: Columns) -> Timed:
    import pyfeng as library

    p, f, k, t = _columns(o, *QUOTE[:4])
    side = np.where(o["is_call"], 1, -1)
    model = library.Bsm(0.2, intr=float(o["rate"][0]), is_fwd=True)
    return lambda: model.impvol(p, k, f, t, side)


def fast_vollib(o: Columns) -> Timed:
    import fast_vollib as library

    p, f, k, t, r = _columns(o, *QUOTE)
    flag = np.where(o["is_call"], "c", "p")
    options = {"return_as": "numpy", "on_error": "ignore", "backend": "numpy"}
    return lambda: library.fast_implied_volatility_black(p, f, k, r, t, flag, **options)


def fast_vollib_jackel(o: Columns) -> Timed:
    from fast_vollib.jackel import jackel_iv_black

    p, f, k, t, d, call = _columns(o, *QUOTE[:4], "discount", "is_call")
    return lambda: jackel_iv_black(p / d, f, k, t, call)


def lbriv(o: Columns) -> Timed:
    """The call that mixes calls, puts and forwards; it computes three Greeks as well."""
    from lbriv import compute_trades_greeks

    p, f, k, t, d = _columns(o, *QUOTE[:4], "discount")
    call = o["is_call"].astype(np.int8)
    vol, *three = np.empty((4, len(p)))

    def solve() -> np.ndarray:
        compute_trades_greeks(p / d, f, k, call, d, vol, *three)
        return vol / np.sqrt(t)

    return solve


def lbriv_strikes(o: Columns) -> Timed:
    """Its call for the strikes of one forward and right: the sets have one forward."""
    from lbriv import vectorized_implied_vol_strikes

    p, k, t, d = _columns(o, "price", "strike", "t", "discount")
    sides = [(np.flatnonzero(o["is_call"]), 1), (np.flatnonzero(~o["is_call"]), -1)]
    forward, iv = float(o["forward"][0]), np.empty(len(p))

    def solve() -> np.ndarray:
        for rows, side in sides:
            iv[rows] = vectorized_implied_vol_strikes(p[rows] / d[rows], forward, k[rows], side)
        return iv / np.sqrt(t)

    return solve


def pyvolr(o: Columns) -> Timed:
    from pyvolr import black76

    p, f, k, t, r = _columns(o, *QUOTE)
    flag = np.where(o["is_call"], "c", "p")
    return lambda: black76.implied_vol(p, flag, f, k, t, r, on_error="ignore")


def nautilus_trader(o: Columns) -> Timed:
    from nautilus_trader.core.nautilus_pyo3 import imply_vol

    p, f, k, t, r = _columns(o, *QUOTE)
    return _one_by_one(_rows(f, r, np.zeros(len(p)), o["is_call"], k, t, p), imply_vol)


def _quantlib(o: Columns, accuracy: float) -> Timed:
    import QuantLib as library

    p, f, k, t, d = _columns(o, *QUOTE[:4], "discount")
    solve = library.blackFormulaImpliedStdDev
    nothing = library.nullDouble()
    sides = [library.Option.Call if call else library.Option.Put for call in o["is_call"]]
    rows = [(side, *row, 0.0, nothing, accuracy) for side, row in zip(sides, _rows(k, f, p, d), strict=True)]
    deviations = _one_by_one(rows, solve)
    return lambda: deviations() / np.sqrt(t)


def quantlib(o: Columns) -> Timed:
    return _quantlib(o, 1e-6)


def quantlib_exact(o: Columns) -> Timed:
    return _quantlib(o, 1e-14)


def py_vollib(o: Columns) -> Timed:
    from py_vollib.black.implied_volatility import implied_volatility

    p, f, k, t, r = _columns(o, *QUOTE)
    return _one_by_one(_rows(p, f, k, r, t, np.where(o["is_call"], "c", "p")), implied_volatility)


def vollib(o: Columns) -> Timed:
    from vollib.black.implied_volatility import implied_volatility

    p, f, k, t, r = _columns(o, *QUOTE)
    return _one_by_one(_rows(p, f, k, r, t, np.where(o["is_call"], "c", "p")), implied_volatility)


def py_vollib_vectorized(o: Columns) -> Timed:
    from py_vollib_vectorized import vectorized_implied_volatility_black as solve

    p, f, k, t, r = _columns(o, *QUOTE)
    flag = np.where(o["is_call"], "c", "p")
    return lambda: solve(p, f, k, r, t, flag, on_error="ignore", return_as="numpy")


PEERS: dict[str, Peer] = {
    "numpy, Newton's method": numpy_newton,
    "pyfeng": pyfeng,
    "fast-vollib": fast_vollib,
    "fast-vollib, jackel": fast_vollib_jackel,
    "lbriv, with 3 Greeks": lbriv,
    "lbriv, strikes of one forward": lbriv_strikes,
    "pyvolr": pyvolr,
    "nautilus_trader": nautilus_trader,
    "QuantLib": quantlib,
    "QuantLib, accuracy 1e-14": quantlib_exact,
    "py_vollib 1.0.1": py_vollib,
    "vollib": vollib,
    "py_vollib_vectorized": py_vollib_vectorized,
}


def ready(options: Columns) -> tuple[dict[str, Timed], dict[str, str]]:
    """The peers that are here, called once, and why the others are not."""
    here, missing = {}, {}
    warnings.simplefilter("ignore")
    for name, peer in PEERS.items():
        try:
            timed = peer(options)
            with np.errstate(all="ignore"):
                timed()
        except ImportError as error:
            missing[name] = str(error)
        else:
            here[name] = timed
    return here, missing

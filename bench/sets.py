"""The two sets of options on which volatilities are judged and timed, priced with mpmath once and kept."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from scipy.special import ndtr  # type: ignore[import-untyped]

SIZES = {"main": 100_000, "hard": 20_000}
WRONG = 16
"""A volatility is wrong if it is off by more than this many times what cannot be avoided."""


def table(kind: str) -> dict[str, np.ndarray]:
    """The set's columns, from the temporary directory if they are there."""
    path = Path(tempfile.gettempdir()) / f"g6_greeks_{kind}_{SIZES[kind]}.npz"
    if path.exists():
        return dict(np.load(path))
    from sweep import exact  # here, so that a set that is kept needs neither mpmath nor g6-greeks

    began = time.perf_counter()
    with Pool() as pool:
        columns = exact.options(kind, SIZES[kind], partial(pool.imap, chunksize=200))
    print(f"the {kind} set was built in {time.perf_counter() - began:.0f} s: {path}\n")
    np.savez(path, **columns)  # type: ignore[arg-type]
    return columns


def conditioned(options: dict[str, np.ndarray]) -> np.ndarray:
    """The error in iv that half a unit in the last place of price, forward, strike and discount amounts to.

    More than `attainable`: a solver that starts from ln(forward/strike) loses this near the money and cannot help it.
    """
    f, k, d, iv = (options[name] for name in ("forward", "strike", "discount", "iv"))
    s, side = iv * np.sqrt(options["t"]), np.where(options["is_call"], 1.0, -1.0)
    d1 = np.log(f / k) / s + s / 2
    shares = [(f, d * ndtr(side * d1)), (k, d * ndtr(side * (d1 - s))), (d, options["price"] / d)]
    moved = sum(np.spacing(value) * slope for value, slope in shares)
    return options["attainable"] + moved / 2 / options["vega"]


def judge(options: dict[str, np.ndarray], iv: np.ndarray) -> tuple[int, int]:
    """How many volatilities are wrong by 16 times `conditioned`, and how many are missing."""
    missing = ~(np.isfinite(iv) & (iv > 0))
    error = np.abs(iv - options["iv"])
    return int((error > WRONG * conditioned(options))[~missing].sum()), int(missing.sum())

"""Rows for a sweep over all that an option can be, sensible or not, and their check.

A row is price, forward, strike, t, discount, is_call. Half of them are options at a model price; the others have a
price near one of its bounds, a tiny one, or an input that is no number or not positive.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from g6_greeks import black76
from g6_greeks.black76 import Status
from longdouble import Long, error_ratio

sys.path.append(str(Path(__file__).parents[1] / "plugins" / "g6-greeks" / "tests"))
import exact

Columns = dict[str, np.ndarray]
NAMES = ("price", "forward", "strike", "t", "discount", "is_call")
SECOND, YEARS = 1 / (365 * 86400), 10.0
KINDS = ("model price", "any price", "subnormal", "at intrinsic", "at maximum", "junk")
SHARES = (0.5, 0.1, 0.1, 0.12, 0.12, 0.06)
JUNK = np.array([np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0, -5e-324])


def _moneyness(rng: np.random.Generator, n: int) -> np.ndarray:
    """ln(forward/strike): half within 0.5, the rest up to 3, up to 50, and next to nothing."""
    width = rng.choice([0.5, 3.0, 50.0], size=n, p=[0.5, 0.25, 0.25])
    x = rng.uniform(-1, 1, n) * width
    return np.where(rng.random(n) < 0.15, np.sign(x) * 10 ** rng.uniform(-17, -1, n), x)


def rows(n: int, seed: int) -> Columns:
    """n rows, and `kind`, an index into KINDS."""
    rng = np.random.default_rng(seed)
    forward = 10 ** rng.uniform(-3, 6, n)
    strike = np.where(rng.random(n) < 0.01, forward, forward * np.exp(-_moneyness(rng, n)))
    t = np.exp(rng.uniform(np.log(SECOND), np.log(YEARS), n))
    sigma = np.exp(rng.uniform(np.log(0.005), np.log(20), n))
    discount = np.where(rng.random(n) < 0.1, 1.0, np.exp(-rng.uniform(0, 0.15, n) * t))
    is_call = rng.random(n) < 0.5
    kind = rng.choice(len(KINDS), size=n, p=SHARES)
    intrinsic = discount * np.maximum(np.where(is_call, forward - strike, strike - forward), 0)
    maximum = discount * np.where(is_call, forward, strike)
    steps = rng.integers(-4, 5, n)
    near = np.where(kind == KINDS.index("at intrinsic"), intrinsic, maximum)
    candidates = (
        black76.price(forward, strike, t, sigma, discount, is_call),
        intrinsic + (maximum - intrinsic) * 10 ** -rng.uniform(0, 320, n),
        np.floor(2 ** rng.uniform(0, 53, n)) * 5e-324,
        near + steps * np.spacing(near),
        near + steps * np.spacing(near),
        maximum / 2,
    )
    columns = {"price": np.choose(kind, candidates), "forward": forward, "strike": strike, "t": t, "discount": discount}
    _spoil(columns, np.flatnonzero(kind == KINDS.index("junk")), rng)
    return {**columns, "is_call": is_call, "kind": kind}


def _spoil(columns: Columns, where: np.ndarray, rng: np.random.Generator) -> None:
    """One or two inputs of each of these rows become senseless."""
    for chosen in (where, where[rng.random(len(where)) < 0.3]):
        victim, junk = rng.integers(0, 5, len(chosen)), rng.choice(JUNK, len(chosen))
        for i, name in enumerate(NAMES[:5]):
            columns[name][chosen[victim == i]] = junk[victim == i]


def status(table: Columns) -> np.ndarray:
    """What must be said about each row: in 80 bits where they decide, in fractions where they do not."""
    p, f, k, t, d = (table[name] for name in NAMES[:5])
    call = table["is_call"]
    with np.errstate(all="ignore"):
        low = d.astype(Long) * np.maximum(np.where(call, f.astype(Long) - k, k.astype(Long) - f), 0)
        high = d.astype(Long) * np.where(call, f, k)
        reasons = [~np.isfinite(p + 0 * (f + k + t + d)), np.minimum(np.minimum(p, d), np.minimum(f, k)) <= 0, t <= 0]
        codes = [Status.NAN, Status.NON_POSITIVE, Status.EXPIRED, Status.BELOW_INTRINSIC, Status.ABOVE_MAXIMUM]
        found = np.select([*reasons, p <= low, p >= high], codes, Status.OK).astype(np.uint8)
        unsure = (np.abs(p - low) <= 1e-17 * p) | (np.abs(p - high) <= 1e-17 * p)
    for i in np.flatnonzero(unsure & (found >= Status.BELOW_INTRINSIC) | unsure & (found == Status.OK)):
        found[i] = exact.status(*(float(table[name][i]) for name in NAMES[:5]), bool(call[i]))
    return found


def ratios(table: Columns, iv: np.ndarray, ok: np.ndarray) -> np.ndarray:
    """`error_ratio` of the rows that are `ok`; NaN elsewhere, inf for an iv that cannot be."""
    result = np.full(len(iv), np.nan)
    result[ok] = error_ratio(iv[ok], *(table[name][ok] for name in NAMES))
    possible = np.isfinite(iv) & ((iv > 0) | (iv == 0) & (table["forward"] == table["strike"]))
    result[ok & ~possible] = np.inf
    result[ok & np.isnan(result)] = np.inf
    return result

"""Black's model of 1976: price, implied volatility and Greeks of a European option on a forward, over arrays.

Arguments are scalars or arrays that broadcast against each other: `forward`, `strike` and `price` in rupees, `t` in
years, `discount` the factor exp(-rate*t), `rate` a continuously compounded fraction per year, `sigma` and `iv`
fractions per year, `is_call` true for a call. Results have the shape of the arguments together.

Greeks are raw: delta to the forward, discounted; gamma by the forward; theta per year; vega and rho per 1.00. Theta and
rho hold the forward still, so rho is -t*price and theta is rate*price - discount*forward*n(d1)*sigma/(2*sqrt(t)).

`status` (uint8, see `Status`) is 0 where a row could be computed and says why elsewhere; there every number is NaN. No
row raises, and none affects another. `threads` shares the rows out; the numbers do not depend on it.

Source: Black, The pricing of commodity contracts, Journal of Financial Economics 3 (1976). The method is told step by
step in `g6_greeks.kernel`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from g6_greeks.arrays import Floats
from g6_greeks.kernel import entry

Value = npt.ArrayLike
Results = dict[str, npt.NDArray[Any]]

GREEKS = ("delta", "gamma", "theta", "vega", "rho")
SHARE = 16_384
"""Rows that a thread takes at a time."""


class Status(IntEnum):
    """Why a row has no numbers. Where several reasons hold, the first of this order is given."""

    OK = 0
    NAN = 1  # an input is not known, or not finite
    NON_POSITIVE = 2  # price (or volatility), forward, strike or discount is zero or less
    EXPIRED = 3  # no time is left
    BELOW_INTRINSIC = 4  # no time value: the price is at or below discount * max(±(forward - strike), 0)
    ABOVE_MAXIMUM = 5  # at or above discount * forward for a call, discount * strike for a put

    @property
    def word(self) -> str:
        return self.name.lower()


def price(
    forward: Value, strike: Value, t: Value, sigma: Value, discount: Value, is_call: Value, *, threads: int = 1
) -> Floats:
    """The option's value. Zero volatility or time gives the discounted intrinsic value, a senseless input NaN."""
    columns, call, shape = _columns((forward, strike, t, sigma, discount), is_call)
    out = np.empty(shape)
    _run(entry.price_rows, (*columns, call, out.reshape(-1)), threads)
    return out


def implied_volatility(
    price: Value,
    forward: Value,
    strike: Value,
    t: Value,
    discount: Value,
    is_call: Value,
    *,
    out: Mapping[str, npt.NDArray[Any]] | None = None,
    threads: int = 1,
) -> Results:
    """iv, the volatility that gives back `price`, and status.

    out: arrays `iv` (float64) and `status` (uint8) to write into; contiguous, of the result's shape.
    """
    return _computed(
        entry.volatility_rows, ("iv", "status"), (price, forward, strike, t, discount), is_call, out, threads
    )


def greeks(
    sigma: Value,
    forward: Value,
    strike: Value,
    t: Value,
    discount: Value,
    rate: Value,
    is_call: Value,
    *,
    out: Mapping[str, npt.NDArray[Any]] | None = None,
    threads: int = 1,
) -> Results:
    """delta, gamma, theta, vega, rho and status at a known volatility; `out` as in `iv_greeks`."""
    return _computed(
        entry.greeks_rows, (*GREEKS, "status"), (sigma, forward, strike, t, discount, rate), is_call, out, threads
    )


def iv_greeks(
    price: Value,
    forward: Value,
    strike: Value,
    t: Value,
    discount: Value,
    rate: Value,
    is_call: Value,
    out: Mapping[str, npt.NDArray[Any]] | None = None,
    *,
    threads: int = 1,
) -> Results:
    """iv, delta, gamma, theta, vega, rho and status in one pass.

    out: arrays of those names to write into (float64, status uint8; contiguous, of the result's shape), for columns
    that are computed again and again: fresh memory costs time too. Raises ValueError when one is missing or does not
    fit.
    """
    return _computed(
        entry.all_rows, ("iv", *GREEKS, "status"), (price, forward, strike, t, discount, rate), is_call, out, threads
    )


def warm_up() -> None:
    """Have `iv_greeks` ready: compiled the first time on a machine (some ten seconds), else read from disk."""
    iv_greeks(1.0, 100.0, 101.0, 0.1, 1.0, 0.0, True)


def _computed(
    rows: Callable[..., None],
    names: tuple[str, ...],
    values: tuple[Value, ...],
    is_call: Value,
    out: Mapping[str, npt.NDArray[Any]] | None,
    threads: int,
) -> Results:
    """What the compiled `rows` give for these arguments, by name."""
    columns, call, shape = _columns(values, is_call)
    results = _results(names, shape, out)
    if out is not None:
        _refuse_overlap(results, (*columns, call))
    _run(rows, (*columns, call, *(array.reshape(-1) for array in results.values())), threads)
    return results


def _columns(values: tuple[Value, ...], is_call: Value) -> tuple[list[Floats], npt.NDArray[np.uint8], tuple[int, ...]]:
    """The arguments as contiguous flat columns of one length, calls as 1 and puts as 0, and their common shape."""
    arrays = [np.asarray(v, dtype=np.float64) for v in values]
    calls = _calls(is_call)
    shape = np.broadcast_shapes(calls.shape, *(a.shape for a in arrays))
    flat = [_column(a, shape) for a in (*arrays, calls)]
    return flat[:-1], flat[-1], shape


def _calls(is_call: Value) -> npt.NDArray[np.uint8]:
    """1 for a call, 0 for a put. Words and NaN would all be true, and so become calls without a word."""
    given = np.asarray(is_call)
    if given.dtype != np.bool_ and not (given.dtype.kind in "iuf" and np.isin(given, (0, 1)).all()):
        raise ValueError(
            f"is_call must be true for a call and false for a put, and known, not {given.dtype}: {given!r:.80}"
        )
    return given.astype(np.bool_, copy=False).view(np.uint8)


def _column(array: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Read-only, whatever it was: for every mix of the two kinds the compiler would work anew."""
    full = array if array.shape == shape else np.broadcast_to(array, shape)
    column = np.ascontiguousarray(full).reshape(-1).view()
    column.flags.writeable = False
    return column


def _results(names: tuple[str, ...], shape: tuple[int, ...], out: Mapping[str, npt.NDArray[Any]] | None) -> Results:
    kinds = {name: np.dtype(np.uint8 if name == "status" else np.float64) for name in names}
    if out is None:
        return {name: np.empty(shape, kind) for name, kind in kinds.items()}
    for name, kind in kinds.items():
        if name not in out:
            raise ValueError(f"out has no array `{name}`; it needs {', '.join(names)}")
        array = out[name]
        fits = isinstance(array, np.ndarray) and array.shape == shape and array.dtype == kind
        if not fits or not (array.flags.c_contiguous and array.flags.writeable):
            raise ValueError(f"out[{name!r}] must be a contiguous, writable array of {kind} with the shape {shape}")
    return {name: out[name] for name in names}


def _refuse_overlap(results: Results, columns: Sequence[npt.NDArray[Any]]) -> None:
    """A result that lies where an argument or another result does would be written before that is read."""
    arrays = [*results.items(), *((None, column) for column in columns)]
    for place, (name, array) in enumerate(arrays[: len(results)]):
        if any(np.may_share_memory(array, other) for _, other in arrays[place + 1 :]):
            raise ValueError(f"out[{name!r}] shares memory with an argument or another result")


def _run(rows: Callable[..., None], columns: tuple[npt.NDArray[Any], ...], threads: int) -> None:
    n = columns[0].shape[0]
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    if threads == 1 or n <= SHARE:
        rows(*columns, 0, n)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda start: rows(*columns, start, min(start + SHARE, n)), range(0, n, SHARE)))

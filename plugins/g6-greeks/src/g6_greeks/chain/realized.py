"""Realised volatility of an index, from the spots of a day and from the bars of many."""

from __future__ import annotations

import numpy as np

from g6_greeks.arrays import Bools, Floats, Indices

SESSIONS = 252
"""Trading days a year."""

MINUTE = 60.0


def last_of_minutes(seconds: Floats) -> Indices:
    """The position of the last observation of each whole minute. seconds: since some whole minute, ascending."""
    minute = np.floor(seconds / MINUTE)
    return np.flatnonzero(np.append(minute[1:] != minute[:-1], True)[: seconds.size])


def realized_volatility(seconds: Floats, spot: Floats, session: float, shortest: float = 0.0) -> float:
    """Close-to-close volatility of the minutes of one session, a fraction per year.

        sqrt(sum(ln(spot_i/spot_i-1)²) / (last second - first second) * 252 * session)

    Of each whole minute the last spot counts. Where minutes are missing, one return stands for them, over the time that
    it took: the sum is divided by the trading time that went by, not by a number of returns. No mean is taken off. What
    happens overnight is not in it.

    seconds: of trading since the opening, ascending, shape (spots,). spot: index points, NaN where unknown. session:
    the whole session's length in seconds. NaN unless at least `shortest` seconds, and some, lie between the first spot
    and the last; of n returns the standard error is about volatility/sqrt(2n).
    """
    known = spot > 0
    seconds, spot = seconds[known], spot[known]
    taken = last_of_minutes(seconds)
    if taken.size < 2:
        return float("nan")
    elapsed = float(seconds[taken[-1]] - seconds[taken[0]])
    if elapsed < shortest:
        return float("nan")
    squares = float(np.square(np.diff(np.log(spot[taken]))).sum())
    return float(np.sqrt(squares / elapsed * SESSIONS * session))


def yang_zhang(previous_close: Floats, open: Floats, high: Floats, low: Floats, close: Floats) -> float:
    """Volatility from daily bars, overnight moves included, a fraction per year (Yang & Zhang 2000).

    With o = ln(open/previous close), u = ln(high/open), d = ln(low/open), c = ln(close/open) and n days:

        k = 0.34 / (1.34 + (n + 1)/(n - 1))
        daily variance = var(o) + k*var(c) + (1 - k)*mean(u*(u - c) + d*(d - c))

    where var has the divisor n - 1. Neither a drift nor jumps at the opening bias it.

    All of shape (days,), index points; the order of the days is of no matter. NaN for fewer than two days, and when
    one of them is not sound.
    """
    bars = np.array((previous_close, open, high, low, close), dtype=np.float64)
    n = bars.shape[1]
    if n < 2 or not sound_bars(*bars).all():
        return float("nan")
    o, u, d, c = np.log(bars[[1, 2, 3, 4]] / bars[[0, 1, 1, 1]])
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    within = (u * (u - c) + d * (d - c)).mean()
    return float(np.sqrt((o.var(ddof=1) + k * c.var(ddof=1) + (1.0 - k) * within) * SESSIONS))


def sound_bars(previous_close: Floats, open: Floats, high: Floats, low: Floats, close: Floats) -> Bools:
    """Where all five are known and can be: low <= open, close <= high, all positive; shape (days,)."""
    inside = (low <= np.minimum(open, close)) & (np.maximum(open, close) <= high)
    sound: Bools = inside & (low > 0) & (high < np.inf) & (previous_close > 0) & (previous_close < np.inf)
    return sound

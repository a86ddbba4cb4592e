"""log, exp and Mills' ratio as plain arithmetic, so that a loop over them becomes vector instructions.

Each is exact to about an ulp over the arguments it names; nobody else's are asked of it. No branches: a branch would
keep the compiler from working on several rows at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import njit

from g6_greeks.kernel.constants import ATANH, MILLS, MILLS_CENTRE

# A product may be fused with a sum, and -0 need not be told from 0. Nothing else is given up: NaN stays NaN.
MATHS = frozenset({"contract", "nsz"})

INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""For functions that only compiled ones call: without a door of their own they take a quarter less to compile."""

LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
"""ln 2 in two parts; the first has its last 20 bits clear, so that its product with an exponent is exact."""

PER_LN2 = 1.0 / math.log(2.0)
ROUNDING = 1.5 * 2.0**52
"""Added and taken away again it rounds to a whole number, which then stands in the low bits of the sum."""

SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
PER_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
SQRT_2PI = math.sqrt(2.0 * math.pi)
LN_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def inlined(f: Callable[..., Any]) -> Any:
    """A small function that is compiled into its callers."""
    return njit(f, forceinline=True, fastmath=set(MATHS), error_model="numpy", **INNER)


def polynomial(coefficients: Sequence[float]) -> Any:
    """The polynomial with these coefficients, lowest power first, as a compiled function of one number.

    Even and odd powers apart, by Horner's scheme, so that the processor need not wait for one before it does the other.
    Written out as one expression: a loop over coefficients would not become vector instructions.
    """
    even, odd = _nested(coefficients[::2]), _nested(coefficients[1::2])
    scope: dict[str, Any] = {}
    exec(f"def polynomial(x):\n    y = x * x\n    return ({even}) + x * ({odd})", scope)
    return inlined(scope["polynomial"])


def _nested(coefficients: Sequence[float]) -> str:
    text = repr(float(coefficients[-1]))
    for c in reversed(coefficients[:-1]):
        text = f"({text}) * y + {float(c)!r}"
    return text


atanh_ratio = polynomial(ATANH)
"""2 atanh(z)/z as a function of z²."""

_mills = polynomial(MILLS)
_exp_rest = polynomial([1.0 / math.factorial(i) for i in range(2, 14)])
"""(e**r - 1 - r)/r² for |r| <= ln(2)/2."""


@inlined
def log(x: float) -> float:
    """The natural logarithm of a positive normal number.

    x = m 2**k with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh((m - 1)/(m + 1)).
    """
    bits = np.float64(x).view(np.int64)
    k = (bits - SQRT_HALF_BITS) >> 52
    m = np.int64(bits - (k << 52)).view(np.float64)
    z = (m - 1.0) / (m + 1.0)
    ln_m = z * atanh_ratio(z * z)
    return float(k) * LN2_HIGH + (ln_m + float(k) * LN2_LOW)


@inlined
def exp(x: float) -> float:
    """e**x for x <= 0; below -708, where it is less than 4e-308, e**-708."""
    x = -708.0 if x < -708.0 else x
    shifted = x * PER_LN2 + ROUNDING
    k = shifted - ROUNDING
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    scale = np.float64(shifted).view(np.int64) << 52
    power = 1.0 + (r + r * r * _exp_rest(r))
    return np.int64(np.float64(power).view(np.int64) + scale).view(np.float64)


@inlined
def mills(v: float) -> float:
    """Mills' ratio (1 - N(v))/n(v) of the normal distribution, for v >= 0."""
    per = 1.0 / (v + MILLS_CENTRE)
    return _mills((v - MILLS_CENTRE) * per) * per

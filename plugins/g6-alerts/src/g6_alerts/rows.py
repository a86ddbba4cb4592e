"""What rules look at in the rows of options: arrays (options,), NaN where a number is not known.

A condition is an array of where it is true; or one bool, when it is the same for all of them.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from g6_alerts.parts import Seen
from g6_alerts.view import Floats, Part, View

Bools = npt.NDArray[np.bool_]
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": lambda a, b: (a < b) | (a > b),  # nobody knows that what is not known is another number
    "min": np.minimum,
    "max": np.maximum,
}


def given(value: float) -> Seen:
    """A number of the rule itself."""
    return Seen(lambda view: value)


def row_column(code: str, name: str) -> Seen:
    return Seen(lambda view: view.rows(code).floats(name))


def row_word(code: str, name: str, wanted: str, negated: bool) -> Seen:
    """Where a word stands; negated: where another one does."""

    def look(view: View) -> Bools:
        # A list: for a hundred rows polars takes longer to set out than to do it.
        words = view.rows(code).words(name)
        return np.array([one is not None and (one == wanted) is not negated for one in words], bool)

    return Seen(look)


def applied(apply: Callable[..., Any], *parts: Part) -> Seen:
    """A function of the arrays that the parts are."""
    return Seen(lambda view: apply(*[view[part] for part in parts]))


def chosen(op: str, *parts: Part) -> Seen:
    """min and max; NaN where one of them is."""
    return Seen(lambda view: functools.reduce(OPERATORS[op], [view[part] for part in parts]))


def arithmetic(op: str, left: Part, right: Part) -> Seen:
    apply = OPERATORS[op]

    def look(view: View) -> Floats:
        with np.errstate(all="ignore"):
            values = apply(view[left], view[right])
        return np.where(np.isfinite(values), values, np.nan)

    return Seen(look)


def logic(op: str, same: Sequence[Part], each: Sequence[Part]) -> Seen:
    """and, or. same: the conditions that are the same for all options; each: the others, one at least."""
    decisive = op == "or"
    apply = operator.or_ if decisive else operator.and_

    def look(view: View) -> Any:
        if any(view[part] is decisive for part in same):
            return decisive
        found = view[each[0]]
        for part in each[1:]:
            if not (decisive or np.count_nonzero(found)):
                break
            found = apply(found, view[part])
        return found

    return Seen(look)


def extreme(apply: np.ufunc, part: Part) -> Seen:
    """The greatest or the least of what is known, NaN for nothing. apply: fmax or fmin."""

    def look(view: View) -> float:
        values = view[part]
        return float(apply.reduce(values)) if len(values) else np.nan

    return Seen(look)


def outermost(apply: np.ufunc, name: str) -> Seen:
    """The same of a column over the options of all expiries. apply: fmax or fmin.

    polars finds it before the options of one expiry are as much as set out.
    """

    def look(view: View) -> float:
        column = None if view.snapshot is None else view.snapshot.options.get_column(name, default=None)
        if column is None or not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            return np.nan
        value: Any = column.max() if apply is np.fmax else column.min()
        return np.nan if value is None else float(value)

    return Seen(look)


def spread(found: Any, view: View, code: str) -> Bools:
    """A condition as an array, also when it is the same for all options."""
    return found if isinstance(found, np.ndarray) else np.full(view.rows(code).height, found, bool)


def total(part: Part) -> Seen:
    """The sum of what is known, NaN for nothing."""

    def look(view: View) -> float:
        values = view[part]
        known = values[np.isfinite(values)]
        return float(known.sum()) if len(known) else np.nan

    return Seen(look)


def count(true: Part, false: Part, code: str) -> Seen:
    """How many options it is true for, NaN when it is known of none. false: where it is known not to be true."""

    def look(view: View) -> float:
        found = int(np.count_nonzero(spread(view[true], view, code)))
        return float(found) if found or np.any(spread(view[false], view, code)) else np.nan

    return Seen(look)


def any_or_all(name: str, true: Part, code: str) -> Seen:
    """Whether it is true for any option, or for all of them; neither, when there is none."""

    def look(view: View) -> bool:
        found = spread(view[true], view, code)
        return len(found) > 0 and bool(found.any() if name == "any" else found.all())

    return Seen(look)

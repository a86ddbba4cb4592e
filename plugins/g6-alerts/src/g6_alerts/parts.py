"""What rules look at with one value per snapshot: a fact, a column of an expiry, a word there.

Parts are shared: rules of one recorder that name the same thing have the same part, and `View` looks at it once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from g6_alerts.sweep import Sweep
from g6_alerts.view import View
from g6core import Context

T = TypeVar("T")


class Seen:
    """A part that remembers nothing. look: what it is in a view."""

    def __init__(self, look: Callable[[View], Any]) -> None:
        self.look = look


class Shared:
    """The parts of the rules of one recorder, each kept for as long as a rule wants it; and the rules together."""

    def __init__(self) -> None:
        self.sweep = Sweep()
        self._parts: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()

    def part(self, key: Hashable, make: Callable[[], T]) -> T:
        """The part of that key; made when there is none."""
        found: T | None = self._parts.get(key)
        if found is None:
            found = self._parts[key] = make()
        return found


_SHARED: WeakKeyDictionary[Any, Shared] = WeakKeyDictionary()


def shared_by(context: Context) -> Shared:
    """What the rules of one recorder share: they are lent the same history."""
    return _SHARED.setdefault(context.history, Shared())


def fact(name: str) -> Seen:
    """A number, NaN when it is not known."""

    def look(view: View) -> float:
        value = view.facts.get(name)
        return math.nan if value is None else float(value)

    return Seen(look)


def column(code: str, name: str) -> Seen:
    """A number of an expiry, NaN when it is not known or not finite."""

    def look(view: View) -> float:
        value = view.expiry(code).get(name)
        return float(value) if isinstance(value, float | int) and math.isfinite(value) else math.nan

    return Seen(look)


def word(code: str, name: str, wanted: str, negated: bool) -> Seen:
    """Whether a word stands in a column of an expiry; negated: whether another one does."""

    def look(view: View) -> bool:
        found = view.expiry(code).get(name)
        return isinstance(found, str) and (found == wanted) is not negated

    return Seen(look)

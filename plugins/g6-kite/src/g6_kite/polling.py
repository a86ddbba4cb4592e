"""Quotes by request: all indices in one pass, in as few calls as Kite allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from g6_kite.rest import PATIENCE

Item = Mapping[str, Any]
Quote = Callable[..., Mapping[str, Item]]
"""Called with keys, and `within`: the seconds that it may take."""


class Polling:
    """One pass is `begin`, which asks for what is wanted first, and `ask` for the contracts.

    What is wanted first leaves room in its call: it takes the first contracts of the pass before along. So a pass
    makes as many calls as all of it needs, and not one more for the spots. call: one request for the quotes of at most
    `batch` keys; an unknown key is missing from its answer. now: microseconds since 1970.
    """

    def __init__(self, call: Quote, batch: int, now: Callable[[], int]) -> None:
        self._quote, self._batch, self._now = call, batch, now
        self._before: Sequence[str] = ()
        self._asked: set[str] = set()
        self._found: dict[str, tuple[Item, int]] = {}

    def begin(self, first: Sequence[str], within: float = PATIENCE) -> None:
        """within: seconds that a call may take, with all its attempts.

        Raises what the call raises; the pass has begun all the same.
        """
        self._asked, self._found = set(), {}
        room = -len(first) % self._batch
        self._call([*first, *self._before[:room]], within)

    def ask(self, keys: Sequence[str], within: float = PATIENCE) -> None:
        """Ask for those of the keys that this pass has not asked for."""
        self._before = keys
        self._call([key for key in keys if key not in self._asked], within)

    def item(self, key: str) -> Item | None:
        found = self._found.get(key)
        return found[0] if found else None

    def known(self, keys: Sequence[str]) -> Iterator[tuple[int, Item, int]]:
        """The place, the quote and the time it came of each key that Kite knew."""
        for place, key in enumerate(keys):
            found = self._found.get(key)
            if found is not None:
                yield place, *found

    def _call(self, keys: Sequence[str], within: float) -> None:
        for start in range(0, len(keys), self._batch):
            chunk = keys[start : start + self._batch]
            items, received = self._quote(chunk, within=within), self._now()
            self._asked.update(chunk)
            self._found.update((key, (item, received)) for key, item in items.items())

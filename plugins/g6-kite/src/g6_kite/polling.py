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
        for chunk in self._chunks([*first, *self._before[:room]]):
            self._call(chunk, within)

    def ask(self, keys: Sequence[str], within: float = PATIENCE) -> Iterator[tuple[int, Item, int]]:
        """The place, the quote and the time it came of each key that Kite knows.

        They come as the answers do, so that they are used while the next call waits for its turn; before them those
        that this pass has asked for already.
        """
        self._before = keys
        places = {key: place for place, key in enumerate(keys)}
        known = [key for key in keys if key in self._asked]
        wanted = self._chunks([key for key in keys if key not in self._asked])
        yield from self._known(known, places)
        for chunk in wanted:
            self._call(chunk, within)
            yield from self._known(chunk, places)

    def item(self, key: str) -> Item | None:
        found = self._found.get(key)
        return found[0] if found else None

    def _known(self, keys: Sequence[str], places: Mapping[str, int]) -> Iterator[tuple[int, Item, int]]:
        for key in keys:
            found = self._found.get(key)
            if found is not None:
                yield places[key], *found

    def _chunks(self, keys: Sequence[str]) -> list[Sequence[str]]:
        return [keys[start : start + self._batch] for start in range(0, len(keys), self._batch)]

    def _call(self, keys: Sequence[str], within: float) -> None:
        items, received = self._quote(keys, within=within), self._now()
        self._asked.update(keys)
        self._found.update((key, (item, received)) for key, item in items.items())

"""The states of a rule: inactive, pending (true, and waiting for `for`), firing, and from there resolved.

One machine serves a rule over all indices and keys. What is inactive is not kept, so a quiet rule remembers nothing.
As text it is JSON: `{"of": SIGNATURE, "marks": [{"index": "NIFTY", "key": "", "state": "firing", "since": TIME, "told":
TIME, "quiet": null}]}`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from g6core import trading_date

PENDING, FIRING = "pending", "firing"
RESOLVED = "resolved"


@dataclass
class Mark:
    """state: pending or firing. since: when it began to be true. told: when the last alert was raised.

    quiet: since when it is not true any more, while `keep_firing_for` holds it.
    """

    state: str
    since: datetime
    told: datetime | None = None
    quiet: datetime | None = None


NONE: Mapping[str, Mark] = {}


class Machine:
    """hold: `for`. keep: `keep_firing_for`. repeat: how often a firing alert is raised again, None for never.

    signature: what the marks belong to; those of another one are dropped when they are restored.
    """

    def __init__(self, signature: str, hold: timedelta, keep: timedelta, repeat: timedelta | None) -> None:
        self._signature = signature
        self._hold, self._keep, self._repeat = hold, keep, repeat
        self.marks: dict[str, dict[str, Mark]] = {}
        """What is pending or firing, by index and key; of an index without any there is nothing."""
        self._text: str | None = ""

    def keys(self, index: str) -> list[str]:
        """What is pending or firing there."""
        return list(self.marks.get(index, ()))

    def settled(self, index: str, ts: datetime) -> bool:
        """Whether it fires there, and from then on, while it stays true, has no more to tell or to remember."""
        mark = self.marks.get(index, NONE).get("")
        if mark is None or mark.state != FIRING or self._repeat is not None:
            return False
        return mark.quiet is None and mark.since <= ts

    def see(self, index: str, key: str, ts: datetime, answer: bool | None) -> str | None:
        """Take the answer of an instant: `firing` or `resolved` when an alert is to be raised, else None.

        An answer that is not known changes nothing.
        """
        mark = self.marks.get(index, NONE).get(key)
        if answer is None or (mark is None and not answer):
            return None
        if mark is not None and mark.since > ts:
            self._put_back(mark, ts)
        if mark is not None and mark.state == FIRING:
            return self._again(mark, ts) if answer else self._quiet(index, key, mark, ts)
        if mark is None or trading_date(mark.since) != trading_date(ts):  # waiting does not go on over a night
            mark = self.marks.setdefault(index, {})[key] = Mark(PENDING, ts)
            self._text = None
        return self._pending(index, key, mark, ts, answer)

    def end(self, index: str, key: str) -> str | None:
        """What the key stood for is gone."""
        firing = self.marks[index][key].state == FIRING
        self._drop(index, key)
        return RESOLVED if firing else None

    def since(self, index: str, key: str) -> datetime:
        """When what is pending or firing began to be true."""
        return self.marks[index][key].since

    def state(self) -> str:
        """All marks as text, empty for none; the same object until something changes."""
        if self._text is None:
            found = sorted((index, key) for index, keys in self.marks.items() for key in keys)
            marks = [{"index": i, "key": k, **_written(self.marks[i][k])} for i, k in found]
            self._text = json.dumps({"of": self._signature, "marks": marks}, separators=(",", ":")) if marks else ""
        return self._text

    def restore(self, state: str) -> None:
        """Marks as `state` gave them; what cannot be used of it is left out."""
        self.marks, self._text = {}, None
        try:
            told = json.loads(state) if state else {}
        except ValueError:
            return
        if not isinstance(told, dict) or told.get("of") != self._signature:
            return
        marks = told.get("marks")
        for written in marks if isinstance(marks, list) else ():
            try:
                mark = _read(written)
                self.marks.setdefault(str(written["index"]), {})[str(written["key"])] = mark
            except (KeyError, TypeError, ValueError):
                continue

    def keep_only(self, indices: Collection[str]) -> None:
        """Drop, without a word, what is remembered of other indices."""
        self.marks = {index: marks for index, marks in self.marks.items() if index in indices}
        self._text = None

    def _put_back(self, mark: Mark, ts: datetime) -> None:
        """The clock went back: what lies ahead of it now would be waited for."""
        mark.since, self._text = ts, None
        mark.told = None if mark.told is None else min(mark.told, ts)
        mark.quiet = None if mark.quiet is None else min(mark.quiet, ts)

    def _pending(self, index: str, key: str, mark: Mark, ts: datetime, answer: bool) -> str | None:
        if not answer:
            self._drop(index, key)
            return None
        if ts - mark.since < self._hold:
            return None
        mark.state, mark.told, self._text = FIRING, ts, None
        return FIRING

    def _again(self, mark: Mark, ts: datetime) -> str | None:
        if mark.quiet is not None:
            mark.quiet, self._text = None, None
        if self._repeat is None or mark.told is None or ts - mark.told < self._repeat:
            return None
        mark.told, self._text = ts, None
        return FIRING

    def _quiet(self, index: str, key: str, mark: Mark, ts: datetime) -> str | None:
        if mark.quiet is None and self._keep:
            mark.quiet, self._text = ts, None
        if mark.quiet is not None and ts - mark.quiet < self._keep:
            return None
        self._drop(index, key)
        return RESOLVED

    def _drop(self, index: str, key: str) -> None:
        del self.marks[index][key]
        if not self.marks[index]:
            del self.marks[index]
        self._text = None


def _written(mark: Mark) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(mark).items()}


def _read(written: dict[str, Any]) -> Mark:
    times = {f.name: _time(written[f.name]) for f in fields(Mark) if f.name != "state"}
    if written["state"] not in (PENDING, FIRING) or times["since"] is None:
        raise ValueError("no state")
    return Mark(written["state"], times["since"], times["told"], times["quiet"])


def _time(text: str | None) -> datetime | None:
    ts = None if text is None else datetime.fromisoformat(text)
    if ts is not None and ts.utcoffset() != timedelta(0):
        raise ValueError("no UTC")
    return ts

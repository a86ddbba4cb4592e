"""Silences: rules that nobody wants to hear of for a while; a file that the commands write and the channels read."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock

from g6core import Alert, DataError

KEPT = timedelta(days=7)
"""How long a silence is known after its end: what was raised in it may still be waiting somewhere."""


@dataclass(frozen=True)
class Silence:
    """Alerts of a rule from `since` to `until` (UTC, aware) are not told. index: only those of it; None for all."""

    rule: str
    since: datetime
    until: datetime
    index: str | None = None

    def covers(self, alert: Alert, now: datetime) -> bool:
        """Whether the alert was raised in it, or would be sent in it."""
        named = self.rule == alert.rule and self.index in (None, alert.index)
        return named and any(self.since <= ts < self.until for ts in (alert.ts, now))


class Silences:
    """The silences of a data directory. Methods raise DataError (`bad-silences`) for a file that cannot be used."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "alerts" / "silences.json"
        self._read_of: tuple[int, int] | None = None
        self._known: Sequence[Silence] = ()

    def all(self) -> Sequence[Silence]:
        """Those that are in the file, ended ones too; read when it has changed."""
        try:
            at = self.path.stat()
        except FileNotFoundError:
            return ()
        except OSError as e:
            raise self._told("read", e) from e
        if self._read_of != (at.st_mtime_ns, at.st_ino):
            self._known = self._read()
            self._read_of = (at.st_mtime_ns, at.st_ino)
        return self._known

    def add(self, silence: Silence) -> None:
        """In place of an active one of the same rule and index."""
        with self._changing(silence.since) as kept:
            kept[:] = [s for s in kept if not _same(s, silence.rule, silence.index, silence.since)]
            kept.append(silence)

    def remove(self, rule: str, index: str | None, now: datetime) -> int:
        """End the active ones of the rule, of that index or of all (None); gives how many there were."""
        with self._changing(now) as kept:
            ended = [s for s in kept if s.until > now and s.rule == rule and index in (None, s.index)]
            kept[:] = [Silence(s.rule, s.since, now, s.index) if s in ended else s for s in kept]
        return len(ended)

    @contextmanager
    def _changing(self, now: datetime) -> Iterator[list[Silence]]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock"), timeout=10):
                kept = [s for s in self.all() if now - s.until < KEPT]
                yield kept
                self._write(kept)
        except OSError as e:
            raise self._told("written", e) from e

    def _read(self) -> list[Silence]:
        try:
            document = json.loads(self.path.read_text("utf-8"))
            return [Silence(s["rule"], _time(s["since"]), _time(s["until"]), s["index"]) for s in document["silences"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
            raise self._told("read", e) from e

    def _told(self, done: str, e: Exception) -> DataError:
        of_file = isinstance(e, OSError)
        reason = e.strerror if isinstance(e, OSError) else None
        return DataError(
            f"the silences cannot be {done}: {reason or type(e).__name__}",
            code="bad-silences",
            where=str(self.path),
            hint=f"let this user have {self.path}, a plain file"
            if of_file
            else "move the file away, and give the silences again",
        )

    def _write(self, kept: Sequence[Silence]) -> None:
        rows = [document(s) for s in kept]
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix="silences.", suffix=".new")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as f:
                json.dump({"v": 1, "silences": rows}, f, indent=1)
                f.flush()
                os.fsync(f.fileno())
            os.chmod(name, 0o644)  # the recorder may run as another user
            os.replace(name, self.path)
        except OSError:
            os.unlink(name)
            raise


def document(silence: Silence) -> dict[str, str | None]:
    """As JSON has it; times are UTC."""
    return {
        "rule": silence.rule,
        "index": silence.index,
        "since": silence.since.astimezone(UTC).isoformat(),
        "until": silence.until.astimezone(UTC).isoformat(),
    }


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without its zone")
    return time


def _same(s: Silence, rule: str, index: str | None, now: datetime) -> bool:
    return s.rule == rule and s.index == index and s.until > now

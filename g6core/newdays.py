"""Day files made anew, by a recomputation or from an archive: whole or not at all, never over a recorded day."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from g6core.days import days, is_simulated, reading
from g6core.errors import ConfigError, DataError, Unavailable
from g6core.journal import SCHEMA, put_in_place
from g6core.units import Row

_ORIGIN = "CREATE TABLE recomputed (source TEXT NOT NULL, analytics TEXT NOT NULL)"
_INSERT = 'INSERT INTO snapshots (seq, ts, "index", source, facts, expiries, options) VALUES (?, ?, ?, ?, ?, ?, ?)'


class NewDay:
    """A day in the making, under a name that nobody takes for a day. Methods raise Unavailable (`not-writable`).

    readers: the sinks that it is for. recomputed: the file that it is made from, and what with, as text; None for a day
    that only comes back.
    """

    def __init__(self, path: Path, readers: Iterable[str], recomputed: tuple[Path, str] | None) -> None:
        self.path = path
        self._partial = partial_of(path)
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._partial.unlink(missing_ok=True)
            self._db = sqlite3.connect(self._partial, isolation_level=None)
            # Nothing of it is wanted before it is whole, so until then nothing need be safe.
            self._db.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {SCHEMA} BEGIN;")
            if recomputed:
                self._db.execute(_ORIGIN)
                self._db.execute("INSERT INTO recomputed VALUES (?, ?)", (str(recomputed[0]), recomputed[1]))
            self._db.executemany("INSERT INTO cursors (reader) VALUES (?)", [(reader,) for reader in readers])

    def add(self, rows: Sequence[Row]) -> None:
        """In any order: each row knows its place."""
        with _writing(self.path):
            self._db.executemany(_INSERT, rows)

    def delivered(self) -> None:
        """Its readers have got all of it already."""
        with _writing(self.path):
            self._db.execute("UPDATE cursors SET snapshots = (SELECT coalesce(max(seq), 0) FROM snapshots)")

    def finish(self) -> None:
        """The day is whole: it takes the place of what was there."""
        with _writing(self.path):
            self._db.execute("COMMIT")
            self._db.close()
            with self._partial.open("rb+") as file:
                os.fsync(file.fileno())
            _retire(self.path)
            put_in_place(self._partial, self.path)

    def discard(self) -> None:
        self._db.close()
        self._partial.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def clear(data_dir: Path) -> None:
    """Remove what a killed recomputation left; only for whoever holds the directory's lock."""
    for partial in (data_dir / "journal").glob("????-??-??.db.new"):
        partial.unlink()


def refuse_to_lose(data_dir: Path, dates: Iterable[str], sinks: Sequence[str], analytics: str) -> None:
    """Raise ConfigError when one of the days there was recorded, or is in a sink with other numbers than these.

    dates: of the days that will be written. A file that cannot be read counts as recorded.
    """
    there = [path for day in dates if (path := data_dir / "journal" / f"{day}.db").exists()]
    origins = {path: _origin(path) for path in there}
    recorded = [path for path, origin in origins.items() if origin is None]
    if recorded:
        raise ConfigError(
            f"{data_dir} holds {_days(recorded)}, and no `g6 recompute` wrote that",
            code="recorded-days",
            where=str(recorded[0]),
            note="what was recorded is never overwritten",
            hint="name another directory with --out",
        )
    others = {path: _got(path, sinks) for path, origin in origins.items() if origin != analytics}
    given = {path: names for path, names in others.items() if names}
    if given:
        raise ConfigError(
            f"sink {', '.join(sorted(set().union(*given.values())))} has got {_days(list(given))} of {data_dir} "
            "already, computed with other analytics or settings",
            code="already-delivered",
            where=str(next(iter(given))),
            note="a sink keeps what it has of an instant, so old and new numbers would stand side by side",
            hint="name another directory with --out, or remove this one with all that is in it",
        )


def refuse_to_mix(data_dir: Path, source: Path) -> None:
    """Raise ConfigError when days of the directory are simulated and the source is not, or the other way round."""
    newest = days(data_dir)[-1:]
    kinds = {path: is_simulated(path) for path in (*newest, source)}
    if newest and None not in kinds.values() and len(set(kinds.values())) > 1:
        words = {True: "simulated", False: "real"}
        raise ConfigError(
            f"{data_dir} holds {words[bool(kinds[newest[0]])]} records, and these would be "
            f"{words[bool(kinds[source])]}",
            code="mixed-sources",
            where=str(newest[0]),
            hint="name another directory with --out",
        )


def _days(paths: Sequence[Path]) -> str:
    more = len(paths) - 1
    return paths[0].stem + (f" and {more} more day{'s' if more > 1 else ''}" if more else "")


def _origin(path: Path) -> str | None:
    """With which analytics the day was recomputed; None for a day that was recorded, or cannot be read."""
    try:
        with reading(path) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'recomputed'").fetchone():
                return None
            row: tuple[str] = db.execute("SELECT analytics FROM recomputed").fetchone()
            return row[0]
    except DataError:
        return None


def _got(path: Path, sinks: Sequence[str]) -> set[str]:
    """Which of the sinks have got something of the day."""
    with reading(path) as db:
        got = {reader for (reader,) in db.execute("SELECT reader FROM cursors WHERE snapshots > 0")}
    return got & set(sinks)


def _retire(path: Path) -> None:
    """Fold the log of a day into its file, so that SQLite never takes it for the log of the new one."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path, timeout=10)) as db:
        db.execute("PRAGMA journal_mode=DELETE")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as e:
        raise Unavailable(
            f"{path.name} cannot be written: {e}",
            code="not-writable",
            where=str(path),
            hint="free some space, close what reads that day, or name another directory with --out",
        ) from e

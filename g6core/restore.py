"""Days that the journal no longer holds, brought back from an archive, so that they can be replayed and recomputed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

from g6core import days
from g6core.archives import opened
from g6core.components import Archive
from g6core.config import Configuration
from g6core.days import day_path
from g6core.errors import DataError, G6Error, raise_all
from g6core.fillway import has_more
from g6core.lock import DirectoryLock
from g6core.newdays import NewDay, clear
from g6core.units import row_of

Told = Callable[[date, str, int], None]


def restore(
    configuration: Configuration, first: date | None, last: date | None, tell: Told = lambda day, archive, n: None
) -> list[date]:
    """Write the archived days from `first` to `last` into the journal of the data directory, each whole or not at all.

    A day that the journal has stays as it is; one of which it has less than the archive is an error in the end. The
    enabled sinks are not given restored days: they got them once, and `g6 sinks fill` gives them again. tell: called
    after each day with its archive and its number of snapshots. Returns the days written. Raises DataError:
    `no-such-day` when no archive has a day of the range, `part-of-a-day` when all else is done; Busy.
    """
    data_dir = configuration.settings.data_dir.absolute()
    sinks = [name for name, sink in configuration.components["sinks"].items() if sink.enabled]
    lock = DirectoryLock(data_dir)
    lock.acquire()
    try:
        with opened(configuration) as archives:
            clear(data_dir)
            done, parts = [], []
            for day, name in _wanted(archives, first, last).items():
                path = day_path(data_dir, day)
                if not path.exists():
                    tell(day, name, _written(archives[name], day, path, sinks))
                    done.append(day)
                elif has_more(archives[name], day, data_dir):
                    parts.append(_part(path, archives[name].count(day)))
            raise_all(parts)
            return done
    finally:
        lock.release()


def _part(path: Path, archived: int | None) -> G6Error:
    return DataError(
        f"the journal has {days.count(path)} snapshots of {path.stem}, and the archive {archived}",
        code="part-of-a-day",
        where=str(path),
        note="the day was left as it is",
        hint="`g6 sinks fill` gives a sink both; to have the archive's day in the journal, move the file away first",
    )


def _wanted(archives: Mapping[str, Archive], first: date | None, last: date | None) -> dict[date, str]:
    """The days of the range, ascending, and the archive of each."""
    kept = {day: name for name, archive in archives.items() for day in archive.days()}
    found = {day: kept[day] for day in sorted(kept) if (first or day) <= day <= (last or day)}
    if not found:
        there = f"{min(kept)} to {max(kept)}, {len(kept)} days" if kept else "nothing"
        raise DataError(
            "no archive has a day of that range",
            code="no-such-day",
            where=list(archives),
            note=f"archived: {there}" if archives else "no selected sink is an archive",
            hint="`--plugins parquet` selects an archive; --from and --to name other days",
        )
    return found


def _written(archive: Archive, day: date, path: Path, sinks: Sequence[str]) -> int:
    new, seq = NewDay(path, sinks, None), 0
    try:
        for seq, snapshot in enumerate(archive.read(day), 1):
            new.add([row_of(seq, snapshot)])
        new.delivered()
        new.finish()
    except BaseException:
        new.discard()
        raise
    return seq

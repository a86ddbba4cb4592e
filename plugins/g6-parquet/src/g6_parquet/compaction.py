"""A day that is over: one file per table, sorted by contract, which is several times smaller and quicker to ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from g6_parquet import encoding, files, reading
from g6_parquet.segments import Place, Segment
from g6_parquet.tables import SORTED_BY, Known, columns_word
from g6core import conform

if TYPE_CHECKING:
    from g6_parquet.settings import Settings

PIECE = 1_000_000
"""Rows of options that are sorted at a time: what bounds the memory."""
CONTRACT = ["expiry", "strike"]


def compact(place: Place, settings: Settings, wait: float = files.LONGEST_WAIT, piece: int = PIECE) -> bool:
    """Make one segment of all that the place has; False when it is one already, or another process was quicker.

    May run while another process writes: what that adds stays beside the new file. Raises Unavailable (another
    compaction for longer than `wait` seconds, a full disk) and DataError; the place is then as it was.
    """
    if len(place.every_segment()) == 1 and _is_done(place.segments()):
        return False
    with files.locked(place.root, files.COMPACT_LOCK, wait):
        try:
            return _compact(place, settings, piece)
        except OSError as e:
            raise files.unavailable(e, place.root) from e


def _compact(place: Place, settings: Settings, piece: int) -> bool:
    files.remove_staged_days(place)
    segments = place.segments()
    if not segments or _is_done(segments):
        _remove_superseded(place)
        return False
    return publish(place, segments, stage(place, segments, settings, piece))


def publish(place: Place, segments: Sequence[Segment], made: Segment) -> bool:
    """Put what was made of the segments in their place, if all of them are still there."""
    try:
        with files.locked(place.root):
            if not set(segments) <= set(place.segments()):
                return False
            files.publish(place, made)
        _remove_superseded(place)
    finally:
        files.unstage(place, made)
    return True


def _is_done(segments: Sequence[Segment]) -> bool:
    return len(segments) == 1 and segments[0].compacted


def _remove_superseded(place: Place) -> None:
    with files.locked(place.root):
        counted = set(place.segments())
        for segment in place.every_segment():
            if segment not in counted:
                files.remove(place, segment)


def stage(place: Place, segments: Sequence[Segment], settings: Settings, piece: int = PIECE) -> Segment:
    """Write the segment of all of them beside its name."""
    known = Known()
    for table in place.tables:
        for segment in segments:
            known.add(table, reading.schema(place, table, segment))
    columns = {table: known.columns[table] for table in place.tables}
    made = Segment(1, segments[-1].last, columns_word(columns), compacted=True)
    fills = {
        table: partial(encoding.write, frames=_pieces(place, table, segments, columns[table], piece), settings=settings)
        for table in place.tables
    }
    files.stage(place, made, fills)
    return made


def _pieces(
    place: Place, table: str, segments: Sequence[Segment], columns: dict[str, pl.DataType], piece: int
) -> Iterator[pl.DataFrame]:
    """The table in its order, a part of the contracts at a time."""
    for contracts in _parts(place, segments, piece) if table == "options" else [None]:
        frames = [conform(reading.read(place, table, s), columns, who="the dataset") for s in segments]
        if contracts is not None:
            frames = [frame.join(contracts, on=CONTRACT, how="semi", nulls_equal=True) for frame in frames]
        yield pl.concat(frames).sort(SORTED_BY[table], maintain_order=True)


def _parts(place: Place, segments: Sequence[Segment], piece: int) -> list[pl.DataFrame | None]:
    """The contracts in groups of at the most `piece` rows; [None] when all of them are one."""
    rows = pl.concat([reading.read(place, "options", s, columns=CONTRACT) for s in segments])
    if rows.height <= piece:
        return [None]
    counts = rows.group_by(CONTRACT).len().sort(CONTRACT)
    return [
        part.select(CONTRACT)
        for part in counts.with_columns(part=(pl.col("len").cum_sum() - 1) // piece).partition_by(
            "part", maintain_order=True
        )
    ]

"""The day's lists of instruments on disk, as Kite sent them."""

from __future__ import annotations

import gzip
import logging
import os
import tempfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from g6core import IST, trading_date

log = logging.getLogger("g6.kite")

MADE_AT = time(8, 30)
"""IST. Kite makes the lists of a day in the morning; what it gives before is yesterday's."""

KEPT_DAYS = 7
"""Older files of an exchange are deleted."""


@dataclass(frozen=True)
class Kept:
    """data: the CSV. at: when it was fetched, by the clock that counts."""

    data: bytes
    at: datetime


class ListCache:
    """`<exchange>-<date>.csv.gz`, replaced as a whole. A file that is damaged counts as none, and so does any trouble
    with the disk: the list is fetched then. place: None keeps nothing."""

    def __init__(self, place: Path | None, max_age: timedelta) -> None:
        self._place, self._max_age = place, max_age

    def read(self, exchange: str, now: datetime) -> Kept | None:
        """What is kept of the trading day of `now`, however old."""
        path = self._path(exchange, now)
        if path is None:
            return None
        try:
            at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            data = gzip.decompress(path.read_bytes())
            return Kept(data, at) if data else None
        except (OSError, EOFError, zlib.error):
            return None

    def fresh(self, kept: Kept, now: datetime) -> bool:
        made = datetime.combine(trading_date(now), MADE_AT, IST)
        yesterdays = kept.at < made <= now
        return timedelta(0) <= now - kept.at < self._max_age and not yesterdays

    def write(self, exchange: str, data: bytes, now: datetime) -> None:
        path = self._path(exchange, now)
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, gzip.compress(data, 1), now)
            for old in sorted(path.parent.glob(f"{exchange}-*.csv.gz"))[:-KEPT_DAYS]:
                old.unlink(missing_ok=True)
        except OSError as e:
            log.warning("kite: the list of %s cannot be kept on disk: %s", exchange, e.strerror or e)

    def _path(self, exchange: str, now: datetime) -> Path | None:
        return self._place and self._place / f"{exchange}-{trading_date(now)}.csv.gz"


def _replace(path: Path, data: bytes, now: datetime) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(data)
        # The file's time is the clock's, which need not be the machine's.
        os.utime(name, (now.timestamp(), now.timestamp()))
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise

"""One recorder per data directory."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from g6core.errors import Busy, Unavailable


class DirectoryLock:
    """Held by the process that records into a directory; the operating system frees it when that process dies."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "g6.lock"
        self._lock = FileLock(self._path)

    def acquire(self) -> None:
        """Raises Busy when another process has it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Somebody who only asks whether it is taken holds it for a moment.
            self._lock.acquire(timeout=0.5)
        except Timeout:
            raise Busy(
                f"another g6 process{self._owner()} records into this directory",
                where=str(self._path.parent.absolute()),
                hint="stop it, or name another directory with --data-dir; `g6 status` shows what it does",
            ) from None
        except OSError as e:
            raise Unavailable(
                f"the data directory cannot be written: {e.strerror or e}",
                code="not-writable",
                where=str(self._path.parent.absolute()),
                hint="make it writable, or name another one with --data-dir",
            ) from e
        # The number is for people; a full disk has no room for it and holds nobody up.
        with suppress(OSError):
            self._path.with_suffix(".pid").write_text(str(os.getpid()))

    def release(self) -> None:
        self._lock.release()

    @property
    def taken(self) -> bool:
        """Whether another process has it right now."""
        if not self._path.exists():
            return False
        try:
            with FileLock(self._path).acquire(timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            # Whoever may not open the lock cannot hold it either.
            return False

    def _owner(self) -> str:
        try:
            return f" (pid {self._path.with_suffix('.pid').read_text()})"
        except OSError:
            return ""

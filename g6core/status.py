"""What the running recorder says of itself: a small JSON file, rewritten after each cycle, read by `g6 status`."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from g6core import __version__
from g6core.engine import Engine
from g6core.errors import DataError, NotRunning
from g6core.lock import DirectoryLock
from g6core.reports import CycleReport

log = logging.getLogger("g6.status")
NAME = "status.json"


class StatusFile:
    """A view (`loop.View`) that nobody looks at: it keeps the status file."""

    def __init__(self, data_dir: Path, started: datetime) -> None:
        self._path = data_dir / NAME
        # What the process before said is no status of this one.
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._started = started
        self._cycles = 0
        self._skipped = 0

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        self._cycles += 1
        self._skipped += sum(r.status != "recorded" for r in report.indices.values())
        indices = {name: asdict(index) for name, index in report.indices.items()}
        last = {"ts": report.ts.isoformat(), "seconds": report.seconds, "indices": indices}
        self._write(engine, "paused" if engine.problem else "recording", {"last_cycle": last})

    def idle(self, engine: Engine, opens: datetime) -> None:
        self._write(engine, "waiting", {"opens": opens.isoformat()})

    def _write(self, engine: Engine, state: str, more: dict[str, Any]) -> None:
        document = {
            "v": 1,
            "version": __version__,
            "pid": os.getpid(),
            "state": state,
            "problem": engine.problem.message if engine.problem else None,
            "simulated": engine.assembly.simulated,
            "plugins": engine.settings.plugins,
            "data_dir": str(engine.data_dir.absolute()),
            "started": self._started.isoformat(),
            "interval": engine.settings.interval.total_seconds(),
            "cycles": self._cycles,
            "indices_not_recorded": self._skipped,
            "unsaved": engine.unsaved,
            "sinks": {name: asdict(runner.state) for name, runner in engine.runners.items()},
            **more,
        }
        partial = self._path.with_suffix(".new")
        try:
            partial.write_text(json.dumps(document, default=str), "utf-8")
            partial.replace(self._path)
        except OSError as e:
            # A status that cannot be written (a full disk) must not stop the recording.
            log.debug("status file: %s", e)


def read_status(data_dir: Path) -> dict[str, Any]:
    """The last status of the recorder of this directory. Raises NotRunning when none runs."""
    if not DirectoryLock(data_dir).taken:
        raise NotRunning(
            "no recorder runs on this data directory",
            where=str(data_dir.absolute()),
            hint="`g6 run` starts one; --data-dir names another directory",
        )
    path = data_dir / NAME
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NotRunning("the recorder has not finished its first cycle yet", where=str(path)) from None
    except ValueError as e:
        raise DataError(f"the status cannot be read: {e}", code="bad-status", where=str(path)) from e
    return document

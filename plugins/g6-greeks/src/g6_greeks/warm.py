"""Compiled functions made ready before the first cycle, so that none waits for the compiler."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np

log = logging.getLogger("g6.greeks")

NONE, NOBODY, NOWHERE = np.empty(0), np.empty(0, dtype=np.bool_), np.empty(0, dtype=np.intp)
"""Columns of no rows, as numbers, flags and places: enough for the compiler to see their kinds."""

SILENT = 2.5
"""Seconds; machine code that is read from disk takes less."""


def prepared(what: str, call: Callable[[], object]) -> None:
    """Call once, and say so when it takes long: then the compiler is at work, the first time on this machine."""
    notice = threading.Timer(
        SILENT, log.warning, ("compiling %s for this processor; this happens once and takes some seconds", what)
    )
    notice.daemon = True
    notice.start()
    try:
        call()
    finally:
        notice.cancel()

"""What the engine's guards catch: anything that a component may do wrong.

Polars panics are no `Exception`, and a component's polars expression can cause one.
"""

from __future__ import annotations

import logging
from typing import Protocol

from polars.exceptions import PanicException

from g6core.errors import G6Error
from g6core.redact import redacted

log = logging.getLogger("g6.engine")
FAULTS = (Exception, PanicException)


def told(e: BaseException) -> str:
    """The fault in a few words, without secrets: a G6Error's message, else the exception's kind and text."""
    return e.message if isinstance(e, G6Error) else redacted(f"{type(e).__name__}: {e}")


class Closed(Protocol):
    def close(self) -> None: ...


def close(component: Closed, name: str | None = None) -> None:
    """Close it; a failure is told in the log, and keeps nothing else from being closed. name: its kind by default."""
    try:
        component.close()
    except FAULTS as e:
        log.warning("%s failed while closing: %s", name or type(component).__name__, told(e))

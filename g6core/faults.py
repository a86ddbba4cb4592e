"""What the engine's guards catch: anything that a component may do wrong.

Polars panics are no `Exception`, and a component's polars expression can cause one.
"""

from __future__ import annotations

from polars.exceptions import PanicException

from g6core.errors import G6Error
from g6core.redact import redacted

FAULTS = (Exception, PanicException)


def told(e: BaseException) -> str:
    """The fault in a few words, without secrets: a G6Error's message, else the exception's kind and text."""
    return e.message if isinstance(e, G6Error) else redacted(f"{type(e).__name__}: {e}")

"""Logs go to standard error, a line each, so that standard output stays for results. No secret goes with them."""

from __future__ import annotations

import logging

from g6core.redact import redacted


class RedactingFormatter(logging.Formatter):
    """The formatted record, traceback and all, without secrets: a filter would see the message alone."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def log_to_stderr(verbose: bool) -> None:
    """Warnings and errors of g6; with verbose everything."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("g6")
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    root.propagate = False
    if logging.lastResort:
        # Libraries that nobody gave a handler warn through this one, addresses with tokens included.
        logging.lastResort.setFormatter(RedactingFormatter("%(levelname)s %(name)s: %(message)s"))

"""Logs go to standard error, a line each, so that standard output stays for results."""

from __future__ import annotations

import logging


def log_to_stderr(verbose: bool) -> None:
    """Warnings and errors of g6; with verbose everything."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("g6")
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    root.propagate = False

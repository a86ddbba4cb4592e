"""Answers of Kite's that are errors."""

from __future__ import annotations

TOKEN, INPUT, NETWORK, GENERAL = "TokenException", "InputException", "NetworkException", "GeneralException"


class KiteError(Exception):
    """One that a client is told: the HTTP status, Kite's error type, and a sentence."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error_type, self.message = status, error_type, message

"""The daily login that a broker wants: `g6 login` does the talking, a provider the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Session:
    """How a provider stands with its broker. until: when it ends by rule (UTC, aware); note: why there is none.

    source: where it was found (`environment`, or a file's path); never the token itself.
    """

    valid: bool
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    source: str | None = None
    note: str | None = None


class Login(ABC):
    """The login of one provider. Each method raises G6Error with what to do; none shows a secret."""

    redirect: str | None = None
    """Where the broker sends the browser back to; `g6 login` listens there when that is on this machine."""

    @abstractmethod
    def address(self, state: str) -> str:
        """The page to open in a browser. state: a random word that comes back with the redirect."""

    @abstractmethod
    def finish(self, answer: str, state: str | None) -> Session:
        """Make a session of what came back, and keep it.

        answer: the redirected address, whole, or what it carries alone. state: what must be in it, None when a person
        or a script brings the answer.
        """

    @abstractmethod
    def status(self) -> Session:
        """Asks the broker when that can be told only there."""

    @abstractmethod
    def logout(self) -> bool:
        """End the session at the broker and forget it; False when there was none."""

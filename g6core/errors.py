"""Every error that a person can meet, and the one renderer that prints them.

G6Error                 code, message, where, note, hint; exit code 1
├── ConfigError         a setting, a flag or a file is wrong                 exit 2
├── PluginError         a plugin is missing, broken, incompatible, doubled   exit 2
├── DataError           recorded or received data cannot be used             exit 1
├── Busy                another process owns the data directory              exit 3
├── NotRunning          nothing runs, or it cannot be reached                exit 3
├── MarketClosed        `--require-open` outside the session                 exit 5
├── Unavailable         try again later: network, server, disk               exit 3
│   └── AuthExpired     needs a login                                        exit 4
├── Rejected            this batch will never be accepted: set it aside      exit 1
└── Problems            several errors found in one look                     the worst exit code

A code is a stable word; `docs/errors/<code>.md` explains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from g6core.redact import redacted

EXIT_CODES = {
    0: "ok",
    1: "ran and found a problem",
    2: "usage or configuration",
    3: "not running or cannot connect",
    4: "authentication needed",
    5: "market closed and --require-open given",
    130: "interrupted",
}


class G6Error(Exception):
    """A problem told as a person wants to hear it, without the secrets that were in the words of whoever refused.

    message: what is wrong, one sentence without a full stop.
    code:    a stable word with a page of its own under docs/errors.
    where:   the places it was found in (file:line, plugin, index), outermost first.
    note:    why it happens, when that is not obvious.
    hint:    what to type or change.
    """

    code = "error"
    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        where: str | Iterable[str] = (),
        note: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = redacted(message)
        super().__init__(self.message)
        self.code = code or type(self).code
        self.where: Sequence[str] = tuple(redacted(place) for place in ((where,) if isinstance(where, str) else where))
        self.note = redacted(note) if note else note
        self.hint = redacted(hint) if hint else hint

    def render(self) -> str:
        """The error as `problem, where, why, what to type`, one item a line."""
        lines = [f"error[{self.code}]: {self.message}"]
        lines += [f"  --> {place}" for place in self.where]
        if self.note:
            lines.append(f"  = note: {self.note}")
        if self.hint:
            lines.append(f"  help: {self.hint}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """The same for `--json`."""
        return {
            "code": self.code,
            "message": self.message,
            "where": list(self.where),
            "note": self.note,
            "hint": self.hint,
        }


class ConfigError(G6Error):
    code = "config"
    exit_code = 2


class PluginError(G6Error):
    code = "plugin"
    exit_code = 2


class DataError(G6Error):
    code = "data"
    exit_code = 1


class Busy(G6Error):
    code = "busy"
    exit_code = 3


class NotRunning(G6Error):
    code = "not-running"
    exit_code = 3


class MarketClosed(G6Error):
    code = "market-closed"
    exit_code = 5


class Unavailable(G6Error):
    """Raised by a component: what it talks to does not answer now. The engine backs off and asks again."""

    code = "unavailable"
    exit_code = 3


class AuthExpired(Unavailable):
    """Raised by a provider whose session ended. Nothing is recorded for its indices until a person logs in."""

    code = "auth-expired"
    exit_code = 4


class Rejected(G6Error):
    """Raised by a sink: this batch will never be accepted. It goes to the dead letters and the next one follows."""

    code = "rejected"
    exit_code = 1


class Problems(G6Error):
    """Several errors found in one look, so that a person mends them in one go."""

    code = "problems"

    def __init__(self, errors: Sequence[G6Error]) -> None:
        super().__init__("; ".join(e.message for e in errors))
        self.errors = tuple(errors)
        self.exit_code = max(e.exit_code for e in errors)

    def render(self) -> str:
        return "\n\n".join(e.render() for e in self.errors)

    def as_dict(self) -> dict[str, object]:
        return {"code": self.code, "errors": [e.as_dict() for e in self.errors]}


def raise_all(errors: Sequence[G6Error]) -> None:
    """Raise nothing, the one error, or all of them as `Problems`."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Problems(errors)

"""Logs: a line each on standard error, so that standard output stays for results, and in a file where one is set.

For people as they are, or as JSON. No secret goes with them, a message that repeats itself is condensed, and a log
that cannot be written stops nobody.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler

from g6core.condensing import Condensing
from g6core.errors import G6Error
from g6core.exchange import IST
from g6core.redact import redacted, redacted_tree
from g6core.settings import LogSettings

FILE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
PLAIN = {"plain": True}
"""`extra` of a record that a person reads as it is, without its level and logger."""


def about(error: BaseException) -> dict[str, object]:
    """`extra` of a record that speaks of an error in words of its own: in JSON it has the error's code and hint."""
    return {"error": error}


class RedactingFormatter(logging.Formatter):
    """The formatted record, traceback and all, without secrets: a filter would see the message alone.

    A record whose message is a G6Error is rendered with place and remedy.
    """

    def format(self, record: logging.LogRecord) -> str:
        try:
            text = super().format(record)
        except (TypeError, ValueError, KeyError):
            # Arguments that do not fit: what was to be said is worth more than how.
            text = f"{record.levelname} {record.name}: {_message(record)}"
        return redacted(text) + _times(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, G6Error):
            record.message = record.msg.render()
        return record.message if self._bare(record) else super().formatMessage(record)

    def _bare(self, record: logging.LogRecord) -> bool:
        return False

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return f"{_time(record).astimezone(IST):%Y-%m-%d %H:%M:%S} IST"


class TerminalFormatter(RedactingFormatter):
    """For whoever looks on: without the time, and what is said in words of its own without anything."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def _bare(self, record: logging.LogRecord) -> bool:
        return bool(getattr(record, "plain", False))


class JsonFormatter(logging.Formatter):
    """A JSON object a line: ts (UTC), level, logger, message; of an error its code, where, note and hint; of a
    traceback `exception`; of a condensed message `repeated`."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, object] = {
            "ts": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if error := _error(record):
            document |= {key: value for key, value in error.as_dict().items() if value and key != "message"}
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        if times := getattr(record, "times", 0):
            document["repeated"] = times
        # Before it becomes JSON: a secret with a quote in it would look otherwise there.
        return json.dumps(redacted_tree(document), ensure_ascii=False, default=str)


class _File(RotatingFileHandler):
    """A log file that is renamed when it is full. One that cannot be written is told on standard error, once."""

    def __init__(self, settings: LogSettings) -> None:
        assert settings.file is not None
        self._trouble: BaseException | None = None
        self._told: str | None = None
        settings.file.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(settings.file, "a", int(settings.max_size), settings.keep, "utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        self._trouble = None
        try:
            if self.shouldRollover(record):
                self.doRollover()
        except OSError as e:
            self._trouble = e  # a file that cannot be renamed grows
        try:
            logging.FileHandler.emit(self, record)
        except OSError as e:
            self._trouble = e
        self._tell()

    def handleError(self, record: logging.LogRecord) -> None:
        self._trouble = sys.exc_info()[1]

    def _tell(self) -> None:
        text = str(self._trouble) if self._trouble else None
        if text is not None and text != self._told:
            said = f"the log file cannot be written: {text}; recording goes on"
            record = logging.LogRecord("g6.logs", logging.ERROR, __file__, 0, said, None, None)
            with suppress(OSError, ValueError):
                sys.stderr.write(self.format(record) + "\n")
        self._told = text


class _Stream(logging.StreamHandler):  # type: ignore[type-arg]  # not subscriptable at run time before 3.12
    """Standard error, as long as it is there."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: there is no place left to say it, and what logging would print has secrets in it."""


def log_to_stderr(verbose: bool) -> None:
    """Information, warnings and errors of g6, warnings of libraries; with verbose everything of g6."""
    _use(logging.DEBUG if verbose else logging.INFO, [_with(_Stream(), TerminalFormatter())])


def log_as(settings: LogSettings, verbose: bool) -> None:
    """As the settings say, from now on. verbose: everything of g6, whatever their level."""
    as_json = settings.format == "json"
    targets: list[logging.Handler] = [_with(_Stream(), JsonFormatter() if as_json else TerminalFormatter())]
    failed: OSError | None = None
    if settings.file is not None:
        try:
            targets.append(_with(_File(settings), JsonFormatter() if as_json else RedactingFormatter(FILE)))
        except OSError as e:
            failed = e
    _use(logging.DEBUG if verbose else logging.getLevelNamesMapping()[settings.level.upper()], targets)
    if failed:
        logging.getLogger("g6.logs").error("the log file cannot be written: %s; recording goes on without it", failed)


def _use(level: int, targets: list[logging.Handler]) -> None:
    root = logging.getLogger("g6")
    handler = Condensing(targets)
    for old in root.handlers:
        old.close()
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
    # Libraries that nobody gave a handler warn through this one, addresses with tokens included.
    logging.lastResort = Condensing(targets, logging.WARNING)


def _with(handler: logging.Handler, formatter: logging.Formatter) -> logging.Handler:
    handler.setFormatter(formatter)
    return handler


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"


def _error(record: logging.LogRecord) -> G6Error | None:
    raised = record.exc_info[1] if record.exc_info else None
    candidates = (record.msg, getattr(record, "error", None), raised)
    return next((one for one in candidates if isinstance(one, G6Error)), None)


def _times(record: logging.LogRecord) -> str:
    times = getattr(record, "times", 0)
    return f" … ×{times}" if times else ""

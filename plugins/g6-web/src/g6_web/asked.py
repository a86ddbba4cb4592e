"""What was asked: the parameters of a request, checked against those of its route."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qsl

from pydantic import TypeAdapter

from g6core import IST, DataError, Duration

Schema = Mapping[str, Any]
_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
_WORD = r"[A-Za-z0-9_]{1,60}"
MOST_PARAMETERS = 20


@dataclass(frozen=True)
class Param:
    """A parameter of a query. parse: raises ValueError, with what is expected as its words."""

    name: str
    help: str
    parse: Callable[[str], Any]
    schema: Schema


def parsed(query: bytes, params: Sequence[Param]) -> dict[str, Any]:
    """The values by name, None for those that are not given. Raises DataError (`bad-request`)."""
    known = {param.name: param for param in params}
    given: dict[str, Any] = dict.fromkeys(known)
    for name, text in _pairs(query):
        if name == "token":
            continue
        if name not in known:
            raise bad(f"there is no parameter `{name[:40]}` here", _close(name, list(known)))
        if given[name] is not None:
            raise bad(f"`{name}` is given twice")
        try:
            given[name] = known[name].parse(text)
        except (ValueError, OverflowError) as e:
            raise bad(f"`{name}` cannot be understood", str(e)) from None
    return given


def bad(message: str, hint: str | None = None) -> DataError:
    return DataError(message, code="bad-request", hint=hint)


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        text = query.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS, errors="strict")
    except ValueError:
        raise bad("the query cannot be understood", "write it as name=value&name=value, in UTF-8") from None
    return pairs


def _close(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"there is {', '.join(known)}" if known else "it takes none"


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"it is one of {', '.join(words)}")
        return text

    return parse


def _matching(pattern: str, example: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"it is written like {example}")
        return text

    return parse


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not least <= int(text) <= most:
            raise ValueError(f"it is a whole number from {least} to {most}")
        return int(text)

    return parse


def _words(text: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    if len(words) > 100 or not all(re.fullmatch(_WORD, word, re.ASCII) for word in words):
        raise ValueError("it is one name, or several with commas between them")
    if len(set(words)) < len(words):
        raise ValueError("each name stands there once")
    return words


def _day(text: str) -> date:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError("it is a date like 2026-11-20")
    return date.fromisoformat(text)


def _every(text: str) -> timedelta:
    try:
        every = _DURATION.validate_python(text)
    except ValueError:
        raise ValueError("it is written 30s, 1m or 1h") from None
    if not timedelta(seconds=1) <= every <= timedelta(days=1):
        raise ValueError("it is one second at the least and one day at the most")
    return every


def _since(text: str) -> datetime:
    return _instant(text, time())


def _until(text: str) -> datetime:
    return _instant(text, time.max)


def _instant(text: str, of_day: time) -> datetime:
    """In India where no zone is given. A plus that came unescaped, and so as a space, is taken for what it was."""
    text = re.sub(r"(\d\d:\d\d\S*) (\d\d:\d\d)$", r"\1+\2", text)
    try:
        given = datetime.combine(_day(text), of_day) if len(text) == 10 else datetime.fromisoformat(text)
        at = (given if given.tzinfo else given.replace(tzinfo=IST)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("it is written 2026-11-20, 2026-11-20T10:30 (India) or 2026-11-20T05:00:00Z") from None
    if not 1970 < at.year < 2200:
        raise ValueError("it is an instant of our time")
    return at


_TEXT = {"type": "string"}
EXPIRY = Param(
    "expiry",
    "a code such as `this_week`, or a date; the nearest expiry when left out",
    _matching(r"[a-z_]{1,20}|\d{4}-\d\d-\d\d", "this_week or 2026-11-24"),
    {**_TEXT, "pattern": r"^([a-z_]{1,20}|[0-9]{4}-[0-9]{2}-[0-9]{2})$"},
)
FORMAT = Param("format", "json or csv", _one_of("json", "csv"), {**_TEXT, "enum": ["json", "csv"]})
AROUND = Param(
    "around",
    "strikes each side of the money; all when left out",
    _whole(0, 1000),
    {"type": "integer", "minimum": 0, "maximum": 1000},
)
COLUMNS = Param(
    "columns",
    "of the options, from the left edge to the strike, for CSV; oi,volume,iv,bid,ask,last_price when left out",
    _words,
    {**_TEXT, "pattern": f"^{_WORD}(,{_WORD}){{0,99}}$"},
)
DATE = Param("date", "a trading date in place of `from` and `to`", _day, {**_TEXT, "format": "date"})
_MOMENT = {**_TEXT, "examples": ["2026-11-20", "2026-11-20T10:30", "2026-11-20T05:00:00Z"]}
FROM = Param("from", "the first instant; in India unless a zone is given", _since, _MOMENT)
TO = Param("to", "the last instant, inclusive; a date means its whole day", _until, _MOMENT)
EVERY = Param(
    "every", "the last point of each such stretch of time: 30s, 1m, 1h", _every, {**_TEXT, "examples": ["1m"]}
)
LIMIT = Param(
    "limit",
    "how many at the most; 100 when left out",
    _whole(1, 1000),
    {"type": "integer", "minimum": 1, "maximum": 1000},
)
INDICES = Param(
    "index",
    "one index, or several with commas between them; all when left out",
    _words,
    {**_TEXT, "pattern": f"^{_WORD}(,{_WORD}){{0,99}}$", "examples": ["NIFTY", "NIFTY,BANKNIFTY"]},
)

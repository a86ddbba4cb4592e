"""Durations as people write them: `200ms`, `1.5s`, `15s`, `1m`, `2h`, `7d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_LONGEST = timedelta(days=3653)
_PATTERN = r"\d+(\.\d+)?(ms|s|m|h|d)"


def parse_duration(text: str) -> timedelta:
    """`1.5s` as a timedelta. Raises ValueError with a sentence that names the text."""
    if not re.fullmatch(_PATTERN, text.strip()):
        raise ValueError(f"`{text}` is no duration: a number and one of ms, s, m, h, d, such as 15s")
    number, unit = re.split(r"(?<=\d)(?=[a-z])", text.strip())
    try:
        duration = float(number) * _UNITS[unit]
    except OverflowError:
        duration = timedelta.max
    if duration > _LONGEST:
        raise ValueError(f"`{text}` is longer than ten years")
    return duration


def format_duration(duration: timedelta) -> str:
    """In the largest unit that keeps the number whole: 90 seconds are `90s`, two minutes `2m`."""
    for unit, size in _UNITS.items():
        if duration and not duration % size:
            return f"{duration // size}{unit}"
    return f"{duration / _UNITS['s']:g}s"


def _duration(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(str(value))


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json-unless-none"),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{_PATTERN}$", "examples": ["200ms", "1.5s", "15s", "1m", "2h", "7d"]}
    ),
]
"""A timedelta in a settings model, written as text."""

"""The sentence of an alert: words with `{names}` in them, each with a plain number format at most.

No `str.format`: that would look up attributes of whatever it is given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from g6core import IST

FIELD = re.compile(r"\{([^{}]*)\}")
INSIDE = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)(?::([+,]{0,2}(?:\.\d)?[dfeg%]?))?", re.IGNORECASE)
UNKNOWN = "unknown"


def names_of(template: str) -> list[str]:
    """The names in braces. Raises ValueError with a sentence on what cannot be read."""
    found = []
    for inside in FIELD.findall(template):
        match = INSIDE.fullmatch(inside)
        if match is None:
            raise ValueError(f"`{{{inside}}}` cannot be read: a name and a format at most, such as {{value:.2f}}")
        found.append(match[1])
    if re.search(r"[{}]", FIELD.sub("", template)):
        raise ValueError("a brace stands alone")
    return found


def readable(template: str) -> str:
    """The template, when it can be filled with any number. Raises ValueError with a sentence on what is wrong."""
    names_of(template)
    for inside in FIELD.findall(template):
        match = INSIDE.fullmatch(inside)
        form = match[2] if match else None
        try:
            # A column is of whole numbers or not; some formats are good for one kind alone.
            for number in (1.5, 1):
                shown(number, form or "")
        except ValueError:
            raise ValueError(
                f"`{{{inside}}}` has no number format: after the colon `+`, then `,`, then digits such as `.2`, then "
                "one of `f e g %`; or `d`, without digits, for a whole number"
            ) from None
    return template


def filled(template: str, values: Mapping[str, Any]) -> str:
    """The sentence; what is not known is `unknown`."""

    def word(match: re.Match[str]) -> str:
        inside = INSIDE.fullmatch(match[1])
        return shown(values.get(inside[1]), inside[2] or "") if inside else match[0]

    return FIELD.sub(word, template)


def shown(value: Any, form: str = "") -> str:
    """A value in words: times in IST, numbers without a tail of digits."""
    if value is None or value != value:
        return UNKNOWN
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    if isinstance(value, int | float):
        return format(int(value) if form.endswith("d") else value, form or _plain(value))
    if isinstance(value, datetime):
        return value.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S IST")
    return value.isoformat() if isinstance(value, date) else str(value)


def _plain(value: float) -> str:
    """The format of a number that nobody gave one: whole as it is, else to about four digits."""
    return ".15g" if value == int(value) else ".2f" if abs(value) >= 100 else ".4g"

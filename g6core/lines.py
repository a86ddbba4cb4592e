"""On which line of a settings file a key stands: the standard parsers do not say.

Both scanners are best effort. A key that they miss is reported with the line of its table, or with the file alone.
"""

from __future__ import annotations

import json
import re

Key = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?$")
_ENTRY = re.compile(rf"\s*({_DOTTED})\s*=")
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}\[\]]')


def toml_lines(text: str) -> dict[Key, int]:
    """The line (from 1) of each table header and of each key at the start of a line."""
    found: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            table = _parts(header[1])
            found.setdefault(table, number)
        elif entry := _ENTRY.match(line):
            found.setdefault(table + _parts(entry[1]), number)
    return found


def _parts(dotted: str) -> Key:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def json_lines(text: str) -> dict[Key, int]:
    """The line (from 1) of each key."""
    found: dict[Key, int] = {}
    outer: list[str] = []
    key = ""
    for token in _JSON_TOKEN.finditer(text):
        if token[0] in "{[":
            outer.append(key)
            key = ""
        elif token[0] in "}]":
            key = outer.pop() if outer else ""
        elif token[0].endswith(":"):
            key = json.loads(token[0][:-1], strict=False)
            found.setdefault((*outer[1:], key), text.count("\n", 0, token.start()) + 1)
    return found

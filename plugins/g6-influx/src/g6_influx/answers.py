"""What the server's answers mean: later, never, or mend the settings."""

from __future__ import annotations

import json
import re
from datetime import datetime
from email.utils import parsedate_to_datetime

from influxdb_client.rest import ApiException

from g6_influx.settings import Settings
from g6core import G6Error, Rejected, Unavailable

LONGEST_PAUSE = 300.0
"""Seconds that a server may ask us to be silent."""
LONGEST_TEXT = 400
"""Characters of a server's words that an error repeats."""
FULL = re.compile(
    r"minFreeDiskSpaceBytes|no space left on device|not enough space on the disk|disk quota exceeded", re.I
)
"""In the words of VictoriaMetrics, which takes nothing before its disk is quite full, and of the systems."""
LATER = {408, 425, 429, *range(500, 600)}
HINTS = {
    401: "set INFLUX_TOKEN to a token that may write to the bucket; nothing is lost meanwhile",
    403: "give the token the right to write to the bucket; nothing is lost meanwhile",
    404: "create the bucket, or mend `url`, `org` or `bucket`; nothing is lost meanwhile",
}


class TooLarge(Rejected):
    """The body is longer than the server takes."""


def refusal(e: ApiException, settings: Settings) -> G6Error:
    """Rejected for lines that will never be accepted (400, 422), TooLarge (413), else Unavailable.

    What a person can mend, a token or a bucket, must cost nothing: it is asked again.
    """
    status, said = e.status or 0, words(e)
    if status == 413:
        return TooLarge(f"{settings.url} takes no body of that length")
    if status >= 500 and FULL.search(said):
        return _full(said, settings)
    about_lines = status in (400, 422) and not _is_page(e)
    wants_org = about_lines and not settings.org and re.search(r"\borg(ID|anization)?\b", said)
    if about_lines and not wants_org:
        return Rejected(f"{settings.url} refuses the points with {status}: {said}", where=settings.url)
    hint = "set `org`; nothing is lost meanwhile" if wants_org else HINTS.get(status)
    if 300 <= status < 400:
        hint = f"it wants to be asked at {_header(e, 'Location') or 'another address'}: set `url` accordingly"
    elif hint is None and status not in LATER:
        hint = "check `url`: a proxy may be in between"
    return Unavailable(f"{settings.url} answers {status or 'no HTTP'}: {said}", where=settings.url, hint=hint)


def _full(said: str, settings: Settings) -> Unavailable:
    return Unavailable(
        f"{settings.url} has no room on its disk: {said}",
        code="disk-full",
        where=settings.url,
        note="nothing is lost meanwhile; the points wait in the journal",
        hint="free some space on the server's disk; writing goes on by itself",
    )


def silence(e: Exception, settings: Settings) -> Unavailable:
    """No answer at all: refused, too late, broken off."""
    reason = re.sub(r"<[^>]*>[:,]?\s*|\w+\(host=[^)]*\):\s*", "", str(e)) or type(e).__name__
    if "timed out" in reason:
        # In one way, wherever it was noticed: the log says it once.
        reason = f"no whole answer within {settings.timeout.total_seconds():g} s"
    return Unavailable(
        f"{settings.url} does not answer: {reason[:LONGEST_TEXT]}",
        where=settings.url,
        hint="start it, or mend `url` in the sink's settings; nothing is lost meanwhile",
    )


def no_influx(status: int | None, settings: Settings) -> Unavailable:
    return Unavailable(
        f"{settings.url} answers {status or 'in no readable way'}, with a page, as no InfluxDB does",
        where=settings.url,
        hint="check `url`: a proxy or a login page may be in between",
    )


def transient(e: ApiException) -> bool:
    """Whether the same question may have another answer in a while. No status is trouble with TLS."""
    return not e.status or e.status in LATER


def is_not_found(e: ApiException) -> bool:
    """Whether InfluxDB says that something is not there, which a server without such a path does in other words."""
    return '"not found"' in (e.body or "")


def pause(e: ApiException) -> float:
    """The seconds of silence that a server in trouble asks for (`Retry-After`), 0 when it asks for none."""
    given = _header(e, "Retry-After").strip()
    if e.status not in LATER or not given:
        return 0.0
    if re.fullmatch(r"\d{1,9}(\.\d*)?", given):
        return min(LONGEST_PAUSE, float(given))
    until, now = _date(given), _date(_header(e, "Date"))
    # Against the server's own time: the clocks need not agree.
    return min(LONGEST_PAUSE, max(0.0, (until - now).total_seconds())) if until and now else 0.0


def words(e: ApiException) -> str:
    """What the server says, in one line."""
    # VictoriaMetrics begins with our own address and port, which are others at each connection.
    text = re.sub(r'^remoteAddr: "[^"]*"; requestURI: [^;]*; ', "", e.body or "")
    try:
        document = json.loads(text)
        text = str(document["message"] if "message" in document else document["error"])
    except (ValueError, KeyError, TypeError):
        text = re.sub(r"<(style|script|title)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    plain = " ".join(text.split()) or str(e.reason or "without a word")
    return plain if len(plain) <= LONGEST_TEXT else plain[:LONGEST_TEXT] + "…"


def _is_page(e: ApiException) -> bool:
    return "html" in _header(e, "Content-Type").lower() or (e.body or "").lstrip().startswith("<")


def _header(e: ApiException, name: str) -> str:
    return str(e.headers.get(name) or "") if e.headers else ""


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else None

"""What `g6 alerts silence` does."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from g6_alerts.showing import PLUGIN, clock
from g6_alerts.silences import Silence, Silences, document
from g6core import IST, ConfigError, Context, DataError, Duration, Records, configured_all


def active(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The silences that hold now, by their end."""
    _, context = configured_all("alerts", plugin=PLUGIN, **options)
    now = context.clock.now()
    silences = sorted((s for s in Silences(context.data_dir).all() if s.until > now), key=lambda s: s.until)
    return [{**document(s), "time": clock(s.until)} for s in silences]


def add(
    options: Mapping[str, Any], rule: str, index: str | None, duration: str | None, until: str | None
) -> dict[str, Any]:
    """Raises ConfigError for a rule that nobody knows, or a time that is none or over."""
    context = _known(options, rule)
    now = context.clock.now()
    end = _end(now, _duration(duration)) if duration else _time(until or "", now)
    if end <= now:
        raise ConfigError(f"{clock(end)} is over", where="--until", hint="a time to come, such as 15:30")
    silence = Silence(rule, now, end, index)
    Silences(context.data_dir).add(silence)
    told = f"{rule}{f' of {index}' if index else ''} is silenced until {clock(end)}"
    return {"silence": document(silence), "told": told, "warning": _doubt(context, index)}


def remove(options: Mapping[str, Any], rule: str, index: str | None) -> dict[str, Any]:
    """Also of a rule that is gone."""
    _, context = configured_all("alerts", plugin=PLUGIN, **options)
    ended = Silences(context.data_dir).remove(rule, index, context.clock.now())
    return {"removed": ended, "told": f"{rule} is heard again" if ended else f"{rule} was not silenced"}


def _doubt(context: Context, index: str | None) -> str | None:
    """What to say of an index that nobody knows; None for one of the calendar or of the recorded ones."""
    if index is None or index in context.calendar.indices:
        return None
    try:
        recorded = {s.index for s in Records(context.data_dir).newest()}
    except DataError:  # of the days, and the silence holds all the same
        return None
    if index in recorded:
        return None
    close = difflib.get_close_matches(index, {*context.calendar.indices, *recorded}, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"neither the calendar nor the newest recorded day has an index {index}, so this may silence nothing{hint}"


def _known(options: Mapping[str, Any], rule: str) -> Context:
    components, context = configured_all("alerts", plugin=PLUGIN, **options)
    if rule in components:
        return context
    raise unknown(rule, "alert rule", components)


def unknown(name: str, what: str, known: Mapping[str, Any]) -> ConfigError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else "`g6 alerts list` shows the rules, `g6 sinks` the channels"
    return ConfigError(f"there is no {what} `{name}`", code="unknown-alert", hint=hint)


def _duration(text: str) -> timedelta:
    try:
        duration: timedelta = TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise ConfigError(f"`{text}` is no duration", where="--for", hint="such as 30m, 2h or 1d") from None
    if not duration:
        raise ConfigError(f"`{text}` is no time at all", where="--for", hint="such as 30m; --remove ends a silence")
    return duration


def _end(now: datetime, duration: timedelta) -> datetime:
    try:
        end = now + duration
        clock(end)
    except OverflowError:
        raise ConfigError("no calendar goes so far", where="--for", hint="such as 30m, 2h or 1d") from None
    return end


def _time(text: str, now: datetime) -> datetime:
    """A time of day is the next one; India's, unless it says another zone."""
    try:
        if len(text) == len("15:30"):
            today: date = now.astimezone(IST).date()
            at = datetime.combine(today, time.fromisoformat(text), IST)
            return (at if at > now else at + timedelta(days=1)).astimezone(UTC)
        given = datetime.fromisoformat(text)
        at = (given if given.tzinfo else given.replace(tzinfo=IST)).astimezone(UTC)
        clock(at)
        return at
    except (ValueError, OverflowError):  # the first and the last hours of the calendar have no such time elsewhere
        raise ConfigError(f"`{text}` is no time", where="--until", hint="such as 15:30 or 2026-11-24T09:15") from None

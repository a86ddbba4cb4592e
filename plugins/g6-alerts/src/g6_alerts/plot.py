"""A picture of alerts over a recorded value: an SVG, drawn by hand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

from g6_alerts.showing import Wanted
from g6core import IST, Alert, ConfigError, DataError, Records, Unavailable, trading_date

WIDTH, HEIGHT, LEFT, TOP, GAP = 1000, 220, 80, 40, 60
COLOURS = {"firing": "#c62828", "resolved": "#2e7d32"}
POINTS = 2000
"""More than the picture has pixels."""
_LONG = timedelta(days=2)
Point = tuple[datetime, float | None]


def draw(file: Path, alerts: Sequence[Alert], data_dir: Path, wanted: Wanted, fact: str) -> None:
    """A panel for each index that was recorded: the value, and a mark at each alert. Raises G6Error with what to do."""
    if file.suffix.lower() != ".svg":
        raise ConfigError(f"{file.name} is no SVG file", where="--plot", hint="such as alerts.svg")
    records = Records(data_dir)
    indices = [wanted.index] if wanted.index else sorted({s.index for s in records.newest()})
    if not indices:
        raise DataError("nothing is recorded that could be drawn", code="nothing-recorded")
    panels = [(index, _points(records, index, fact, wanted)) for index in indices]
    try:
        file.write_text(picture(panels, alerts, fact), "utf-8")
    except OSError as e:
        raise Unavailable(f"{file} cannot be written: {e.strerror}", code="not-writable") from e


def picture(panels: Sequence[tuple[str, Sequence[Point]]], alerts: Sequence[Alert], fact: str) -> str:
    """panels: (index, points by time). An alert of no index stands in every panel."""
    height = TOP + len(panels) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for at, (index, points) in enumerate(panels):
        own = [alert for alert in alerts if alert.index in ("", index)]
        parts += _panel(TOP + at * (HEIGHT + GAP), index, points, own, fact)
    return "\n".join([*parts, "</svg>", ""])


def _points(records: Records, index: str, fact: str, wanted: Wanted) -> list[Point]:
    days = [day for day in records.days() if _within(day, wanted)]
    if not days:
        return []
    since, until = Wanted(days[0]).since, Wanted(last=days[-1]).until
    assert since is not None and until is not None
    every = timedelta(minutes=5) if until - since > _LONG else None
    series = records.series(index, fact, since, until, every=every, limit=1_000_000)
    step = max(1, len(series) // POINTS)
    return [(ts, None if value is None else float(value)) for ts, value, _ in series[::step]]


def _within(day: object, wanted: Wanted) -> bool:
    return (wanted.first is None or str(day) >= str(wanted.first)) and (
        wanted.last is None or str(day) <= str(wanted.last)
    )


def _panel(top: int, index: str, points: Sequence[Point], alerts: Sequence[Alert], fact: str) -> list[str]:
    known = [value for _, value in points if value is not None]
    title = f'<text x="{LEFT}" y="{top - 12}" font-size="15">{escape(index)}: {escape(fact)}</text>'
    if not known:
        return [title, f'<text x="{LEFT}" y="{top + 20}">nothing is recorded</text>']
    low, high = min(known), max(known)
    room = (high - low) or abs(high) or 1.0

    def x(place: int) -> float:
        return LEFT + (WIDTH - LEFT - 20) * place / max(1, len(points) - 1)

    def y(value: float) -> float:
        return top + HEIGHT - HEIGHT * (value - low) / room

    parts = [
        title,
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 20}" height="{HEIGHT}" fill="none" stroke="#bbb"/>',
    ]
    parts += [f'<text x="{LEFT - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v:,.6g}</text>' for v in sorted({low, high})]
    parts += _times(points, x, top)
    for stretch in _stretches(points):
        line = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in stretch)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#1565c0" stroke-width="1.2"/>')
    times = [ts for ts, _ in points]
    for alert in alerts:
        place = min(bisect_left(times, alert.ts), len(points) - 1)
        value = points[place][1]
        parts.append(_mark(x(place), y(low if value is None else value), alert))
    return parts


def _stretches(points: Sequence[Point]) -> list[list[tuple[int, float]]]:
    """Lines without the places where nothing is known, and without the nights."""
    found: list[list[tuple[int, float]]] = [[]]
    before: datetime | None = None
    for place, (ts, value) in enumerate(points):
        if value is None or (before and trading_date(before) != trading_date(ts)):
            found.append([])
        if value is not None:
            found[-1].append((place, value))
        before = ts
    return [stretch for stretch in found if stretch]


def _times(points: Sequence[Point], x: Callable[[int], float], top: int) -> list[str]:
    several = trading_date(points[0][0]) != trading_date(points[-1][0])
    places = sorted({len(points) * part // 8 for part in range(8)} | {len(points) - 1})
    form = "%d %b %H:%M" if several else "%H:%M"
    words = [(x(place), f"{points[place][0].astimezone(IST):{form}}") for place in places]
    return [f'<text x="{at:.1f}" y="{top + HEIGHT + 18}" text-anchor="middle">{word}</text>' for at, word in words]


def _mark(x: float, y: float, alert: Alert) -> str:
    colour = COLOURS.get(alert.state, "#555")
    told = escape(f"{alert.ts.astimezone(IST):%d %b %H:%M:%S} {alert.state} {alert.rule}: {alert.summary}")
    return (
        f'<circle class="{escape(alert.state)}" cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}" fill-opacity="0.8">'
        f"<title>{told}</title></circle>"
    )

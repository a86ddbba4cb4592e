"""The dashboards of deploy/grafana, written from the panels: `python -m docs.tools.dashboards`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.tools.health_panels import HEALTH
from docs.tools.panels import OPTIONS, Panel, Rows

PLACE = Path(__file__).parents[2] / "deploy" / "grafana"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
BOARDS = {
    "options": ("G6: options", OPTIONS, "Spot, volatility, put-call ratio, straddle and max pain of each index."),
    "health": ("G6: health", HEALTH, "Whether G6 records, and what holds it up."),
}


def board(name: str) -> dict[str, Any]:
    """A dashboard as Grafana imports it."""
    title, rows, what = BOARDS[name]
    return {
        "uid": f"g6-{name}",
        "title": title,
        "description": what,
        "tags": ["g6"],
        "timezone": "Asia/Kolkata",
        "schemaVersion": 39,
        "refresh": "15s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables(name)},
        "panels": _panels(rows),
    }


def _variables(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    ]
    if name == "options":
        query = "label_values(g6_index_recorded, index)"
        found.append(
            {
                "name": "index",
                "label": "Index",
                "type": "query",
                "datasource": SOURCE,
                "query": {"query": query, "refId": "index"},
                "refresh": 2,
                "multi": True,
                "includeAll": True,
                "current": {"text": ["All"], "value": ["$__all"]},
            }
        )
    return found


def _panels(rows: Rows) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    y = 0
    for title, panels in rows:
        found.append({"id": len(found) + 1, "type": "row", "title": title, "gridPos": _at(0, y, COLUMNS, 1)})
        y, x = y + 1, 0
        for panel in panels:
            height = 4 if panel.kind == "stat" else 8
            found.append({"id": len(found) + 1, **_panel(panel), "gridPos": _at(x, y, panel.width, height)})
            x += panel.width
            if x >= COLUMNS:
                x, y = 0, y + height
        if x:
            y += height
    return found


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": query, "legendFormat": legend or "__auto"}
        for n, (query, legend) in enumerate(panel.queries)
    ]
    made = {"type": panel.kind, "title": panel.title, "description": panel.what, "datasource": SOURCE}
    # A line is broken where nothing is known, and begins again behind it.
    custom = {"custom": {"spanNulls": False, "lineWidth": 1}} if panel.kind == "timeseries" else {}
    options = {"options": {"textMode": "value_and_name"}} if panel.kind == "stat" else {}
    return {
        **made,
        **options,
        "fieldConfig": {"defaults": {"unit": panel.unit, **custom}, "overrides": []},
        "targets": targets,
    }


def _at(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def text(name: str) -> str:
    return json.dumps(board(name), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in BOARDS:
        (PLACE / f"{name}.json").write_text(text(name), "utf-8")

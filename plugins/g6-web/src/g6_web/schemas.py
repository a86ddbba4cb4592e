"""The forms of all answers, as JSON Schema (draft 2020-12, as OpenAPI 3.1 has it)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def _or_null(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


def _object(
    help: str, properties: Mapping[str, Schema], *, more: Schema | bool = False, optional: tuple[str, ...] = ()
) -> Schema:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "description": help,
        "properties": dict(properties),
        "required": required,
        "additionalProperties": more,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
DAY: Schema = {"type": "string", "format": "date"}
TIME: Schema = {"type": "string", "format": "date-time", "description": "ISO 8601, UTC"}
VERSION: Schema = {"const": 1, "description": "of this form; it grows when something is renamed or taken away"}
CELL: Schema = {"type": ["number", "string", "boolean", "array", "object", "null"]}
"""What an analytic may add."""

HEAD: Mapping[str, Schema] = {
    "v": VERSION,
    "ts": {**_or_null("string", format="date-time"), "description": "of the newest that is told, ISO 8601, UTC"},
    "age": {**_or_null("number"), "description": "seconds from `ts` to the answer"},
    "simulated": {**FLAG, "description": "true when no market stood behind the numbers"},
}
SNAPSHOT_HEAD: Mapping[str, Schema] = {
    **HEAD,
    "ts": TIME,
    "age": NUMBER,
    "index": TEXT,
    "source": {**TEXT, "description": "the provider's name"},
    "facts": {"type": "object", "additionalProperties": _or_null("number"), "description": "numbers of the index"},
}
OPTION = _object(
    "A contract and its quote; prices in rupees, volume and open interest in units, iv as a fraction",
    {
        "index": TEXT,
        "exchange": _or_null("string"),
        "symbol": TEXT,
        "token": _or_null("integer"),
        "expiry": DAY,
        "strike": NUMBER,
        "right": {"enum": ["CE", "PE"]},
        "lot_size": _or_null("integer"),
        "tick_size": _or_null("number"),
        "expiry_code": _or_null("string"),
        "offset": _or_null("integer"),
        "last_price": _or_null("number"),
        "average_price": _or_null("number"),
        "bid": _or_null("number"),
        "ask": _or_null("number"),
        "bid_qty": _or_null("integer"),
        "ask_qty": _or_null("integer"),
        "volume": _or_null("integer"),
        "oi": _or_null("integer"),
        "exchange_ts": _or_null("string", format="date-time"),
        "received_ts": _or_null("string", format="date-time"),
    },
    more=CELL,
)
EXPIRY = _object(
    "An expiry, and what analytics say of it",
    {
        "expiry": DAY,
        "code": _or_null("string"),
        "codes": {"type": ["array", "null"], "items": TEXT},
        "expires_at": _or_null("string", format="date-time"),
        "atm_strike": _or_null("number"),
        "contracts": _or_null("integer"),
        "quoted": _or_null("integer"),
        "future": _or_null("number"),
    },
    more=CELL,
)
ALERT = _object(
    "An alert",
    {
        "rule": TEXT,
        "index": TEXT,
        "ts": TIME,
        "summary": TEXT,
        "severity": TEXT,
        "state": TEXT,
        "key": TEXT,
        "labels": {"type": "object", "additionalProperties": TEXT},
    },
)
DAY_ROW = _object(
    "A recorded day",
    {
        "day": DAY,
        "snapshots": COUNT,
        "alerts": COUNT,
        "bytes": COUNT,
        "sources": _list(TEXT),
        "lag": {"type": "object", "additionalProperties": {"type": "integer"}},
        "dead_letters": {"type": "object", "additionalProperties": COUNT},
    },
)
INDEX_ROW = _object(
    "An index",
    {
        "index": TEXT,
        "ts": TIME,
        "age": NUMBER,
        "source": TEXT,
        "simulated": FLAG,
        "spot": _or_null("number"),
        "options": COUNT,
        "expiries": _list(_object("An expiry", {"expiry": DAY, "codes": _list(TEXT)})),
    },
)
POINT = _object(
    "A value at an instant; `expiry` is null for a fact of the index",
    {
        "ts": TIME,
        "value": {"type": ["number", "string", "boolean", "null"]},
        "expiry": _or_null("string", format="date"),
    },
)
PLUGIN = _object("An installed plugin", {"name": TEXT, "distribution": TEXT, "version": TEXT, "selected": FLAG})

SCHEMAS: Mapping[str, Schema] = {
    "Option": OPTION,
    "Expiry": EXPIRY,
    "Snapshot": _object(
        "One index at one instant",
        {**SNAPSHOT_HEAD, "expiries": _list(_ref("Expiry")), "options": _list(_ref("Option"))},
    ),
    "Chain": _object(
        "One expiry of one index at one instant",
        {**SNAPSHOT_HEAD, "expiry": _ref("Expiry"), "options": _list(_ref("Option"))},
    ),
    "History": _object(
        "A fact over time",
        {**HEAD, "index": TEXT, "fact": TEXT, "expiry": _or_null("string"), "points": _list(POINT)},
    ),
    "Indices": _object("All indices", {**HEAD, "indices": _list(INDEX_ROW)}),
    "Alerts": _object("Alerts by time", {**HEAD, "alerts": _list(ALERT)}),
    "Plugins": _object("Installed plugins", {**HEAD, "plugins": _list(PLUGIN)}),
    "Journal": _object(
        "Recorded days, oldest first",
        {**HEAD, "days": _list(DAY_ROW), "unreadable": _list(_object("A fault", {"code": TEXT, "message": TEXT}))},
    ),
    "Status": _object(
        "What the recorder does",
        {
            **HEAD,
            "state": {"enum": ["recording", "paused", "waiting"]},
            "pid": COUNT,
            "interval": NUMBER,
            "sinks": {"type": "object"},
        },
        more=True,
    ),
    "Health": _object(
        "All checks of the recorder",
        {"v": VERSION, "status": {"enum": ["ok", "warning", "failing"]}, "checks": _list({"type": "object"})},
        more=True,
    ),
    "Problem": _object(
        "RFC 9457: what is wrong",
        {
            "type": {**TEXT, "description": "urn:g6:error:CODE"},
            "title": {**TEXT, "description": "the code, by which the manual explains it"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": TEXT,
            "hint": {**TEXT, "description": "what to do"},
        },
        optional=("hint",),
    ),
}

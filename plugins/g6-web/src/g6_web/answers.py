"""What each path answers. Called from a pool of threads; a problem is raised as a G6Error."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zlib import crc32

import polars as pl

from g6_web.asked import bad
from g6_web.board import Board, Held, chain_csv, chain_rest, csv, snapshot_csv, snapshot_rest
from g6core import IST, Alert, DataError, Page, Records, installed, read_status, trading_date

JSON = "application/json"
CSV = "text/csv; charset=utf-8"
FRESH = {"Cache-Control": "no-store"}


@dataclass(frozen=True)
class Asked:
    """A request. path: what its path names; query: the checked parameters, None for those that are not given."""

    path: Mapping[str, str]
    query: Mapping[str, Any]
    etags: str = ""


@dataclass(frozen=True)
class Sources:
    """Where answers come from."""

    board: Board
    records: Records
    data_dir: Path


def status(sources: Sources, asked: Asked) -> Page:
    document = read_status(sources.data_dir)
    ts = document.get("last_cycle", {}).get("ts")
    age = sources.board.age(datetime.fromisoformat(ts)) if ts else None
    return page({**_finite(document), "ts": ts, "age": age})


def indices(sources: Sources, asked: Asked) -> Page:
    return page({**_envelope(sources.board), "indices": [_index(held, sources.board) for held in sources.board.all()]})


def snapshot(sources: Sources, asked: Asked) -> Page:
    held = sources.board.get(asked.path["index"])
    if asked.query["format"] == "csv":
        return _kept(held, asked, held.make(("snapshot", "csv"), snapshot_csv))
    return _kept(held, asked, held.make(("snapshot",), snapshot_rest), sources.board)


def quick_snapshot(sources: Sources, asked: Asked) -> Page | None:
    """The same without waiting, where it has been asked before; else None."""
    held = sources.board.get(asked.path["index"])
    as_csv = asked.query["format"] == "csv"
    body = held.ready(("snapshot", "csv") if as_csv else ("snapshot",))
    return None if body is None else _kept(held, asked, body, None if as_csv else sources.board)


def chain(sources: Sources, asked: Asked) -> Page:
    held = sources.board.get(asked.path["index"])
    expiry, around, columns = (asked.query[name] for name in ("expiry", "around", "columns"))
    if asked.query["format"] == "csv":
        key = ("chain", "csv", expiry, around, columns)
        return _kept(held, asked, held.make(key, lambda s: chain_csv(s, expiry, around, columns)))
    if columns:
        raise bad("`columns` are chosen of a CSV", "add format=csv; JSON has all of them")
    made = held.make(("chain", expiry, around), lambda s: chain_rest(s, expiry, around))
    return _kept(held, asked, made, sources.board)


def history(sources: Sources, asked: Asked) -> Page:
    index = sources.board.get(asked.path["index"]).snapshot.index
    since, until = _span(sources, index, asked.query)
    expiry, every = asked.query["expiry"], asked.query["every"]
    points = sources.records.series(index, asked.path["fact"], since, until, expiry=expiry, every=every)
    if asked.query["format"] == "csv":
        return Page(200, CSV, _series_csv(index, asked.path["fact"], points).encode(), FRESH)
    ts = points[-1][0] if points else None
    return page(
        {
            **_about(sources.board, ts),
            "index": index,
            "fact": asked.path["fact"],
            "expiry": expiry,
            "points": [
                {"ts": ts.isoformat(), "value": _plain(value), "expiry": _plain(day)} for ts, value, day in points
            ],
        }
    )


def alerts(sources: Sources, asked: Asked) -> Page:
    found = sources.records.alerts(asked.query["from"], asked.query["to"], asked.query["limit"] or 100)
    return page({**_envelope(sources.board), "alerts": [_alert(alert) for alert in found]})


def plugins(sources: Sources, asked: Asked) -> Page:
    selected = set(read_status(sources.data_dir).get("plugins", ()))
    rows = [
        {"name": p.name, "distribution": p.distribution, "version": p.version, "selected": p.name in selected}
        for p in installed()
    ]
    return page({**_envelope(sources.board), "plugins": rows})


def journal(sources: Sources, asked: Asked) -> Page:
    days, faults = sources.records.summaries()
    unreadable = [{"code": fault.code, "message": fault.message} for fault in faults]
    return page({**_envelope(sources.board), "days": days, "unreadable": unreadable})


def page(document: Mapping[str, Any]) -> Page:
    return Page(200, JSON, json.dumps(document, allow_nan=False, ensure_ascii=False).encode(), FRESH)


def etag(held: Held, asked: Asked) -> str:
    """Weak: the same snapshot is told with another age. Its parameters are those of the address."""
    chosen = "-".join(str(value) for value in asked.query.values() if value is not None)
    return f'W/"{held.snapshot.index}-{held.stamp}-{crc32(chosen.encode()):x}"'


def _kept(held: Held, asked: Asked, body: bytes, aged: Board | None = None) -> Page:
    tag = etag(held, asked)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if asked.etags and (asked.etags.strip() == "*" or tag in [part.strip() for part in asked.etags.split(",")]):
        return Page(304, JSON if aged else CSV, b"", headers)
    if aged is None:
        return Page(200, CSV, body, headers)
    return Page(200, JSON, b'{"age": %.3f, ' % aged.age(held.snapshot.ts) + body, headers)


def _span(sources: Sources, index: str, query: Mapping[str, Any]) -> tuple[datetime, datetime]:
    if query["date"] and (query["from"] or query["to"]):
        raise bad("`date` stands in place of `from` and `to`", "leave one of them out")
    day = query["date"]
    if day and day not in sources.records.days():
        raise DataError(f"{day} is not recorded", code="no-such-day", hint="`/api/v1/journal` lists the days")
    newest = sources.board.get(index).snapshot.ts
    if query["from"] or query["to"]:
        day = trading_date(query["to"] or newest)
    day = day or trading_date(newest)
    since = query["from"] or datetime.combine(day, time(), IST).astimezone(UTC)
    until = query["to"] or datetime.combine(day, time.max, IST).astimezone(UTC)
    if since > until:
        raise bad("`from` is later than `to`")
    return since, until


def _series_csv(index: str, fact: str, points: list[tuple[datetime, Any, date | None]]) -> str:
    frame = pl.DataFrame(
        {
            "ts": pl.Series([ts for ts, _, _ in points], dtype=pl.Datetime("us", "UTC")),
            "index": pl.Series([index] * len(points), dtype=pl.String),
            "expiry": pl.Series([day for _, _, day in points], dtype=pl.Date),
            fact: pl.Series([_plain(value) for _, value, _ in points], strict=False),
        }
    )
    return csv(frame)


def _index(held: Held, board: Board) -> dict[str, Any]:
    s = held.snapshot
    rows = s.expiries.select("expiry", "codes").iter_rows()
    return {
        "index": s.index,
        "ts": s.ts.isoformat(),
        "age": board.age(s.ts),
        "source": s.source,
        "simulated": s.simulated,
        "spot": _plain(s.facts.get("spot")),
        "options": s.options.height,
        "expiries": [{"expiry": str(day), "codes": codes or []} for day, codes in rows],
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {**asdict(alert), "ts": alert.ts.isoformat(), "labels": dict(alert.labels)}


def _envelope(board: Board) -> dict[str, Any]:
    """How fresh the recorder's knowledge is: what stands at the head of every answer."""
    return _about(board, max((held.snapshot.ts for held in board.all()), default=None))


def _about(board: Board, ts: datetime | None) -> dict[str, Any]:
    simulated = any(held.snapshot.simulated for held in board.all())
    age = None if ts is None else board.age(ts)
    return {"v": 1, "ts": ts.isoformat() if ts else None, "age": age, "simulated": simulated}


def _finite(tree: Any) -> Any:
    """Without numbers that JSON does not have."""
    if isinstance(tree, dict):
        return {name: _finite(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_finite(value) for value in tree]
    return _plain(tree)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, date | datetime) else value

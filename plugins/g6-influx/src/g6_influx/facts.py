"""What is not the options: `overview` (a point per snapshot), `expiries` (a point per expiry), `alerts`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from g6_influx import lines
from g6core import Alert, Snapshot, trading_date

MASKS = {"this_week": 1, "next_week": 2, "this_month": 4, "next_month": 8}
"""The bit of each expiry code in the overview's masks."""
TAGS = ("index", "code", "dte")
NOISE = 6
"""Decimals kept in a difference of prices, so that 24700.1 - 24599.4 reads 100.7."""


def overview(snapshot: Snapshot) -> str:
    """The facts, what follows from them, and which of the wanted expiries there are."""
    facts = {name: float(value) for name, value in snapshot.facts.items()}
    high, low = facts.get("high"), facts.get("low")
    width = None if high is None or low is None else round(high - low, NOISE)
    renamed = {lines.free(name, TAGS[:1]): value for name, value in facts.items()}
    fields = {**renamed, "day_width": width, **_by_code(snapshot.expiries)}
    return lines.line("overview", {"index": snapshot.index}, fields, lines.micros(snapshot.ts))


def expiries(snapshot: Snapshot) -> str:
    """A point per expiry with every column that can be a field, those of g6-greeks and of any other analytic."""
    frame, day = snapshot.expiries, trading_date(snapshot.ts)
    fields = [n for n, dtype in frame.schema.items() if n != "code" and lines.has_field(dtype)]
    names = [lines.free(name, TAGS) for name in fields]
    tags = zip(frame["code"].to_list(), frame["expiry"].to_list(), strict=True)
    return "".join(
        lines.line(
            "expiries",
            {"index": snapshot.index, "code": code or "", "dte": str((expiry - day).days)},
            dict(zip(names, row, strict=True)),
            lines.micros(snapshot.ts),
        )
        for (code, expiry), row in zip(tags, frame[fields].rows(), strict=True)
    )


def alerts(given: Sequence[Alert]) -> str:
    """A point per alert. Its key is a tag: two alerts of one rule, index and time would be one point without it."""
    return "".join(
        lines.line(
            "alerts",
            {"index": a.index, "rule": a.rule, "severity": a.severity, "state": a.state, "key": a.key},
            {"summary": a.summary, "labels": json.dumps(dict(a.labels), ensure_ascii=False, sort_keys=True)},
            lines.micros(a.ts),
        )
        for a in given
    )


def _by_code(expiries: pl.DataFrame) -> dict[str, Any]:
    """Each code with its put-call ratio, also when two of them name one expiry; counts and masks."""
    ratios = expiries["pcr_oi"] if "pcr_oi" in expiries.columns else [None] * expiries.height
    pcr: dict[str, Any] = {}
    collected: dict[str, bool] = {}
    for codes, quoted, ratio in zip(expiries["codes"].to_list(), expiries["quoted"], ratios, strict=True):
        for code in codes or ():
            pcr[f"pcr_{code}"] = ratio
            collected[code] = bool(quoted)
    expected_mask = sum(MASKS.get(code, 0) for code in collected)
    collected_mask = sum(MASKS.get(code, 0) for code, has in collected.items() if has)
    return {
        **pcr,
        "expiries_expected": len(collected),
        "expiries_collected": sum(collected.values()),
        "expected_mask": expected_mask,
        "collected_mask": collected_mask,
        "missing_mask": expected_mask & ~collected_mask,
    }

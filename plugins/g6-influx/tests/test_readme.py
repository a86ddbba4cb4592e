from __future__ import annotations

import json
import re
import time
import tomllib
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import g6_influx
import polars as pl
import pytest
from g6_influx.settings import Settings
from g6_influx.sink import InfluxSink

from g6core.testing import snapshot

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_sample_configuration_is_valid() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert Settings(**tomllib.loads(block)["sinks"]["influx"]) == Settings(org="home")


def test_every_setting_is_explained() -> None:
    (table,) = re.findall(r"\| setting \|.*?\n\n", README, re.DOTALL)
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(Settings.model_fields)
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    assert Settings.model_json_schema()["properties"]["token"]["env"] == "INFLUX_TOKEN"


def test_the_plugin_registers_one_sink() -> None:
    (spec,) = g6_influx.g6_sinks()
    assert (spec.name, spec.settings) == ("influx", Settings)
    assert type(spec.build(Settings())).__name__ == "InfluxSink"


def test_the_queries_give_what_they_say(own_victoria_metrics: Any, opened: Callable[..., InfluxSink]) -> None:
    s = snapshot()
    opened(url=own_victoria_metrics.url).write([s])
    own_victoria_metrics.get("/internal/force_flush")
    near = s.options.filter(pl.col("expiry_code") == "this_week")
    straddle = near.filter(pl.col("offset") == 0)["last_price"].sum()
    puts, calls = (near.filter(pl.col("right") == right)["oi"].sum() for right in ("PE", "CE"))
    queries = re.findall(r"```promql\n(.*?)\n```", README, re.DOTALL)
    assert len(queries) == 2
    for query, wanted in zip(queries, (straddle, puts / calls), strict=True):
        (found,) = ask(own_victoria_metrics, query, s.ts.timestamp())
        assert float(found["value"][1]) == pytest.approx(wanted)


def test_the_wide_form_has_the_legs_beside_each_other(
    own_victoria_metrics: Any, opened: Callable[..., InfluxSink]
) -> None:
    s = snapshot()
    opened(url=own_victoria_metrics.url, form="wide").write([s, s])
    own_victoria_metrics.get("/internal/force_flush")
    near = s.options.filter((pl.col("expiry_code") == "this_week") & (pl.col("offset") == 0))
    query = 'options_call_average_price{offset="0", dte="1"} + options_put_average_price{offset="0", dte="1"}'
    (found,) = ask(own_victoria_metrics, query, s.ts.timestamp())
    assert float(found["value"][1]) == pytest.approx(near["average_price"].sum())


def ask(server: Any, query: str, at: float) -> list[dict[str, Any]]:
    """The answer, once the server shows what was just written."""
    asked = urllib.parse.urlencode({"query": query, "time": at + 1, "nocache": 1})
    for _ in range(50):
        found = json.loads(server.get(f"/api/v1/query?{asked}"))["data"]["result"]
        if found:
            return list(found)
        time.sleep(0.1)
    return []

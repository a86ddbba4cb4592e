"""The README is true: settings, schema and queries."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import g6_sql
import polars as pl
import pytest
from g6_sql.settings import Settings
from g6_sql.sink import SqlSink
from g6_sql.tables import TABLES
from pydantic import ValidationError

from g6core import Snapshot
from g6core.testing import START, snapshot

from .conftest import Query

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)


def minute(n: int) -> Snapshot:
    """With what g6-greeks would say of an expiry."""
    s = snapshot(ts=START + timedelta(minutes=n))
    return s.replace(expiries=s.expiries.with_columns(pcr_oi=pl.lit(1.25)))


def test_the_sample_configurations_are_valid() -> None:
    samples = [tomllib.loads(block)["sinks"]["sql"] for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL)]
    assert [Settings(**sample).server for sample in samples] == [False, True]


def test_every_setting_is_explained() -> None:
    section = README.partition("## Settings")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(Settings.model_fields)
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_column_is_named() -> None:
    section = README.partition("## Tables")[2].partition("\n## ")[0]
    for table in TABLES:
        (line,) = re.findall(rf"^\| `{table.name}` \|.*$", section, re.MULTILINE)
        missing = [name for name in table.columns if not re.search(rf"`{name}`", line)]
        assert missing == [], table.name
        assert f"({', '.join(table.keys)})" in line


@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_the_queries_answer(opened: Callable[..., SqlSink], query: Query, number: int) -> None:
    batch = [minute(n) for n in range(3)]
    opened().write(batch)
    found = query(QUERIES[number].replace("2026-11-24", str(batch[0].expiries["expiry"][0])).replace(":", "\\:"))
    options = batch[-1].options
    expiry = options.filter(pl.col("expiry") == options["expiry"].min())
    wanted = {
        0: (3, 1.25),
        1: (3, expiry.filter(pl.col("offset") == 0)["last_price"].sum()),
        2: (expiry.height, None),
    }[number]
    assert len(found) == wanted[0]
    assert wanted[1] is None or found[-1][-1] == pytest.approx(wanted[1])


def test_there_are_three_queries() -> None:
    assert len(QUERIES) == 3


def test_the_plugin_registers_one_sink() -> None:
    (spec,) = g6_sql.g6_sinks()
    assert (spec.name, spec.settings) == ("sql", Settings)
    assert type(spec.build(Settings())).__name__ == "SqlSink"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://g6:hunter-two@db/g6",
        "postgresql://g6:hunter-two@more@db/g6",
        "postgresql://g6:hunter-two/more@db/g6",
        "postgresql+psycopg://g6@db/g6?password=hunter-two",
        "postgresql://:hunter-two@db/g6",
        "postgresql://g6:hunter-two",
        "postgresql://db:hunter-two/g6",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="G6_SINKS__SQL__PASSWORD") as caught:
        Settings(url=url)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mysql://h/db", "g6.sqlite", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///x?mode=ro"]
)
def test_an_address_that_would_keep_nothing_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        Settings(url=url)

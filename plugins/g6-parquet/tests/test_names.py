"""Names of indices in questions and answers: a list of its own to the database, texts to everybody else."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from g6_parquet import query
from g6_parquet.archive import ParquetArchive
from g6_parquet.settings import Settings

from g6core import Alert, make_context
from g6core.testing import START, ManualClock, snapshot, snapshots

NAMES = ["NIFTY", "M&M 100%", "O'Hara/₹", "index=x", "a, b", "ENUM('x')", "VARCHAR"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("named") / "parquet"
    archive = ParquetArchive(Settings(dir=root))
    archive.open(make_context(root.parent, ManualClock()))
    archive.write([snapshot(strikes=3).replace(index=name) for name in NAMES])
    return root


@pytest.mark.parametrize("name", NAMES)
def test_an_index_is_found_by_its_name(dataset: Path, name: str) -> None:
    quoted = name.replace("'", "''")
    (row,) = query.ask(
        dataset, f"SELECT count(*) AS n, min(index) AS i FROM expiries WHERE index = '{quoted}'"
    ).to_pylist()
    assert row == {"n": 2, "i": name}


def test_a_name_that_nobody_has_finds_nothing(dataset: Path) -> None:
    assert query.ask(dataset, "SELECT ts FROM options WHERE index IN ('nobody', '')").num_rows == 0


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT DISTINCT index FROM options ORDER BY index", [(name,) for name in sorted(NAMES)]),
        ("SELECT index FROM overview ORDER BY index DESC", [(name,) for name in sorted(NAMES, reverse=True)]),
        ('SELECT max(index) AS a, min(index) AS a, 1 AS "o""dd" FROM options', [("index=x", "ENUM('x')", 1)]),
        ("SELECT list(DISTINCT index ORDER BY index) AS l FROM options", [(sorted(NAMES),)]),
        ("SELECT {'a': max(index), 'ENUM': 1} AS s FROM options", [({"a": "index=x", "ENUM": 1},)]),
        ("SELECT map {max(index): 2} AS m FROM options", [([("index=x", 2)],)]),
        ("SELECT DISTINCT index || '!' AS i FROM options WHERE starts_with(index, 'NI')", [("NIFTY!",)]),
        ("SELECT count(*) FROM options o JOIN overview v ON o.index = v.index AND o.ts = v.ts", [(12 * len(NAMES),)]),
        ("SELECT index FROM coverage WHERE rows > 0 ORDER BY ALL LIMIT 1", [(sorted(NAMES)[0],)]),
    ],
)
def test_names_are_texts_in_answers(dataset: Path, sql: str, expected: list[tuple[object, ...]]) -> None:
    answer = query.ask(dataset, sql)
    assert list(zip(*(column.to_pylist() for column in answer.columns), strict=True)) == expected
    assert "dictionary" not in str(answer.schema)


def test_the_next_question_knows_a_name_that_came_since(tmp_path: Path) -> None:
    archive = ParquetArchive(Settings(dir=tmp_path / "parquet"))
    archive.open(make_context(tmp_path, ManualClock()))
    for name in ("NIFTY", "BANKNIFTY"):
        archive.write([s.replace(index=name) for s in snapshots(2, strikes=3)])
        found = query.ask(
            tmp_path / "parquet", "SELECT index, count(*) FROM overview GROUP BY index ORDER BY index DESC"
        )
        assert found.schema.field("index").type == pa.string()
        assert found["index"].to_pylist()[-1] == name


def test_names_of_tables_without_rows_are_texts_as_well(dataset: Path) -> None:
    answer = query.ask(dataset, "SELECT index FROM alerts")
    assert (answer.num_rows, answer.schema.field("index").type) == (0, pa.string())


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT rule FROM alerts WHERE index = ''", [("stale",)]),
        ("SELECT index, rule FROM alerts ORDER BY index", [("", "stale"), ("NIFTY", "pcr")]),
        ("SELECT a.index, v.index FROM alerts a LEFT JOIN overview v USING (index)", [("", None), ("NIFTY", "NIFTY")]),
        ("SELECT index FROM alerts FULL JOIN overview USING (index) ORDER BY ALL", [("",), ("NIFTY",), ("SENSEX",)]),
    ],
)
def test_an_alert_about_the_recorder_has_an_empty_name(
    tmp_path: Path, sql: str, expected: list[tuple[object, ...]]
) -> None:
    archive = ParquetArchive(Settings(dir=tmp_path / "parquet"))
    archive.open(make_context(tmp_path, ManualClock()))
    archive.write([snapshot(strikes=3).replace(index=name) for name in ("NIFTY", "SENSEX")])
    archive.write_alerts([Alert(rule, name, START, "told") for rule, name in (("stale", ""), ("pcr", "NIFTY"))])
    answer = query.ask(tmp_path / "parquet", sql)
    found = list(zip(*(column.to_pylist() for column in answer.columns), strict=True))
    assert sorted(found, key=repr) == expected

"""Files for other programs: what is in them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from g6_parquet import export as exporting
from g6_parquet.archive import ParquetArchive
from g6_parquet.export import Wanted, export
from openpyxl import load_workbook
from polars.testing import assert_frame_equal

from g6core import ConfigError, DataError, Unavailable
from g6core.testing import START, snapshots

Open = Callable[..., ParquetArchive]


@pytest.fixture
def recorded(opened: Open) -> ParquetArchive:
    archive = opened()
    for d in range(2):
        for index in ("NIFTY", "BANKNIFTY"):
            batch = snapshots(2, index, START + timedelta(days=d), strikes=3)
            archive.write([s.replace(options=s.options.with_columns(note=pl.lit("=1+1"))) for s in batch])
    return archive


def exported(root: Path, path: Path, *, force: bool = False, **wanted: object) -> int:
    return export(root, Wanted(**wanted), path, force=force)  # type: ignore[arg-type]


def test_parquet_holds_the_table(recorded: ParquetArchive, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "all.parquet"
    assert exported(root, path) == 8 * 12
    frame = pl.read_parquet(path)
    given = [s for d in recorded.days() for s in recorded.read(d) if s.index == "NIFTY"]
    wanted = pl.concat([s.options.with_columns(ts=pl.lit(s.ts)) for s in given])
    ours = frame.filter(pl.col("index") == "NIFTY").with_columns(pl.col(pl.Datetime).dt.convert_time_zone("UTC"))
    assert_frame_equal(ours.select(wanted.columns), wanted, check_exact=True)


def test_csv_is_the_same_with_the_times_of_india(recorded: ParquetArchive, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    assert exported(root, path, indices=("NIFTY",), first=date(2026, 8, 18)) == 2 * 12
    frame = pl.read_csv(path)
    assert frame["ts"].unique().sort().to_list() == ["2026-08-18T09:30:00+05:30", "2026-08-18T09:31:00+05:30"]
    assert set(frame["index"]) == {"NIFTY"}
    wanted = [
        price for s in recorded.read(date(2026, 8, 18)) if s.index == "NIFTY" for price in s.options["last_price"]
    ]
    assert frame["last_price"].to_list() == wanted


def test_excel_has_naive_times_of_india_and_texts_that_are_texts(
    recorded: ParquetArchive, root: Path, tmp_path: Path
) -> None:
    path = tmp_path / "day.xlsx"
    assert exported(root, path, last=date(2026, 8, 17)) == 4 * 12
    header, *rows = load_workbook(path)["g6"].iter_rows(values_only=True)
    assert len(rows) == 4 * 12
    first = dict(zip(header, rows[0], strict=True))
    assert first["ts (IST)"] == datetime(2026, 8, 17, 9, 30)  # noqa: DTZ001
    assert first["date"] == datetime(2026, 8, 17)  # noqa: DTZ001
    assert first["note"] == "=1+1"
    assert isinstance(first["strike"], (int, float))
    assert None in {cell for row in rows for cell in row}


@pytest.mark.parametrize("table", ["expiries", "overview"])
def test_other_tables(recorded: ParquetArchive, root: Path, tmp_path: Path, table: str) -> None:
    for kind in ("parquet", "csv", "xlsx"):
        assert exported(root, tmp_path / f"{table}.{kind}", table=table) in (8, 16)


def test_the_answer_to_a_query(recorded: ParquetArchive, root: Path, tmp_path: Path) -> None:
    sql = "SELECT index, count(*) AS n, INTERVAL 1 DAY AS i FROM options GROUP BY index ORDER BY index"
    path = tmp_path / "answer.xlsx"
    assert exported(root, path, sql=sql) == 2
    rows = list(load_workbook(path)["g6"].iter_rows(values_only=True))
    assert rows == [("index", "n", "i"), ("BANKNIFTY", 48, "1 day"), ("NIFTY", 48, "1 day")]
    with pytest.raises(ConfigError) as caught:
        exported(root, tmp_path / "answer.parquet", sql=sql)
    assert "CAST" in (caught.value.hint or "")
    assert not (tmp_path / "answer.parquet").exists()


def test_a_file_is_not_overwritten_unless_told(recorded: ParquetArchive, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("precious")
    with pytest.raises(ConfigError) as caught:
        exported(root, path)
    assert caught.value.code == "file-exists"
    assert path.read_text() == "precious"
    assert exported(root, path, force=True) == 8 * 12


@pytest.mark.parametrize("sql", ["SELECT nothing FROM options", "SELECT error('no') FROM options"])
def test_what_fails_leaves_no_file_and_the_old_one(
    recorded: ParquetArchive, root: Path, tmp_path: Path, sql: str
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("precious")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ConfigError):
        exported(root, path, sql=sql, force=True)
    assert sorted(tmp_path.iterdir()) == before
    assert path.read_text() == "precious"


def test_more_rows_than_excel_has_are_refused_with_a_way_out(
    root: Path, tmp_path: Path, recorded: ParquetArchive
) -> None:
    path = tmp_path / "large.xlsx"
    with pytest.raises(DataError) as caught:
        exported(root, path, sql=f"SELECT * FROM range({exporting.EXCEL_ROWS})")
    assert caught.value.code == "too-many-rows"
    assert "--from" in (caught.value.hint or "")
    assert not path.exists()


def test_what_is_not_there_and_where_it_cannot_go(recorded: ParquetArchive, root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing of that") as caught:
        exported(root, tmp_path / "x.csv", indices=("SENSEX",))
    assert caught.value.hint == "there is BANKNIFTY, NIFTY from 2026-08-17 to 2026-08-18"
    with pytest.raises(ConfigError, match="no known extension"):
        exported(root, tmp_path / "x.txt")
    with pytest.raises(Unavailable) as refused:
        exported(root, tmp_path / "no" / "x.csv")
    assert refused.value.code == "not-writable"

"""What can be asked, what is answered, and what no question reaches."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from g6_parquet import query, views
from g6_parquet.archive import ParquetArchive
from g6_parquet.compaction import compact
from g6_parquet.dataset import Dataset
from g6_parquet.segments import places
from g6_parquet.settings import Settings
from g6_parquet.tables import CORE

from g6core import Alert, ConfigError, DataError, G6Error, make_context
from g6core.cli import main
from g6core.testing import START, ManualClock, snapshots

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`g6 …` in the directory of the test: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("G6_")]:
        monkeypatch.delenv(name)
    # Otherwise each command is looked for in all plugins, by a process of its own.
    monkeypatch.setenv("G6_PLUGINS", "parquet")

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--data-dir", str(tmp_path)])
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of two indices in several files, one of them compacted, columns that come and go, an alert."""
    root = tmp_path_factory.mktemp("recorded") / "parquet"
    archive = ParquetArchive(Settings(dir=root))
    archive.open(make_context(root.parent, ManualClock()))
    for d in range(2):
        for s in snapshots(3, "NIFTY", START + timedelta(days=d), strikes=5):
            archive.write([s, s.replace(index="BANKNIFTY")])
    (late,) = snapshots(1, "NIFTY", START + timedelta(days=1, hours=1), strikes=5)
    nan = late.options.with_columns(iv=pl.lit(math.nan))
    archive.write([late.replace(options=nan, facts={**late.facts, "gex": 5.0})])
    archive.write_alerts([Alert("pcr_high", "NIFTY", START, "PCR 1.6 ₹", labels={"expiry": "this_week"})])
    return root


@pytest.fixture
def recorded(dataset: Path, root: Path) -> Path:
    return Path(shutil.copytree(dataset, root))


def asked(root: Path, sql: str) -> list[dict[str, object]]:
    return query.ask(root, sql).to_pylist()


def refused(root: Path, sql: str) -> G6Error:
    with pytest.raises(G6Error) as caught:
        query.ask(root, sql)
    return caught.value


def test_every_table_is_there_with_its_columns(recorded: Path, root: Path) -> None:
    counts = {name: asked(root, f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in views.VIEWS}
    assert counts == {"options": 13 * 20, "expiries": 13 * 2, "overview": 13, "alerts": 1, "coverage": 4}
    assert [row["name"] for row in asked(root, "SHOW TABLES")] == sorted(views.VIEWS)


@pytest.mark.parametrize("table", CORE)
def test_the_columns_of_sql_are_those_that_are_stored(table: str) -> None:
    names = list(views._core(table))
    assert names[:3] == ["date", "index", "ts"]
    stored = [name for name in CORE[table] if name not in ("ts", "index")]
    assert names[3 : 3 + len(stored)] == stored


def test_columns_that_came_and_went_are_null_elsewhere(recorded: Path, root: Path) -> None:
    for compacted in (False, True):
        if compacted:
            for place in places(root):
                compact(place, Settings())
        (row,) = asked(root, "SELECT count(gex) AS n, count(*) AS all FROM overview".replace("all", "total"))
        assert row == {"n": 1, "total": 13}
        assert asked(root, "SELECT count(iv) AS n FROM options") == [{"n": 20}]


def test_the_overview_has_the_facts(recorded: Path, root: Path) -> None:
    (row,) = asked(root, f"SELECT * FROM overview WHERE index = 'NIFTY' AND ts = '{START.isoformat()}'")
    s = next(s for s in Dataset(root).read(START.date()) if s.index == "NIFTY")
    assert (row["simulated"], row["contracts"], row["source"]) == (True, 20, "fake")
    assert {name: row[name] for name in ("spot", "open", "high", "low", "close", "vix")} == {
        name: value for name, value in s.facts.items() if name != "simulated"
    }


def test_the_coverage_says_how_much_there_is(recorded: Path, root: Path) -> None:
    row = asked(root, "SELECT * FROM coverage WHERE index = 'NIFTY' ORDER BY date DESC")[0]
    assert (row["snapshots"], row["rows"], row["biggest_gap_seconds"]) == (4, 80, 58 * 60.0)
    assert row["first"] == START + timedelta(days=1)
    assert row["last"] == START + timedelta(days=1, hours=1)
    assert 0.5 < row["quoted"] < 1  # type: ignore[operator]


def test_an_alert_has_its_labels(recorded: Path, root: Path) -> None:
    (row,) = asked(root, "SELECT labels['expiry'] AS expiry, summary, ts FROM alerts")
    assert row == {"expiry": "this_week", "summary": "PCR 1.6 ₹", "ts": START}


def test_only_the_files_of_the_asked_index_and_date_are_read(recorded: Path, root: Path) -> None:
    known = next(p for p in places(root) if (p.index, str(p.day)) == ("NIFTY", "2026-08-17")).segments()[0].columns
    for place in places(root):
        if (place.index, str(place.day)) != ("NIFTY", "2026-08-17"):
            for segment in place.segments():
                if segment.columns == known:
                    place.file("options", segment).write_bytes(b"")
    where = "WHERE index = 'NIFTY' AND date = '2026-08-17'"
    assert asked(root, f"SELECT count(*) AS n FROM options {where}") == [{"n": 60}]
    error = refused(root, "SELECT sum(strike) FROM options")
    assert (error.code, len(error.where)) == ("parquet-unreadable", 1)
    assert Path(error.where[0]).read_bytes() == b""


def test_a_file_whose_end_is_garbage_between_whole_marks_is_named(recorded: Path, root: Path) -> None:
    place = places(root)[0]
    path = place.file("snapshots", place.segments()[0])
    path.write_bytes(path.read_bytes()[:-30] + b"\xff" * 26 + b"PAR1")
    for _ in range(2):
        error = refused(root, "SELECT min(spot) FROM overview")
        assert (error.code, error.where) == ("parquet-unreadable", (str(path),))


def test_dates_and_hours_are_those_of_india(recorded: Path, root: Path) -> None:
    (row,) = asked(
        root, "SELECT hour(ts) AS h, minute(ts) AS m, CAST(ts AS DATE) AS d FROM overview ORDER BY ts LIMIT 1"
    )
    assert (row["h"], row["m"], str(row["d"])) == (9, 30, "2026-08-17")


def test_nothing_recorded_is_said(root: Path) -> None:
    assert refused(root, "SELECT 1").code == "nothing-recorded"


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT strik FROM options", "did you mean `strike`? options: date, index, ts"),
        ("SELECT o.strik FROM options o", "did you mean `strike`?"),
        ("SELECT spot FROM overviev", "did you mean `overview`? the tables are options"),
        ("SELECT * FROM candles", "the tables are options, expiries, overview, alerts, coverage"),
        ("SELECT right FROM options", 'write "right" in double quotes'),
        ("SELECT * FROM options WHERE offset = 0", 'write "offset" in double quotes'),
    ],
)
def test_a_mistake_is_told_with_what_there_is(recorded: Path, root: Path, sql: str, says: str) -> None:
    error = refused(root, sql)
    assert (error.code, error.exit_code) == ("bad-query", 2)
    assert says in (error.hint or "")


ESCAPES = [
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_json('{secret}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM glob('{place}/*')",
    "SELECT * FROM parquet_metadata('{secret}')",
    "SELECT * FROM parquet_schema('{secret}')",
    "SELECT * FROM parquet_kv_metadata('{secret}')",
    "SELECT * FROM parquet_file_metadata('{secret}')",
    "SELECT * FROM read_parquet('{place}/**/*.parquet')",
    "SELECT * FROM read_duckdb('{secret}')",
    "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
    "SELECT * FROM query_table('{secret}')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{secret}'')'))",
    "SELECT * FROM 'http://127.0.0.1:9/x.parquet'",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "SELECT * FROM sqlite_scan('{secret}', 't')",
    "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 't')",
    "SELECT getenv('HOME')",
    "SELECT * FROM secret",
    "SELECT * FROM enable_logging(storage = 'file', storage_path = '{place}/out')",
    "SELECT * FROM enable_profiling(format = 'json', save_location = '{place}/out')",
    "SELECT * FROM register_external_resource('{place}/out')",
    "COPY options TO '{place}/out'",
    "COPY (SELECT 1) TO '{place}/out'",
    "EXPORT DATABASE '{place}/out'",
    "ATTACH '{place}/out'",
    "CREATE TABLE t AS SELECT 1",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "CALL enable_logging()",
    "SELECT 1; COPY options TO '{place}/out'",
    "EXPLAIN ANALYZE SELECT 1",
    "PREPARE p AS SELECT 1",
    "",
]


@pytest.mark.parametrize("escape", ESCAPES)
def test_no_question_reaches_anything_else(recorded: Path, root: Path, tmp_path: Path, escape: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("password\nhunter2\n")
    before = sorted(tmp_path.rglob("*"))
    error = refused(root, escape.format(secret=secret, place=tmp_path))
    assert isinstance(error, (ConfigError, DataError))
    assert "hunter2" not in error.render()
    assert sorted(tmp_path.rglob("*")) == before


def test_what_takes_more_memory_than_it_may_ends(recorded: Path, root: Path) -> None:
    with pytest.raises(DataError, match="memory"):
        query.ask(root, "SELECT list(a.i) FROM range(100000000) a(i), options", memory="50MB")
    with pytest.raises(ConfigError, match="no size of memory"):
        query.ask(root, "SELECT 1", memory="much")


def test_the_command_shows_a_table_with_the_times_of_india(recorded: Path, run: Run) -> None:
    code, out, _ = run("query", 'SELECT ts, strike, "right", iv FROM options ORDER BY ALL LIMIT 2')
    assert code == 0
    header, rule, first, *_, footer = out.splitlines()
    assert re.split(r" {2,}", header) == ["ts", "strike", "right", "iv"]
    assert set(rule) == {"─", " "}
    assert first.startswith("2026-08-17 09:30:00  ")
    assert footer == "(2 rows; times are India's (IST, +05:30))"


def test_the_command_writes_json_in_utc_without_nan(recorded: Path, run: Run) -> None:
    sql = """SELECT ts, iv, 'inf'::DOUBLE AS i, codes, sum(oi) OVER () AS total, 2.50::DECIMAL(9, 2) AS d,
        ts - lag(ts) OVER (ORDER BY ts) AS gap, date, {'a': 'nan'::DOUBLE} AS s
        FROM options JOIN expiries USING (date, index, ts, expiry) ORDER BY iv, ts LIMIT 2"""
    code, out, _ = run("query", sql, "--json")
    assert code == 0
    document = json.loads(out, parse_constant=lambda text: pytest.fail(f"{text} in JSON"))
    assert document["v"] == 1
    assert document["columns"] == ["ts", "iv", "i", "codes", "total", "d", "gap", "date", "s"]
    row = dict(zip(document["columns"], document["rows"][0], strict=True))
    assert datetime.fromisoformat(row["ts"]).utcoffset() == timedelta(0)
    assert (row["iv"], row["i"], row["s"]) == (None, None, {"a": None})
    assert isinstance(row["codes"], list)
    assert isinstance(row["total"], int)
    assert row["d"] == 2.5


def test_the_command_writes_csv(recorded: Path, run: Run) -> None:
    sql = """SELECT ts, 'nan'::DOUBLE AS n, ['a', 'b'] AS l, INTERVAL 90 SECOND AS i, 'a,"b' AS "x,y"
        FROM overview LIMIT 1"""
    code, out, _ = run("query", sql, "--csv")
    assert code == 0
    assert out == 'ts,n,l,i,"x,y"\n2026-08-17T09:30:00+05:30,,"[""a"", ""b""]",00:01:30,"a,""b"\n'


def test_many_rows_are_cut_for_people_only(recorded: Path, run: Run) -> None:
    _, out, _ = run("query", "SELECT strike FROM options")
    assert len(out.splitlines()) == 203
    assert out.endswith("(260 rows; the first 200 are shown, --csv and --json give all)\n")


def test_the_commands_use_the_settings_of_the_sink(recorded: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "g6.toml").write_text('plugins = ["parquet"]\n[sinks.parquet]\ndir = "elsewhere"\n')
    recorded.rename(tmp_path / "elsewhere")
    code, out, _ = run("query", "SELECT count(*) AS n FROM overview", "--json")
    assert (code, json.loads(out)["rows"]) == (0, [[13]])
    code, out, err = run("compact", "--all", "--json")
    assert (code, err) == (0, "")
    assert len(json.loads(out)["compacted"]) == 3
    code, out, err = run("compact")
    assert (code, out, err) == (0, "", "0 compacted, 5 were already\n")
    assert run("compact", "--date", "2020-01-01")[0] == 1


def test_a_directory_without_any_files_is_named(run: Run, tmp_path: Path) -> None:
    for words in (["query", "SELECT 1"], ["compact"], ["compact", "--all"]):
        code, out, err = run(*words)
        assert (code, out) == (1, "")
        assert err.startswith("error[nothing-recorded]: no Parquet files are there")
        assert str(tmp_path / "parquet") in err


def test_a_mistake_on_the_command_line(recorded: Path, run: Run) -> None:
    code, out, err = run("query", "SELECT strik FROM options", "--json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == "bad-query"
    assert err.startswith("error[bad-query]: the query cannot be run: Referenced column")


def test_times_of_any_zone_are_the_same_instant(recorded: Path, root: Path) -> None:
    (row,) = asked(root, "SELECT min(ts) AS first FROM overview")
    assert row["first"] == START
    assert row["first"].astimezone(UTC) == START  # type: ignore[attr-defined]


def test_the_next_question_sees_what_was_written_since(recorded: Path, root: Path) -> None:
    """The database is kept from one question to the next, as long as the files are the same."""
    count = "SELECT count(*) AS n FROM options"
    assert asked(root, count) == asked(root, count) == [{"n": 260}]
    archive = ParquetArchive(Settings(dir=root))
    archive.open(make_context(root.parent, ManualClock()))
    archive.write(snapshots(1, "NIFTY", START + timedelta(days=2), strikes=5))
    assert asked(root, count) == [{"n": 280}]
    assert refused(root, "SELECT nothing FROM options").code == "bad-query"
    assert asked(root, count) == [{"n": 280}]
    assert asked(root, "SELECT hour(min(ts)) AS h FROM options") == [{"h": 9}]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked on Windows")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.timeout(60)
def test_a_process_that_was_forked_asks_for_itself(recorded: Path, root: Path) -> None:
    count = "SELECT count(*) AS n FROM options"
    assert asked(root, count) == [{"n": 260}]
    child = os.fork()
    if child == 0:
        answered = False
        try:
            # Another question makes it let go of the database that it was born with.
            answered = asked(root, count.replace("options", "overview")) == [{"n": 13}]
        finally:
            os._exit(not answered)
    assert os.waitpid(child, 0)[1] == 0
    assert asked(root, count) == [{"n": 260}]

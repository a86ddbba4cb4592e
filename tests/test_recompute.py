"""`g6 recompute`: the same numbers however many processes, whole days or none, and the recording untouched."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import polars as pl
import pytest

from g6core import Snapshot, days
from g6core.cli.options import load_recorded
from g6core.errors import ConfigError, DataError, G6Error
from g6core.journal import Journal
from g6core.lock import DirectoryLock
from g6core.recompute import Outcome, View, recompute
from g6core.restore import restore
from g6core.testing import START, snapshots
from g6core.testing.archive_contract import same
from g6core.units import STRETCH, Desk, choose, recipe_of
from tests.launch import Launcher, Piped

Run = Callable[..., CompletedProcess[str]]
Env = Callable[..., dict[str, str]]
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals are not like that on Windows")

DRIFT = '''
import os, signal, time
from pydantic import BaseModel, ConfigDict, Field
from g6core import Analytic, AnalyticSpec, hookimpl, trading_date

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    factor: float = Field(1.0, description="of the drift")
    fails_on: str = Field("", description="an index")
    dies_on: str = Field("", description="an index")
    sleep: float = Field(0.0, description="seconds for each snapshot")

class Drift(Analytic):
    """Of the spot since the day's first snapshot, and since the last one of the day before."""
    def __init__(self, settings):
        self.settings, self.first, self.before = settings, {}, {}
    def open(self, context):
        self.context = context
    def compute(self, s):
        time.sleep(self.settings.sleep)
        assert self.context.clock.now() == s.ts
        if s.index == self.settings.dies_on:
            os.kill(os.getpid(), signal.SIGKILL)
        if s.index == self.settings.fails_on:
            raise ValueError(f"no drift of {s.index}")
        day = trading_date(s.ts)
        if day not in self.first:
            history = self.context.history
            self.first[day] = (history.first(s.index, day, s.ts) or s).facts["spot"]
            earlier = [d for d in history.days(s.ts) if d < day]
            last = history.last(s.index, earlier[-1], s.ts) if earlier else None
            self.before[day] = last.facts["spot"] if last else None
        spot, k = s.facts["spot"], self.settings.factor
        gap = {} if self.before[day] is None else {"facts.gap": spot - self.before[day]}
        facts = {**s.facts, "drift": k * (spot - self.first[day])} | {"gap": v for v in gap.values()}
        return s.replace(facts=facts, options=s.options.with_columns(moved=s.options["last_price"] * k))

@hookimpl
def g6_analytics():
    adds = ("facts.drift", "facts.gap", "options.moved")
    return [AnalyticSpec(name="drift", build=Drift, settings=Settings, needs=("facts.spot",), adds=adds)]
'''


@pytest.fixture(scope="session")
def drift(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory for sys.path with an installed plugin `drift`."""
    site = tmp_path_factory.mktemp("site")
    (site / "g6_drift.py").write_text(DRIFT)
    info = site / "g6_drift-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: g6-drift\nVersion: 1.0\nRequires-Dist: g6core>=0.1\n")
    (info / "entry_points.txt").write_text("[g6]\ndrift = g6_drift\n")
    return str(site)


@pytest.fixture
def redo(tmp_path: Path, drift: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """`redo("analytics.drift.factor=2", workers=2)`: tmp_path/D into tmp_path/out, by plugin `drift`."""
    monkeypatch.syspath_prepend(drift)
    monkeypatch.chdir(tmp_path)

    def run(*changes: str, out: str = "out", plugins: str = "drift", **options: Any) -> Outcome:
        return recompute(*load_recorded(None, plugins, tmp_path / "D", changes), out=tmp_path / out, **options)

    return run


def record(data_dir: Path, *taken: Snapshot) -> None:
    journal = Journal(data_dir, [])
    for snapshot in taken:
        encoded = journal.encode(snapshot)
        journal.append(encoded.path, [encoded])
    journal.close()


def two_days(data_dir: Path, n: int = 20) -> list[Snapshot]:
    """Two days of two indices, `n` snapshots each, three strikes."""
    starts = [START, START + timedelta(days=1)]
    taken = [
        s
        for start in starts
        for pair in zip(*(snapshots(n, index, start, strikes=3) for index in ("NIFTY", "BANKNIFTY")), strict=True)
        for s in pair
    ]
    record(data_dir, *taken)
    return taken


def rows(data_dir: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Each day as it stands in its file, byte for byte."""
    columns = 'seq, ts, "index", source, facts, expiries, options'
    found = {}
    for path in days.days(data_dir):
        with days.reading(path) as db:
            found[path.stem] = db.execute(f"SELECT {columns} FROM snapshots ORDER BY seq").fetchall()
    return found


def stored(data_dir: Path) -> list[Snapshot]:
    return [s for path in days.days(data_dir) for _, s in days.read_day(path)]


# --- the numbers -----------------------------------------------------------------------------------------------------


def test_what_was_recorded_live_comes_out_byte_for_byte_however_many_processes(
    g6: Run, tmp_path: Path, redo: Callable[..., Outcome]
) -> None:
    live = "strategy.below=2", "strategy.above=2", "indices.NIFTY.enabled=true", "indices.SENSEX.enabled=true"
    settings = [word for change in live for word in ("--set", change)]
    run = g6("run", "--plugins", "sim,greeks", "--cycles", "3", "--interval", "1s", "--data-dir", "D", *settings)
    assert run.returncode == 0, run.stderr
    recorded = rows(tmp_path / "D")
    assert any("iv" in s.options.columns and s.options["iv"].count() for s in stored(tmp_path / "D"))
    for workers in (1, 2):
        outcome = redo(plugins="greeks", out=str(workers), workers=workers)
        assert outcome.whole and outcome.simulated
        assert rows(tmp_path / str(workers)) == recorded
    changed = redo("analytics.greeks.rate=0.01", plugins="greeks", out="changed", workers=1)
    assert changed.whole
    for was, now in zip(stored(tmp_path / "D"), stored(tmp_path / "changed"), strict=True):
        assert now.options.select("symbol", "last_price", "oi").equals(was.options.select("symbol", "last_price", "oi"))
        assert not now.options["iv"].equals(was.options["iv"])


def test_where_a_day_is_cut_changes_no_number(tmp_path: Path) -> None:
    record(tmp_path / "D", *snapshots(STRETCH + 30, strikes=5, spot=24_000.0))
    configuration, registry = load_recorded(None, "greeks", tmp_path / "D", ())
    units, _ = choose(configuration.settings.data_dir, None, None, ())
    assert [unit.snapshots for unit in units] == [STRETCH, 30]
    whole = replace(units[0], snapshots=STRETCH + 30)
    desk = Desk(recipe_of(configuration, registry))
    in_pieces = [row for unit in units for batch in desk(unit) for row in batch.rows]
    assert in_pieces == [row for batch in desk(whole) for row in batch.rows]
    assert [row[0] for row in in_pieces] == list(range(1, STRETCH + 31))


def test_analytics_are_fresh_for_each_day_and_see_the_recording_before_it(
    tmp_path: Path, redo: Callable[..., Outcome]
) -> None:
    taken = two_days(tmp_path / "D")
    one, two = redo(out="one", workers=1), redo(out="two", workers=2)
    assert (one.workers, two.workers) == (1, 2)
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
    now = stored(tmp_path / "one")
    assert [(s.index, s.ts, s.source) for s in now] == [(s.index, s.ts, s.source) for s in taken]
    spots = {(s.index, s.ts): s.facts["spot"] for s in taken}
    for s in now:
        start = START if s.ts < START + timedelta(days=1) else START + timedelta(days=1)
        assert s.facts["drift"] == pytest.approx(s.facts["spot"] - spots[s.index, start])
        if start == START:
            assert "gap" not in s.facts
        else:
            assert s.facts["gap"] == pytest.approx(s.facts["spot"] - spots[s.index, START + timedelta(minutes=19)])
    assert one.days == two.days
    assert [(done.snapshots, done.options) for done in one.days] == [(40, 40 * now[0].options.height)] * 2


def test_a_changed_setting_takes_the_place_of_the_old_numbers(tmp_path: Path, redo: Callable[..., Outcome]) -> None:
    two_days(tmp_path / "D", 2)
    redo("analytics.drift.factor=2", out="first", workers=1)
    # From a recording that has the columns already, and over an earlier result.
    shutil.rmtree(tmp_path / "D")
    shutil.copytree(tmp_path / "first", tmp_path / "D")
    for factor in (3, 4):
        redo(f"analytics.drift.factor={factor}", workers=1)
        for s in stored(tmp_path / "out"):
            assert s.options["moved"].equals((s.options["last_price"] * factor).alias("moved"))
            assert s.options.columns.count("moved") == 1
    assert not list((tmp_path / "out" / "journal").glob("*.new"))


def test_what_an_archive_keeps_with_fewer_digits_is_computed_again_with_all(
    tmp_path: Path, redo: Callable[..., Outcome]
) -> None:
    two_days(tmp_path / "D", 3)
    seventh = f"analytics.drift.factor={1 / 7}"
    assert redo(seventh, "sinks.parquet.digits=6", plugins="drift,parquet", workers=1).whole
    shutil.rmtree(tmp_path / "D")
    (tmp_path / "D").mkdir()
    shutil.move(tmp_path / "out" / "parquet", tmp_path / "D" / "parquet")
    restore(load_recorded(None, "parquet", tmp_path / "D", [])[0], None, None)
    redo(seventh, out="again", workers=1)
    taken, short, again = ({(s.ts, s.index): s for s in stored(tmp_path / d)} for d in ("out", "D", "again"))
    for key, was in taken.items():
        assert not short[key].options["moved"].equals(was.options["moved"])
        same(again[key], was)


def test_what_nobody_declares_is_kept_of_options_and_left_out_elsewhere(
    tmp_path: Path, redo: Callable[..., Outcome]
) -> None:
    def aged(s: Snapshot) -> Snapshot:
        return s.replace(
            options=s.options.with_columns(exchange_iv=pl.lit(0.2), edge=pl.lit(1.0), moved=pl.lit(7.0)),
            expiries=s.expiries.with_columns(skew=pl.lit(0.1)),
            facts={**s.facts, "gex": 5.0, "drift": 9.0},
        )

    record(tmp_path / "D", *map(aged, snapshots(3, strikes=3)))
    outcome = redo(workers=1)
    assert outcome.kept == {"options.exchange_iv", "options.edge"}
    assert outcome.left_out == {"expiries.skew", "facts.gex"}
    for s in stored(tmp_path / "out"):
        assert s.options["exchange_iv"].unique().to_list() == [0.2]
        assert s.options["moved"].equals(s.options["last_price"].alias("moved"))
        assert "skew" not in s.expiries.columns
        assert "gex" not in s.facts and s.facts["drift"] != 9.0
    outcome = redo(workers=1, drop=["edge"])
    assert outcome.kept == {"options.exchange_iv"}
    assert all("edge" not in s.options.columns for s in stored(tmp_path / "out"))
    with pytest.raises(ConfigError, match="`bid` is a column of the core"):
        redo(drop=["bid"])


def test_an_analytic_that_fails_is_counted_with_its_first_reason(tmp_path: Path, redo: Callable[..., Outcome]) -> None:
    taken = two_days(tmp_path / "D", 3)
    outcome = redo("analytics.drift.fails_on=NIFTY", workers=2)
    failure = outcome.failures["drift"]
    assert (failure.count, failure.reason) == (6, "ValueError: no drift of NIFTY")
    assert failure.at == (START, "NIFTY")
    assert not outcome.whole
    for was, now in zip(taken, stored(tmp_path / "out"), strict=True):
        assert ("drift" in now.facts) == (was.index != "NIFTY")


def test_what_is_recorded_meanwhile_is_left_for_the_next_time(tmp_path: Path, redo: Callable[..., Outcome]) -> None:
    taken = snapshots(4, strikes=3)
    record(tmp_path / "D", *taken[1:3])
    recipe = recipe_of(*load_recorded(None, "drift", tmp_path / "D", ()))
    units, _ = choose(tmp_path / "D", None, None, ())
    record(tmp_path / "D", taken[0], taken[3])
    (unit,) = units
    assert [row[:2] for batch in Desk(recipe)(unit) for row in batch.rows] == [
        (place, days.micros(s.ts)) for place, s in enumerate(taken[1:3], 1)
    ]


# --- which days ------------------------------------------------------------------------------------------------------


def test_bounds_are_inclusive_and_either_may_be_left_open(tmp_path: Path, redo: Callable[..., Outcome]) -> None:
    record(tmp_path / "D", *(s for n in range(4) for s in snapshots(1, ts=START + timedelta(days=n), strikes=3)))
    dates = [date.fromisoformat(path.stem) for path in days.days(tmp_path / "D")]

    def done(**bounds: date) -> list[date]:
        return [d.day for d in redo(workers=1, **bounds).days]

    assert done() == dates
    assert done(first=dates[1], last=dates[2]) == dates[1:3]
    assert done(first=dates[2]) == dates[2:]
    assert done(last=dates[0]) == dates[:1]
    with pytest.raises(DataError) as e:
        done(first=dates[3] + timedelta(days=1))
    assert e.value.code == "no-such-day"
    assert all(str(day) in e.value.render() for day in dates)
    with pytest.raises(ConfigError, match="is after"):
        done(first=dates[1], last=dates[0])


def test_indices_are_chosen_by_name(tmp_path: Path, redo: Callable[..., Outcome]) -> None:
    two_days(tmp_path / "D", 2)
    redo(indices=["NIFTY"], workers=1)
    assert {s.index for s in stored(tmp_path / "out")} == {"NIFTY"}
    with pytest.raises(DataError, match="holds NIFTTY") as e:
        redo(indices=["NIFTTY"])
    assert "BANKNIFTY, NIFTY" in (e.value.hint or "")


def test_a_day_that_cannot_be_read_is_told_and_the_others_are_done(
    g6: Run, tmp_path: Path, drift: str, redo: Callable[..., Outcome]
) -> None:
    record(tmp_path / "D", *(s for n in range(4) for s in snapshots(20, ts=START + timedelta(days=n), strikes=3)))
    no_journal, torn, first_torn, sound = days.days(tmp_path / "D")
    no_journal.write_bytes(b"no journal at all" * 500)
    for path, seq in ((torn, 19), (first_torn, 1)):
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE snapshots SET options = substr(options, 1, 90) WHERE seq = ?", (seq,))
    result = g6("recompute", "--plugins", "drift", "--data-dir", "D", "--out", "out", "--workers", "1", paths=[drift])
    assert result.returncode == 1
    assert no_journal.name in result.stderr and f"{torn}, seq 19" in result.stderr
    assert [path.stem for path in days.days(tmp_path / "out")] == [sound.stem]
    assert [p.code for p in redo(workers=2).problems] == ["bad-journal"] * 3
    assert sorted(path.name for path in (tmp_path / "out" / "journal").glob("*.db*")) == [sound.name]


# --- where it goes ---------------------------------------------------------------------------------------------------


def test_the_recording_is_never_written_over(tmp_path: Path, redo: Callable[..., Outcome]) -> None:
    two_days(tmp_path / "D", 2)
    shutil.copytree(tmp_path / "D", tmp_path / "archive")
    before = rows(tmp_path / "archive")
    with pytest.raises(ConfigError, match="cannot be written over"):
        redo(out="D")
    with pytest.raises(ConfigError) as e:
        redo(out="archive")
    assert e.value.code == "recorded-days"
    assert rows(tmp_path / "archive") == before == rows(tmp_path / "D")


def test_simulated_and_real_days_do_not_come_together(tmp_path: Path, redo: Callable[..., Outcome]) -> None:
    two_days(tmp_path / "D", 2)
    redo(workers=1)
    shutil.rmtree(tmp_path / "D")
    record(tmp_path / "D", *snapshots(2, ts=START + timedelta(days=5), strikes=3, simulated=None))
    with pytest.raises(ConfigError) as e:
        redo(workers=1)
    assert e.value.code == "mixed-sources"
    assert redo(out="real", workers=1).simulated is False


def test_the_log_that_a_killed_process_left_of_an_old_day_does_not_get_into_the_new_one(
    tmp_path: Path, redo: Callable[..., Outcome]
) -> None:
    two_days(tmp_path / "D", 2)
    redo(workers=1)
    path, _ = days.days(tmp_path / "out")
    log = path.with_name(f"{path.name}-wal")
    with closing(sqlite3.connect(path)) as db:
        db.executescript("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; UPDATE snapshots SET facts = '{}';")
        saved = path.read_bytes(), log.read_bytes()
    path.write_bytes(saved[0])
    log.write_bytes(saved[1])
    redo("analytics.drift.factor=2", workers=1)
    redo("analytics.drift.factor=2", workers=1, out="fresh")
    assert rows(tmp_path / "out") == rows(tmp_path / "fresh")


def test_a_directory_that_another_process_records_into_is_refused(
    tmp_path: Path, drift: str, g6: Run, redo: Callable[..., Outcome]
) -> None:
    two_days(tmp_path / "D", 2)
    lock = DirectoryLock(tmp_path / "out")
    lock.acquire()
    try:
        result = g6("recompute", "--plugins", "drift", "--data-dir", "D", "--out", "out", paths=[drift])
    finally:
        lock.release()
    assert result.returncode == 3
    assert "error[busy]" in result.stderr
    assert redo(workers=1).whole


def csv_rows(tree: Path) -> list[dict[str, str]]:
    return [row for path in sorted(tree.rglob("*.csv")) for row in csv.DictReader(path.open(newline=""))]


def test_sinks_get_every_row_and_the_same_once_more_changes_nothing(
    g6: Run, tmp_path: Path, drift: str, redo: Callable[..., Outcome]
) -> None:
    taken = two_days(tmp_path / "D", 3)
    layout = ("sinks.csv.layout=day", 'sinks.csv.extra=["moved"]')
    words = [word for change in layout for word in ("--set", change)]
    result = g6(
        "recompute", "--plugins", "drift,csv", "--data-dir", "D", "--workers", "1", "--json", *words, paths=[drift]
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["snapshots"], document["rows"]) == (len(taken), sum(s.options.height for s in taken))
    assert document["sinks"]["csv"]["written"] == len(taken)
    assert [day["day"] for day in document["days"]] == [path.stem for path in days.days(tmp_path / "D")]
    out = Path(document["out"])
    assert out == tmp_path / "D" / "recomputed"
    written = csv_rows(out / "g6_data" / "options")
    assert len(written) == document["rows"]
    assert all(row["moved"] == row["last_price"] for row in written)
    assert all(not any(days.summary(path).lag.values()) for path in days.days(out))
    again = redo(*layout, plugins="drift,csv", out="D/recomputed", workers=1)
    assert again.sinks["csv"].written == len(taken)
    assert csv_rows(out / "g6_data" / "options") == written
    before = rows(out)
    with pytest.raises(ConfigError) as e:
        redo(*layout, "analytics.drift.factor=2", plugins="drift,csv", out="D/recomputed", workers=1)
    assert e.value.code == "already-delivered"
    assert rows(out) == before
    assert redo(*layout, "analytics.drift.factor=2", plugins="drift,csv", workers=1).whole


def test_a_sink_with_one_place_for_everything_is_refused_unless_named_now(
    tmp_path: Path, redo: Callable[..., Outcome]
) -> None:
    two_days(tmp_path / "D", 2)
    (tmp_path / "g6.toml").write_text('plugins = ["drift", "csv"]\ndata_dir = "D"\n[sinks.csv]\ndir = "tree"\n')
    with pytest.raises(ConfigError) as e:
        redo(plugins="drift,csv")
    assert e.value.code == "shared-place"
    assert not (tmp_path / "tree").exists()
    assert redo("sinks.csv.dir=again", plugins="drift,csv", workers=1).whole
    assert csv_rows(tmp_path / "again")


def test_settings_that_only_concern_recording_do_not_matter(g6: Run, tmp_path: Path, drift: str) -> None:
    two_days(tmp_path / "D", 2)
    (tmp_path / "g6.toml").write_text(
        'plugins = ["kite", "wide", "drift"]\nstrategy = { use = "wide" }\n'
        '[indices.NIFTY]\nprovider = "kite"\n[indices.SENSEX]\nstrategy = { use = "wider" }\n'
        '[providers.kite]\napi_key = "x"\n'
    )
    result = g6("recompute", "--plugins", "drift", "--data-dir", "D", "--workers", "1", paths=[drift])
    assert result.returncode == 0, result.stderr
    assert "2 days" in result.stdout and "SIMULATED" in result.stdout
    nothing = g6("recompute", "--plugins", "csv", "--data-dir", "D")
    assert nothing.returncode == 2
    assert "no analytic is on" in nothing.stderr


# --- ends ------------------------------------------------------------------------------------------------------------


class Stopper(View):
    """Ends the run after some snapshots, as Ctrl-C does."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, snapshots: int) -> None:
        self.left -= snapshots
        if self.left <= 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted_the_old_days_are_as_they_were(tmp_path: Path, redo: Callable[..., Outcome], workers: int) -> None:
    two_days(tmp_path / "D")
    redo(workers=1)
    before = rows(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        redo("analytics.drift.factor=2", workers=workers, view=Stopper(16))
    assert rows(tmp_path / "out") == before
    assert not list((tmp_path / "out" / "journal").glob("*.new"))
    assert redo("analytics.drift.factor=2", workers=1).whole
    assert rows(tmp_path / "out") != before


@POSIX
def test_a_worker_that_dies_is_an_error_with_the_name_of_its_work(tmp_path: Path, redo: Callable[..., Outcome]) -> None:
    two_days(tmp_path / "D", 2)
    with pytest.raises(G6Error, match=r"died \(SIGKILL\) while it computed NIFTY of \d{4}-") as e:
        redo("analytics.drift.dies_on=NIFTY", workers=2)
    assert e.value.code == "worker-died"
    assert not [path for path in days.days(tmp_path / "out") if len(rows(tmp_path / "out")[path.stem]) != 4]


def test_what_a_worker_cannot_start_with_is_the_error_of_the_command(tmp_path: Path, drift: str, g6: Run) -> None:
    two_days(tmp_path / "D", 2)
    twice = ["--set", "analytics.again.use=drift"]
    result = g6("recompute", "--plugins", "drift", "--data-dir", "D", "--workers", "2", *twice, paths=[drift])
    assert result.returncode == 2
    assert "error[analytic-conflict]" in result.stderr
    assert "Traceback" not in result.stderr


def running(marker: Path) -> list[int]:
    """Processes that were started by one with it as G6_TEST_MARKER. That one, which was forked, is not among them."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"G6_TEST_MARKER={marker}".encode() in (place / "environ").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return found


def started(launcher: Launcher, place: Path, env: dict[str, str], setting: str) -> Piped:
    """A recomputation of D into out with two workers, as soon as a day is in the making."""
    words = ("--plugins", "drift", "--data-dir", "D", "--out", "out", "--workers", "2", "--set", setting)
    process = launcher.piped("g6core", "recompute", *words, cwd=place, env=env)
    end = time.monotonic() + 60
    while not list((place / "out").glob("journal/*.new")) and time.monotonic() < end and process.poll() is None:
        time.sleep(0.005)
    return process


@POSIX
def test_killed_in_the_middle_there_is_no_half_day_and_a_repetition_makes_all(
    tmp_path: Path, drift: str, clean_env: Env, redo: Callable[..., Outcome], launcher: Launcher
) -> None:
    two_days(tmp_path / "D", 40)
    env = clean_env([drift], G6_TEST_MARKER=str(tmp_path))
    process = started(launcher, tmp_path, env, "analytics.drift.sleep=0.02")
    process.kill()
    process.communicate()
    assert list((tmp_path / "out" / "journal").glob("*.new"))
    assert all(len(day) == 80 for day in rows(tmp_path / "out").values())
    end = time.monotonic() + 10
    while running(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    assert running(tmp_path) == []
    assert redo(workers=1).whole
    assert [len(day) for day in rows(tmp_path / "out").values()] == [80, 80]
    assert not list((tmp_path / "out" / "journal").glob("*.new"))


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_processes_at_once_with_a_line_that_says_how_to_go_on(
    tmp_path: Path, drift: str, clean_env: Env, number: signal.Signals, launcher: Launcher
) -> None:
    first, *_ = two_days(tmp_path / "D", 40)
    env = clean_env([drift], G6_TEST_MARKER=str(tmp_path))
    process = started(launcher, tmp_path, env, "analytics.drift.sleep=0.2")
    workers = running(tmp_path)
    assert len(workers) >= 2
    began = time.monotonic()
    # A terminal's Ctrl-C reaches them all.
    for pid in (process.pid, *workers) if number == signal.SIGINT else (process.pid,):
        os.kill(pid, number)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 2
    assert process.returncode == 130
    assert errors.startswith("interrupted; 0 of 2 days are written")
    assert f"--from {first.ts:%Y-%m-%d}" in errors
    assert "Traceback" not in errors
    assert running(tmp_path) == []
    assert days.days(tmp_path / "out") == []

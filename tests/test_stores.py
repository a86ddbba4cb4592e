"""Recorders and servers killed at random instants, alone and together: at the end every store holds what the journal
holds, each snapshot once."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import psycopg
import pytest
from g6_parquet.archive import ParquetArchive
from g6_parquet.settings import Settings as ParquetSettings

from g6core import days
from g6core.testing.component_contract import lent_context
from tests.launch import Launcher
from tests.servers import Postgres, Server, VictoriaMetrics
from tests.test_crash import kill, start, written

Env = Callable[..., dict[str, str]]
Installed = Callable[..., list[str]]
Run = Callable[..., CompletedProcess[str]]
Rows = Counter[tuple[str, int, str, float, str, float | None, int | None]]
"""(index, microseconds, expiry, strike, right, last price, open interest) of each stored option."""

KILLS = int(os.environ.get("G6_STORE_KILLS", "3"))
"""G6_STORE_KILLS=40 and more for a long run."""
SETTINGS = """
plugins = ["market", "csv", "sql", "influx", "parquet"]
interval = "60ms"
drain_timeout = "60s"
strategy = {{ use = "atm_window", below = 2, above = 2 }}
[indices.NIFTY]
[indices.SENSEX]
[sinks.parquet]
merge_files = 3
[sinks.postgres]
use = "sql"
url = "{postgres}"
timeout = "5s"
[sinks.influx]
url = "{influx}"
timeout = "3s"
ack_delay = "10s"
"""


def of_the_journal(data_dir: Path) -> Rows:
    rows: Rows = Counter()
    for path in days.days(data_dir):
        for _, s in days.read_day(path):
            micros = int(s.ts.timestamp() * 1e6 + 0.5)
            columns = s.options.select(pl.col("expiry").cast(pl.String), "strike", "right", "last_price", "oi")
            rows.update((s.index, micros, *row) for row in columns.iter_rows())
    return rows


def of_parquet(data_dir: Path) -> Rows:
    archive = ParquetArchive(ParquetSettings())
    archive.open(lent_context(data_dir))
    rows: Rows = Counter()
    for day in archive.days():
        for s in archive.read(day):
            micros = int(s.ts.timestamp() * 1e6 + 0.5)
            columns = s.options.select(pl.col("expiry").cast(pl.String), "strike", "right", "last_price", "oi")
            rows.update((s.index, micros, *row) for row in columns.iter_rows())
    archive.close()
    return rows


SQL = 'SELECT "index", ts, expiry, strike, "right", last_price, oi FROM options'


def of_sqlite(data_dir: Path) -> Rows:
    with closing(sqlite3.connect(data_dir / "g6.sqlite")) as db:
        return Counter((i, _micros(datetime.fromisoformat(ts)), *rest) for i, ts, *rest in db.execute(SQL))


def of_postgres(server: Postgres, url: str) -> Rows:
    with psycopg.connect(url.replace("+psycopg", "")) as db:
        return Counter((i, _micros(ts), str(e), *rest) for i, ts, e, *rest in db.execute(SQL))


def of_influx(server: VictoriaMetrics) -> Counter[tuple[str, int, str, str, float]]:
    """Numbers alone are kept there, and milliseconds: (index, milliseconds, strike, right, open interest).

    As a question sees it: what came twice lies there twice until it is merged, and is one point to whoever asks.
    """
    server.get("/internal/force_flush")
    rows: Counter[tuple[str, int, str, str, float]] = Counter()
    for line in server.get("/api/v1/export?match[]=options_oi").splitlines():
        series = json.loads(line)
        tags = series["metric"]
        for ts, value in zip(series["timestamps"], series["values"], strict=True):
            rows[tags["index"], ts, f"{tags['dte']} {float(tags['strike'])}", tags["right"], value] += 1
    return rows


def as_influx_has_it(data_dir: Path) -> Counter[tuple[str, int, str, str, float]]:
    rows: Counter[tuple[str, int, str, str, float]] = Counter()
    for path in days.days(data_dir):
        day = datetime.fromisoformat(path.stem).date()
        for _, s in days.read_day(path):
            millis = int(s.ts.timestamp() * 1e3)
            columns = s.options.drop_nulls("oi").select("expiry", "strike", "right", "oi")
            rows.update((s.index, millis, f"{(e - day).days} {k}", r, float(n)) for e, k, r, n in columns.iter_rows())
    return rows


def _micros(ts: datetime) -> int:
    return int(ts.astimezone(UTC).timestamp() * 1e6 + 0.5)


@pytest.fixture
def place(tmp_path: Path, own_postgres: Postgres, own_victoria_metrics: VictoriaMetrics) -> Iterator[Path]:
    """A directory with settings for every store."""
    url = own_postgres.create("stores")
    (tmp_path / "g6.toml").write_text(SETTINGS.format(postgres=url, influx=own_victoria_metrics.url))
    yield tmp_path


def killed_and_started(server: Server, dice: random.Random) -> None:
    server.kill()
    time.sleep(dice.uniform(0.0, 0.5))
    server.start()


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not known on Windows")
@pytest.mark.timeout(1800)
def test_killed_at_random_instants_every_store_holds_what_the_journal_holds(
    place: Path,
    clean_env: Env,
    installed: Installed,
    launcher: Launcher,
    own_postgres: Postgres,
    own_victoria_metrics: VictoriaMetrics,
) -> None:
    env = clean_env(installed("market_plugin"))
    dice = random.Random(7)
    stores: list[Server] = [own_postgres, own_victoria_metrics]
    for n in range(KILLS):
        process, output = start(launcher, place, env)
        with output:
            _until_a_cycle(output)
            # A recorder that lives on while servers die, one that dies with them, and one that dies alone.
            for server in dice.sample(stores, k=(2, 1, 0)[n % 3]):
                time.sleep(dice.uniform(0.0, 0.4))
                killed_and_started(server, dice)
            time.sleep(dice.uniform(0.0, 0.6))
            if n % 3 == 1:
                for server in stores:
                    server.kill()
                kill(process)
                for server in stores:
                    server.start()
            else:
                kill(process)
    last = launcher.run("g6core", "run", "--once", cwd=place, env=env, timeout=300)
    assert last.returncode == 0, last.stderr
    expected = of_the_journal(place / "data")
    assert len({ts for _, ts, *_ in expected}) > KILLS
    assert max(expected.values()) == 1
    assert of_sqlite(place / "data") == expected
    assert of_postgres(own_postgres, own_postgres.url_of("stores")) == expected
    assert of_parquet(place / "data") == expected
    assert of_influx(own_victoria_metrics) == as_influx_has_it(place / "data")
    assert Counter(set(written(place / "data"))) == written(place / "data")
    assert {key[1] for key in written(place / "data")} == {_ist(ts) for _, ts, *_ in expected}


def _until_a_cycle(output: Iterator[str]) -> None:
    seen = ""
    for line in output:
        seen += line
        if "NIFTY" in line:
            return
    raise AssertionError(seen)


def _ist(micros: int) -> str:
    from g6core.days import from_micros
    from g6core.exchange import IST

    return from_micros(micros).astimezone(IST).isoformat()

"""A disconnect is found and filled over a real socket: the official client against the simulator's server."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import pytest
from g6_kite.backfill import Backfill, missing_in, plan
from g6_kite.candles import candles_path, known, micros, read_candles
from g6_kite.coverage import State, coverage
from g6_kite.instruments import Instruments
from g6_kite.rest import Rest
from g6_kite.session import Sessions
from g6_kite.settings import KiteSettings
from g6_sim import Settings
from g6_sim.provider import Sim
from g6_sim.serve.app import Options, Server
from kiteconnect import KiteConnect
from pydantic import SecretStr

from g6core import Context, Snapshot
from g6core.exchange import Calendar
from g6core.history import History
from g6core.journal import Journal
from g6core.snapshot import EXPIRIES, OPTIONS, conform
from g6core.testing import ManualClock
from tests.launch import Launcher

Run = Callable[..., CompletedProcess[str]]

DAY = date(2026, 11, 20)
OPEN = datetime(2026, 11, 20, 3, 45, tzinfo=UTC)
CALENDAR = Calendar.load()
HOLE = range(30, 40)
N = 6


def at(minute: int) -> datetime:
    return OPEN + timedelta(minutes=minute)


@pytest.fixture
def serve() -> Iterator[Callable[[datetime], Server]]:
    """`serve(start)`: the simulator's server, its clock at `start`."""
    servers = []

    def started(start: datetime) -> Server:
        options = Options(indices=("NIFTY",), start=start, limits=False)
        servers.append(Server(lambda: Sim(Settings(seed=7)), options).start())
        return servers[-1]

    yield started
    for server in servers:
        server.stop()


def settings_for(server: Server, token: str) -> KiteSettings:
    secret = SecretStr(token)
    return KiteSettings(api_key="demo", address=server.address, access_token=secret, candles_per_second=10.0)


def near_the_money(listed: pl.DataFrame) -> pl.DataFrame:
    nearest = listed.filter(pl.col("expiry") == pl.col("expiry").min())
    middle = nearest["strike"].median()
    return nearest.sort((pl.col("strike") - middle).abs(), "right").head(N).sort("strike", "right")


def record(place: Path, contracts: pl.DataFrame, minutes: list[int]) -> Path:
    """Snapshots of the contracts, all quoted, with a simulator's mark."""
    options = conform(contracts.with_columns(last_price=pl.lit(100.0)), OPTIONS, who="test")
    expiries = conform(contracts.select("expiry").unique(), EXPIRIES, who="test")
    facts = {"spot": 24_600.0, "simulated": 1.0}
    journal = Journal(place, ())
    encoded = [journal.encode(Snapshot("NIFTY", at(m), "kite", options, expiries, facts)) for m in minutes]
    journal.append(encoded[0].path, encoded)
    journal.close()
    return encoded[0].path


def test_ten_lost_minutes_are_filled_the_same_day(tmp_path: Path, serve: Callable[[datetime], Server]) -> None:
    server = serve(at(60))
    token, _ = server.accounts.log_in()
    settings, clock = settings_for(server, token), ManualClock(at(60))
    context = Context(tmp_path, clock, CALENDAR, History(tmp_path))
    rest = Rest(settings, Sessions(settings, clock))
    listing = Instruments(rest, settings, context)
    journal = record(tmp_path, near_the_money(listing.contracts("NIFTY")), [m for m in range(60) if m not in HOLE])
    before = journal.read_bytes()

    found = coverage(context, DAY)
    assert [(g.first, g.last, g.contracts, g.spot) for g in found[0].gaps()] == [(at(30), at(39), N, True)]
    planned = plan({DAY: missing_in(found, clock.now())}, listing, DAY)
    outcome = Backfill(rest, listing, context, simulated=True).run(planned.calls)
    assert (outcome.calls, outcome.left, outcome.failed) == (N + 1, 0, {})

    (after,) = coverage(context, DAY)
    assert after.gaps() == []
    tally = sum((c[1][State.BACK_FILLED] + c[1][State.NO_TRADE] for c in after.counts().values()), 0)
    assert tally == (N + 1) * len(HOLE)
    assert journal.read_bytes() == before

    stored = read_candles(candles_path(tmp_path, DAY))
    assert stored.height == outcome.candles > 0
    kite = KiteConnect("demo", access_token=token, root=server.address)
    for number in stored["token"].unique():
        said = kite.historical_data(number, "2026-11-20 09:45:00", "2026-11-20 09:54:00", "minute", oi=True)
        kept = stored.filter(token=number)
        assert kept["ts"].to_list() == [row["date"] for row in said]
        for name in ("open", "high", "low", "close", "volume"):
            assert kept[name].to_list() == [row[name] for row in said]
        if kept["expiry"][0] is not None:
            assert kept["oi"].to_list() == [row["oi"] for row in said]
    rest.close()


def test_the_commands_find_fill_and_find_nothing_more(
    tmp_path: Path, serve: Callable[[datetime], Server], g6: Run
) -> None:
    server = serve(at(420))
    token, _ = server.accounts.log_in()
    settings, clock = settings_for(server, token), ManualClock(at(420))
    listing = Instruments(Rest(settings, Sessions(settings, clock)), settings, context := _context(tmp_path))
    assert context.data_dir == tmp_path
    record(tmp_path / "data", near_the_money(listing.contracts("NIFTY")), [m for m in range(385) if m not in HOLE])
    env = {
        "G6_PLUGINS": "kite",
        "G6_PROVIDERS__KITE__API_KEY": "demo",
        "G6_PROVIDERS__KITE__ADDRESS": server.address,
        "G6_PROVIDERS__KITE__ACCESS_TOKEN": token,
        "G6_PROVIDERS__KITE__CANDLES_PER_SECOND": "10",
    }
    day = ("--from", str(DAY))

    first = g6("coverage", *day, env=env)
    assert first.returncode == 1, first.stderr
    assert f"NIFTY: gap of 10 min, 09:45–09:54 IST, {N} contracts and the index" in first.stdout
    filled = g6("backfill", *day, env=env)
    assert filled.returncode == 0, filled.stdout + filled.stderr
    assert f"in {N + 1} calls for {(N + 1) * 10} missing minutes" in filled.stdout
    second = g6("coverage", *day, "--json", env=env)
    assert second.returncode == 0, second.stdout + second.stderr
    (index,) = json.loads(second.stdout)["days"][0]["indices"]
    assert index["gaps"] == []
    assert sum(e["back_filled"] + e["no_trade"] for e in index["expiries"]) == (N + 1) * 10
    again = g6("backfill", *day, "--json", env=env)
    assert json.loads(again.stdout)["calls"] == 0
    for run in (first, filled, second, again):
        assert token not in run.stdout + run.stderr

    del env["G6_PROVIDERS__KITE__ADDRESS"]
    real = g6("backfill", *day, env=env)
    assert real.returncode == 2
    assert (
        "error[mixed-sources]: the journal of 2026-11-20 is simulated, and these candles would be real" in real.stderr
    )


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_person_who_has_had_enough_loses_nothing(
    tmp_path: Path, serve: Callable[[datetime], Server], clean_env: Callable[..., dict[str, str]], launcher: Launcher
) -> None:
    server = serve(at(420))
    token, _ = server.accounts.log_in()
    env = clean_env(
        G6_PLUGINS="kite",
        G6_PROVIDERS__KITE__API_KEY="demo",
        G6_PROVIDERS__KITE__ADDRESS=server.address,
        G6_PROVIDERS__KITE__ACCESS_TOKEN=token,
        G6_PROVIDERS__KITE__CANDLES_PER_SECOND="10",
    )
    words = ["backfill", "--all", "--indices", "NIFTY", "--from", str(DAY)]
    path, asked = candles_path(tmp_path / "data", DAY), 0
    for number, code, told in ((signal.SIGINT, 130, True), (signal.SIGKILL, -signal.SIGKILL, False)):
        run = launcher.piped("g6core", *words, cwd=tmp_path, env=env)
        deadline = time.monotonic() + 60
        while len(known(path).instruments) < asked + 3:
            assert run.poll() is None, run.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.send_signal(number)
        _, said = run.communicate(timeout=30)
        assert run.returncode == code, said
        assert ("candles are stored; the same command goes on from there" in said) is told
        assert token not in said
        stored = known(path)
        asked, before = len(stored.instruments), asked
        # Nothing was asked for a second time: what the first run had is not among the calls of the second.
        assert len(stored.asked) == asked > before
    assert {tuple(span) for span in stored.asked[:, 1:].tolist()} == {(micros(at(0)), micros(at(384)))}
    expiries = {instrument.expiry for instrument in stored.instruments}
    assert expiries == {date(2026, 11, 23)}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"G6_PROVIDERS__KITE__ENABLED": "false"}, "provider `kite` is switched off"),
        ({"G6_PROVIDERS__OTHER__USE": "kite"}, "several tables use provider `kite`: `kite` and `other`"),
    ],
)
def test_settings_that_do_not_say_which_kite_is_meant_are_refused(g6: Run, settings: dict[str, str], said: str) -> None:
    refused = g6("coverage", env={"G6_PLUGINS": "kite", **settings})
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "help: " in refused.stderr


@pytest.mark.parametrize("words", [("--from", "2026-11-20", "--to", "2026-11-19"), ("--from", "yesterday")])
def test_days_that_are_none_are_refused(g6: Run, words: tuple[str, ...]) -> None:
    refused = g6("coverage", *words, env={"G6_PLUGINS": "kite"})
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_without_a_session_the_command_says_what_to_type(
    tmp_path: Path, serve: Callable[[datetime], Server], g6: Run
) -> None:
    server = serve(at(420))
    record(tmp_path / "data", _one_contract(), [0, 5])
    env = {"G6_PLUGINS": "kite", "G6_PROVIDERS__KITE__API_KEY": "demo", "G6_PROVIDERS__KITE__ADDRESS": server.address}
    refused = g6("backfill", "--from", str(DAY), env=env)
    assert refused.returncode == 4, refused.stderr
    assert "g6 login kite" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_whole_days_need_to_be_told_of_which_index(g6: Run) -> None:
    refused = g6("backfill", "--all", env={"G6_PLUGINS": "kite"})
    assert refused.returncode == 2
    assert "--indices" in refused.stderr


def test_a_day_that_was_not_recorded_is_told(g6: Run) -> None:
    refused = g6("coverage", "--from", "2026-11-19", env={"G6_PLUGINS": "kite", "G6_PROVIDERS__KITE__API_KEY": "demo"})
    assert refused.returncode == 1
    assert "error[no-such-day]: nothing is recorded of 2026-11-19" in refused.stderr


def _context(place: Path) -> Context:
    return Context(place, ManualClock(at(420)), CALENDAR, History(place))


def _one_contract() -> pl.DataFrame:
    row = ("NIFTY", "NFO", "NIFTY26NOV24600CE", 1, date(2026, 11, 23), 24_600.0, "CE")
    return pl.DataFrame(
        [row], schema=["index", "exchange", "symbol", "token", "expiry", "strike", "right"], orient="row"
    )

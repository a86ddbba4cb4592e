"""The real client against the simulator, over real sockets: what is recorded is what was sent, or nothing."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from g6_kite.decode import decode
from g6_kite.tape import TapeReader
from g6_sim.serve.app import Server
from g6_sim.serve.faults import parse

from g6core import DataError, read_day
from g6core.clock import SystemClock
from g6core.days import days
from g6core.scrape import text
from tests.kite_rig import Rig, Said, serving
from tests.launch import Launcher
from tests.recorder import samples
from tests.test_crash import kill_after_the_first_cycle, recorded, written

INDICES = ("NIFTY", "SENSEX")
NIFTY = ("NIFTY",)
"""What a rig asks for: to make up a whole market many times a second is most of the work."""
Env = Callable[..., dict[str, str]]
SECRET = {"G6_PROVIDERS__KITE__API_SECRET": "demo"}


def write_config(place: Path, server: Server, mode: str, interval: str = 'interval = "1s"', more: str = "") -> None:
    (place / "g6.toml").write_text(
        f"""plugins = ["kite", "greeks", "csv"]
{interval}
[indices.NIFTY]
[indices.SENSEX]
[providers.kite]
api_key = "demo"
address = "{server.address}"
mode = "{mode}"
session_dir = "sessions"
{more}
"""
    )


@pytest.mark.parametrize("mode", ["stream", "quote"])
def test_every_quote_on_disk_is_what_the_simulator_sent(
    tmp_path: Path, g6: Callable[..., subprocess.CompletedProcess[str]], mode: str
) -> None:
    with serving(INDICES, ticks=4.0) as server:
        write_config(tmp_path, server, mode)
        login = g6("login", "kite", "--token-stdin", stdin=server.accounts.redirect(), env=SECRET)
        assert login.returncode == 0, login.stderr
        run = g6("run", "--cycles", "3", env=SECRET)
        assert run.returncode == 0, run.stderr
        found = [snapshot for path in days(tmp_path / "data") for _, snapshot in read_day(path)]
        assert {s.index for s in found} == set(INDICES) and len(found) >= 4
        said = Said(server)
        for snapshot in found:
            assert snapshot.simulated and snapshot.facts["spot"] > 0
            assert all(said.said(row) for row in snapshot.options.iter_rows(named=True))
        last = found[-1].options
        # Early in the day some contracts have not been traded, but each is offered at least.
        assert last["ask"].null_count() == 0 and last["iv"].null_count() < last.height / 4
        assert len(list((tmp_path / "data").rglob("*.csv"))) > 10


LIVES, SECONDS_ALIVE = int(os.environ.get("G6_KITE_LIVES", "2")), (0.2, 2.0)
"""How often a streaming recorder is killed, and how long after its first cycle; with G6_KITE_LIVES=48 it takes some ten
minutes, and then lives are 5 to 20 s."""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not known on Windows")
@pytest.mark.timeout(120 + 40 * LIVES)
def test_a_streaming_recorder_that_is_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, g6: Callable[..., subprocess.CompletedProcess[str]], clean_env: Env, launcher: Launcher
) -> None:
    dice = random.Random(8)
    alive = SECONDS_ALIVE if LIVES < 10 else (5.0, 20.0)
    with serving(INDICES, ticks=4.0) as server:
        write_config(tmp_path, server, "stream", 'interval = "250ms"', "tape = true")
        assert g6("login", "kite", "--token-stdin", stdin=server.accounts.redirect(), env=SECRET).returncode == 0
        said = Said(server)
        for _ in range(LIVES):
            kill_after_the_first_cycle(launcher, tmp_path, clean_env(**SECRET), dice, alive)
        last = g6("run", "--once", env=SECRET)
        assert last.returncode == 0, last.stderr
        expected = recorded(tmp_path / "data")
        assert written(tmp_path / "data") == expected
        assert len({ts for _, ts, _, _ in expected}) > LIVES
        snapshots = [s for path in days(tmp_path / "data") for _, s in read_day(path)]
        for snapshot in snapshots[-20:]:
            assert all(said.said(row) for row in snapshot.options.iter_rows(named=True))
        tape = TapeReader(next((tmp_path / "data" / "journal").glob("*.tape")))
        packets = [decode(frame) for _, _, frame in tape]
        assert sum(p.rows.size for p in packets) > 1000 and not any(p.malformed for p in packets)
        assert tape.torn <= LIVES


FRAMES = ("truncated", "torn", "duplicate", "late:seconds=0.3", "unknown_token", "zero_depth", "null_trade_time")


def test_frames_that_are_not_as_they_should_be_put_no_wrong_number_on_the_board(tmp_path: Path) -> None:
    with serving(NIFTY, ticks=10.0) as server, Rig(server, tmp_path) as rig:
        rig.until_known(20.0)
        for name in FRAMES:
            server.faults.add(parse(name))
            looks = rig.watch(0.5)
            assert all(look.known == 1.0 for look in looks), (name, looks)
            server.faults.clear()
        rig.watch(0.5)


def test_a_silent_stream_is_connected_anew(tmp_path: Path) -> None:
    with serving(NIFTY, ticks=10.0) as server, Rig(server, tmp_path) as rig:
        rig.until_known(20.0)
        server.faults.add(parse("silent:old=1"))
        first = server.sent.messages()[-1].at
        looks = rig.watch(4.0)
        assert all(look.known == 1.0 for look in looks)
        after = next(m.at for m in server.sent.messages() if m.at > first + 500_000 and not m.faults)
        assert (after - first) / 1e6 < 15.0


def test_while_the_stream_says_nothing_quotes_come_by_request(tmp_path: Path) -> None:
    with serving(NIFTY, ticks=10.0) as server, Rig(server, tmp_path) as rig:
        rig.until_known(20.0)
        assert not server.answers
        server.faults.add(parse("silent"))
        rig.watch(2.5)
        assert server.answers
        rig.until_known(20.0)
        server.faults.clear()
        rig.until_known(20.0)


def test_a_cut_stream_comes_back_and_is_counted(tmp_path: Path) -> None:
    start = samples(text().decode())

    def gained(name: str, **labels: str) -> float:
        key = f"g6_kite_stream_{name}", frozenset(labels.items())
        return samples(text().decode())[key] - start.get(key, 0.0)

    with serving(NIFTY, ticks=10.0) as server, Rig(server, tmp_path) as rig:
        rig.until_known(20.0)
        assert gained("sockets") == gained("connections_total") == 1
        server.faults.add(parse("drop"))
        before = len(server.sent.messages())
        end = time.monotonic() + 30
        # Quotes come by request meanwhile: that they are known does not say that the stream is back.
        while gained("connections_total") < 2 or len(server.sent.messages()) == before:
            assert time.monotonic() < end
            rig.watch(0.1)
        rig.until_known(20.0)
        assert gained("losses_total") == gained("connections_total") - 1 >= 1
        assert gained("bytes_total") > 4 * gained("frames_total") > 0
        assert gained("ticks_total", result="taken") >= 24
    assert gained("sockets") == 0


@pytest.mark.parametrize("fault", ["html502", "storm429"])
def test_requests_that_fail_cost_nothing_that_the_stream_has(tmp_path: Path, fault: str) -> None:
    """One contract that never trades and has no quote is asked for by request."""
    with serving(NIFTY, ticks=10.0) as server, Rig(server, tmp_path, unquoted=1) as rig:
        server.faults.add(parse(fault))
        looks = rig.watch(3.0)
        assert {look.problem for look in looks} == {""} and looks[-1].known == 1.0


def test_a_level_of_the_stream_is_no_older_than_a_request_for_another_one(tmp_path: Path) -> None:
    """This server knows nothing of BANKNIFTY, and says so late."""
    with serving(NIFTY, ticks=10.0) as server, Rig(server, tmp_path, settings={"timeout": timedelta(seconds=9)}) as rig:
        rig.until_known(20.0)
        server.faults.add(parse("slow:seconds=3"))
        asked = SystemClock().now()
        found = rig.kite.spots(["NIFTY", "BANKNIFTY"])
        assert "BANKNIFTY" not in found
        assert found["NIFTY"].ts > asked + timedelta(seconds=2)


@pytest.mark.parametrize("mode", ["stream", "quote"])
def test_a_list_of_one_exchange_that_cannot_be_used_costs_no_index_of_another(tmp_path: Path, mode: str) -> None:
    """This server lists nothing of BSE, where SENSEX is."""
    with serving(NIFTY, ticks=10.0) as server, Rig(server, tmp_path, mode=mode) as rig:
        assert rig.kite.spots(["SENSEX", "NIFTY"])["NIFTY"].last
        with pytest.raises(DataError, match="BFO"):
            rig.kite.contracts("SENSEX")


def test_a_session_that_ends_gives_nothing_until_the_next_login(tmp_path: Path) -> None:
    with serving(NIFTY, ticks=10.0) as server, Rig(server, tmp_path) as rig:
        rig.until_known(20.0)
        server.faults.add(parse("expire"))
        looks = rig.watch(2.5)
        assert {look.problem for look in looks[-4:]} == {"auth-expired"}
        rig.log_in()
        rig.until_known(20.0)


@pytest.mark.parametrize("fault", ["html502", "storm429", "slow:seconds=3"])
def test_answers_that_fail_give_nothing_and_nothing_wrong(tmp_path: Path, fault: str) -> None:
    with serving(NIFTY) as server, Rig(server, tmp_path, mode="quote") as rig:
        rig.until_known(20.0)
        server.faults.add(parse(fault))
        look = rig.look()
        assert (look.known, look.problem) == (0.0, "unavailable") and look.seconds < 30
        server.faults.clear()
        rig.until_known(30.0)

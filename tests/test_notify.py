"""What systemd hears: that the recorder is ready, what it does, that its loop turns, and that it stops."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from g6core import loop
from g6core.notify import Notifier
from g6core.testing import START, FakeMarket
from tests.test_loop import RunningClock, Seen, engine

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd's sockets are Unix's")
UNIT = Path(__file__).resolve().parent.parent / "deploy" / "systemd" / "g6.service"


class Systemd:
    """Listens as systemd does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def hear(self, wanted: str = "", timeout: float = 60.0) -> list[str]:
        """Everything up to the message with the line that begins so; with no wish what has come already."""
        heard: list[str] = []
        self.socket.settimeout(timeout if wanted else 0.0)
        while True:
            try:
                heard += self.socket.recv(4096).decode().split("\n")
            except (BlockingIOError, TimeoutError):
                assert not wanted, f"no {wanted} in {heard}"
                return heard
            if wanted and any(line.startswith(wanted) for line in heard):
                return heard


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    # A path of a socket has 107 letters at most.
    name = f"@g6-test-{os.getpid()}-{time.monotonic_ns()}" if request.param == "abstract" else str(tmp_path / "n")
    found = Systemd(name)
    yield found
    found.socket.close()


def test_a_run_says_that_it_is_ready_turns_and_stops(
    systemd: Systemd, tmp_path: Path, clean_env: Callable[..., dict[str, str]], launcher: Any
) -> None:
    env = clean_env(NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="600000")
    with (tmp_path / "out").open("w+") as out:
        words = ("run", "--plugins", "sim", "--interval", "60s", "--set", "indices.NIFTY.enabled=true")
        running = launcher.start("g6core", *words, cwd=tmp_path, env=env, stdio=(out, out, out))
        try:
            first = systemd.hear("READY=1")
            assert "WATCHDOG=1" in first
            (status,) = [line for line in first if line.startswith("STATUS=")]
            assert re.fullmatch(r"STATUS=recording: 1 of 1 indices at \d\d:\d\d:\d\d IST, \d+ ms", status)
            assert systemd.hear("WATCHDOG=1") == ["WATCHDOG=1"], "the loop waits for a minute, and is heard meanwhile"
            os.kill(running.pid, signal.SIGTERM)
            assert "STOPPING=1" in systemd.hear("STOPPING")
        finally:
            assert running.wait(60) == 0
    assert "set WatchdogSec=90 or more" in (tmp_path / "out").read_text()
    assert "READY=1" not in systemd.hear()


def test_waiting_for_the_market_is_ready_as_well(systemd: Systemd, tmp_path: Path) -> None:
    class Session(FakeMarket):
        always_open = False

    notifier = Notifier(systemd.address, None)
    clock = RunningClock(START.replace(hour=20))
    machine = engine(tmp_path / "d", clock, Session())
    machine.start()
    try:
        loop.live(machine, notifier, threading.Event(), loop.Limits(seconds=0.05), wait=notifier.wait)
    finally:
        machine.stop()
        notifier.close()
    heard = systemd.hear()
    assert heard[0] == "READY=1"
    assert heard[1].startswith("STATUS=the market is closed; recording begins on ")
    assert "READY=1" not in heard[1:] and "WATCHDOG=1" not in heard


def test_a_loop_that_hangs_is_silent(systemd: Systemd, tmp_path: Path) -> None:
    hung, go_on = threading.Event(), threading.Event()

    class Hanging(Seen):
        def cycle(self, machine: Any, report: Any) -> None:
            super().cycle(machine, report)
            notifier.cycle(machine, report)
            if len(self.reports) == 2:
                hung.set()
                go_on.wait(60)

    notifier = Notifier(systemd.address, 0.06)
    clock = RunningClock()
    machine = engine(tmp_path / "d", clock, FakeMarket())

    def record() -> None:
        machine.start()
        try:
            loop.live(machine, Hanging(clock, {}), threading.Event(), loop.Limits(cycles=3), wait=notifier.wait)
        finally:
            machine.stop()

    thread = threading.Thread(target=record)
    thread.start()
    try:
        assert hung.wait(60)
        assert "WATCHDOG=1" in systemd.hear()
        time.sleep(0.3)  # five times what systemd waits
        assert systemd.hear() == []
        go_on.set()
        systemd.hear("WATCHDOG=1")
    finally:
        go_on.set()
        thread.join(60)
        notifier.close()


def test_the_wait_ends_with_the_stop_and_is_as_long_as_asked() -> None:
    notifier = Notifier(None, 1.0)
    assert notifier.watchdog is None
    stop = threading.Event()
    notifier.wait(stop, 0.01)
    notifier.wait(stop, 0.0)
    stop.set()
    began = time.monotonic()
    notifier.wait(stop, 600)
    assert time.monotonic() - began < 300


@pytest.mark.parametrize(
    ("variables", "watchdog"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_environment_says_how_often(variables: dict[str, str], watchdog: float | None, tmp_path: Path) -> None:
    notifier = Notifier.of({"NOTIFY_SOCKET": str(tmp_path / "n"), **variables})
    assert notifier.watchdog == watchdog
    notifier.close()


@pytest.mark.parametrize("address", ["", "vsock:2:1", "nowhere", "/nobody/listens/here"])
def test_nobody_who_listens_costs_nothing(address: str, tmp_path: Path) -> None:
    notifier = Notifier.of({"NOTIFY_SOCKET": address})
    clock = RunningClock()
    machine = engine(tmp_path / "d", clock, FakeMarket())
    machine.start()
    try:
        assert len(loop.live(machine, notifier, threading.Event(), loop.Limits(cycles=1), wait=notifier.wait)) == 1
        notifier.stopping()
    finally:
        machine.stop()
        notifier.close()


class Unit(configparser.RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit() -> dict[str, dict[str, str]]:
    parser = Unit(strict=False, interpolation=None, comment_prefixes=("#", ";"))
    parser.read_string(UNIT.read_text())
    return {name: dict(parser[name]) for name in parser.sections()}


def test_the_unit_gives_the_recorder_the_time_that_it_takes() -> None:
    from g6core.cli.session import SLACK
    from g6core.loop import SETTLE
    from g6core.settings import Settings

    service, settings = unit()["Service"], Settings()
    assert service["Type"] == "notify" and service["Restart"] == "on-failure"
    slowest = settings.interval.total_seconds()
    assert int(service["WatchdogSec"]) >= slowest + SLACK
    assert int(service["TimeoutStopSec"]) > slowest + SETTLE + settings.drain_timeout.total_seconds() + 5
    # A setting that is wrong is not put right by another start.
    assert service["RestartPreventExitStatus"] == "2"
    assert "KillSignal" not in service or service["KillSignal"] == "SIGTERM"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    # The command must exist where it is verified, and so must the file of secrets.
    text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text())
    (tmp_path / "g6.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "g6.service")], capture_output=True, text=True
    )
    said = [line for line in done.stderr.splitlines() if "g6.service" in line]
    assert done.returncode == 0 and said == [], done.stderr

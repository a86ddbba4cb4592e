"""`g6 sim serve` from the command line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from g6_sim.serve.command import sim

from g6core import G6Error
from tests.launch import Launcher

HEAVY = ("aiohttp", "numpy", "polars", "scipy", "click")


def test_print_config_is_toml_with_the_secret_aside() -> None:
    shown = CliRunner().invoke(sim, ["serve", "--port", "8911", "--print-config"])
    assert shown.exit_code == 0
    assert tomllib.loads(shown.output) == {
        "providers": {"kite": {"api_key": "demo", "address": "http://127.0.0.1:8911"}}
    }
    assert "G6_PROVIDERS__KITE__API_SECRET=demo" in shown.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "earthquake"], "is not a fault"),
        (["--start", "noon"], "is not a time"),
        (["--replay", "nothing.csv"], "there is no recording"),
        (["--indices", "NIFTEE"], "no index 'NIFTEE'"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(arguments: list[str], message: str) -> None:
    ended = CliRunner().invoke(sim, ["serve", "--port", "0", *arguments])
    assert isinstance(ended.exception, G6Error) and message in ended.exception.message


def test_it_serves_until_it_is_told_to_end(tmp_path: Path, launcher: Launcher) -> None:
    command = ["g6core", "sim", "serve", "--port", "0", "--weeks", "0", "--months", "1", "--indices", "BANKEX"]
    with launcher.piped(*command, cwd=tmp_path, env={**os.environ, "G6_PLUGINS": "sim"}) as process:
        line = process.stderr.readline()
        assert line.startswith("SIMULATED")
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address and requests.get(f"{address[0]}/sim/faults", timeout=10).json()["data"] == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0


def test_the_plugin_imports_nothing_heavy() -> None:
    code = f"import sys, g6_sim; print([m for m in {HEAVY} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from g6core.cli import main

pytest.importorskip("g6_sim", reason="the plugin g6-sim is not installed")


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


G6 = Callable[..., Done]


@pytest.fixture
def g6(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> G6:
    """`g6("init", …)` in an empty directory, without a terminal and without anybody's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("G6_")]:
        monkeypatch.delenv(name)

    def run(*args: str | Path) -> Done:
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


def test_what_init_writes_is_valid_and_runs_on_the_provider_it_chose(g6: G6, tmp_path: Path) -> None:
    done = g6("init", "--plugins", "sim")
    assert done.returncode == 0, done.stderr
    settings = tomllib.loads((tmp_path / "g6.toml").read_text(encoding="utf-8"))
    assert settings["plugins"] == ["sim"]
    assert settings["indices"] == {"NIFTY": {"provider": "sim"}, "BANKNIFTY": {"provider": "sim"}}
    assert (tmp_path / ".env.template").is_file()
    checked = g6("config", "check")
    assert (checked.returncode, checked.stdout) == (0, "g6.toml: the settings are valid; plugins: sim\n")


def test_without_a_flag_every_installed_plugin_that_needs_no_answer_is_used(g6: G6, tmp_path: Path) -> None:
    done = g6("init", "--provider", "sim")
    assert done.returncode == 0, done.stderr
    settings = tomllib.loads((tmp_path / "g6.toml").read_text(encoding="utf-8"))
    assert "sim" in settings["plugins"]
    assert "replay" not in settings["plugins"]
    assert g6("config", "check").returncode == 0


def test_json(g6: G6, tmp_path: Path) -> None:
    assert g6("init", "--format", "json", "--plugins", "sim", "--indices", "sensex", "--dir", "sub").returncode == 0
    settings = json.loads((tmp_path / "sub" / "g6.json").read_text(encoding="utf-8"))
    assert settings["indices"] == {"SENSEX": {"provider": "sim"}}
    assert g6("config", "check", "--config", tmp_path / "sub" / "g6.json").returncode == 0


def test_it_never_overwrites_unless_told_to(g6: G6, tmp_path: Path) -> None:
    (tmp_path / "g6.toml").write_text("# mine\n")
    done = g6("init", "--plugins", "sim")
    assert done.returncode == 2
    assert "error[file-exists]: `g6.toml` is there already" in done.stderr
    assert (tmp_path / "g6.toml").read_text() == "# mine\n"
    assert g6("init", "--plugins", "sim", "--format", "json").returncode == 2
    assert g6("init", "--plugins", "sim", "--force").returncode == 0
    assert (tmp_path / "g6.toml").read_text(encoding="utf-8") != "# mine\n"


def test_an_env_template_of_ones_own_stays(g6: G6, tmp_path: Path) -> None:
    (tmp_path / ".env.template").write_text("# mine\n")
    assert g6("init", "--plugins", "sim").returncode == 0
    assert (tmp_path / ".env.template").read_text() == "# mine\n"


def test_what_cannot_be_guessed_names_its_flag(g6: G6, tmp_path: Path) -> None:
    pytest.importorskip("g6_replay", reason="the plugin g6-replay is not installed")
    done = g6("init", "--plugins", "replay")
    assert done.returncode == 2
    assert "help: `g6 init --set providers.replay.path=…`" in done.stderr
    assert not (tmp_path / "g6.toml").exists()
    assert g6("init", "--plugins", "replay", "--set", "providers.replay.path=day.csv").returncode == 0
    assert g6("config", "check").returncode == 0


def test_an_unknown_provider(g6: G6) -> None:
    done = g6("init", "--plugins", "sim", "--provider", "kite")
    assert done.returncode == 2
    assert "no plugin brings provider `kite`" in done.stderr

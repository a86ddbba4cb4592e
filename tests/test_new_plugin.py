"""`g6 new-plugin`: what it writes installs, passes its own tests, and is a plugin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from g6core.cli.new_plugin import SUMMARIES, checked_name, new_plugin, write
from g6core.errors import ConfigError
from tests.launch import PYTEST


@pytest.mark.parametrize("kind", SUMMARIES)
def test_the_package_passes_its_own_tests_as_written(kind: str, clean_env, launcher, tmp_path: Path) -> None:
    place = write(f"stranger_{kind}", kind, tmp_path)
    done = launcher.run(*PYTEST, "-q", place, cwd=place, env=clean_env([str(place / "src")]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_packages_install_and_register_their_components(pip_install, clean_env, tmp_path: Path) -> None:
    site = pip_install(*(write(f"stranger_{kind}", kind, tmp_path / "made") for kind in SUMMARIES))
    names = [f"stranger_{kind}" for kind in SUMMARIES]
    code = f"""
from g6core.registry import KINDS, Registry
registry = Registry.load({names})
print(sorted(name for kind in KINDS for name in registry.of(kind) if name.startswith("stranger")))
"""
    done = subprocess.run([sys.executable, "-c", code], env=clean_env([site]), capture_output=True, text=True)
    assert done.stdout.strip() == str(sorted(names)), done.stderr


@pytest.mark.parametrize("kind", SUMMARIES)
def test_the_package_is_tidy(kind: str, tmp_path: Path) -> None:
    place = write("stranger", kind, tmp_path)
    config = ["--no-cache", "--config", str(Path(__file__).parent.parent / "pyproject.toml"), str(place)]
    # The order of imports hangs on the plugin's name and on where it is checked.
    for command in (["check", "--ignore", "I001"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, *config], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_dash_in_the_name_becomes_an_underscore_in_the_module(tmp_path: Path) -> None:
    done = CliRunner().invoke(new_plugin, ["slack-lines", "--kind", "sink", "--dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    written = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert written == [
        "slack-lines/README.md",
        "slack-lines/pyproject.toml",
        "slack-lines/src/slack_lines/__init__.py",
        "slack-lines/tests/test_slack_lines.py",
    ]
    assert "class SlackLines(Sink)" in (tmp_path / written[2]).read_text()


@pytest.mark.parametrize("name", ["Lines", "9lines", "_lines", "li nes", "../lines", "", "class", "é"])
def test_a_name_that_cannot_be_a_module_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as e:
        checked_name(name)
    assert e.value.code == "plugin-name" and e.value.hint


@pytest.mark.parametrize("name", ["json", "polars", "g6core"])
def test_a_name_that_a_module_has_taken_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="already"):
        checked_name(name)


def test_an_existing_directory_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError) as e:
        write("lines", "sink", tmp_path)
    assert e.value.code == "directory-exists"
    assert os.listdir(tmp_path / "lines") == ["mine.txt"]


def test_an_unknown_kind_names_the_kinds(tmp_path: Path) -> None:
    done = CliRunner().invoke(new_plugin, ["lines", "--kind", "sinks", "--dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "'alert', 'analytic', 'provider', 'sink', 'strategy'" in done.output

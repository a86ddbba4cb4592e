"""Only selected plugins are imported; one that cannot be used is named in one sentence with a remedy."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

import g6core
from g6core import discovery
from g6core.errors import PluginError

Run = Callable[..., CompletedProcess[str]]
Installed = Callable[..., list[str]]


def first_line(result: CompletedProcess[str]) -> str:
    return result.stderr.splitlines()[0]


def test_an_unknown_plugin_is_named_with_the_nearest_one(g6: Run) -> None:
    result = g6("run", "--plugins", "greks", "--once")
    assert result.returncode == 2
    assert first_line(result) == "error[plugin-missing]: no installed plugin is called `greks`"
    assert "did you mean `greeks`?" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_unknown_plugin_is_named_at_once(g6: Run) -> None:
    result = g6("run", "--plugins", "nosuch,neither", "--once")
    assert result.returncode == 2
    assert "`nosuch`" in result.stderr
    assert "`neither`" in result.stderr


@pytest.mark.parametrize(
    ("package", "code", "words"),
    [
        ("broken_plugin", "plugin-broken", "a_module_that_does_not_exist"),
        ("misspelt_plugin", "plugin-broken", "g6_sink"),
        ("incompatible_plugin", "plugin-incompatible", "needs g6core"),
    ],
)
def test_a_plugin_that_cannot_be_used_stops_the_start(
    g6: Run, installed: Installed, package: str, code: str, words: str
) -> None:
    name = package.removesuffix("_plugin")
    result = g6("run", "--plugins", f"sim,{name}", "--once", paths=installed(package))
    assert result.returncode == 2
    assert first_line(result).startswith(f"error[{code}]: plugin `{name}` (")
    assert words in result.stderr
    assert "help: " in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in g6("-v", "run", "--plugins", name, "--once", paths=installed(package)).stderr


def test_two_plugins_with_a_component_of_one_name_are_both_named(g6: Run, installed: Installed) -> None:
    paths = installed("toy_plugin", "duplicate_plugin")
    result = g6("run", "--plugins", "sim,toy,duplicate", "--once", paths=paths)
    assert result.returncode == 2
    assert first_line(result).startswith("error[plugin-duplicate]: two plugins bring sinks called `lines`")
    assert "g6-toy" in first_line(result)
    assert "g6-duplicate" in first_line(result)


def test_a_broken_plugin_that_nobody_selected_changes_nothing(g6: Run, installed: Installed) -> None:
    paths = installed("broken_plugin", "misspelt_plugin", "incompatible_plugin")
    result = g6("run", "--plugins", "sim", "--once", paths=paths)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert g6("--help", paths=paths).returncode == 0


def test_the_list_shows_what_is_broken_and_why(g6: Run, installed: Installed) -> None:
    result = g6("plugins", "--json", paths=installed("broken_plugin", "toy_plugin", "incompatible_plugin"))
    assert result.returncode == 0, result.stderr
    plugins = {p["name"]: p for p in json.loads(result.stdout)["plugins"]}
    assert "a_module_that_does_not_exist" in plugins["broken"]["problem"]
    assert "needs g6core" in plugins["incompatible"]["problem"]
    assert plugins["toy"]["problem"] is None
    assert ["sinks", "lines", "a line per snapshot"] in plugins["toy"]["components"]
    assert "options.mid" in plugins["toy"]["adds"]


WITNESS = """
import sys
from g6core.cli import _run
code = _run(sys.argv[1:])
print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}))
sys.exit(code)
"""


@pytest.mark.parametrize("command", [["run", "--plugins", "sim", "--once"], ["plugins"], ["--help"], ["journal"]])
def test_nothing_of_an_unselected_plugin_is_imported(
    tmp_path: Path, clean_env: Callable[..., dict[str, str]], installed: Installed, command: list[str]
) -> None:
    env = clean_env(installed("toy_plugin", "broken_plugin"))
    result = run([sys.executable, "-c", WITNESS, *command], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    imported = set(result.stdout.splitlines()[-1].split())
    assert "g6core" in imported
    assert not imported & {"g6_csv", "g6_greeks", "g6_replay", "g6_toy", "g6_broken"}
    assert ("g6_sim" in imported) is ("sim" in command)


def test_the_version_is_told_without_heavy_imports(tmp_path: Path, clean_env: Callable[..., dict[str, str]]) -> None:
    result = run(
        [sys.executable, "-c", WITNESS, "--version"], cwd=tmp_path, env=clean_env(), capture_output=True, text=True
    )
    assert result.stdout.startswith("g6 0.")
    imported = set(result.stdout.splitlines()[-1].split())
    assert not imported & {"numpy", "polars", "pydantic", "pydantic_settings", "kiteconnect", "textual", "starlette"}


def test_a_foreign_package_records_with_its_own_sink_strategy_and_analytic(
    g6: Run, installed: Installed, tmp_path: Path
) -> None:
    (tmp_path / "g6.toml").write_text(
        'plugins = ["sim", "toy"]\n'
        'strategy = { use = "five" }\n'
        '[indices.NIFTY]\nexpiries = ["this_week"]\n'
        '[sinks.lines]\npath = "out.txt"\n'
        '[sinks.second]\nuse = "lines"\npath = "second.txt"\n'
    )
    paths = installed("toy_plugin")
    result = g6("run", "--cycles", "2", "--interval", "1s", paths=paths)
    assert result.returncode == 0, result.stderr
    for name in ("out.txt", "second.txt"):
        lines = (tmp_path / name).read_text().splitlines()
        assert [line.split()[1] for line in lines] == ["NIFTY", "NIFTY"]
        assert [line.split()[-1] for line in lines] == ["10", "10"]
    chain = json.loads(g6("chain", "NIFTY", "--json", paths=paths).stdout)
    assert chain["options"][0]["mid"] is not None


def test_the_foreign_package_needs_only_public_names(installed: Installed) -> None:
    (place,) = installed("toy_plugin")
    (source,) = Path(place).glob("g6_toy/__init__.py")
    imports = [line for line in source.read_text().splitlines() if "g6core" in line and "import" in line]
    assert imports
    for line in imports:
        assert line.startswith("from g6core import ")
        names = [name.strip() for name in line.removeprefix("from g6core import ").split(",")]
        assert set(names) <= set(g6core.__all__)


def test_two_distributions_with_one_plugin_name_are_refused() -> None:
    (one, *_) = discovery.installed()
    with pytest.raises(PluginError, match="two installed distributions") as refused:
        discovery.select([one.name], [one, one])
    assert refused.value.exit_code == 2

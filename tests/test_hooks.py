"""Every hook does what the manual says; those of the toy plugin are tested in `test_plugins`."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from g6core import hookspecs

Run = Callable[..., CompletedProcess[str]]
Installed = Callable[..., list[str]]

HOOKS = [name for name in vars(hookspecs) if name.startswith("g6_")]


def test_every_hook_is_implemented_in_a_test() -> None:
    implemented = {
        node.name
        for path in Path(__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and any("hookimpl" in ast.dump(d) for d in node.decorator_list)
    }
    assert set(HOOKS) - implemented == set()


def test_a_provider_and_an_alert_rule_of_a_stranger_are_used(g6: Run, installed: Installed) -> None:
    paths = installed("hooks_plugin")
    result = g6("run", "--plugins", "hooks", "--cycles", "2", "--interval", "1s", paths=paths)
    assert result.returncode == 0, result.stderr
    (day,) = json.loads(g6("journal", "--json").stdout)["days"]
    assert (day["snapshots"], day["alerts"], day["sources"]) == (2, 2, ["fake"])


def test_an_observer_sees_each_finished_cycle(g6: Run, installed: Installed) -> None:
    result = g6("run", "--plugins", "hooks", "--cycles", "3", "--interval", "1s", paths=installed("hooks_plugin"))
    finished = [line.split() for line in result.stdout.splitlines() if line.startswith("finished ")]
    assert [words[2:] for words in finished] == [["NIFTY", "1", "alerts"]] * 3
    assert len({words[1] for words in finished}) == 3


def test_an_observer_that_fails_stops_neither_the_run_nor_the_next_one(g6: Run, installed: Installed) -> None:
    paths = installed("hooks_plugin", "failing_plugin")
    for order in ("hooks,failing", "failing,hooks"):
        result = g6("run", "--plugins", order, "--once", "--data-dir", order, paths=paths)
        assert result.returncode == 0, result.stderr
        assert "finished " in result.stdout
        assert "plugin failing failed in g6_cycle_finished: RuntimeError: did not look" in result.stderr


def test_a_command_of_a_selected_plugin_runs_and_stands_in_the_help(g6: Run, installed: Installed) -> None:
    paths, env = installed("hooks_plugin"), {"G6_PLUGINS": "hooks"}
    assert g6("say", "hello", paths=paths, env=env).stdout == "hooks say hello\n"
    assert "Say a word." in g6("--help", paths=paths, env=env).stdout


def test_a_command_of_a_plugin_that_is_not_selected_runs_when_asked_for(g6: Run, installed: Installed) -> None:
    paths = installed("hooks_plugin", "failing_plugin", "broken_plugin")
    assert g6("say", "hello", paths=paths).stdout == "hooks say hello\n"
    assert "Say a word." not in g6("--help", paths=paths).stdout
    unknown = g6("sya", "hello", paths=paths)
    assert unknown.returncode == 2
    assert "No such command 'sya'" in unknown.stderr


def test_a_plugin_that_fails_to_give_commands_leaves_only_its_own_out(g6: Run, installed: Installed) -> None:
    paths = installed("hooks_plugin", "failing_plugin")
    env = {"G6_PLUGINS": "failing,hooks"}
    help = g6("--help", paths=paths, env=env)
    assert help.returncode == 0, help.stderr
    assert "Say a word." in help.stdout
    assert g6("say", "hello", paths=paths, env=env).stdout == "hooks say hello\n"
    refused = g6("failing", paths=paths)
    assert refused.returncode == 2
    assert "error[plugin-broken]: plugin `failing` fails in g6_commands: RuntimeError" in refused.stderr

"""Looking into plugins that are not selected, in a child process: the asking process imports nothing of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from g6core.discovery import Installed

if TYPE_CHECKING:
    from g6core.registry import Registry

_PATIENCE = 60.0
"""Seconds for the child to import all plugins."""


@dataclass(frozen=True)
class PluginInfo:
    """One line of `g6 plugins`. problem: why it cannot be used, or None. components: (kind, name, help)."""

    name: str
    distribution: str
    version: str
    problem: str | None
    components: tuple[tuple[str, str, str], ...]
    adds: tuple[str, ...]
    """Columns and facts that its analytics add."""
    commands: tuple[str, ...]
    """What it adds to `g6`."""


def inspect(plugins: Sequence[Installed]) -> list[PluginInfo]:
    """What each plugin brings, and what is wrong with it."""
    if not plugins:
        return []
    names = sorted({p.name for p in plugins})
    child = subprocess.run(
        [sys.executable, "-m", "g6core.inspection", *names], capture_output=True, text=True, timeout=_PATIENCE
    )
    answers: dict[str, Any] = {}
    for line in child.stdout.splitlines():
        if line.startswith("{"):
            answer = json.loads(line)
            answers[answer["name"]] = answer
    last_words = child.stderr.strip().splitlines()[-1:]
    died = {
        "problem": f"ends the process that imports it: {''.join(last_words)}",
        "components": [],
        "adds": [],
        "commands": [],
    }
    return [_info(plugin, answers.get(plugin.name, died)) for plugin in plugins]


def _info(plugin: Installed, answer: dict[str, Any]) -> PluginInfo:
    components = tuple((kind, name, help) for kind, name, help in answer["components"])
    adds, commands = tuple(answer["adds"]), tuple(answer["commands"])
    return PluginInfo(plugin.name, plugin.distribution, plugin.version, answer["problem"], components, adds, commands)


def _look(name: str) -> dict[str, Any]:
    from g6core.errors import PluginError, Problems
    from g6core.registry import KINDS, Registry

    try:
        registry = Registry.load([name])
    except (PluginError, Problems) as e:
        return {"name": name, "problem": e.message, "components": [], "adds": [], "commands": []}
    found = [(kind, r.spec) for kind in KINDS for r in registry.of(kind).values() if r.plugin == name]
    adds = [column for kind, spec in found if kind == "analytics" for column in spec.adds]
    components = [(kind, spec.name, spec.help) for kind, spec in found]
    return {"name": name, "problem": None, "components": components, "adds": adds, "commands": _commands(registry)}


def _commands(registry: Registry) -> list[str]:
    import click

    group = click.Group()
    try:
        for impl in registry.hook.g6_commands.get_hookimpls():
            impl.function(group)
    except Exception:
        # Whoever asks for such a command gets the reason.
        return []
    return sorted(group.commands)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        print(json.dumps(_look(wanted)), flush=True)

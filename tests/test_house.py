"""The rules of the house: who may import whom, and lists that must agree."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import g6core
import g6core.testing

REPO = Path(__file__).resolve().parent.parent
PLUGINS = sorted(path.parent for path in REPO.glob("plugins/*/pyproject.toml"))
CORE = sorted((REPO / "g6core").rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    """(module, names) of every import of a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, [alias.name for alias in node.names]


def project(place: Path) -> dict:
    return tomllib.loads((place / "pyproject.toml").read_text("utf-8"))


def test_the_lists_of_plugins_are_equal() -> None:
    root = project(REPO)
    names = {place.name for place in PLUGINS}
    assert names == {project(place)["project"]["name"] for place in PLUGINS}
    assert names == set(root["project"]["optional-dependencies"]["all"])
    assert names == set(root["tool"]["uv"]["sources"]) - {"g6core"}
    assert root["tool"]["uv"]["workspace"]["members"] == ["plugins/*"]
    lines = (REPO / "requirements-dev.txt").read_text()
    editable = re.findall(r"^-e (\.\[dev\]|[\w/-]+)(?:\[\w+\])?$", lines, re.MULTILINE)
    assert set(editable) == {".[dev]", *(f"plugins/{name}" for name in names)}


def test_the_core_imports_no_plugin() -> None:
    packages = {place.name.replace("-", "_") for place in PLUGINS}
    for path in CORE:
        assert not {module.partition(".")[0] for module, _ in imports(path)} & packages, path


def test_a_plugin_uses_public_names_of_the_core_and_no_other_plugin() -> None:
    packages = {place.name.replace("-", "_") for place in PLUGINS}
    for place in PLUGINS:
        own = place.name.replace("-", "_")
        for path in (place / "src").rglob("*.py"):
            for module, names in imports(path):
                head = module.partition(".")[0]
                assert head not in packages - {own}, f"{path} imports {module}"
                if head == "g6core":
                    assert module == "g6core", f"{path} imports {module}"
                    assert set(names) <= set(g6core.__all__), path


def test_public_names_are_there() -> None:
    for name in g6core.__all__:
        assert getattr(g6core, name) is not None
    for name in g6core.testing.__all__:
        assert getattr(g6core.testing, name) is not None


def test_every_package_of_the_core_is_in_the_distribution() -> None:
    listed = set(project(REPO)["tool"]["setuptools"]["packages"])
    found = {".".join(path.parent.relative_to(REPO).parts) for path in CORE}
    assert found <= listed


def test_nobody_places_an_order() -> None:
    order = re.compile(r"place_order|modify_order|cancel_order|/orders|place_gtt|/gtt", re.IGNORECASE)
    for path in [*CORE, *(p for place in PLUGINS for p in (place / "src").rglob("*.py"))]:
        assert not order.search(path.read_text("utf-8")), path


def test_nothing_takes_the_time_but_the_clock() -> None:
    taken = re.compile(r"date\.today\(|datetime\.now\(\)|utcnow\(|utcfromtimestamp\(")
    for path in [*CORE, *(p for place in PLUGINS for p in (place / "src").rglob("*.py"))]:
        assert not taken.search(path.read_text("utf-8")), path

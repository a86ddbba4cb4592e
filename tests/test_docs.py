"""The manual is true: its snippets run, its links resolve, and what it says of hooks and files is so.

A page's fenced blocks are followed in order in one directory, as a reader would. One with a file name behind its
language is saved under it. `python` without a name runs; `toml` is parsed, and checked by `g6 config check` when it
selects plugins; `sh` runs: lines of `g6`, `pip install -e .` and `pytest`; `text` is there to be looked at.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy
import pytest

import g6core
from docs.tools import notebook, schema_page
from g6core import AnalyticSpec, hookspecs
from g6core.registry import KINDS
from tests.launch import PYTEST, Launcher

REPO = Path(__file__).resolve().parent.parent
DOCS = REPO / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINKING = [*PAGES, REPO / "README.md", REPO / "CHANGELOG.md", *sorted(REPO.glob("plugins/*/README.md"))]
HOOKS_PAGE = (DOCS / "hooks.md").read_text("utf-8")
ARCHITECTURE = (DOCS / "architecture.md").read_text("utf-8")
PLUGIN_PAGE = (DOCS / "writing-a-plugin.md").read_text("utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced block. file: the name behind the language, or empty."""

    language: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    return [Block(*parts) for parts in found]


def relative(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


OTHERWISE = ("hooks.md", "notebook.md")
"""Pages whose snippets are followed by tests of their own."""


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p) and p.name not in OTHERWISE], ids=relative)
def test_the_snippets_of_a_page_run(
    page: Path,
    tmp_path: Path,
    clean_env: Callable[..., dict[str, str]],
    pip_install: Callable[..., str],
    launcher: Launcher,
) -> None:
    reader = Reader(tmp_path / "reader", clean_env, pip_install, launcher)
    for block in blocks(page):
        reader.follow(block)


def test_the_notebook_runs_from_top_to_bottom(
    tmp_path: Path,
    clean_env: Callable[..., dict[str, str]],
    pip_install: Callable[..., str],
    launcher: Launcher,
) -> None:
    def env(paths: list[str]) -> dict[str, str]:
        return clean_env(paths, MPLBACKEND="Agg")

    reader = Reader(tmp_path / "reader", env, pip_install, launcher)
    for block in blocks(DOCS / "notebook.md"):
        if block.language == "sh":
            reader.follow(block)
    reader.follow(Block("python", "", notebook.script()))
    shown = re.findall(r"\]\(images/(.+\.png)\)", (DOCS / "notebook.md").read_text("utf-8"))
    assert len(shown) == 4
    for name in shown:
        assert (reader.place / name).read_bytes().startswith(b"\x89PNG")
        assert (DOCS / "images" / name).stat().st_size < 150_000


def test_the_notebook_is_the_page() -> None:
    written = (DOCS / "notebook.ipynb").read_text("utf-8")
    assert written == notebook.notebook(), "python -m docs.tools.notebook > docs/notebook.ipynb"


def test_the_schema_is_that_of_the_code() -> None:
    written = (DOCS / "schema.md").read_text("utf-8")
    assert written == schema_page.page(), "python -m docs.tools.schema_page > docs/schema.md"


def test_a_column_that_nobody_describes_is_named() -> None:
    edge = AnalyticSpec("edge", build=lambda settings: None, adds=("options.edge", "facts.edge", "options.iv"))
    with pytest.raises(LookupError, match=r"row for facts\.edge, options\.edge$"):
        schema_page.page([*schema_page.analytics(), edge])


def test_every_column_of_the_core_is_in_the_schema() -> None:
    described = schema_page.CORE
    assert list(described["options"]) == list(g6core.OPTIONS)
    assert list(described["expiries"]) == list(g6core.EXPIRIES)


class Reader:
    """Somebody who types what the page says."""

    def __init__(
        self,
        place: Path,
        clean_env: Callable[..., dict[str, str]],
        pip_install: Callable[..., str],
        launcher: Launcher,
    ) -> None:
        place.mkdir()
        self.place, self._launcher = place, launcher
        self._clean_env, self._pip_install = clean_env, pip_install
        self._paths: list[str] = []

    def follow(self, block: Block) -> None:
        if block.file:
            (self.place / block.file).write_text(block.text, "utf-8")
        match block.language:
            case "python" if not block.file:
                (self.place / "shown.py").write_text(block.text, "utf-8")
                self._run("shown")
            case "toml":
                self._check(block)
            case "sh":
                for line in block.text.splitlines():
                    self._type(shlex.split(line, comments=True))
            case "python" | "csv" | "text":
                pass
            case other:
                pytest.fail(f"a `{other}` block is neither run nor marked as `text`")

    def _type(self, words: list[str]) -> None:
        match words:
            case []:
                pass
            case ["g6", *arguments]:
                self._run("g6core", *arguments)
            case ["pytest", *arguments]:
                self._run(*PYTEST, *arguments)
            case ["pip", "install", "-e", "."]:
                self._paths.append(self._pip_install(self.place))
            case other:
                pytest.fail(f"nobody runs `{shlex.join(other)}`")

    def _check(self, block: Block) -> None:
        if "plugins" in tomllib.loads(block.text):
            file = self.place / (block.file or "shown.toml")
            file.write_text(block.text, "utf-8")
            self._run("g6core", "config", "check", "--config", file.name)

    def _run(self, *command: str) -> None:
        done = self._launcher.run(*command, cwd=self.place, env=self._clean_env(self._paths))
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"


def hook_signatures() -> Iterator[tuple[str, str]]:
    for node in ast.parse(inspect.getsource(hookspecs)).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("g6_"):
            assert node.returns
            yield node.name, f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"


HOOKS = dict(hook_signatures())


def section(hook: str) -> str:
    """What the page says under a hook's signature."""
    return HOOKS_PAGE.partition(f"## `{HOOKS[hook]}`\n")[2].partition("\n## ")[0]


def test_the_seven_hooks_are_known() -> None:
    assert len(HOOKS) == 7


def test_the_hook_page_has_no_other_hook() -> None:
    assert re.findall(r"^## `(.+)`$", HOOKS_PAGE, re.M) == list(HOOKS.values())


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_with_its_signature_and_its_docstring(hook: str) -> None:
    text = section(hook)
    assert text, f"docs/hooks.md has no section `{HOOKS[hook]}`"
    assert inspect.getdoc(getattr(hookspecs, hook)) in text


def test_the_hook_page_repeats_what_holds_for_all_hooks() -> None:
    general = (hookspecs.__doc__ or "").split("\n\n", 1)[1].strip()
    assert general in HOOKS_PAGE


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_a_hook_is_a_plugin(hook: str) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", section(hook), re.S)
    module = _module(hook, example)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module)
    manager.check_pending()
    (implementation,) = getattr(manager.hook, hook).get_hookimpls()
    kind = hook.removeprefix("g6_")
    if kind in KINDS:
        (spec,) = implementation.function()
        assert isinstance(spec, KINDS[kind])
        spec.build(spec.settings()).close()


def _module(name: str, text: str) -> Any:
    from types import ModuleType

    module = ModuleType(name)
    exec(compile(text, f"docs/hooks.md:{name}", "exec"), module.__dict__)
    return module


def test_the_promised_lengths_hold() -> None:
    for title, file, most in (("sink in 20", "parquet_files.py", 20), ("strategy in 10", "round_strikes.py", 10)):
        assert title in PLUGIN_PAGE
        (block,) = (b for b in blocks(DOCS / "writing-a-plugin.md") if b.file == file)
        assert len([line for line in block.text.splitlines() if line.strip()]) <= most


def test_the_plugin_page_names_every_public_name() -> None:
    assert [n for n in g6core.__all__ if n != "__version__" and f"`{n}`" not in PLUGIN_PAGE] == []


def test_the_architecture_page_names_every_file_of_the_core() -> None:
    modules = {path.name for path in (REPO / "g6core").glob("*.py")} - {"__main__.py"}
    assert {name for name in modules if f"`{name}`" not in ARCHITECTURE} == set()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    saved = {block.file for block in blocks(page)}
    names = set(re.findall(r"`((?:[\w.-]+/)*[\w-]+\.py)`", text)) - saved
    places = [REPO, REPO / "g6core"]
    assert {name for name in names if not any((place / name).exists() for place in places)} == set()


@pytest.mark.parametrize("page", LINKING, ids=relative)
def test_relative_links_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = Path(os.path.normpath(page.parent / path)) if path else page
        assert there.exists(), f"{relative(page)} links to {target}"
        assert not anchor or anchor in anchors(there), f"{relative(page)} links to {target}"


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_links_every_page() -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    pages = [p.relative_to(DOCS).as_posix() for p in PAGES if p.parent == DOCS and p.name != "README.md"]
    assert [page for page in [*pages, "errors/README.md"] if f"]({page})" not in index] == []


def test_no_page_names_a_place_of_one_machine() -> None:
    for page in LINKING:
        assert not re.search(r"(/(home|work|root)/|C:\\Users)", page.read_text("utf-8")), relative(page)

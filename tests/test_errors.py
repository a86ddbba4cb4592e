"""Every error code that a person can meet has a page under docs/errors, and no page is left without a code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from g6core.errors import EXIT_CODES

REPO = Path(__file__).resolve().parent.parent
PAGES = REPO / "docs" / "errors"
SOURCES = sorted([*REPO.glob("g6core/**/*.py"), *REPO.glob("plugins/*/src/**/*.py")])
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


WRITTEN = sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "README")
"""The codes that have a page. That they are those of the sources is a test: to read these takes seconds."""


@cache
def nodes() -> list[tuple[str, list[ast.AST]]]:
    """Of each source: the path, and what may define or name an error."""
    return list(_nodes())


def _nodes() -> Iterator[tuple[str, list[ast.AST]]]:
    wanted = (ast.ClassDef, ast.Call, ast.Constant)
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        yield path.relative_to(REPO).as_posix(), [node for node in ast.walk(tree) if isinstance(node, wanted)]


@cache
def error_classes() -> dict[str, tuple[str, int]]:
    """G6Error and whatever derives from it anywhere: its own code and exit code, inherited or not."""
    classes = [node for _, found in nodes() for node in found if isinstance(node, ast.ClassDef)]
    found = {"G6Error": ("error", 1)}
    while True:
        new = {
            node.name: _own(node, found[base.id])
            for node in classes
            for base in node.bases
            if isinstance(base, ast.Name) and base.id in found and node.name not in found
        }
        if not new:
            return found
        found.update(new)


def _own(node: ast.ClassDef, inherited: tuple[str, int]) -> tuple[str, int]:
    own = {
        target.id: statement.value.value
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    return str(own.get("code", inherited[0])), int(own.get("exit_code", inherited[1]))  # type: ignore[call-overload]


@cache
def raised() -> list[tuple[str, int, str]]:
    """(code, exit code, place) of every call of an error class, and of what the renderer prints by itself."""
    return list(_raised())


def _raised() -> Iterator[tuple[str, int, str]]:
    classes = error_classes()
    for path, found in nodes():
        for node in found:
            place = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and _name(node.func) in classes:
                own, exit_code = classes[_name(node.func)]
                given = [k.value for k in node.keywords if k.arg == "code"]
                for code in _literals(given[0], place) if given else [own]:
                    yield code, exit_code, place
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "error[" in node.value:
                yield from ((code, 1, place) for code in re.findall(r"error\[([a-z-]+)\]", node.value))


def _name(function: ast.expr) -> str:
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def _literals(value: ast.expr, place: str) -> list[str]:
    """The codes that an expression may give. Handing on another error's code (`e.code`) gives no new one."""
    if isinstance(value, ast.IfExp):
        return _literals(value.body, place) + _literals(value.orelse, place)
    if isinstance(value, ast.Attribute) and value.attr == "code":
        return []
    assert isinstance(value, ast.Constant), f"{place}: write the code out, so that it can be found"
    return [value.value]


def answered() -> Iterator[str]:
    """The codes of answers on the HTTP port, `problem(404, "no-such-page", …)`: no command ends with those."""
    for _, found in nodes():
        for node in found:
            if isinstance(node, ast.Call) and _name(node.func) == "problem" and len(node.args) > 1:
                code = node.args[1]
                if isinstance(code, ast.Constant):
                    yield str(code.value)


@cache
def codes() -> list[str]:
    return sorted({code for code, _, _ in raised()} | {code for code, _ in error_classes().values()} | set(answered()))


def exit_codes(code: str) -> list[int]:
    of_classes = {exit_code for own, exit_code in error_classes().values() if own == code}
    return sorted({exit_code for other, exit_code, _ in raised() if other == code} | of_classes)


def test_the_scan_finds_what_is_surely_there() -> None:
    assert {"config", "crash", "disk-full", "journal-unavailable", "plugin-broken", "bad-frame"} <= set(codes())


def test_every_code_has_a_page() -> None:
    without = {code: [place for other, _, place in raised() if other == code] for code in set(codes()) - set(WRITTEN)}
    assert without == {}, "write docs/errors/CODE.md"


def test_no_page_is_without_a_code() -> None:
    assert set(WRITTEN) - set(codes()) == set()


@pytest.mark.parametrize("code", WRITTEN)
def test_a_code_is_a_stable_word_and_its_page_has_all_parts(code: str) -> None:
    assert CODE.fullmatch(code)
    text = (PAGES / f"{code}.md").read_text("utf-8")
    assert text.startswith(f"# {code}\n")
    for heading in ("## Why", "## What to do"):
        assert heading in text, f"{code}.md lacks `{heading}`"


def test_the_index_lists_every_code_with_its_exit_code() -> None:
    rows = re.findall(r"^\| \[([a-z0-9-]+)\]\(\1\.md\) \| ([^|]+) \|", (PAGES / "README.md").read_text("utf-8"), re.M)
    expected = [(code, " or ".join(map(str, exit_codes(code))) or "–") for code in codes() if code != "problems"]
    assert [row for row in rows if row[0] != "problems"] == expected


def test_the_index_lists_the_exit_codes() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \|$", (PAGES / "README.md").read_text("utf-8"), re.M)
    assert {int(code): text.replace("`", "") for code, text in rows} == EXIT_CODES

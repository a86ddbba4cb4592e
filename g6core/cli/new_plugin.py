"""`g6 new-plugin`: a package to start from, whose tests pass as written."""

from __future__ import annotations

import importlib.util
import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from g6core import __version__
from g6core.errors import ConfigError

SUMMARIES = {
    "sink": "A CSV file per snapshot",
    "strategy": "The strikes nearest to the spot",
    "analytic": "The bid-ask spread as a fraction of the mid price",
    "provider": "Contracts and quotes from a Parquet file",
    "alert": "Tells when the index jumps within one cycle",
}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@click.command()
@click.argument("name")
@click.option("--kind", required=True, type=click.Choice(sorted(SUMMARIES)), help="What the plugin brings.")
@click.option(
    "--dir",
    "parent",
    default=".",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where its directory goes.",
)
def new_plugin(name: str, kind: str, parent: Path) -> None:
    """Write a new plugin package with passing tests.

    NAME is the plugin's, its module's and its component's name: lower-case letters, digits, `_` or `-`.
    """
    module = checked_name(name)
    place = write(module, kind, parent)
    click.echo(f"wrote {place}")
    click.echo(f"next: `pip install -e {place}`, `pytest {place}`, then edit {place / 'src' / module / '__init__.py'}")


def checked_name(name: str) -> str:
    """The module's name. Raises ConfigError (`plugin-name`) for one that Python or another module has taken."""
    module = name.replace("-", "_")
    if not _NAME.fullmatch(module) or keyword.iskeyword(module):
        raise ConfigError(
            f"a plugin cannot be called `{name}`",
            code="plugin-name",
            hint="start with a lower-case letter; then letters, digits, `_` or `-`",
        )
    if importlib.util.find_spec(module):
        raise ConfigError(
            f"there is a Python module called `{module}` already",
            code="plugin-name",
            hint=f"call the plugin something else, such as `my-{module.replace('_', '-')}`",
        )
    return module


def write(module: str, kind: str, parent: Path) -> Path:
    """Write the package and return its directory. Raises ConfigError (`directory-exists`)."""
    place = parent / module.replace("_", "-")
    if place.exists():
        raise ConfigError(
            f"{place} exists already, and nothing in it was touched",
            code="directory-exists",
            hint="choose another name, or another place with `--dir`",
        )
    for path, text in _contents(module, kind).items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text, encoding="utf-8", newline="\n")
    return place


def _contents(module: str, kind: str) -> dict[str, str]:
    major, minor = map(int, __version__.split(".")[:2])
    words = {
        "name": module,
        "distribution": module.replace("_", "-"),
        "class_name": "".join(part.capitalize() for part in module.split("_")),
        "kind": "alert rule" if kind == "alert" else kind,
        "summary": SUMMARIES[kind],
        "core": f"{major}.{minor}",
        "next_core": f"{major}.{minor + 1}",
    }
    words["config"] = _filled(f"{kind}/config.toml.txt", words).rstrip()
    return {
        "pyproject.toml": _filled("pyproject.toml.txt", words),
        "README.md": _filled("README.md.txt", words),
        f"src/{module}/__init__.py": _filled(f"{kind}/plugin.py.txt", words),
        f"tests/test_{module}.py": _filled(f"{kind}/test_plugin.py.txt", words),
    }


def _filled(template: str, words: dict[str, str]) -> str:
    return Template((files("g6core") / "templates" / template).read_text("utf-8")).substitute(words)

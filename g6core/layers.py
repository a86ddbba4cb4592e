"""The sources of settings, merged into one tree in which every value remembers where it came from.

Strongest first: the command line; `G6_…` in the environment, in `.env` and in the secrets file; the settings file;
what the command itself assumes. Nothing is checked here but that the sources can be read: `g6core.config` does the
rest.
"""

from __future__ import annotations

import io
import json
import os
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from g6core.errors import ConfigError
from g6core.lines import Key, json_lines, toml_lines
from g6core.settings import Names, Settings, decoded

PREFIX = "G6_"
FILES = (Path("g6.toml"), Path("g6.json"))
SECRETS_FILE = "G6_SECRETS_FILE"


class Strength(IntEnum):
    COMMAND_DEFAULT = 0
    FILE = 1
    SECRETS_FILE = 2
    DOTENV = 3
    ENVIRONMENT = 4
    COMMAND_LINE = 5


@dataclass(frozen=True)
class Origin:
    """Where a value came from. text: as a person would say it, `g6.toml:14` or `G6_INTERVAL`."""

    strength: Strength
    text: str


@dataclass(frozen=True)
class Leaf:
    value: Any = field(repr=False)  # may be a secret
    origin: Origin


@dataclass(frozen=True)
class Variable:
    """An environment variable, wherever it was written."""

    value: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True)
class Layers:
    """The merged sources. file: the settings file, if there is one. leaves: each value by its path.

    variables: every environment variable by its name in capitals, for the fields that are known by a fixed name.
    lines: of the file's tables and keys. reread: the same sources, read again.
    """

    file: Path | None
    leaves: Mapping[Key, Leaf]
    variables: Mapping[str, Variable]
    lines: Mapping[Key, int]
    reread: Callable[[], Layers] = field(repr=False)

    @property
    def plugins(self) -> list[str]:
        """The selected plugins; needed before anything else can be checked. Raises ConfigError."""
        leaf = self.leaves.get(("plugins",))
        if leaf is None:
            return []
        try:
            return TypeAdapter(Names).validate_python(leaf.value)
        except ValidationError:
            pass
        raise ConfigError(
            "`plugins` should be a list of names", where=leaf.origin.text, hint='`plugins = ["sim", "greeks", "csv"]`'
        )

    @property
    def data_dir(self) -> Path:
        """Where everything is recorded, for commands that need nothing else of the settings."""
        leaf = self.leaves.get(("data_dir",))
        return Path(str(leaf.value)) if leaf else Path(Settings.model_fields["data_dir"].default)

    def table(self, *path: str) -> dict[str, Any]:
        """What was set below a path, nested; empty when nothing or no table was."""
        tree: dict[str, Any] = {}
        for key, leaf in self.leaves.items():
            if key[: len(path)] == path and len(key) > len(path):
                _put(tree, key[len(path) :], leaf.value)
        return tree

    def origin(self, path: Key) -> Origin | None:
        """Of the value at a path: the one that holds it, or the first one below it."""
        for cut in range(len(path), 0, -1):
            if leaf := self.leaves.get(path[:cut]):
                return leaf.origin
        below = [leaf.origin for key, leaf in self.leaves.items() if key[: len(path)] == path]
        return below[0] if below else None

    def where(self, path: Key) -> str:
        """The place of a value or a table for an error message; empty when nothing set it."""
        origin = self.origin(path)
        if origin is None:
            return ""
        if origin.strength is Strength.COMMAND_LINE:
            return f"{origin.text}  {'.'.join(path)}"
        if origin.strength is not Strength.FILE or self.file is None:
            return origin.text
        leaf = self.leaves.get(path)
        is_table = leaf.value == {} if leaf else bool(self.table(*path))
        table = path if is_table else path[:-1]
        place = _place(self.file, path, self.lines)
        return f"{place}  [{'.'.join(table)}]" if table else place


def read(
    file: Path | None,
    overrides: Mapping[str, Any],
    environ: Mapping[str, str],
    dotenv: Path | None = Path(".env"),
    defaults: Mapping[str, Any] | None = None,
) -> Layers:
    """Read and merge all sources.

    file: the settings file; None: ./g6.toml or ./g6.json, if there is one. overrides: the command line, nested.
    dotenv: need not exist. defaults: what the command assumes, key by key, when nothing else is said about that key.
    Raises ConfigError: a file that is missing, unreadable, not valid, or a secrets file that others may read.
    """
    path = file or _default_file()
    leaves: dict[Key, Leaf] = {}
    lines: dict[Key, int] = {}
    if path:
        data, lines = _parse(path)
        for key, value in _leaves(data):
            _lay(leaves, canonical(key), Leaf(value, Origin(Strength.FILE, _place(path, canonical(key), lines))))
    variables: dict[str, Variable] = {}
    for strength, place, values in _variables(environ, dotenv):
        variables.update({n.upper(): Variable(v, Origin(strength, n.upper() + place)) for n, v in values.items()})
        for key, value in _leaves(_Variables(values)()):
            origin = Origin(strength, _variable(key, values) + place)
            _lay(leaves, canonical(key), Leaf(value, origin))
    for key, value in _leaves(overrides):
        _lay(leaves, canonical(key), Leaf(value, Origin(Strength.COMMAND_LINE, "command line")))
    said = {key[0] for key in leaves}
    for key, value in _leaves(defaults or {}):
        if key[0] not in said:
            leaves[canonical(key)] = Leaf(value, Origin(Strength.COMMAND_DEFAULT, "default of this command"))
    return Layers(path, leaves, variables, lines, partial(read, path, overrides, environ, dotenv, defaults))


def canonical(path: Key) -> Key:
    """Index names in capitals, the keys of the core and of components in small letters, what lies deeper as it is."""
    head, *rest = path
    head = head.lower()
    if head in ("indices", "index_params"):
        return ("indices", *(part.upper() for part in rest[:1]), *(part.lower() for part in rest[1:3]), *rest[3:])
    return (head, *(part.lower() for part in rest[:2]), *rest[2:])


def _default_file() -> Path | None:
    found = [path for path in FILES if path.is_file()]
    if len(found) > 1:
        raise ConfigError(
            "there is both a g6.toml and a g6.json here",
            code="config-file",
            hint="remove one, or say `--config g6.toml`",
        )
    return found[0] if found else None


def _parse(path: Path) -> tuple[dict[str, Any], dict[Key, int]]:
    text = _text(path)
    problem = None
    try:
        if path.suffix == ".json":
            data, lines = json.loads(text), json_lines(text)
        elif path.suffix == ".toml":
            data, lines = tomllib.loads(text), toml_lines(text)
        else:
            problem = ConfigError(f"`{path}` is neither a .toml nor a .json file", code="config-file")
    except json.JSONDecodeError as e:
        problem = ConfigError(f"this is no JSON: {e.msg}", code="config-file", where=f"{path}:{e.lineno}")
    except tomllib.TOMLDecodeError as e:
        message, _, place = str(e).partition(" (at line ")
        line = f":{place.split(',')[0]}" if place[:1].isdigit() else ""
        problem = ConfigError(f"this is no TOML: {message}", code="config-file", where=f"{path}{line}")
    # Raised here, outside the except clauses: a parser's exception holds the whole text, secrets and all.
    if problem:
        raise problem
    if not isinstance(data, dict):
        raise ConfigError("settings are one JSON object", code="config-file", where=str(path))
    return data, {canonical(key): line for key, line in lines.items() if key}


def _text(path: Path) -> str:
    try:
        # Windows editors put a byte order mark before UTF-8, which neither parser takes.
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"there is no file `{path}`", code="config-file", hint="`g6 init` writes a g6.toml") from None
    except UnicodeDecodeError:
        pass
    except OSError as e:
        raise ConfigError(f"`{path}` cannot be read: {e.strerror}", code="config-file") from e
    raise ConfigError(f"`{path}` is not UTF-8 text", code="config-file", hint="save it as UTF-8")


def _variables(environ: Mapping[str, str], dotenv: Path | None) -> Iterator[tuple[Strength, str, Mapping[str, str]]]:
    secrets = _secrets_file(environ)
    if secrets:
        yield Strength.SECRETS_FILE, f" in {secrets}", _dotenv(secrets)
    if dotenv and dotenv.is_file():
        yield Strength.DOTENV, f" in {dotenv}", _dotenv(dotenv)
    yield Strength.ENVIRONMENT, "", {name: value for name, value in environ.items() if value}


def _dotenv(path: Path) -> dict[str, str]:
    # Without interpolation: a `$` belongs to the secret.
    values = dotenv_values(stream=io.StringIO(_text(path)), interpolate=False)
    return {name: value for name, value in values.items() if value}


def _secrets_file(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(SECRETS_FILE)
    home = environ.get("HOME") or environ.get("USERPROFILE")
    path = Path(named) if named else Path(home, ".config", "g6", "secrets.env") if home else None
    if path is None or not (named or path.is_file()):
        return None
    if os.name == "posix" and path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(
            f"the secrets file may be read by others: mode {stat.S_IMODE(path.stat().st_mode):04o}",
            code="secrets-mode",
            where=str(path),
            hint=f"`chmod 600 {path}`",
        )
    return path


class _Variables(EnvSettingsSource):
    """`G6_…` variables of one source. Nested values stay text: what they should be, the component's model knows."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._values.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        return decoded(value)


def _variable(path: Key, values: Mapping[str, str]) -> str:
    """The variable that set a path: its own, or one that set the table around it."""
    names = {name.upper() for name in values}
    candidates = [PREFIX + "__".join(path[:cut]).upper() for cut in range(len(path), 0, -1)]
    return next((name for name in candidates if name in names), candidates[0])


def _place(path: Path, key: Key, lines: Mapping[Key, int]) -> str:
    line = next((lines[key[:cut]] for cut in range(len(key), 0, -1) if key[:cut] in lines), None)
    return f"{path}:{line}" if line else str(path)


def _leaves(tree: Mapping[str, Any], path: Key = ()) -> Iterator[tuple[Key, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _lay(leaves: dict[Key, Leaf], path: Key, leaf: Leaf) -> None:
    """Put a stronger leaf over the weaker ones: it takes the place of what stood there, and of what it lies in."""
    if isinstance(leaf.value, str) and path[-1] == "strategy" and path[0] in ("strategy", "indices"):
        path = (*path, "use")
    below = [key for key in leaves if key[: len(path)] == path]
    if leaf.value == {} and below:
        return
    replaced = below + [path[:cut] for cut in range(1, len(path))]
    weaker = leaves.get(path)
    if path[-1] == "use" and weaker and weaker.value != leaf.value:
        # Another component than the weaker source meant: its settings mean nothing here.
        beside = [key for key in leaves if key[: len(path) - 1] == path[:-1]]
        replaced += [key for key in beside if leaves[key].origin.strength < leaf.origin.strength]
    for key in replaced:
        leaves.pop(key, None)
    leaves[path] = leaf


def _put(tree: dict[str, Any], path: Key, value: Any) -> None:
    *tables, key = path
    for name in tables:
        tree = tree.setdefault(name, {})
    tree[key] = value

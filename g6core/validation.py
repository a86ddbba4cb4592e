"""One table of settings against one model: each problem a sentence with its place and a remedy, no secret in any."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from g6core.errors import ConfigError
from g6core.layers import PREFIX, Layers, Origin, Strength
from g6core.lines import Key
from g6core.redact import hide
from g6core.settings import decoded
from g6core.specs import Public

SECRET_ENDINGS = (
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "api_key",
    "apikey",
    "private_key",
    "secret_key",
)
_WRITTEN = (Strength.FILE, Strength.COMMAND_LINE, Strength.COMMAND_DEFAULT)


@dataclass
class Table:
    """What was set for one model.

    path: the table, as a person names it. values: by field. paths: where in the layers each field was set; differs
    from `path` when a strategy's table and the keys beside its `use` come together. aliases: fields set by a variable
    of a fixed name. schema: the component, as `g6 config schema` takes it.
    """

    path: Key
    layers: Layers
    values: dict[str, Any]
    paths: dict[str, Key]
    schema: str = ""
    aliases: dict[str, Origin] = field(default_factory=dict)

    @classmethod
    def at(cls, layers: Layers, path: Key, *, without: Collection[str] = (), schema: str = "") -> Table:
        table = layers.table(*path)
        values = {key: value for key, value in table.items() if key not in without}
        return cls(path, layers, values, {key: (*path, key) for key in table}, schema)

    def over(self, weaker: Table) -> Table:
        """Both, this one's fields first."""
        return replace(self, values=weaker.values | self.values, paths=weaker.paths | self.paths)

    @property
    def sources(self) -> dict[str, str]:
        """Where each key was set, in words."""
        origins = {key: self.origin(key) for key in (*self.paths, *self.aliases)}
        return {key: origin.text for key, origin in origins.items() if origin}

    def origin(self, field: str) -> Origin | None:
        if field in self.aliases:
            return self.aliases[field]
        return self.layers.origin(self.paths[field]) if field in self.paths else None

    def where(self, *loc: str) -> str:
        """The place of a field, or of what lies in it, or of the table."""
        if not loc:
            return self.layers.where(self.path) or f"[{'.'.join(self.path)}]"
        if loc[0] in self.aliases:
            return self.aliases[loc[0]].text
        return self.layers.where((*self.paths[loc[0]], *loc[1:])) if loc[0] in self.paths else self.where()


def looks_secret(name: str) -> bool:
    return name.lower().endswith(SECRET_ENDINGS)


def is_secret(name: str, annotation: Any) -> bool:
    """A field that must not be shown: declared as SecretStr, or called like one and not declared Public."""
    if _mentions(annotation, Public):
        return False
    return _mentions(annotation, SecretStr) or (looks_secret(name) and (annotation is None or _holds(annotation, str)))


def add_aliases(table: Table, model: type[BaseModel], *, by_own_name: bool) -> None:
    """Fields that are also known by a fixed variable take its value, unless a `G6_…` variable or the command line set
    them.

    by_own_name: the instance bears the component's name. Another instance (`[sinks.archive] use = "csv"`) takes it
    only for what its table leaves open, or both would write to the same place.
    """
    for name, info in model.model_fields.items():
        variables = (table.layers.variables.get(alias) for alias in _aliases(info))
        variable = next((v for v in variables if v), None)
        origin = table.origin(name)
        if variable and (origin is None or (by_own_name and origin.strength <= Strength.FILE)):
            table.values[name] = variable.value
            table.aliases[name] = variable.origin
            table.paths.pop(name, None)


def variables_of(path: Key, model: type[BaseModel] | None) -> list[str]:
    """The environment variables that a field may be set by, the plainest first."""
    info = model.model_fields.get(path[-1]) if model else None
    return [*(_aliases(info) if info else ()), PREFIX + "__".join(path).upper()]


def _aliases(info: FieldInfo) -> list[str]:
    extra = info.json_schema_extra
    names: Any = extra.get("env", []) if isinstance(extra, dict) else []
    return [names] if isinstance(names, str) else list(names)


def validated(model: type[BaseModel], table: Table) -> tuple[BaseModel | None, list[ConfigError]]:
    """An instance of the model, or None; and every problem."""
    refused = dict(_written_secrets(model, table))
    values = _without(_read_as(model, table), refused)
    problems = list(refused.values())
    for loc, value in _leaves(table.values):
        if is_secret(loc[-1], _field_at(model, loc)[0]):
            hide(str(value))
    try:
        # Through __init__, not model_validate: a BaseSettings model asks its sources only there.
        settings = model(**values)
    except ValidationError as e:
        found: dict[Key, ConfigError] = {}
        for error in e.errors(include_url=False):
            loc = _place_in(table, error)
            if loc not in refused:
                found.setdefault(loc, _problem(error, loc, model, table))
        return None, problems + list(found.values())
    return (None if problems else settings), problems


def _read_as(model: type[BaseModel], table: Table) -> dict[str, Any]:
    """The values, with text of a variable or the command line read as the list or table that the field wants."""
    values = dict(table.values)
    for name, value in values.items():
        origin = table.origin(name)
        info = model.model_fields.get(name)
        if info and isinstance(value, str) and origin and origin.strength is not Strength.FILE:
            values[name] = _as_container(info.annotation, value)
    return values


def _as_container(annotation: Any, text: str) -> Any:
    if any(_holds(annotation, kind) for kind in (list, tuple, set, frozenset)) and text.lstrip()[:1] not in ("[", "{"):
        return [part.strip() for part in text.split(",") if part.strip()]
    if _holds(annotation, str) and not _holds(annotation, dict):
        return text
    return decoded(text)


def _written_secrets(model: type[BaseModel], table: Table) -> Iterator[tuple[Key, ConfigError]]:
    for loc, value in _leaves(table.values):
        origin = table.layers.origin((*table.paths[loc[0]], *loc[1:])) if loc[0] in table.paths else None
        annotation, declared = _field_at(model, loc)
        typed = _mentions(annotation, SecretStr)
        named = declared and isinstance(value, str) and is_secret(loc[-1], annotation)
        if (typed or named) and origin and origin.strength in _WRITTEN:
            place = "in a settings file" if origin.strength is Strength.FILE else "on the command line"
            names = " or ".join(variables_of((*table.path, *loc), model if len(loc) == 1 else None))
            yield (
                loc,
                ConfigError(
                    f"`{loc[-1]}` is a secret and does not belong {place}",
                    code="secret-in-file",
                    where=table.where(*loc),
                    hint=f"set {names} in the environment or in .env, and take it out here",
                ),
            )


def _without(values: dict[str, Any], refused: Collection[Key]) -> dict[str, Any]:
    kept = {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}
    for *tables, name in refused:
        inner: Any = kept
        for outer in tables:
            inner[outer] = dict(inner[outer])
            inner = inner[outer]
        inner.pop(name, None)
    return kept


def _place_in(table: Table, error: ErrorDetails) -> Key:
    """Where the error stands, without pydantic's own additions: places in a list, arms of a union."""
    loc: list[str] = []
    inner: Any = table.values
    for part in error["loc"]:
        if not isinstance(part, str):
            break
        if not isinstance(inner, Mapping) or part not in inner:
            return (*loc, part) if error["type"] == "missing" else tuple(loc)
        loc.append(part)
        inner = inner[part]
    return tuple(loc)


def _problem(error: ErrorDetails, loc: Key, model: type[BaseModel], table: Table) -> ConfigError:
    section = ".".join((*table.path, *loc[:-1]))
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(loc[-1], _keys_at(model, loc[:-1]), n=1, cutoff=0.4)
        schema = table.schema or ".".join(loc[:1] if len(loc) > 1 else ())
        lists = f"`g6 config schema {schema}".rstrip() + "` lists the keys"
        hint = f"did you mean `{close[0]}`? {lists}" if close else lists
        return ConfigError(f"unknown key `{loc[-1]}`", where=table.where(*loc), hint=hint)
    if error["type"] == "missing":
        names = " or ".join(variables_of((*table.path, *loc), model if len(loc) == 1 else None))
        secret = is_secret(loc[-1], _field_at(model, loc)[0])
        hint = f"set {names}" if secret else f"set it in [{section}], or set {names}"
        name = ".".join((*table.path, *loc))
        return ConfigError(f"`{name}` is not set and has no default", where=table.where(), hint=hint)
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if error["type"] != "value_error":
        message = message[0].lower() + message[1:]
    if loc and not is_secret(loc[-1], _field_at(model, loc)[0]):
        message += _shown(error["input"], message)
    subject = f"`{loc[-1]}` " if error["msg"].startswith("Input ") else f"`{loc[-1]}`: " if loc else ""
    return ConfigError(subject + _masked(message, model, table), where=table.where(*loc))


def _shown(value: Any, message: str) -> str:
    plain = isinstance(value, str | int | float) and f"`{value}`" not in message and len(str(value)) <= 80
    return f", not `{value}`" if plain else ""


def _masked(message: str, model: type[BaseModel], table: Table) -> str:
    for loc, value in _leaves(table.values):
        if is_secret(loc[-1], _field_at(model, loc)[0]) and str(value):
            message = message.replace(str(value), "***")
    return message


def _keys_at(model: type[BaseModel], loc: Key) -> list[str]:
    annotation: Any = _field_at(model, loc)[0] if loc else model
    return [name for found in _models(annotation) for name in found.model_fields]


def _field_at(model: type[BaseModel], loc: Key) -> tuple[Any, bool]:
    """The annotation of a field, None when it is not known; and whether a model decides there, not a free mapping."""
    annotation: Any = model
    declared = True
    for part in loc:
        found = next(_models(annotation), None)
        declared = found is not None
        if found is not None:
            info = found.model_fields.get(part)
            annotation = info.annotation if info else None
        else:
            mapping = next((a for a in _arms(annotation) if typing.get_origin(a) is dict), None)
            annotation = typing.get_args(mapping)[1] if mapping else None
    return annotation, declared


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    return (arm for arm in _arms(annotation) if isinstance(arm, type) and issubclass(arm, BaseModel))


def _arms(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union, without their metadata."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for arm in typing.get_args(annotation):
            yield from _arms(arm)
    elif origin is typing.Annotated:
        yield from _arms(typing.get_args(annotation)[0])
    else:
        yield annotation


def _holds(annotation: Any, kind: type) -> bool:
    return any((typing.get_origin(arm) or arm) is kind for arm in _arms(annotation))


def _mentions(annotation: Any, kind: type) -> bool:
    return annotation is kind or any(_mentions(part, kind) for part in typing.get_args(annotation))


def _leaves(tree: Mapping[str, Any], path: Key = ()) -> Iterator[tuple[Key, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value

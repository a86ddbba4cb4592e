"""Commented samples and JSON Schemas of every table, from the models."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from g6core.config import KINDS
from g6core.errors import ConfigError
from g6core.registry import Registered, Registry
from g6core.settings import SECTIONS, IndexTable, Settings
from g6core.toml import toml_key, toml_value
from g6core.validation import is_secret, variables_of

WIDTH = 110
HEADER = """\
# Settings of G6. A line `#key = value` shows a default: take the `#` away to change it.
# Stronger than this file: .env, the environment (G6_INTERVAL), the command line (--set interval=5s).
# Secrets do not belong here: see .env.template. `g6 config check` checks this file, `g6 config show` what comes of it.
"""
ENV_HEADER = """\
# Secrets and settings of this machine: copy to .env (keep it out of git) and fill in what you need.
# Any setting has a variable: `interval` is G6_INTERVAL, `dir` in [sinks.csv] is G6_SINKS__CSV__DIR.
"""
INSTANCE_KEYS: Mapping[str, Any] = {
    "use": {"type": "string", "description": "the component, when the table has another name"},
    "enabled": {"type": "boolean", "default": True, "description": "false: switched off"},
}


def find(registry: Registry, name: str) -> tuple[str, Registered]:
    """The component called `csv` or `sinks.csv`. Raises ConfigError when there is none, or more than one."""
    kind, _, short = name.rpartition(".")
    found = [(k, registry.of(k)[short]) for k in KINDS if kind in ("", k) and short in registry.of(k)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"`{name}` is of several kinds", hint=f"say {' or '.join(f'`{k}.{name}`' for k, _ in found)}")
    names = [n for k in KINDS for n in registry.of(k)]
    close = difflib.get_close_matches(short, names, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(names)}; `--plugins` selects more"
    raise ConfigError(f"no selected plugin brings a component `{name}`", hint=hint)


def component_sample(registry: Registry, name: str) -> str:
    """The table of one component, commented."""
    kind, registered = find(registry, name)
    return "\n".join(_component(kind, registered, {})) + "\n"


def settings_sample(registry: Registry, active: Mapping[str, Any]) -> str:
    """The whole file, commented; what `active` holds (nested like the settings) is set, everything else a default."""
    lines = [HEADER, *_fields(Settings, (), active, skip={*KINDS, "indices", *SECTIONS})]
    for section, model in SECTIONS.items():
        lines += [f"[{section}]", *_fields(model, (section,), active.get(section, {}))]
    indices = active.get("indices", {})
    for name, table in indices.items():
        lines += [f"[indices.{toml_key(name)}]", *_fields(IndexTable, ("indices", name), table)]
    if not indices:
        lines += ["# The indices to record; all that the provider serves when none is named.", "#[indices.NIFTY]", ""]
    for kind in KINDS:
        for name, registered in registry.of(kind).items():
            if kind != "strategies":
                lines += _component(kind, registered, active.get(kind, {}).get(name, {}))
    return "\n".join(lines).rstrip() + "\n"


def _component(kind: str, registered: Registered, active: Mapping[str, Any]) -> list[str]:
    spec = registered.spec
    # A table that is there switches such a component on.
    mark = "" if spec.by_default or active else "#"
    lines = [f"{mark}[{kind}.{spec.name}]" + (f"  # {spec.help}" if spec.help else "")]
    lines += [f"enabled = {toml_value(active['enabled'])}"] if "enabled" in active else []
    return [*lines, *_fields(spec.settings, (kind, spec.name), active)] if spec.settings.model_fields else [*lines, ""]


def _fields(
    model: type[BaseModel], path: tuple[str, ...], active: Mapping[str, Any], skip: Collection[str] = ()
) -> Iterator[str]:
    for name, info in model.model_fields.items():
        if name in skip:
            continue
        yield from textwrap.wrap(info.description or "", WIDTH, initial_indent="# ", subsequent_indent="# ")
        if is_secret(name, info.annotation):
            names = " or ".join(variables_of((*path, name), model))
            yield f"# ({name} is a secret: set {names} in the environment or in .env)"
        elif name in active:
            yield f"{toml_key(name)} = {toml_value(active[name])}"
        else:
            yield f"#{toml_key(name)} = {shown_default(model, name)}"
    yield ""


def shown_default(model: type[BaseModel], name: str) -> str:
    """A field's default in TOML; for a field without one its example, or a word on its kind."""
    info = model.model_fields[name]
    default = _default(model, name)
    if default is not None:
        return toml_value(default)
    if info.examples:
        return toml_value(info.examples[0])
    return "…  (must be set)" if info.is_required() else f"…  ({kind_of(model, name)}; not set)"


def _default(model: type[BaseModel], name: str) -> Any:
    info: FieldInfo = model.model_fields[name]
    if info.is_required():
        return None
    value = info.get_default(call_default_factory=True, validated_data={})
    return model.model_construct(**{name: value}).model_dump(mode="json", include={name}, fallback=str).get(name)


def kind_of(model: type[BaseModel], name: str) -> str:
    """What a field holds, in a word or two, from its JSON Schema."""
    schema = model.model_json_schema()
    return _kind(schema["properties"][name], schema.get("$defs", {}))


def _kind(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return _kind(definitions[field["$ref"].rsplit("/", 1)[1]], definitions)
    if "anyOf" in field:
        arms = (arm for arm in field["anyOf"] if arm.get("type") != "null")
        return " or ".join(dict.fromkeys(_kind(arm, definitions) for arm in arms))
    if "enum" in field:
        return " or ".join(f"`{choice}`" for choice in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "ms|s|m|h|d" in field.get("pattern", ""):
        return "duration"
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}), definitions)}"
    words = {"object": "table", "string": str(field.get("format", "text")), "boolean": "true or false"}
    kind = str(field.get("type", "any"))
    return words.get(kind, kind)


def env_template(registry: Registry) -> str:
    """A `.env.template` with every secret, and every field that a variable of a fixed name sets."""
    lines = [ENV_HEADER]
    for kind in KINDS:
        for name, registered in registry.of(kind).items():
            model = registered.spec.settings
            for field, info in model.model_fields.items():
                names = variables_of((kind, name, field), model)
                if is_secret(field, info.annotation) or len(names) > 1:
                    lines += [f"# {kind}.{name}.{field}: {info.description or ''}".rstrip(": "), f"#{names[0]}=", ""]
    return "\n".join(lines).rstrip() + "\n"


def schema(registry: Registry, section: str = "") -> dict[str, Any]:
    """The JSON Schema of the whole, of a key of the core, of a kind, or of a component. Raises ConfigError."""
    if section == "":
        return _whole(registry)
    if section in KINDS:
        whole = _whole(registry)
        return {**whole["properties"][section], "$defs": whole["$defs"]}
    if section == "indices":
        return IndexTable.model_json_schema()
    if section in SECTIONS:
        return SECTIONS[section].model_json_schema()
    if section in Settings.model_fields:
        found: dict[str, Any] = Settings.model_json_schema()["properties"][section]
        return found
    _, registered = find(registry, section)
    component: dict[str, Any] = registered.spec.settings.model_json_schema()
    return component


def _whole(registry: Registry) -> dict[str, Any]:
    whole = Settings.model_json_schema()
    definitions = whole.setdefault("$defs", {})
    whole["properties"]["index_params"] = whole["properties"]["indices"] | {"description": "an older name of `indices`"}
    for kind in KINDS:
        tables: dict[str, Any] = {}
        for name, registered in registry.of(kind).items():
            table = registered.spec.settings.model_json_schema(ref_template=f"#/$defs/{kind}.{name}.{{model}}")
            definitions |= {f"{kind}.{name}.{n}": d for n, d in table.pop("$defs", {}).items()}
            # Every field has a source besides this file, so none is required in it.
            table.pop("required", None)
            tables[name] = {**table, "properties": {**table.get("properties", {}), **INSTANCE_KEYS}}
        whole["properties"][kind] |= {"properties": tables}
    return whole

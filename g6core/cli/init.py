"""`g6 init`: a commented settings file and .env.template."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from g6core.cli.options import put_change
from g6core.errors import ConfigError, G6Error, PluginError, raise_all


@click.command()
@click.option("--format", "form", type=click.Choice(["toml", "json"]), default="toml", show_default=True)
@click.option("--plugins", help="Plugins to use, by name: kite,greeks,csv. All that are installed if not given.")
@click.option("--provider", help="The provider to ask; needed when the plugins bring several.")
@click.option("--indices", default="NIFTY,BANKNIFTY", show_default=True, help="Indices to record.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="One setting: --set sinks.csv.dir=archive")
@click.option("--dir", "directory", type=click.Path(path_type=Path, file_okay=False), default=".", show_default=True)
@click.option("--force", is_flag=True, help="Overwrite what is there.")
def init(
    form: str,
    plugins: str | None,
    provider: str | None,
    indices: str,
    changes: tuple[str, ...],
    directory: Path,
    force: bool,
) -> None:
    """Write a commented g6.toml (or g6.json) and .env.template; asks only what cannot be guessed."""
    from g6core.registry import Registry
    from g6core.samples import env_template, settings_sample

    _refuse_overwriting(directory, form, force)
    names = _chosen_plugins(plugins)
    registry = Registry.load(names)
    chosen = _chosen_provider(registry, provider)
    if plugins is None:
        names = _without_other_providers(registry, names, chosen)
        registry = Registry.load(names)
    active = _settings(registry, names, chosen, _names(indices.upper()), changes)
    as_json = json.dumps(active, indent=2, ensure_ascii=False) + "\n"
    text = settings_sample(registry, active) if form == "toml" else as_json
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / f"g6.{form}", text)
    if force or not (directory / ".env.template").exists():
        _write(directory / ".env.template", env_template(registry))
    click.echo(f"next: {'`g6 config check`, then `g6 run`' if chosen else 'install a provider: `pip install g6-sim`'}")


def _refuse_overwriting(directory: Path, form: str, force: bool) -> None:
    for path in (directory / "g6.toml", directory / "g6.json"):
        if path.exists() and not (force and path.suffix == f".{form}"):
            raise ConfigError(
                f"`{path}` is there already",
                code="file-exists",
                hint="`--force` overwrites it" if path.suffix == f".{form}" else "remove it first, or use its format",
            )


def _chosen_plugins(given: str | None) -> list[str]:
    if given is not None:
        return _names(given)
    usable = ",".join(_usable_plugins())
    if sys.stdin.isatty():
        return _names(click.prompt("Plugins (--plugins)", default=usable))
    return _names(usable)


def _usable_plugins() -> list[str]:
    """The installed plugins that can be loaded; nobody asked for a broken one by name."""
    from g6core.discovery import installed
    from g6core.registry import Registry

    usable: list[str] = []
    for name in sorted({plugin.name for plugin in installed()}):
        try:
            Registry.load([*usable, name])
            usable.append(name)
        except PluginError as e:
            click.echo(f"left out: {e.message}", err=True)
    return usable


def _chosen_provider(registry: Any, given: str | None) -> str | None:
    known = registry.of("providers")
    if given is not None:
        if given not in known:
            listed = f"there are {', '.join(known)}"
            raise ConfigError(f"no plugin brings provider `{given}`", where="--provider", hint=listed)
        return given
    # One that must be told something, such as the file to replay, is nobody's first choice.
    easy = [name for name, registered in known.items() if not _required(registered.spec.settings)] or list(known)
    if len(easy) <= 1:
        return easy[0] if easy else None
    if sys.stdin.isatty():
        choice: str = click.prompt("Provider (--provider)", type=click.Choice(easy))
        return choice
    raise ConfigError(f"several providers are installed: {', '.join(easy)}", hint=f"`g6 init --provider {easy[0]}`")


def _without_other_providers(registry: Any, names: Sequence[str], chosen: str | None) -> list[str]:
    """The plugins but for those that bring nothing except a provider that was not chosen."""
    from g6core.config import KINDS

    brings = {name: [(k, c) for k in KINDS for c, r in registry.of(k).items() if r.plugin == name] for name in names}
    return [name for name in names if not brings[name] or any(k != "providers" or c == chosen for k, c in brings[name])]


def _settings(
    registry: Any, names: Sequence[str], provider: str | None, indices: Sequence[str], changes: Sequence[str]
) -> dict[str, Any]:
    from g6core.config import KINDS

    active: dict[str, Any] = {"plugins": list(names), "interval": "15s"}
    if provider:
        active["indices"] = {name: {"provider": provider} for name in indices}
    for other in registry.of("providers"):
        if other != provider:
            active.setdefault("providers", {})[other] = {"enabled": False}
    for change in changes:
        put_change(active, change)
    problems: list[G6Error] = []
    for kind in KINDS[:1] + KINDS[2:]:
        for name, registered in registry.of(kind).items():
            table = active.get(kind, {}).get(name, {})
            if not table and not registered.spec.by_default:
                continue
            for field in _required(registered.spec.settings):
                if field not in table and table.get("enabled", True):
                    _ask(active, [kind, name, field], problems)
    raise_all(problems)
    return active


def _ask(active: dict[str, Any], path: list[str], problems: list[G6Error]) -> None:
    key = ".".join(path)
    if sys.stdin.isatty():
        put_change(active, f"{key}={click.prompt(f'{key} (--set {key}=…)')}")
    else:
        problems.append(ConfigError(f"`{key}` has no default", hint=f"`g6 init --set {key}=…`"))


def _required(model: Any) -> list[str]:
    """Fields without a default that belong in the file; secrets do not."""
    from g6core.validation import is_secret

    fields = model.model_fields.items()
    return [name for name, info in fields if info.is_required() and not is_secret(name, info.annotation)]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    click.echo(f"wrote {path}")

"""`g6 doctor`: every check with a remedy."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from g6core import days
from g6core.assembly import assemble
from g6core.cli.dotenv import dotenv_findings
from g6core.cli.options import config_options, json_option, load
from g6core.clock import SystemClock
from g6core.components import Component, Context
from g6core.config import Configuration
from g6core.errors import G6Error, Problems
from g6core.exchange import Calendar, trading_date
from g6core.history import History
from g6core.lock import DirectoryLock
from g6core.registry import Registry
from g6core.reports import Finding
from g6core.validation import is_secret

SPACE_WANTED = 5e9
"""Bytes: roughly two days of all six indices."""


@click.command()
@config_options
@json_option
def doctor(as_json: bool, **options: Any) -> int:
    """Check everything, with a remedy for each finding; exits with 1 when something is wrong."""
    findings = list(_findings(options))
    if as_json:
        click.echo(json.dumps({"v": 1, "findings": [asdict(f) for f in findings]}))
    else:
        for finding in findings:
            click.echo(
                f"{finding.level:<8} {finding.message}" + (f"\n{'':9}help: {finding.hint}" if finding.hint else "")
            )
    return 1 if any(f.level == "error" for f in findings) else 0


def _findings(options: dict[str, Any]) -> Iterator[Finding]:
    yield Finding("ok", f"Python {sys.version.split()[0]} on {sys.platform}")
    try:
        configuration, registry = load(**options)
    except G6Error as e:
        yield from _refusals(e)
        return
    yield Finding("ok", f"settings are valid; plugins: {', '.join(configuration.settings.plugins) or 'none'}")
    for warning in configuration.warnings:
        yield Finding("warning", warning)
    yield from _secrets_in_file(configuration)
    data_dir = configuration.settings.data_dir
    calendar = Calendar.load(data_dir / "exchange.toml")
    yield from _calendar(calendar)
    yield from dotenv_findings(Path(".env"))
    yield from _disk(data_dir)
    yield from _journal(data_dir)
    yield from _components(configuration, registry, calendar)


def _refusals(e: G6Error) -> Iterable[Finding]:
    errors = e.errors if isinstance(e, Problems) else (e,)
    return [Finding("error", " at ".join([error.message, *error.where]), error.hint) for error in errors]


def _secrets_in_file(configuration: Configuration) -> Iterator[Finding]:
    """Those that another source goes before; one that holds is refused with the settings."""
    file, lines = configuration.layers.file, configuration.layers.lines
    for kind, components in configuration.components.items():
        for name, component in components.items():
            for field, info in component.spec.settings.model_fields.items():
                line = lines.get((kind, name, field))
                if line is not None and is_secret(field, info.annotation):
                    text = f"`{field}` is a secret and stands in {file}:{line}, though another source goes before it"
                    yield Finding("error", text, "take it out; if the file was shared, have it replaced")


def _calendar(calendar: Calendar) -> Iterator[Finding]:
    today = trading_date(datetime.now(UTC))
    warning = calendar.warning(today)
    yield Finding("warning", warning) if warning else Finding("ok", f"the exchange calendar knows {today.year}")
    if time.gmtime().tm_year < 2026:
        yield Finding(
            "error", "the machine's clock stands before 2026", "set the clock, or switch on time synchronisation"
        )


def _disk(data_dir: Path) -> Iterator[Finding]:
    existing = next(p for p in (data_dir.absolute(), *data_dir.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 1e9:.1f} GB free for {data_dir}"
    if free < SPACE_WANTED:
        yield Finding("warning", text, "free some space, or `g6 journal prune`")
    else:
        yield Finding("ok", text)


def _journal(data_dir: Path) -> Iterator[Finding]:
    running = DirectoryLock(data_dir).taken
    yield Finding(
        "ok", "a recorder runs on the data directory" if running else "no recorder runs on the data directory"
    )
    for path in days.days(data_dir):
        try:
            day = days.summary(path)
        except G6Error as e:
            yield Finding("error", e.message, e.hint)
            continue
        waiting = {name: n for name, n in day.lag.items() if n}
        if waiting and not running:
            words = ", ".join(f"{n} for {name}" for name, n in waiting.items())
            yield Finding("warning", f"{day.day}: snapshots wait in the journal: {words}", "`g6 run` delivers them")
        if day.dead_letters:
            words = ", ".join(f"{name} {n}" for name, n in day.dead_letters.items())
            yield Finding("warning", f"{day.day}: rejected by sinks: {words}", "`g6 journal --json` has the counts")


def _components(configuration: Configuration, registry: Registry, calendar: Calendar) -> Iterator[Finding]:
    try:
        assembly = assemble(configuration, registry)
    except G6Error as e:
        yield from _refusals(e)
        return
    data_dir = configuration.settings.data_dir
    context = Context(data_dir, SystemClock(), calendar, History(data_dir), configuration.settings.interval)
    named: dict[str, Component] = {**assembly.providers, **assembly.sinks, **assembly.rules}
    for name, component in named.items():
        try:
            findings = list(component.diagnose(context))
        except Exception as e:
            findings = [Finding("error", f"the check itself failed: {type(e).__name__}: {e}")]
        yield from (Finding(f.level, f"{name}: {f.message}", f.hint) for f in findings)

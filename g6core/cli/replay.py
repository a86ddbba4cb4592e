"""`g6 replay`: a recording through the same engine."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from g6core.cli.options import config_options, data_dir_of, settings_layers
from g6core.components import Alert
from g6core.errors import ConfigError
from g6core.exchange import IST
from g6core.reports import CycleReport

if TYPE_CHECKING:
    from g6core.engine import Engine
    from g6core.layers import Layers
    from g6core.registry import Registry

EVERYTHING = {
    "strategy": {"use": "all"},
    "expiries": ["this_week", "next_week", "this_month", "next_month", "all"],
}
"""Settings that leave nothing of a recording out."""


@click.command()
@click.argument("recording", metavar="DATE|FILE")
@config_options
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where the replay is recorded.")
@click.option("--speed", default="max", show_default=True, help="1x as recorded, 10x ten times as fast, or max.")
@click.option("--cycles", type=click.IntRange(min=1), help="End after so many instants.")
@click.option("--quiet", "-q", is_flag=True, help="No line per cycle.")
@click.pass_context
def replay(ctx: click.Context, /, recording: str, out: Path | None, speed: str, **options: Any) -> int:
    """Send a recorded day (DATE) or FILE through the engine: analytics and sinks see it as if it were live.

    Every strike and expiry of the recording is used unless the settings say otherwise. A FILE is recorded into the data
    directory; a DATE of the data directory into its folder `replay`, beside the original.
    """
    from g6core.cli.session import Session

    source = data_dir_of(options["data_dir"])
    path = _path(recording, source)
    beside = source / "replay" if path.parent == (source / "journal").absolute() else source
    plugins, changes = _alone(options["config"], options["plugins"])
    raised = Raised()
    code = Session(
        config=options["config"],
        plugins=plugins,
        data_dir=out or beside,
        changes=(*options["changes"], f"providers.replay.path={path}", *changes),
        defaults=EVERYTHING,
        cycles=options["cycles"],
        speed=_speed(speed),
        quiet=options["quiet"],
        verbose=ctx.obj["verbose"],
        views=(raised,),
    ).run()
    raised.show()
    return code


class Raised:
    """What the alert rules raised in a run, as a table at its end: a rule tried on recorded days."""

    def __init__(self) -> None:
        self._alerts: list[Alert] = []
        self._rules: set[str] = set()

    def cycle(self, engine: Engine, report: CycleReport) -> None:
        self._rules |= set(engine.assembly.rules)
        self._alerts += report.alerts

    def idle(self, engine: Engine, opens: datetime) -> None:
        pass

    def show(self) -> None:
        """Nothing where there was no rule."""
        if not self._rules:
            return
        if not self._alerts:
            click.echo(f"none of {len(self._rules)} alert rules fired")
            return
        table = Table("alert rule", "fired", "resolved", "first", "last", "indices")
        for rule, number in Counter(alert.rule for alert in self._alerts).most_common():
            own = [alert for alert in self._alerts if alert.rule == rule]
            resolved = sum(alert.state == "resolved" for alert in own)
            times = [f"{alert.ts.astimezone(IST):%d %b %H:%M:%S}" for alert in (own[0], own[-1])]
            indices = ", ".join(sorted({alert.index for alert in own if alert.index}))
            table.add_row(Text(rule), str(number - resolved), str(resolved), *times, indices)
        Console().print(table)


def _alone(config: Path | None, plugins: str | None) -> tuple[str, list[str]]:
    """The plugins to use, and the changes that leave `replay` as the only provider of every index, and nobody told."""
    from g6core.registry import Registry

    layers = settings_layers(config, plugins)
    names = [*layers.plugins, "replay"]
    registry = Registry.load(names)
    others = set(registry.of("providers")) | set(layers.table("providers"))
    quiet = [f"sinks.{name}.enabled=false" for name in _telling(layers, registry)]
    changes = [f"providers.{name}.enabled=false" for name in sorted(others - {"replay"})]
    named = [index for index, table in layers.table("indices").items() if "provider" in table]
    return ",".join(names), [*quiet, *changes, *(f"indices.{index}.provider=replay" for index in named)]


def _telling(layers: Layers, registry: Registry) -> list[str]:
    """Tables of sinks that have no place in a replay."""
    known = registry.of("sinks")
    tables = {name: table for name, table in layers.table("sinks").items() if isinstance(table, dict)}
    used = {name: known.get(str(table.get("use", name))) for name, table in tables.items()}
    return sorted(name for name, sink in used.items() if sink and not sink.spec.in_replay)


def _path(recording: str, data_dir: Path) -> Path:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", recording):
        return (data_dir / "journal" / f"{recording}.db").absolute()
    return Path(recording).absolute()


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x?", text)
    if not match or float(match[1]) == 0:
        raise ConfigError(f"`{text}` is not a speed", where="--speed", hint="1x, 10x, 0.5x or max")
    return float(match[1])

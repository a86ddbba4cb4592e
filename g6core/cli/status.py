"""`g6 status`: what the running recorder does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from g6core.cli.options import data_dir_of, data_dir_option, json_option
from g6core.cli.screen import clock_time, grouped
from g6core.status import read_status


@click.command()
@json_option
@data_dir_option
def status(as_json: bool, data_dir: Path | None) -> None:
    """Show what the running recorder does; exits with 3 when none runs."""
    document = read_status(data_dir_of(data_dir))
    if as_json:
        click.echo(json.dumps(document))
    else:
        _show(document)


def _show(document: dict[str, Any]) -> None:
    console = Console()
    simulated = "[bold yellow]SIMULATED[/]  " if document["simulated"] else ""
    console.print(f"{simulated}{document['state']}, pid {document['pid']}, {document['cycles']} cycles")
    if document["problem"]:
        console.print(f"[bold red]{escape(document['problem'])}[/]")
    if "last_cycle" in document:
        console.print(_indices(document["last_cycle"], document["interval"]))
    for name, sink in document["sinks"].items():
        trouble = f"  [red]{escape(sink['error'])}[/]" if sink["error"] else ""
        console.print(
            f"sink {name}: {sink['written']} written, {sink['lag']} to go, {sink['rejected']} rejected{trouble}"
        )
    console.print(f"data in {escape(document['data_dir'])}")


def _indices(last: dict[str, Any], interval: float) -> Table:
    ts = datetime.fromisoformat(last["ts"])
    age = (datetime.now(UTC) - ts).total_seconds()
    late = f"  [yellow]{age:.0f} s ago[/]" if age > 2 * interval else ""
    table = Table(title=f"last cycle {clock_time(ts)}, {last['seconds'] * 1000:.0f} ms{late}", title_justify="left")
    for name in ("index", "status", "spot", "quotes"):
        table.add_column(name, justify="left" if name in ("index", "status") else "right")
    for name, index in last["indices"].items():
        state = index["status"] if not index["reason"] else f"{index['status']}: {escape(index['reason'])}"
        table.add_row(name, state, grouped(index["facts"].get("spot"), 2), f"{index['quoted']}/{index['options']}")
    return table

"""`g6 chain`: the latest recorded chain of an index as a ladder."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from g6core import days
from g6core.cli.options import data_dir_of, data_dir_option, json_option
from g6core.cli.screen import NONE, grouped, percent
from g6core.errors import DataError
from g6core.exchange import IST
from g6core.snapshot import Snapshot

SIDE = ("oi", "volume", "iv", "bid", "ask", "last_price")
NARROW = ("oi", "iv", "last_price")
TITLES = {"oi": "OI", "volume": "volume", "iv": "IV", "bid": "bid", "ask": "ask", "last_price": "last"}
WIDE = 140
"""Columns of a terminal that has room for every figure; a pipe always has."""


@click.command()
@click.argument("index")
@click.option("--expiry", help="this_week, next_month, 2026-11-24, …; the nearest one if left out.")
@click.option(
    "--around", type=click.IntRange(min=0), default=10, show_default=True, help="Strikes each side of the money."
)
@click.option("--csv", "as_csv", is_flag=True, help="The rows as CSV on standard output.")
@json_option
@data_dir_option
def chain(index: str, expiry: str | None, around: int, as_csv: bool, as_json: bool, data_dir: Path | None) -> None:
    """Show the latest recorded chain of INDEX: calls left, strike, puts right."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    snapshot = _latest(data_dir_of(data_dir), index.upper())
    facts = _expiry_row(snapshot, expiry)
    rows = snapshot.options.filter((pl.col("expiry") == facts["expiry"]) & _near_the_money(around))
    if as_csv:
        click.echo(rows.drop(pl.selectors.nested()).write_csv(), nl=False)
    elif as_json:
        click.echo(_json(snapshot, facts, rows))
    else:
        console = Console() if sys.stdout.isatty() else Console(width=WIDE)
        console.print(_ladder(snapshot, facts, rows, SIDE if console.width >= WIDE else NARROW))
        console.print(_caption(snapshot, facts))


def _near_the_money(around: int) -> pl.Expr:
    return pl.col("offset").is_null() | pl.col("offset").is_between(-around, around)


def _latest(data_dir: Path, index: str) -> Snapshot:
    snapshot = days.latest(data_dir, index)
    if snapshot is None:
        known = sorted({name for path in days.days(data_dir)[-1:] for name in days.indices_of(path)})
        raise DataError(
            f"nothing is recorded of {index}" + (f"; there is {', '.join(known)}" if known else ""),
            code="nothing-recorded",
            where=str(data_dir.absolute()),
            hint=None
            if known
            else "`g6 run` records, `g6 demo` shows a synthetic market; --data-dir names another place",
        )
    return snapshot


def _expiry_row(snapshot: Snapshot, wanted: str | None) -> dict[str, Any]:
    rows = snapshot.expiries.to_dicts()
    for row in rows:
        if wanted is None or wanted in row["codes"] or wanted == str(row["expiry"]):
            return row
    known = ", ".join(f"{row['expiry']} ({'/'.join(row['codes'])})" for row in rows)
    raise DataError(
        f"{snapshot.index} has no recorded expiry `{wanted}`", code="no-such-expiry", hint=f"there is {known}"
    )


def _json(snapshot: Snapshot, facts: dict[str, Any], rows: pl.DataFrame) -> str:
    import json

    document = {
        "v": 1,
        "index": snapshot.index,
        "ts": snapshot.ts.isoformat(),
        "source": snapshot.source,
        "simulated": snapshot.simulated,
        "facts": dict(snapshot.facts),
        "expiry": facts,
        "options": rows.to_dicts(),
    }
    return json.dumps(document, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _ladder(snapshot: Snapshot, facts: dict[str, Any], rows: pl.DataFrame, side: tuple[str, ...]) -> Table:
    table = Table(title=_title(snapshot, facts), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in side:
        table.add_column(TITLES[name], justify="right", no_wrap=True)
    table.add_column("strike", justify="center", style="bold", no_wrap=True)
    for name in reversed(side):
        table.add_column(TITLES[name], justify="right", no_wrap=True)
    legs: dict[float, dict[str, dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        legs.setdefault(row["strike"], {})[row["right"]] = row
    spot = snapshot.facts.get("spot")
    for strike, pair in sorted(legs.items()):
        calls = [_cell(pair.get("CE"), name, spot is not None and strike < spot) for name in side]
        puts = [_cell(pair.get("PE"), name, spot is not None and strike > spot) for name in reversed(side)]
        table.add_row(*calls, f"› {strike:g} ‹" if strike == facts["atm_strike"] else f"{strike:g}", *puts)
    return table


def _cell(row: dict[str, Any] | None, name: str, in_the_money: bool) -> str:
    value = row.get(name) if row else None
    text = percent(value) if name == "iv" else grouped(value, 0 if name in ("oi", "volume") else 2)
    return f"[on grey23]{text}[/]" if in_the_money and text != NONE else text


def _title(snapshot: Snapshot, facts: dict[str, Any]) -> str:
    simulated = "[bold yellow]SIMULATED[/]  " if snapshot.simulated else ""
    spot = grouped(snapshot.facts.get("spot"), 2)
    return f"{simulated}{snapshot.index} {spot}  expiry {facts['expiry']:%d %b %Y} ({', '.join(facts['codes'])})"


def _caption(snapshot: Snapshot, facts: dict[str, Any]) -> str:
    age = (datetime.now(UTC) - snapshot.ts).total_seconds()
    when = f"{snapshot.ts.astimezone(IST):%d %b %Y %H:%M:%S} IST, {_age(age)} old, from {snapshot.source}"
    words = [
        f"forward {grouped(facts.get('forward'), 2)} ({facts.get('forward_source') or 'none'})",
        f"ATM IV {percent(facts.get('atm_iv'))}",
        f"PCR {grouped(facts.get('pcr_oi'), 2)}",
        f"max pain {grouped(facts.get('max_pain'))}",
        f"straddle {grouped(facts.get('straddle'), 2)}",
        "OI and volume in units",
    ]
    return f"calls left, puts right; {when}\n{'  '.join(words)}"


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

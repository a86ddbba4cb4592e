"""`g6 chain`: a recorded chain of an index as a ladder, the latest one or as it stood at an instant."""

from __future__ import annotations

import re
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
from g6core.chains import chain_json, chain_rows, expiry_row, ladder
from g6core.cli.options import config_options, data_dir_of, json_option, load_recorded
from g6core.cli.screen import NONE, grouped, percent
from g6core.errors import DataError
from g6core.exchange import IST
from g6core.snapshot import Snapshot

SIDE = ("oi", "volume", "iv", "bid", "ask", "last_price")
NARROW = ("oi", "iv", "last_price")
TITLES = {"age": "age", "oi": "OI", "volume": "volume", "iv": "IV", "bid": "bid", "ask": "ask", "last_price": "last"}
WIDE = 140
"""Columns of a terminal that has room for every figure; a pipe always has."""
AGES = 20
"""Columns that the ages need in addition."""


@click.command()
@click.argument("index")
@click.option("--expiry", help="this_week, next_month, 2026-11-24, …; the nearest one if left out.")
@click.option(
    "--around", type=click.IntRange(min=0), default=10, show_default=True, help="Strikes each side of the money."
)
@click.option("--csv", "as_csv", is_flag=True, help="The rows as CSV on standard output.")
@click.option("--at", "when", metavar="TIME", help='As it stood then: "2026-11-20 10:30" in India, or 10:30 today.')
@json_option
@config_options
def chain(
    index: str, expiry: str | None, around: int, when: str | None, as_csv: bool, as_json: bool, **options: Any
) -> None:
    """Show the latest recorded chain of INDEX, or that of an instant: calls left, strike, puts right."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    at = None if when is None else _instant(when)
    if at is None:
        snapshot = _latest(data_dir_of(options["data_dir"]), index.upper())
    else:
        snapshot = _aged(_at(index.upper(), at, **options), at)
    facts = expiry_row(snapshot, expiry)
    rows = chain_rows(snapshot, facts, around)
    if as_csv:
        click.echo(rows.drop(pl.selectors.nested()).write_csv(), nl=False)
    elif as_json:
        click.echo(chain_json(snapshot, expiry, around))
    else:
        wide = WIDE if at is None else WIDE + AGES
        console = Console() if sys.stdout.isatty() else Console(width=wide)
        side = SIDE if console.width >= wide else NARROW
        console.print(_ladder(snapshot, facts, rows, side if at is None else ("age", *side)))
        console.print(_caption(snapshot, facts, at))


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


def _instant(text: str) -> datetime:
    """The instant that is meant: in India where no zone is given, today where no date is."""
    try:
        today = datetime.now(IST).date()
        given = datetime.fromisoformat(f"{today} {text}" if re.fullmatch(r"[\d:]+", text) else text)
    except ValueError:
        raise click.BadParameter(f'{text!r} is not a time like "2026-11-20 10:30"', param_hint="--at") from None
    try:
        return (given if given.tzinfo else given.replace(tzinfo=IST)).astimezone(UTC)
    except OverflowError:
        raise click.BadParameter(f"{text!r} is before all time that can be told", param_hint="--at") from None


def _at(index: str, at: datetime, **options: Any) -> Snapshot:
    """The newest snapshot at or before the instant: of the journal, else of an archive among the selected sinks."""
    from g6core.archives import snapshot_at

    snapshot = days.at(data_dir_of(options["data_dir"]), index, at)
    if snapshot is None:
        configuration, _ = load_recorded(**options)
        snapshot = snapshot_at(configuration, index, at)
    if snapshot is None:
        raise DataError(
            f"nothing is recorded of {index} on {at.astimezone(IST):%d %b %Y} up to {at.astimezone(IST):%H:%M:%S} IST",
            code="nothing-recorded",
            where=str(data_dir_of(options["data_dir"]).absolute()),
            hint="`g6 journal` lists the days; an archive with older ones is selected by `--plugins parquet`",
        )
    return snapshot


def _aged(snapshot: Snapshot, at: datetime) -> Snapshot:
    """With the column `age`: seconds from a contract's newest sign of life, at best the exchange's own, to the
    instant."""
    stamped = pl.coalesce("exchange_ts", "received_ts", pl.lit(snapshot.ts))
    age = (pl.lit(at) - stamped).dt.total_microseconds() / 1e6
    return snapshot.replace(options=snapshot.options.with_columns(age=age))


def _ladder(snapshot: Snapshot, facts: dict[str, Any], rows: pl.DataFrame, side: tuple[str, ...]) -> Table:
    table = Table(title=_title(snapshot, facts), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in side:
        table.add_column(TITLES[name], justify="right", no_wrap=True)
    table.add_column("strike", justify="center", style="bold", no_wrap=True)
    for name in reversed(side):
        table.add_column(TITLES[name], justify="right", no_wrap=True)
    spot = snapshot.facts.get("spot")
    for row in ladder(rows, side).iter_rows(named=True):
        strike = row["strike"]
        calls = [_cell(row[f"call_{name}"], name, spot is not None and strike < spot) for name in side]
        puts = [_cell(row[f"put_{name}"], name, spot is not None and strike > spot) for name in reversed(side)]
        table.add_row(*calls, f"› {strike:g} ‹" if strike == facts["atm_strike"] else f"{strike:g}", *puts)
    return table


def _cell(value: Any, name: str, in_the_money: bool) -> str:
    if name == "age":
        return NONE if value is None else _age(max(0.0, value))
    text = percent(value) if name == "iv" else grouped(value, 0 if name in ("oi", "volume") else 2)
    return f"[on grey23]{text}[/]" if in_the_money and text != NONE else text


def _title(snapshot: Snapshot, facts: dict[str, Any]) -> str:
    simulated = "[bold yellow]SIMULATED[/]  " if snapshot.simulated else ""
    spot = grouped(snapshot.facts.get("spot"), 2)
    return f"{simulated}{snapshot.index} {spot}  expiry {facts['expiry']:%d %b %Y} ({', '.join(facts['codes'])})"


def _caption(snapshot: Snapshot, facts: dict[str, Any], at: datetime | None) -> str:
    age = _age(((at or datetime.now(UTC)) - snapshot.ts).total_seconds())
    then = f" at {at.astimezone(IST):%H:%M:%S}" if at else ""
    when = f"{snapshot.ts.astimezone(IST):%d %b %Y %H:%M:%S} IST, {age} old{then}, from {snapshot.source}"
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
